//! Where a mailbox is, as a user writes it: a path, `maildir:DIR`, `mbox:FILE`, or the URL of a server (RFC 5092, RFC 2384).

use std::{fmt, path::PathBuf};

use super::{
    imap::ImapSource,
    pop3::Pop3Source,
    remote::{Access, Purpose, RemoteSource, Server, Tls},
};
use crate::base::{Error, Result};

/// A place of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A path. What is there says what kind of mailbox it is.
    Path(PathBuf),
    /// `maildir:DIR`.
    Maildir(PathBuf),
    /// `mbox:FILE`.
    Mbox(PathBuf),
    /// `imap://USER@HOST/MAILBOX`, or `imaps:`. Without a mailbox: all of the account.
    Imap(Server, Option<String>),
    /// `pop3://USER@HOST`, or `pop3s:`.
    Pop3(Server),
    /// `lmtp:HOST:PORT`, `lmtp:unix:PATH`: a server that takes mail. It can only be written to.
    Lmtp(Endpoint),
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The name or the address of the host, and the port.
    Tcp(String, u16),
    /// A local socket.
    Unix(PathBuf),
}

impl Location {
    /// Reads what a user writes. Everything that begins with none of the words above is a path.
    ///
    /// # Errors
    ///
    /// `Usage`: a URL that cannot be read, or that has a password.
    pub fn parse(text: &str) -> Result<Location> {
        let Some((scheme, rest)) = text.split_once(':') else { return Ok(Location::Path(text.into())) };
        match scheme.to_ascii_lowercase().as_str() {
            "maildir" => Ok(Location::Maildir(rest.into())),
            "mbox" => Ok(Location::Mbox(rest.into())),
            "lmtp" => endpoint(text, rest).map(Location::Lmtp),
            "imap" => imap(text, rest, Tls::Upgrade, 143),
            "imaps" => imap(text, rest, Tls::Implicit, 993),
            "pop3" | "pop" => pop3(text, rest, Tls::Upgrade, 110),
            "pop3s" | "pops" => pop3(text, rest, Tls::Implicit, 995),
            _ => Ok(Location::Path(text.into())),
        }
    }
}

/// Connects with the server of a location. `None`: it is not on a server that messages can be read from.
///
/// # Errors
///
/// As [`ImapSource::connect`] and [`Pop3Source::connect`].
pub fn connect(location: &Location, access: &Access, purpose: Purpose) -> Result<Option<Box<dyn RemoteSource + Send>>> {
    Ok(match location {
        Location::Imap(server, mailbox) => {
            Some(Box::new(ImapSource::connect(server, mailbox.as_deref(), access, purpose)?))
        }
        Location::Pop3(server) => Some(Box::new(Pop3Source::connect(server, access)?)),
        Location::Path(_) | Location::Maildir(_) | Location::Mbox(_) | Location::Lmtp(_) => None,
    })
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Path(path) => write!(f, "{}", path.display()),
            Location::Maildir(path) => write!(f, "maildir:{}", path.display()),
            Location::Mbox(path) => write!(f, "mbox:{}", path.display()),
            Location::Imap(server, mailbox) => {
                write!(f, "{}{}", server.url("imap"), mailbox.as_deref().unwrap_or_default())
            }
            Location::Pop3(server) => f.write_str(&server.url("pop3")),
            Location::Lmtp(Endpoint::Tcp(host, port)) => write!(f, "lmtp:{host}:{port}"),
            Location::Lmtp(Endpoint::Unix(path)) => write!(f, "lmtp:unix:{}", path.display()),
        }
    }
}

fn imap(text: &str, rest: &str, tls: Tls, port: u16) -> Result<Location> {
    let (server, path) = server(text, rest, tls, port)?;
    if path.contains([';', '?']) {
        return Err(wrong(text, "only a mailbox after the host, without parameters"));
    }
    let mailbox = decoded(text, path)?;
    Ok(Location::Imap(server, Some(mailbox).filter(|name| !name.is_empty())))
}

fn pop3(text: &str, rest: &str, tls: Tls, port: u16) -> Result<Location> {
    match server(text, rest, tls, port)? {
        (server, "") => Ok(Location::Pop3(server)),
        _ => Err(wrong(text, "a POP3 account has one mailbox, and no name after the host")),
    }
}

