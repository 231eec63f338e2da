//! Content-Type and Content-Disposition in the form that all mail readers parse alike: RFC 2045, section 5.1, without
//! comments, white space around `/` and `=`, escapes and the forms of RFC 2231, and with each parameter once.

use std::fmt;

/// A media type that all readers parse alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MediaType {
    /// The type in lower case.
    pub(super) kind: String,
    /// The subtype in lower case.
    pub(super) subtype: String,
    /// Parameters with names in lower case.
    parameters: Vec<(String, String)>,
}

impl MediaType {
    /// The default type of a part (RFC 2045, section 5.2).
    pub(super) fn plain_text() -> Self {
        MediaType { kind: "text".to_owned(), subtype: "plain".to_owned(), parameters: Vec::new() }
    }

    /// The value of the parameter `name`, without quotes.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.subtype)
    }
}

/// Parses an unfolded value of Content-Type.
///
/// # Errors
///
/// The defect, in lower case.
pub(super) fn strict(value: &str) -> Result<MediaType, String> {
    let (name, parameters) = split(value);
    let (kind, subtype) = name
        .split_once('/')
        .filter(|(kind, subtype)| is_token(kind) && is_token(subtype))
        .ok_or("a content type that is not exactly type/subtype")?;
    let parameters = strict_parameters(parameters, "content type")?;
    Ok(MediaType { kind: kind.to_ascii_lowercase(), subtype: subtype.to_ascii_lowercase(), parameters })
}

/// Parses an unfolded value of Content-Disposition (RFC 2183). Returns the disposition in lower case.
///
/// # Errors
///
/// The defect, in lower case.
pub(super) fn disposition(value: &str) -> Result<String, String> {
    let (name, parameters) = split(value);
    let name = name.to_ascii_lowercase();
    if !["attachment", "inline"].contains(&name.as_str()) {
        return Err("a content disposition that is neither inline nor attachment".to_owned());
    }
    strict_parameters(parameters, "content disposition").map(|_| name)
}

/// The text before and after the first semicolon.
fn split(value: &str) -> (&str, &str) {
    let (name, parameters) = value.split_once(';').unwrap_or((value, ""));
    (trimmed(name), parameters)
}

fn strict_parameters(text: &str, field: &str) -> Result<Vec<(String, String)>, String> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    let mut rest = trimmed(text);
    while !rest.is_empty() {
        let word = rest.find([';', '=']).unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(word).unwrap_or((rest, ""));
        // Delta Chat writes this word without a value. No reader takes it for a parameter.
        if trimmed(name) == "protected" && !after.starts_with('=') {
            rest = trimmed(after.strip_prefix(';').unwrap_or(after));
            continue;
        }
        let after = after.strip_prefix('=').ok_or_else(|| format!("a parameter of the {field} without a value"))?;
        if !is_token(name) || name.contains(['*', '%', '\'']) {
            return Err(format!("a parameter of the {field} whose name is not a plain word"));
        }
        let name = name.to_ascii_lowercase();
        if parameters.iter().any(|(own, _)| *own == name) {
            return Err(format!("the parameter {name} of the {field} twice"));
        }
        // Some readers look for parameters inside quotes too. Boundaries need equals signs, and file names have spaces.
        let is_plain = |value: &str| {
            (name == "boundary" || !value.contains('=')) && (name.ends_with("name") || !value.contains([' ', '\t']))
        };
        let (value, after) = strict_value(after)
            .filter(|(value, _)| is_plain(value))
            .ok_or_else(|| format!("a value of the {field}'s parameter {name} that readers parse differently"))?;
        parameters.push((name, value.to_owned()));
        let after = trimmed(after);
        rest = match after.strip_prefix(';') {
            Some(after) => trimmed(after),
            None if after.is_empty() => after,
            None => return Err(format!("a parameter of the {field} that ends without a semicolon")),
        };
    }
    Ok(parameters)
}

/// Takes a token, or a quoted string without escapes or semicolons.
fn strict_value(text: &str) -> Option<(&str, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted.split_once('"').filter(|(value, _)| !value.contains(['\\', ';']));
    }
    let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
    let (value, rest) = text.split_at_checked(end)?;
    is_token(value).then_some((value, rest))
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Whether it is a token (RFC 2045, section 5.1) of at most the length of a media type name (RFC 6838, section 4.2).
/// Boundaries are shorter.
fn is_token(text: &str) -> bool {
    (1..=127).contains(&text.len())
        && text.bytes().all(|octet| octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet))
}
