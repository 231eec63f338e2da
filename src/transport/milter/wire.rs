//! The milter protocol on the wire: packets to commands, responses to packets. Pure functions over octets, except `read` and `write`.
//!
//! The protocol has no standard. The source for every letter and number is Sendmail's `include/libmilter/mfdef.h` (8.14 and later, protocol
//! version 6), which Postfix follows (`MILTER_README`).

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{
    base::{Error, Result},
    transport::smtp::Reply,
};

/// A command from the MTA. Strings are without their final NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// SMFIC_ABORT: the current message, if any, is cancelled.
    Abort,
    /// SMFIC_BODY: a piece of the body, with CRLF.
    Body(&'a [u8]),
    /// SMFIC_CONNECT: the SMTP client.
    Connect(Client<'a>),
    /// SMFIC_DATA.
    Data,
    /// SMFIC_EOH: the header is over.
    EndOfHeader,
    /// SMFIC_BODYEOB: the message is over; a last piece of the body may come with it.
    EndOfMessage(&'a [u8]),
    /// SMFIC_HEADER: a field, without the colon; lines in the value are parted by LF.
    Header { name: &'a [u8], value: &'a [u8] },
    /// SMFIC_HELO: the name that the SMTP client gave.
    Helo(&'a [u8]),
    /// SMFIC_MACRO: values for the command whose letter is `stage`.
    Macros { stage: u8, pairs: Vec<(&'a [u8], &'a [u8])> },
    /// SMFIC_MAIL.
    Mail(Path<'a>),
    /// SMFIC_OPTNEG.
    Negotiate(Options),
    /// SMFIC_QUIT: the conversation is over.
    Quit,
    /// SMFIC_QUIT_NC: another SMTP client's turn on the same connection.
    QuitNewConnection,
    /// SMFIC_RCPT.
    Recipient(Path<'a>),
    /// SMFIC_UNKNOWN: an SMTP command that the MTA does not know.
    Unknown,
}

/// The address family and the address of an SMTP client as SMFIC_CONNECT has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client<'a> {
    /// `4`, `6`, `L` (a local socket) or `U` (unknown).
    pub(super) family: u8,
    /// The address in text, `192.0.2.1` or `2001:db8::1`; Sendmail writes `IPv6:` before the latter.
    pub(super) address: &'a [u8],
}

/// A reverse-path or forward-path in brackets, and its ESMTP parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    pub(super) path: &'a [u8],
    pub(super) parameters: Vec<&'a [u8]>,
}

/// The numbers of SMFIC_OPTNEG, theirs or ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// The version of the protocol.
    pub(super) version: u32,
    /// SMFIF_*: the changes that a filter may make.
    pub(super) actions: u32,
    /// SMFIP_*: the commands and responses that are omitted.
    pub(super) protocol: u32,
}

/// A response to the MTA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Response {
    /// SMFIR_ADDHEADER: a field at the end of the header.
    AddHeader { name: Vec<u8>, value: Vec<u8> },
    /// SMFIR_ADDRCPT_PAR or, without parameters, SMFIR_ADDRCPT.
    AddRecipient { path: String, parameters: Vec<String> },
    /// SMFIR_CHGFROM.
    ChangeFrom { path: String, parameters: Vec<String> },
    /// SMFIR_CHGHEADER: the `index`th field of that name, from 1, in the message as it came; an empty value deletes it.
    ChangeHeader { index: u32, name: Vec<u8>, value: Vec<u8> },
    /// SMFIR_CONTINUE.
    Continue,
    /// SMFIR_DELRCPT: a recipient exactly as the MTA wrote it.
    DeleteRecipient(Vec<u8>),
    /// SMFIR_DISCARD.
    Discard,
    /// SMFIR_INSHEADER at the top.
    InsertHeader { name: Vec<u8>, value: Vec<u8> },
    /// SMFIC_OPTNEG.
    Negotiate { options: Options, symbols: Vec<(Stage, &'static str)> },
    /// SMFIR_PROGRESS: still working.
    Progress,
    /// SMFIR_QUARANTINE: into the hold queue.
    Quarantine(String),
    /// SMFIR_REPLYCODE: a reply for the SMTP client.
    Refuse(Reply),
    /// SMFIR_REPLBODY, in as many packets as it takes.
    ReplaceBody(Vec<u8>),
}

/// The command before which macros are sent (SMFIM_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Connect = 0,
    Mail = 2,
    Recipient = 3,
    EndOfMessage = 5,
}

impl<'a> Command<'a> {
    /// Parses the contents of a packet.
    pub(super) fn parse(packet: &'a [u8]) -> Result<Self> {
        let (letter, rest) = packet.split_first().ok_or_else(|| broken("empty packet"))?;
        Ok(match letter {
            b'A' => Command::Abort,
            b'B' => Command::Body(rest),
            b'C' => Command::Connect(client(rest)?),
            b'D' => macros(rest)?,
            b'E' => Command::EndOfMessage(rest),
            b'H' => Command::Helo(rest.strip_suffix(b"\0").unwrap_or(rest)),
            b'K' => Command::QuitNewConnection,
            b'L' => match strings(rest)?.as_slice() {
                [name, value] => Command::Header { name, value },
                _ => return Err(broken("header field is not a name and a value")),
            },
            b'M' => Command::Mail(path(rest)?),
            b'N' => Command::EndOfHeader,
            b'O' => Command::Negotiate(options(rest)?),
            b'Q' => Command::Quit,
            b'R' => Command::Recipient(path(rest)?),
            b'T' => Command::Data,
            b'U' => Command::Unknown,
            other => return Err(broken(&format!("unknown command {:?}", char::from(*other)))),
        })
    }
}

impl Response {
    /// Appends the packet, or packets, to `wire`.
    pub(super) fn encode(&self, wire: &mut Vec<u8>) {
        match self {
            Response::AddHeader { name, value } => packet(wire, b'h', &[&c_string(name), &c_string(value)]),
            Response::AddRecipient { path, parameters } if parameters.is_empty() => {
                packet(wire, b'+', &[&c_string(path.as_bytes())]);
            }
            Response::AddRecipient { path, parameters } => {
                packet(wire, b'2', &[&path_and_parameters(path, parameters)])
            }
            Response::ChangeFrom { path, parameters } => packet(wire, b'e', &[&path_and_parameters(path, parameters)]),
            Response::ChangeHeader { index, name, value } => {
                packet(wire, b'm', &[&index.to_be_bytes(), &c_string(name), &c_string(value)]);
            }
            Response::Continue => packet(wire, b'c', &[]),
            Response::DeleteRecipient(path) => packet(wire, b'-', &[&c_string(path)]),
            Response::Discard => packet(wire, b'd', &[]),
            Response::InsertHeader { name, value } => {
                packet(wire, b'i', &[&0_u32.to_be_bytes(), &c_string(name), &c_string(value)]);
            }
            Response::Negotiate { options, symbols } => packet(wire, b'O', &[&negotiation(*options, symbols)]),
            Response::Progress => packet(wire, b'p', &[]),
            Response::Quarantine(reason) => packet(wire, b'q', &[&c_string(printable(reason).as_bytes())]),
            Response::Refuse(reply) => {
                // libmilter's smfi_setreply: a percent sign is written twice.
                let line = printable(&reply.to_string()).replace('%', "%%");
                packet(wire, b'y', &[&c_string(line.as_bytes())]);
            }
            Response::ReplaceBody(body) if body.is_empty() => packet(wire, b'b', &[]),
            Response::ReplaceBody(body) => body.chunks(CHUNK).for_each(|chunk| packet(wire, b'b', &[chunk])),
        }
    }
}

/// Reads one packet's contents from a stream; `None` when the stream ends before one. A packet of more than [`PACKET`] octets is an error.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Vec<u8>>> {
    let io = |error: std::io::Error| Error::io("milter connection", &error);
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read.map_err(io)?,
    };
    let length = u32::from_be_bytes(length);
    if length > PACKET {
        return Err(broken(&format!("packet of {length} octets")));
    }
    // Memory grows with the received octets, not with the announced length.
    let mut packet = Vec::new();
    stream.take(length.into()).read_to_end(&mut packet).await.map_err(io)?;
    if packet.len() < length as usize {
        return Err(broken("connection ended within a packet"));
    }
    Ok(Some(packet))
}

