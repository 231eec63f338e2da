//! Commands (RFC 5321, section 4.1), with the extensions that the server offers.

use super::Reply;
use crate::{
    base::Result as Outcome,
    mail::{Address, ForwardPath, ReversePath},
};

/// A command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// A SASL mechanism in upper case, and its first response (RFC 4954).
    Auth {
        mechanism: String,
        initial: Option<String>,
    },
    /// `count` octets follow (RFC 3030).
    Bdat {
        count: u64,
        order: Order,
    },
    Data,
    Ehlo(String),
    /// The name of a list.
    Expn(String),
    Helo(String),
    Help,
    Lhlo(String),
    Mail(Sender),
    Noop,
    Quit,
    Rcpt(ForwardPath),
    Rset,
    Starttls,
    /// The name of a user.
    Vrfy(String),
    /// The client that the session is for; names in upper case (Postfix's XCLIENT_README).
    Xclient(Vec<(String, String)>),
    /// The client that the next message came from (Postfix's XFORWARD_README).
    Xforward(Vec<(String, String)>),
}

/// Whether a chunk is the last of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Last,
    More,
}

/// The arguments of MAIL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    pub(super) path: ReversePath,
    /// The declared size in octets (RFC 1870).
    pub(super) size: Option<u64>,
}

impl Command {
    /// Parses a line. A mailbox without a domain gets `domain`.
    ///
    /// # Errors
    ///
    /// The reply that refuses it.
    pub(super) fn parse(line: &[u8], domain: &str) -> Result<Command, Reply> {
        let line = std::str::from_utf8(line).map_err(|_| Reply::new(500, "5.5.2", "Error: bad UTF-8 syntax"))?;
        if line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(Reply::new(500, "5.5.2", "Error: bad syntax"));
        }
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let argument = argument.trim();
        let alone = |command: Command| match argument {
            "" => Ok(command),
            _ => Err(Reply::new(501, "5.5.4", format!("Syntax: {verb}"))),
        };
        match verb.to_ascii_uppercase().as_str() {
            "AUTH" => auth(argument),
            "BDAT" => bdat(argument),
            "DATA" => alone(Command::Data),
            "EHLO" => name(argument).map(Command::Ehlo),
            "EXPN" => Ok(Command::Expn(argument.to_owned())),
            "HELO" => name(argument).map(Command::Helo),
            "HELP" => Ok(Command::Help),
            "LHLO" => name(argument).map(Command::Lhlo),
            "MAIL" => mail(argument, domain),
            "NOOP" => Ok(Command::Noop),
            "QUIT" => alone(Command::Quit),
            "RCPT" => rcpt(argument, domain),
            "RSET" => alone(Command::Rset),
            "STARTTLS" => alone(Command::Starttls),
            "VRFY" => Ok(Command::Vrfy(argument.to_owned())),
            "XCLIENT" => attributes(argument).map(Command::Xclient),
            "XFORWARD" => attributes(argument).map(Command::Xforward),
            _ => Err(Reply::new(500, "5.5.2", "Error: command not recognized")),
        }
    }
}

/// The host name in EHLO, without characters that are special in a Received field.
pub(super) fn name(argument: &str) -> Result<String, Reply> {
    let harmless = |c: char| c.is_ascii_graphic() && !"()<>\"\\;".contains(c);
    match argument {
        "" => Err(Reply::new(501, "5.5.4", "Syntax: EHLO hostname")),
        name => Ok(name.chars().take(255).map(|c| if harmless(c) { c } else { '?' }).collect()),
    }
}

fn auth(argument: &str) -> Result<Command, Reply> {
    let mut words = argument.split_ascii_whitespace().map(str::to_owned);
    match (words.next(), words.next(), words.next()) {
        (Some(mechanism), initial, None) => Ok(Command::Auth { mechanism: mechanism.to_ascii_uppercase(), initial }),
        _ => Err(Reply::new(501, "5.5.4", "Syntax: AUTH mechanism")),
    }
}

