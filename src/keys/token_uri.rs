//! Names of tokens and of what is on them (RFC 7512).

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use crate::base::{Error, Result};

/// A `pkcs11:` URI: which token, which object on it, and with which module.
///
/// # Example
///
/// ```
/// use postseal::keys::TokenUri;
///
/// let uri = TokenUri::parse("pkcs11:token=mail%20keys;object=alice;type=private?module-path=/usr/lib/softhsm/libsofthsm2.so")?;
/// assert_eq!(uri.attribute("token"), Some("mail keys"));
/// assert_eq!(uri.module_path(), Some("/usr/lib/softhsm/libsofthsm2.so".as_ref()));
/// assert_eq!(uri.token().to_string(), "pkcs11:token=mail%20keys");
/// # Ok::<(), postseal::base::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenUri {
    /// The path attributes but `id`, decoded.
    path: BTreeMap<String, String>,
    /// `id`, which may be any octets.
    id: Option<Vec<u8>>,
    module: Option<PathBuf>,
    pin: Option<PathBuf>,
}

impl TokenUri {
    /// Any object on any token.
    pub const NONE: TokenUri = TokenUri { path: BTreeMap::new(), id: None, module: None, pin: None };

    /// Reads a URI. Query attributes that are not known are ignored (RFC 7512, section 2.3).
    ///
    /// # Errors
    ///
    /// `Usage` for anything else, for an unknown path attribute (RFC 7512, section 2.3), and for one with a PIN in it: URIs are stored, shown and
    /// logged.
    pub fn parse(text: &str) -> Result<TokenUri> {
        let refuse = |why: String| Error::usage(format!("token uri: {why}"));
        let rest = text.strip_prefix("pkcs11:").ok_or_else(|| refuse("does not begin with pkcs11:".to_owned()))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = TokenUri::NONE;
        for (name, octets) in attributes(path, ';')? {
            if !PATH.contains(&name) {
                return Err(refuse(format!("unknown attribute {name:?}")));
            }
            if name == "id" {
                uri.id = Some(octets);
                continue;
            }
            let value = String::from_utf8(octets).map_err(|_| refuse(format!("{name}: not UTF-8")))?;
            if uri.path.insert(name.to_owned(), value).is_some() {
                return Err(refuse(format!("{name}: is there twice")));
            }
        }
        for (name, octets) in attributes(query, '&')? {
            let value = String::from_utf8(octets).map_err(|_| refuse(format!("{name}: not UTF-8")))?;
            match name {
                "module-path" => uri.module = Some(PathBuf::from(value)),
                "pin-source" => uri.pin = Some(pin_source(&value)?),
                "pin-value" => {
                    return Err(refuse("a PIN does not belong in it: it is stored and shown".to_owned())
                        .with_hint("pin-source=FILE names a file with the PIN"));
                }
                _ => {}
            }
        }
        Ok(uri)
    }

    /// The value of a path attribute other than `id`: `token`, `object`, `serial`, ...
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.path.get(name).map(String::as_str)
    }

    /// The identifier of an object, CKA_ID.
    pub fn id(&self) -> Option<&[u8]> {
        self.id.as_deref()
    }

    /// The module, by its path.
    pub fn module_path(&self) -> Option<&Path> {
        self.module.as_deref()
    }

    /// A file with the PIN.
    pub fn pin_source(&self) -> Option<&Path> {
        self.pin.as_deref()
    }

    /// The token alone, without object, module and PIN.
    #[must_use]
    pub fn token(&self) -> TokenUri {
        let path = self.path.iter().filter(|(name, _)| OF_TOKEN.contains(&name.as_str()));
        let path = path.map(|(name, value)| (name.clone(), value.clone())).collect();
        TokenUri { path, id: None, module: None, pin: None }
    }

    /// The key and its token, without module and PIN: what may be shown to everybody who may see the certificate.
    #[must_use]
    pub fn name(&self) -> TokenUri {
        TokenUri { module: None, pin: None, ..self.clone() }
    }

    /// The token in messages: `token mail`, or its URI where that has no label.
    pub fn title(&self) -> String {
        self.attribute("token").map_or_else(|| self.token().to_string(), |label| format!("token {label}"))
    }

    /// The same with this path attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> TokenUri {
        self.path.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same for the object with this identifier.
    #[must_use]
    pub fn with_id(self, id: &[u8]) -> TokenUri {
        TokenUri { id: Some(id.to_vec()), ..self }
    }

    /// The same with this module.
    #[must_use]
    pub fn with_module(self, module: Option<&Path>) -> TokenUri {
        TokenUri { module: module.map(Path::to_path_buf), ..self }
    }

    /// The same with the PIN in this file.
    #[must_use]
    pub fn with_pin_source(self, pin: Option<&Path>) -> TokenUri {
        TokenUri { pin: pin.map(Path::to_path_buf), ..self }
    }

    /// Whether everything that `self` says of a token and an object is said by `other` too.
    pub fn covers(&self, other: &TokenUri) -> bool {
        let is_said = |(name, value): (&String, &String)| other.path.get(name) == Some(value);
        self.path.iter().all(is_said) && self.id.as_ref().is_none_or(|id| other.id.as_ref() == Some(id))
    }
}