/// Writes replies to a stream.
pub(super) async fn write(stream: &mut (impl AsyncWrite + Unpin), replies: &[Response]) -> Result<()> {
    let mut wire = Vec::new();
    replies.iter().for_each(|reply| reply.encode(&mut wire));
    let io = |error: std::io::Error| Error::io("milter connection", &error);
    stream.write_all(&wire).await.map_err(io)?;
    stream.flush().await.map_err(io)
}

fn client(rest: &[u8]) -> Result<Client<'_>> {
    let end = memchr::memchr(0, rest).ok_or_else(|| broken("client without a name"))?;
    let after = rest.get(end + 1..).unwrap_or_default();
    match after.split_first() {
        // Two octets of a port, then the address.
        Some((family @ (b'4' | b'6' | b'L'), rest)) => {
            let address = rest.get(2..).and_then(|text| text.strip_suffix(b"\0"));
            Ok(Client { family: *family, address: address.ok_or_else(|| broken("client without an address"))? })
        }
        _ => Ok(Client { family: b'U', address: b"" }),
    }
}

fn macros(rest: &[u8]) -> Result<Command<'_>> {
    let (stage, rest) = rest.split_first().ok_or_else(|| broken("macros for nothing"))?;
    let strings = if rest.is_empty() { Vec::new() } else { strings(rest)? };
    let mut pairs = Vec::new();
    for pair in strings.chunks(2) {
        let [name, value] = pair else { return Err(broken("macro without a value")) };
        pairs.push((bare(name), *value));
    }
    Ok(Command::Macros { stage: *stage, pairs })
}

