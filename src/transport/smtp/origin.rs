//! The client that a message came from, as XFORWARD names it (Postfix's XFORWARD_README).

use std::{collections::BTreeMap, net::IpAddr};

/// What is known of a message's client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// By the names of [`ATTRIBUTES`].
    known: BTreeMap<&'static str, String>,
}

impl Origin {
    /// Adds an attribute.
    pub(super) fn knowing(mut self, name: &'static str, value: impl Into<String>) -> Origin {
        self.known.insert(name, value.into());
        self
    }

    /// Adds an address; IPv6 addresses have a prefix in XFORWARD.
    pub(super) fn at(self, address: IpAddr) -> Origin {
        let prefix = if address.is_ipv6() { "IPV6:" } else { "" };
        self.knowing("ADDR", format!("{prefix}{address}"))
    }

    /// The value of an attribute.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.known.get(name).map(String::as_str)
    }

    /// Adds attributes with names in upper case. An unavailable value removes the attribute.
    pub(super) fn learn(&mut self, attributes: &[(String, String)]) {
        for (name, value) in attributes {
            let Some(name) = ATTRIBUTES.into_iter().find(|known| known == name) else { continue };
            self.known.remove(name);
            if !is_unavailable(value) && value.len() <= MAX_VALUE {
                self.known.insert(name, value.clone());
            }
        }
    }

    /// The XFORWARD commands for a server that supports the attributes in `taken`.
    pub(super) fn commands(&self, taken: &str) -> Vec<String> {
        let is_taken = |name: &&str| taken.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case(name));
        let mut commands: Vec<String> = Vec::new();
        for name in ATTRIBUTES.into_iter().filter(is_taken) {
            let value = self.known.get(name).map_or_else(|| UNAVAILABLE.to_owned(), |value| xtext(value));
            let pair = format!(" {name}={value}");
            match commands.last_mut().filter(|command| command.len() + pair.len() <= MAX_COMMAND) {
                Some(command) => command.push_str(&pair),
                None => commands.push(format!("XFORWARD{pair}")),
            }
        }
        commands
    }
}

/// Whether a value means that there is none.
pub(super) fn is_unavailable(value: &str) -> bool {
    [UNAVAILABLE, "[TEMPUNAVAIL]"].iter().any(|none| value.eq_ignore_ascii_case(none))
}

/// RFC 3461, section 4.
fn xtext(value: &str) -> String {
    let one = |octet: u8| match octet {
        b'+' | b'=' => format!("+{octet:02X}"),
        b'!'..=b'~' => char::from(octet).to_string(),
        _ => format!("+{octet:02X}"),
    };
    value.bytes().map(one).collect()
}

/// In Postfix's order.
const ATTRIBUTES: [&str; 7] = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"];
const UNAVAILABLE: &str = "[UNAVAILABLE]";
/// Source: XFORWARD_README; three times as much in xtext.
const MAX_VALUE: usize = 255;
/// Source: 512 octets with the line ending (XFORWARD_README). A value of maximum length in xtext exceeds it, as in Postfix.
const MAX_COMMAND: usize = 510;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_attributes_become_commands() {
        let told = |pairs: &[(&str, &str)]| {
            let mut origin = Origin::default();
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            origin.learn(&pairs);
            origin
        };
        let origin = told(&[
            ("NAME", "[TEMPUNAVAIL]"),
            ("ADDR", "192.0.2.7"),
            ("HELO", "[192.0.2.7]"),
            ("IDENT", "a b+c=\u{e9}\r\n"),
            ("LOGIN", "alice"),
            ("SOURCE", "REMOTE"),
        ]);
        assert_eq!(
            origin.commands("name addr PORT HELO IDENT SOURCE COLOUR"),
            ["XFORWARD NAME=[UNAVAILABLE] ADDR=192.0.2.7 PORT=[UNAVAILABLE] HELO=[192.0.2.7] \
              IDENT=a+20b+2Bc+3D+C3+A9+0D+0A SOURCE=REMOTE"]
        );
        assert_eq!(origin.commands(""), Vec::<String>::new());
        let mut forgotten = origin.clone();
        forgotten.learn(&[("ADDR".to_owned(), "[unavailable]".to_owned()), ("IDENT".to_owned(), "x".repeat(256))]);
        assert_eq!(forgotten.commands("ADDR IDENT"), ["XFORWARD ADDR=[UNAVAILABLE] IDENT=[UNAVAILABLE]"]);
        let long = told(&[("NAME", &"n".repeat(255)), ("HELO", &"h".repeat(255))]);
        assert_eq!(long.commands("NAME HELO").iter().map(String::len).collect::<Vec<_>>(), [269, 269]);
        let six = Origin::default().at("2001:db8::7".parse().unwrap());
        assert_eq!(six.commands("ADDR"), ["XFORWARD ADDR=IPV6:2001:db8::7"]);
    }
}