impl fmt::Display for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = ORDER
            .iter()
            .filter_map(|name| Some(format!("{name}={}", escaped(self.path.get(*name)?.as_bytes()))))
            .collect();
        if let Some(id) = &self.id {
            let id: String = id.iter().map(|octet| format!("%{octet:02x}")).collect();
            parts.push(format!("id={id}"));
        }
        write!(f, "pkcs11:{}", parts.join(";"))?;
        let query = [("module-path", &self.module), ("pin-source", &self.pin)].into_iter();
        let query = query.filter_map(|(name, path)| {
            Some(format!("{name}={}", escaped(path.as_ref()?.as_os_str().as_encoded_bytes())))
        });
        let query: Vec<String> = query.collect();
        if query.is_empty() { Ok(()) } else { write!(f, "?{}", query.join("&")) }
    }
}

/// A `file:` URI, or a path (RFC 7512, section 2.4).
fn pin_source(value: &str) -> Result<PathBuf> {
    let path = value.strip_prefix("file://").or_else(|| value.strip_prefix("file:")).unwrap_or(value);
    match path.starts_with('|') || path.is_empty() {
        true => Err(Error::usage("token uri: pin-source: a file, not a command")),
        false => Ok(PathBuf::from(path)),
    }
}

fn attributes(text: &str, separator: char) -> Result<Vec<(&str, Vec<u8>)>> {
    let one = |part: &'_ str| {
        let refuse = |why: &str| Error::usage(format!("token uri: {why}"));
        let (name, value) = part.split_once('=').ok_or_else(|| refuse("an attribute without a value"))?;
        Ok((name.len(), unescaped(value).ok_or_else(|| refuse("a percent sign without two digits"))?))
    };
    let parts = text.split(separator).filter(|part| !part.is_empty());
    parts.map(|part| one(part).map(|(length, value)| (&part[..length], value))).collect()
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            octets.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        octets.extend(base16ct::mixed::decode_vec(digits).ok()?);
        rest = after;
    }
    Some(octets)
}

/// What needs no escape in both parts of a URI (RFC 7512, section 2.3), and slashes of paths.
fn escaped(octets: &[u8]) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~/:".contains(&octet);
    let one = |octet: &u8| if plain(*octet) { char::from(*octet).to_string() } else { format!("%{octet:02x}") };
    octets.iter().map(one).collect()
}

/// The path attributes (RFC 7512, section 2.3).
const PATH: [&str; 13] = [
    "id",
    "library-description",
    "library-manufacturer",
    "library-version",
    "manufacturer",
    "model",
    "object",
    "serial",
    "slot-description",
    "slot-id",
    "slot-manufacturer",
    "token",
    "type",
];

/// Those in the order of writing.
const ORDER: [&str; 12] = [
    "library-description",
    "library-manufacturer",
    "library-version",
    "slot-description",
    "slot-manufacturer",
    "slot-id",
    "model",
    "manufacturer",
    "serial",
    "token",
    "object",
    "type",
];

/// Those of a token.
const OF_TOKEN: [&str; 5] = ["manufacturer", "model", "serial", "slot-id", "token"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Kind;

    #[test]
    fn uris_are_read_as_they_are_written() {
        for text in [
            "pkcs11:",
            "pkcs11:token=mail",
            "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=9c1f;token=mail;object=alice%3b%25;type=private;id=%00%ff",
            "pkcs11:token=a?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/run/pin",
        ] {
            assert_eq!(TokenUri::parse(text).unwrap().to_string(), text);
        }
        let uri = TokenUri::parse("pkcs11:token=a?pin-source=file:///etc/pin&x-other=1").unwrap();
        assert_eq!(uri.pin_source(), Some(Path::new("/etc/pin")));
    }

    #[test]
    fn what_is_no_uri_is_refused_with_the_reason() {
        for (text, why) in [
            ("pkcs12:", "token uri: does not begin with pkcs11:"),
            ("pkcs11:tokn=a", "token uri: unknown attribute \"tokn\""),
            ("pkcs11:token=a;token=b", "token uri: token: is there twice"),
            ("pkcs11:token=%4", "token uri: a percent sign without two digits"),
            ("pkcs11:token", "token uri: an attribute without a value"),
            ("pkcs11:token=%ff", "token uri: token: not UTF-8"),
            ("pkcs11:token=a?pin-value=1234", "token uri: a PIN does not belong in it: it is stored and shown"),
            ("pkcs11:token=a?pin-source=|cat", "token uri: pin-source: a file, not a command"),
        ] {
            let error = TokenUri::parse(text).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Usage, why));
        }
    }

    #[test]
    fn a_shorter_uri_covers_a_longer_one() {
        let parse = |text| TokenUri::parse(text).unwrap();
        let whole = parse("pkcs11:token=a;object=b;id=%01");
        assert!(parse("pkcs11:").covers(&whole) && parse("pkcs11:token=a").covers(&whole));
        assert!(parse("pkcs11:id=%01?module-path=/m").covers(&whole));
        assert!(!parse("pkcs11:token=b").covers(&whole) && !parse("pkcs11:serial=1").covers(&whole));
        assert!(!parse("pkcs11:id=%02").covers(&whole));
    }
}