/// `{auth_authen}` and `auth_authen` are one name.
fn bare(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"{").and_then(|name| name.strip_suffix(b"}")).unwrap_or(name)
}

fn options(rest: &[u8]) -> Result<Options> {
    let (numbers, _) = rest.as_chunks::<4>();
    match numbers {
        [version, actions, protocol, ..] => Ok(Options {
            version: u32::from_be_bytes(*version),
            actions: u32::from_be_bytes(*actions),
            protocol: u32::from_be_bytes(*protocol),
        }),
        _ => Err(broken("negotiation without its three numbers")),
    }
}

fn path(rest: &[u8]) -> Result<Path<'_>> {
    let mut parameters = strings(rest)?;
    Ok(Path { path: parameters.remove(0), parameters })
}

/// One or more strings, each with a NUL at its end.
fn strings(rest: &[u8]) -> Result<Vec<&[u8]>> {
    let rest = rest.strip_suffix(b"\0").ok_or_else(|| broken("string without an end"))?;
    Ok(rest.split(|octet| *octet == 0).collect())
}

fn broken(reason: &str) -> Error {
    Error::malformed("milter protocol", reason)
}

fn packet(wire: &mut Vec<u8>, letter: u8, parts: &[&[u8]]) {
    let length = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    wire.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    wire.push(letter);
    parts.iter().for_each(|part| wire.extend_from_slice(part));
}

/// A NUL inside would end the string early, and the rest would be taken for another string.
fn c_string(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|octet| *octet != 0).chain([0]).collect()
}

fn path_and_parameters(path: &str, parameters: &[String]) -> Vec<u8> {
    let mut octets = c_string(path.as_bytes());
    if !parameters.is_empty() {
        octets.extend(c_string(parameters.join(" ").as_bytes()));
    }
    octets
}

fn negotiation(options: Options, symbols: &[(Stage, &str)]) -> Vec<u8> {
    let mut octets = [options.version, options.actions, options.protocol].map(u32::to_be_bytes).concat();
    for (stage, names) in symbols {
        octets.extend((*stage as u32).to_be_bytes());
        octets.extend(c_string(names.as_bytes()));
    }
    octets
}

/// Text for a reply line (RFC 5321, section 4.2): printable ASCII, cut so that the line stays below 512 octets.
fn printable(words: &str) -> String {
    words.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).take(400).collect()
}

/// SMFIF_*: add and change header fields, replace the body, add and delete recipients, quarantine, change the sender, add recipients with
/// parameters, choose macros.
pub(super) mod action {
    pub(crate) const ADD_HEADERS: u32 = 0x1;
    pub(crate) const CHANGE_BODY: u32 = 0x2;
    pub(crate) const ADD_RECIPIENTS: u32 = 0x4;
    pub(crate) const DELETE_RECIPIENTS: u32 = 0x8;
    pub(crate) const CHANGE_HEADERS: u32 = 0x10;
    pub(crate) const QUARANTINE: u32 = 0x20;
    pub(crate) const CHANGE_FROM: u32 = 0x40;
    pub(crate) const ADD_RECIPIENTS_WITH_PARAMETERS: u32 = 0x80;
    pub(crate) const CHOOSE_MACROS: u32 = 0x100;
}

/// SMFIP_*: commands that are not sent, commands that get no reply, and white space that stays at the front of a field's value.
pub(super) mod protocol {
    pub(crate) const SILENT_HEADER: u32 = 0x80;
    pub(crate) const NO_UNKNOWN: u32 = 0x100;
    pub(crate) const SILENT_CONNECT: u32 = 0x1000;
    pub(crate) const SILENT_HELO: u32 = 0x2000;
    pub(crate) const SILENT_END_OF_HEADER: u32 = 0x4_0000;
    pub(crate) const SILENT_BODY: u32 = 0x8_0000;
    pub(crate) const LEADING_SPACE: u32 = 0x10_0000;
}