fn bdat(argument: &str) -> Result<Command, Reply> {
    let (count, order) = argument.split_once(' ').unwrap_or((argument, ""));
    let order = match order {
        "" => Some(Order::More),
        order if order.eq_ignore_ascii_case("LAST") => Some(Order::Last),
        _ => None,
    };
    let count = Some(count).filter(|count| count.bytes().all(|octet| octet.is_ascii_digit()));
    match (count.and_then(|count| count.parse().ok()), order) {
        (Some(count), Some(order)) => Ok(Command::Bdat { count, order }),
        _ => Err(Reply::new(501, "5.5.4", "Syntax: BDAT count [LAST]")),
    }
}

fn mail(argument: &str, domain: &str) -> Result<Command, Reply> {
    let (path, parameters) = path(argument, "FROM:")?;
    let mut sender = Sender { path: ReversePath::default(), size: None };
    if !path.is_empty() {
        let address = mailbox(path, domain).map_err(|_| Reply::new(501, "5.1.7", "Bad sender address syntax"))?;
        sender.path.address = Some(address);
    }
    for parameter in parameters {
        let (keyword, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match keyword.to_ascii_uppercase().as_str() {
            "SIZE" => {
                let size = value.parse().map_err(|_| Reply::new(501, "5.5.4", "Bad message size syntax"))?;
                sender.size = Some(size);
            }
            // Determined from the content instead.
            "BODY" if ["7BIT", "8BITMIME"].iter().any(|body| value.eq_ignore_ascii_case(body)) => {}
            // Not believed (RFC 4954, section 5).
            "AUTH" if !value.is_empty() => {}
            "RET" | "ENVID" if !value.is_empty() => sender.path.parameters.push(parameter.to_owned()),
            "SMTPUTF8" if value.is_empty() => sender.path.parameters.push(parameter.to_owned()),
            _ => return Err(unknown(parameter)),
        }
    }
    let is_declared = sender.path.parameters.iter().any(|parameter| parameter.eq_ignore_ascii_case("SMTPUTF8"));
    if !argument.is_ascii() && !is_declared {
        return Err(Reply::new(553, "5.6.7", "Must declare SMTPUTF8 to send unicode address"));
    }
    Ok(Command::Mail(sender))
}

fn rcpt(argument: &str, domain: &str) -> Result<Command, Reply> {
    let (path, parameters) = path(argument, "TO:")?;
    let address = mailbox(path, domain).map_err(|_| Reply::new(501, "5.1.3", "Bad recipient address syntax"))?;
    let mut recipient = ForwardPath { address, parameters: Vec::new() };
    for parameter in parameters {
        let (keyword, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if value.is_empty() || !["NOTIFY", "ORCPT"].iter().any(|known| keyword.eq_ignore_ascii_case(known)) {
            return Err(unknown(parameter));
        }
        recipient.parameters.push(parameter.to_owned());
    }
    Ok(Command::Rcpt(recipient))
}

fn unknown(parameter: &str) -> Reply {
    Reply::new(555, "5.5.4", format!("Unsupported option: {parameter}"))
}

/// The path in angle brackets, without a source route (RFC 5321, appendix C), and the parameters after it.
fn path<'a>(argument: &'a str, keyword: &str) -> Result<(&'a str, Vec<&'a str>), Reply> {
    let error = || Reply::new(501, "5.5.4", format!("Syntax: {keyword}<address>"));
    let (head, rest) = argument.split_at_checked(keyword.len()).ok_or_else(error)?;
    let rest = rest.trim_start().strip_prefix('<').filter(|_| head.eq_ignore_ascii_case(keyword)).ok_or_else(error)?;
    let (mut is_quoted, mut is_escaped) = (false, false);
    let end = rest.find(|c| {
        let is_end = c == '>' && !is_quoted;
        if is_escaped {
            is_escaped = false;
        } else {
            is_escaped = is_quoted && c == '\\';
            is_quoted ^= c == '"';
        }
        is_end
    });
    let (path, parameters) = end.and_then(|end| rest.split_at_checked(end)).ok_or_else(error)?;
    let parameters = parameters.strip_prefix('>').unwrap_or_default();
    if !parameters.is_empty() && !parameters.starts_with(' ') {
        return Err(error());
    }
    let path = match path.split_once(':') {
        Some((route, path)) if route.starts_with('@') => path,
        _ => path,
    };
    Ok((path, parameters.split_ascii_whitespace().collect()))
}

fn mailbox(path: &str, domain: &str) -> Outcome<Address> {
    match Address::parse(path) {
        Err(_) if !path.contains('@') => Address::parse(&format!("{path}@{domain}")),
        read => read,
    }
}

fn attributes(argument: &str) -> Result<Vec<(String, String)>, Reply> {
    let pairs = argument.split_ascii_whitespace().map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name.to_ascii_uppercase(), xtext(value)?))
    });
    let pairs: Option<Vec<_>> = pairs.collect();
    pairs.filter(|pairs| !pairs.is_empty()).ok_or_else(|| Reply::new(501, "5.5.4", "Error: attribute=value expected"))
}