/// `//USER;AUTH=MECHANISM@HOST:PORT/PATH`: the server, and the path.
fn server<'a>(text: &str, rest: &'a str, tls: Tls, port: u16) -> Result<(Server, &'a str)> {
    let rest = rest.strip_prefix("//").ok_or_else(|| wrong(text, "a URL has // before the host"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let Some((login, place)) = authority.rsplit_once('@') else {
        return Err(
            wrong(text, "no user before the host").with_hint("imap://USER@HOST/INBOX; an @ in the name is written %40")
        );
    };
    if login.contains(':') {
        // The text is not repeated: it has the password.
        return Err(Error::usage(
            "a password in a URL: everyone on this machine can read it in the list of processes, and it stays in the shell's history",
        )
        .with_hint("leave it out of the URL: it can come from a file, a command, or be typed"));
    }
    let (user, mechanism) = match login.split_once(';') {
        None => (login, None),
        Some((user, parameter)) => {
            let mechanism =
                parameter.get(..5).filter(|name| name.eq_ignore_ascii_case("AUTH=")).and(parameter.get(5..));
            (user, Some(mechanism.ok_or_else(|| wrong(text, "only ;AUTH=MECHANISM after the user"))?))
        }
    };
    let mechanism = mechanism.map(|name| decoded(text, name)).transpose()?;
    let (host, port) = host_and_port(text, place, Some(port))?;
    let user = decoded(text, user)?;
    if user.is_empty() {
        return Err(wrong(text, "no user before the host"));
    }
    Ok((Server { host, port, tls, user, mechanism }, path))
}

fn endpoint(text: &str, rest: &str) -> Result<Endpoint> {
    if let Some(path) = rest.strip_prefix("unix:") {
        return Ok(Endpoint::Unix(path.into()));
    }
    let (host, port) = host_and_port(text, rest.trim_start_matches("//"), None)?;
    Ok(Endpoint::Tcp(host, port))
}

/// `HOST`, `HOST:PORT`, `[::1]:PORT`.
fn host_and_port(text: &str, place: &str, usual: Option<u16>) -> Result<(String, u16)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(|| wrong(text, "no ] after the address"))?;
            (host, port.strip_prefix(':'))
        }
        None => place.rsplit_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(wrong(text, "no host"));
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0),
        None => usual,
    };
    Ok((host.to_owned(), port.ok_or_else(|| wrong(text, "no port"))?))
}

/// Percent-encoding (RFC 3986, section 2.1).
fn decoded(text: &str, part: &str) -> Result<String> {
    let mut octets = Vec::new();
    let mut rest = part.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let digit = |octet: Option<u8>| char::from(octet?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pair = digit(rest.next()).zip(digit(rest.next()));
        let (high, low) = pair.ok_or_else(|| wrong(text, "a % without two hexadecimal digits"))?;
        octets.push(high * 16 + low);
    }
    let decoded = String::from_utf8(octets).ok().filter(|text| !text.contains(char::is_control));
    decoded.ok_or_else(|| wrong(text, "percent-encoded octets that are no text"))
}

fn wrong(text: &str, why: &str) -> Error {
    Error::usage(format!("{text}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_of(host: &str, port: u16, tls: Tls, user: &str, mechanism: Option<&str>) -> Server {
        Server { host: host.into(), port, tls, user: user.into(), mechanism: mechanism.map(Into::into) }
    }

    #[test]
    fn locations_are_read() {
        let bob = |port, tls| server_of("mail.example.org", port, tls, "bob", None);
        for (text, location) in [
            ("Mail", Location::Path("Mail".into())),
            ("c:/x", Location::Path("c:/x".into())),
            ("maildir:/var/mail/x", Location::Maildir("/var/mail/x".into())),
            ("mbox:inbox", Location::Mbox("inbox".into())),
            ("imap://bob@mail.example.org/", Location::Imap(bob(143, Tls::Upgrade), None)),
            ("IMAPS://bob@mail.example.org", Location::Imap(bob(993, Tls::Implicit), None)),
            (
                "imaps://bob@mail.example.org/Sent%20Mail/2024",
                Location::Imap(bob(993, Tls::Implicit), Some("Sent Mail/2024".into())),
            ),
            ("imap://bob@mail.example.org/Entwürfe", Location::Imap(bob(143, Tls::Upgrade), Some("Entwürfe".into()))),
            ("pop3://bob@mail.example.org", Location::Pop3(bob(110, Tls::Upgrade))),
            ("pop3s://bob@mail.example.org:1/", Location::Pop3(bob(1, Tls::Implicit))),
            (
                "imap://bob%40example.org;AUTH=SCRAM-SHA-256@[::1]:1143/x",
                Location::Imap(
                    server_of("::1", 1143, Tls::Upgrade, "bob@example.org", Some("SCRAM-SHA-256")),
                    Some("x".into()),
                ),
            ),
            (
                "imap://bob@example.org@h/x",
                Location::Imap(server_of("h", 143, Tls::Upgrade, "bob@example.org", None), Some("x".into())),
            ),
            ("lmtp:127.0.0.1:24", Location::Lmtp(Endpoint::Tcp("127.0.0.1".into(), 24))),
            ("lmtp:unix:/run/lmtp", Location::Lmtp(Endpoint::Unix("/run/lmtp".into()))),
        ] {
            assert_eq!(Location::parse(text).unwrap(), location, "{text}");
        }
    }

    #[test]
    fn what_is_no_location_is_refused() {
        for (text, why) in [
            ("imap:bob@h/x", "// before the host"),
            ("imap://h/x", "no user"),
            ("imap://@h/x", "no user"),
            ("imap://bob@/x", "no host"),
            ("imap://bob@h:0/x", "no port"),
            ("imap://bob@h:99999/x", "no port"),
            ("imap://bob@h/x;UIDVALIDITY=5", "without parameters"),
            ("imap://bob;X=y@h/x", "AUTH=MECHANISM"),
            ("imap://bob@h/%zz", "hexadecimal"),
            ("imap://bob@h/%0d%0aA1", "no text"),
            ("pop3://bob@h/INBOX", "one mailbox"),
            ("lmtp:h", "no port"),
        ] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        let error = Location::parse("imap://bob:geheim@h/x").unwrap_err().to_string();
        assert!(error.contains("a password in a URL") && !error.contains("geheim"), "{error}");
    }
}