/// The largest packet that is read, in octets: indymilter's bound. A piece of a body is at most 65,535; a header field in Postfix 102,400.
const PACKET: u32 = 1024 * 1024;

/// MILTER_CHUNK_SIZE: the most of a body in one packet.
const CHUNK: usize = 65_535;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postfix_speaks_and_is_understood() {
        let connect = b"Cclient.example\x004\x12\x34192.0.2.1\0";
        let client = Client { family: b'4', address: b"192.0.2.1" };
        assert_eq!(Command::parse(connect).unwrap(), Command::Connect(client));
        let unknown = Client { family: b'U', address: b"" };
        assert_eq!(Command::parse(b"Cunknown\0U").unwrap(), Command::Connect(unknown));
        let macros = Command::Macros {
            stage: b'M',
            pairs: vec![(&b"i"[..], &b"4F1"[..]), (&b"auth_authen"[..], &b"alice"[..])],
        };
        assert_eq!(Command::parse(b"DMi\x004F1\0{auth_authen}\0alice\0").unwrap(), macros);
        assert_eq!(Command::parse(b"DE").unwrap(), Command::Macros { stage: b'E', pairs: vec![] });
        assert_eq!(
            Command::parse(b"M<a@x.org>\0SIZE=12\0").unwrap(),
            Command::Mail(Path { path: b"<a@x.org>", parameters: vec![&b"SIZE=12"[..]] })
        );
        let field = Command::Header { name: b"Subject", value: b" x\n y" };
        assert_eq!(Command::parse(b"LSubject\0 x\n y\0").unwrap(), field);
        let options = Options { version: 6, actions: 0x1ff, protocol: 0x1f_ffff };
        let packet = b"O\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff";
        assert_eq!(Command::parse(packet).unwrap(), Command::Negotiate(options));
    }

    #[test]
    fn what_is_out_of_form_is_named() {
        for (packet, why) in [
            (&b""[..], "empty packet"),
            (b"Z", "unknown command 'Z'"),
            (b"LSubject\0", "header field is not a name and a value"),
            (b"LSubject\0x", "string without an end"),
            (b"M", "string without an end"),
            (b"O\0\0\0\x06\0\0\x01\xff", "negotiation without its three numbers"),
            (b"Chost\x004", "client without an address"),
            (b"Chost\x004\x12\x34192.0.2.1", "client without an address"),
            (b"Chost", "client without a name"),
            (b"DMi\0", "macro without a value"),
            (b"D", "macros for nothing"),
        ] {
            let error = Command::parse(packet).unwrap_err();
            assert_eq!(error.to_string(), format!("milter protocol: {why}"));
        }
    }

    #[test]
    fn replies_are_packets() {
        let encoded = |reply: Response| {
            let mut wire = Vec::new();
            reply.encode(&mut wire);
            wire
        };
        let refusal = Reply::new(550, "5.7.1", "no key for é\r\n250 ok, 100%");
        assert_eq!(encoded(Response::Refuse(refusal)), b"\0\0\0\x27y550 5.7.1 no key for ???250 ok, 100%%\0");
        let change = Response::ChangeHeader { index: 2, name: b"Subject".into(), value: b" a\0b".into() };
        assert_eq!(encoded(change), b"\0\0\0\x11m\0\0\0\x02Subject\0 ab\0");
        let body = encoded(Response::ReplaceBody(vec![b'x'; CHUNK + 1]));
        assert_eq!(body.len(), 5 + CHUNK + 5 + 1);
        assert!(body.starts_with(b"\0\x01\0\0b") && body.ends_with(b"\0\0\0\x02bx"));
        let symbols = vec![(Stage::Mail, "i {auth_authen}")];
        let options = Options { version: 6, actions: 1, protocol: 2 };
        assert_eq!(
            encoded(Response::Negotiate { options, symbols }),
            b"\0\0\0\x21O\0\0\0\x06\0\0\0\x01\0\0\0\x02\0\0\0\x02i {auth_authen}\0"
        );
        let path = Response::AddRecipient { path: "<a@x.org>".into(), parameters: vec!["NOTIFY=NEVER".into()] };
        assert_eq!(encoded(path), b"\0\0\0\x182<a@x.org>\0NOTIFY=NEVER\0");
    }
}
