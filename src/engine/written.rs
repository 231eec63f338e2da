//! The message as it was written, before it was sealed.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use super::{
    Opening,
    lines::{LfWriter, uses_crlf},
};
use crate::{
    base::{Error, Kind, Result},
    mail::{
        Part,
        canonical::{Canonical, Form},
        header::Field,
        protect,
    },
};

impl Opening {
    /// Writes the payload under the header that it had before sealing: the outer fields in their order, protected ones in the place of
    /// those that stood for them, and the payload's own Content-* fields. Line ends are those of the message as it came.
    ///
    /// # Errors
    ///
    /// The reason why peeling stopped, if it did; `Io` when `out` fails.
    pub fn write(&self, out: &mut dyn Write) -> Result<()> {
        let payload = match (&self.payload, &self.error) {
            (Some(payload), _) => payload.root(),
            (None, Some(error)) => return Err(error.clone()),
            (None, None) => return Err(Error::new(Kind::Malformed, "message: no payload")),
        };
        let written = if self.verdict.layers().is_empty() {
            out.write_all(payload.octets())
        } else {
            self.reassemble(payload, out)
        };
        written.map_err(|e| Error::io("output", &e))
    }

    fn reassemble(&self, payload: Part<'_>, out: &mut dyn Write) -> io::Result<()> {
        let outer = self.outer.root();
        if uses_crlf(outer) {
            let mut to = Canonical::new(Form::Crlf, out);
            write_parts(outer, payload, &mut to)?;
            to.finish().map(|_| ())
        } else {
            let mut to = LfWriter::new(out);
            write_parts(outer, payload, &mut to)?;
            to.finish()
        }
    }
}

fn write_parts(outer: Part<'_>, payload: Part<'_>, to: &mut dyn Write) -> io::Result<()> {
    let mut protected: BTreeMap<String, Vec<Field<'_>>> = BTreeMap::new();
    for field in protect::protected(payload) {
        protected.entry(field.name.to_ascii_lowercase()).or_default().push(field);
    }
    let has_content = payload.fields().any(|field| starts_with(field.name, "content-"));
    let mut placed = BTreeSet::new();
    for field in outer.fields() {
        // MIME-Version speaks of Content-* fields; where the payload has none, sealing brought it.
        if field.is("MIME-Version") && has_content {
            write_field(field.raw, to)?;
        }
        if is_structural(field.name) {
            continue;
        }
        let name = field.name.to_ascii_lowercase();
        match protected.get(&name) {
            None => write_field(field.raw, to)?,
            Some(replacements) => {
                let raw = replacements.iter().map(|inner| inner.raw).filter(|_| !placed.contains(&name));
                raw.into_iter().try_for_each(|raw| write_field(raw, to))?;
                placed.insert(name);
            }
        }
    }
    for inner in protect::protected(payload).filter(|inner| !placed.contains(&inner.name.to_ascii_lowercase())) {
        write_field(inner.raw, to)?;
    }
    for field in payload.fields().filter(|field| starts_with(field.name, "content-")) {
        if field.is("Content-Type") {
            write_field(&without_parameters(field.raw, &["hp", "protected-headers"]), to)?;
        } else {
            write_field(field.raw, to)?;
        }
    }
    // A file that was no mail before it was sealed is none now.
    if outer.header_octets().is_empty() && payload.header_octets().is_empty() {
        return to.write_all(payload.body());
    }
    to.write_all(b"\r\n")?;
    to.write_all(payload.body())
}

fn is_structural(name: &str) -> bool {
    starts_with(name, "content-") || name.eq_ignore_ascii_case("MIME-Version")
}

fn starts_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn write_field(raw: &[u8], to: &mut dyn Write) -> io::Result<()> {
    to.write_all(raw)?;
    if raw.ends_with(b"\n") { Ok(()) } else { to.write_all(b"\r\n") }
}

/// A raw field less some parameters, each with the semicolon before it; everything else keeps its octets.
fn without_parameters(raw: &[u8], names: &[&str]) -> Vec<u8> {
    let mut pieces = pieces(raw).into_iter();
    let mut kept = pieces.next().unwrap_or_default().to_vec();
    for piece in pieces {
        let name: Vec<u8> =
            piece.iter().copied().skip_while(u8::is_ascii_whitespace).take_while(|c| *c != b'=').collect();
        let name = String::from_utf8_lossy(&name).trim().to_ascii_lowercase();
        if !names.contains(&name.as_str()) {
            kept.push(b';');
            kept.extend_from_slice(piece);
        }
    }
    kept
}

/// Splits at semicolons that are not within quotes.
fn pieces(raw: &[u8]) -> Vec<&[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    raw.split(|&c| {
        let separates = c == b';' && !quoted;
        if c == b'"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == b'\\' && !escaped;
        separates
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_goes_with_its_semicolon() {
        let raw = b"Content-Type: text/plain; charset=\"a;hp=b\"; hp=\"cipher\"; format=flowed\r\n";
        let kept = without_parameters(raw, &["hp"]);
        assert_eq!(kept, b"Content-Type: text/plain; charset=\"a;hp=b\"; format=flowed\r\n");
    }

    #[test]
    fn the_last_parameter_leaves_the_line_break() {
        let kept = without_parameters(b"Content-Type: text/plain;\r\n hp=\"clear\"\r\n", &["hp"]);
        assert_eq!(kept, b"Content-Type: text/plain");
    }

    #[test]
    fn only_what_is_protected_replaces_and_nothing_of_the_transport() {
        let parse = |text: &str| {
            let mut budget = crate::base::Budget::new(crate::base::Limits::default());
            crate::mail::Message::parse(text.into(), &mut budget).unwrap()
        };
        let written = |outer: &str, payload: &str| {
            let mut out = Vec::new();
            write_parts(parse(outer).root(), parse(payload).root(), &mut LfWriter::new(&mut out)).unwrap();
            String::from_utf8(out).unwrap()
        };
        let outer = "Received: r\nFrom: a@x.org\n\n";
        let payload = "Received: eve\nFrom: b@x.org\nAuthentication-Results: x; dkim=pass\nContent-Type: text/plain";
        assert_eq!(
            written(outer, &format!("{payload}; hp=clear\n\nbody")),
            "Received: r\nFrom: b@x.org\nContent-Type: text/plain\n\nbody"
        );
        // What is no mark that the verdict knows is none here.
        for other in ["", "; hp=other", "; protected-headers=v2"] {
            assert!(written(outer, &format!("{payload}{other}\n\n")).contains("\nFrom: a@x.org\n"), "{other}");
        }
    }
}
