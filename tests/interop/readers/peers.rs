//! Other people's readers of mail: what each shows of a message.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mail_parser::{MessageParser, MimeHeaders as _, PartType};
use serde::Deserialize;

use crate::support::requirements::{missing, readers_packages};

/// What a reader shows of a message.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Shown {
    /// That the reader gave up, and why.
    #[serde(default)]
    pub(crate) failed: Option<String>,
    #[serde(default)]
    pub(crate) subject: Option<String>,
    /// The addresses in From.
    #[serde(default)]
    pub(crate) from: Vec<String>,
    /// In the order in which they are shown.
    #[serde(default)]
    pub(crate) parts: Vec<ShownPart>,
}

/// A text on the screen, or an attachment.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ShownPart {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) name: Option<String>,
    /// What is on the screen; `None` for an attachment.
    pub(crate) text: Option<String>,
    #[serde(deserialize_with = "octets")]
    pub(crate) octets: Vec<u8>,
}

/// One reader, ready for any number of messages.
pub(crate) trait Reader {
    fn name(&self) -> &str;
    fn show(&mut self, message: &[u8]) -> Shown;
}

/// All readers that are here. An absent one is a missing requirement.
pub(crate) fn readers() -> Vec<Box<dyn Reader>> {
    let mut readers: Vec<Box<dyn Reader>> = vec![Box::new(MailParser)];
    for (name, program, script, argument) in PEERS {
        match Peer::start(name, program, script, argument) {
            Ok(peer) => readers.push(Box::new(peer)),
            Err(reason) => drop(missing(&format!("{name}: {reason}"))),
        }
    }
    readers
}

/// Name, program, script in tests/interop/readers, argument. Debian's GMime is for Debian's Python.
const PEERS: &[(&str, &str, &str, &str)] = &[
    ("Python's email (default)", "python3", "python.py", "default"),
    ("Python's email (compat32)", "python3", "python.py", "compat32"),
    ("GMime", "/usr/bin/python3", "gmime.py", ""),
    ("mailparser", "node", "node.mjs", "mailparser"),
    ("postal-mime", "node", "node.mjs", "postal-mime"),
];

/// A program that answers each message with a line of JSON.
struct Peer {
    name: &'static str,
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it, and has it read a message.
    fn start(name: &'static str, program: &str, script: &str, argument: &str) -> Result<Peer, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/readers").join(script);
        let mut command = Command::new(program);
        command.arg(script).arg(argument).env("POSTSEAL_READERS_PACKAGES", readers_packages());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
        let (to, from) = (child.stdin.take().ok_or("no input")?, child.stdout.take().ok_or("no output")?);
        let mut peer = Peer { name, child, to, from: BufReader::new(from) };
        match peer.ask(b"Subject: ready\r\n\r\n") {
            Ok(shown) if shown.subject.as_deref() == Some("ready") => Ok(peer),
            Ok(shown) => Err(format!("{shown:?}")),
            Err(error) => {
                let mut said = String::new();
                let stderr = peer.child.stderr.take().ok_or("no errors")?;
                io::Read::read_to_string(&mut { stderr }, &mut said).map_err(|error| error.to_string())?;
                Err(format!("{error}: {}", said.lines().last().unwrap_or_default()))
            }
        }
    }

    fn ask(&mut self, message: &[u8]) -> Result<Shown, String> {
        let length = u32::try_from(message.len()).map_err(|error| error.to_string())?;
        let sent = self.to.write_all(&length.to_be_bytes()).and_then(|()| self.to.write_all(message));
        sent.and_then(|()| self.to.flush()).map_err(|error| error.to_string())?;
        let mut line = String::new();
        self.from.read_line(&mut line).map_err(|error| error.to_string())?;
        serde_json::from_str(&line).map_err(|error| format!("{error}: {line:?}"))
    }
}

impl Reader for Peer {
    fn name(&self) -> &str {
        self.name
    }

    fn show(&mut self, message: &[u8]) -> Shown {
        self.ask(message).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The crate mail-parser (Stalwart).
struct MailParser;

impl Reader for MailParser {
    fn name(&self) -> &str {
        "mail-parser"
    }

    fn show(&mut self, message: &[u8]) -> Shown {
        let Some(message) = MessageParser::default().parse(message) else {
            return Shown { failed: Some("no message".to_owned()), ..Shown::default() };
        };
        let addresses = message.from().into_iter().flat_map(|from| from.clone().into_list());
        let mut parts = Vec::new();
        leaves(&message, &mut parts);
        Shown {
            failed: None,
            subject: message.subject().map(str::to_owned),
            from: addresses.filter_map(|one| one.address.map(String::from)).collect(),
            parts,
        }
    }
}

fn leaves(message: &mail_parser::Message<'_>, parts: &mut Vec<ShownPart>) {
    for part in &message.parts {
        let kind = part.content_type().map_or_else(
            || "text/plain".to_owned(),
            |kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()).to_lowercase(),
        );
        let is_attached = part.content_disposition().is_some_and(|disposition| disposition.is_attachment());
        let (text, octets) = match &part.body {
            PartType::Text(text) | PartType::Html(text) => (Some(text.as_ref()), text.as_bytes()),
            PartType::Binary(octets) | PartType::InlineBinary(octets) => (None, octets.as_ref()),
            PartType::Message(inner) => {
                leaves(inner, parts);
                continue;
            }
            PartType::Multipart(_) => continue,
        };
        parts.push(ShownPart {
            kind,
            name: part.attachment_name().map(str::to_owned),
            text: text.filter(|_| !is_attached).map(str::to_owned),
            octets: octets.to_vec(),
        });
    }
}

fn octets<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}