/// RFC 3461, section 4.
fn xtext(value: &str) -> Option<String> {
    let mut octets = Vec::new();
    let mut pieces = value.split('+');
    octets.extend_from_slice(pieces.next()?.as_bytes());
    for piece in pieces {
        let (hex, rest) = piece.split_at_checked(2)?;
        octets.push(u8::from_str_radix(hex, 16).ok()?);
        octets.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(octets).ok().filter(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, u16> {
        Command::parse(line.as_bytes(), "here.test").map_err(|reply| reply.code)
    }

    fn sender(line: &str) -> (String, Vec<String>, Option<u64>) {
        match parse(line) {
            Ok(Command::Mail(sender)) => {
                let address = sender.path.address.map(|address| address.to_string()).unwrap_or_default();
                (address, sender.path.parameters, sender.size)
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn paths_and_parameters() {
        assert_eq!(sender("mail from:<>"), (String::new(), Vec::new(), None));
        let sized = sender("MAIL FROM: <a@x.org> SIZE=12 BODY=8BITMIME AUTH=<>");
        assert_eq!(sized, ("a@x.org".into(), Vec::new(), Some(12)));
        assert_eq!(sender("MAIL FROM:<@r.org,@s.org:a@x.org>").0, "a@x.org");
        assert_eq!(sender("MAIL FROM:<\"a>\\\"b\"@x.org> RET=HDRS ENVID=7").1, ["RET=HDRS", "ENVID=7"]);
        assert_eq!(sender("MAIL FROM:<root>").0, "root@here.test");
        assert_eq!(sender("MAIL FROM:<\u{e9}@x.org> SMTPUTF8").1, ["SMTPUTF8"]);
        for (line, code) in [
            ("MAIL FROM:<\u{e9}@x.org>", 553),
            ("MAIL FROM:<a@x.org> BODY=BINARYMIME", 555),
            ("MAIL FROM:<a@x.org>SIZE=1", 501),
            ("MAIL FROM:a@x.org", 501),
            ("MAIL FROM:<a@x.org", 501),
            ("MAIL FROM:<a@>", 501),
            ("RCPT TO:<>", 501),
            ("RCPT TO:<a@x.org> SIZE=1", 555),
            ("BDAT -1", 501),
            ("BDAT 1 FIRST", 501),
            ("DATA now", 501),
            ("EHLO", 501),
            ("GET / HTTP/1.1", 500),
            ("NOOP \0", 500),
        ] {
            assert_eq!(parse(line), Err(code), "{line}");
        }
        assert_eq!(parse("bdat 10 last"), Ok(Command::Bdat { count: 10, order: Order::Last }));
        let client = vec![("ADDR".to_owned(), "192.0.2.1".to_owned()), ("NAME".to_owned(), "a b".to_owned())];
        assert_eq!(parse("XCLIENT ADDR=192.0.2.1 name=a+20b"), Ok(Command::Xclient(client)));
    }
}
