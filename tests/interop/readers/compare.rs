//! Whether a reader shows what the signer signed, and nothing else.

use std::collections::HashMap;

use super::{
    carrier::{Carrier, carrier},
    peers::{Reader, Shown},
};

/// What one reader shows, in a form that can be compared: without what belongs to the format, and without differences in line ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Texts on the screen and attachments, in order.
    pub(crate) shown: Vec<Item>,
    /// What the format puts beside them.
    pub(crate) carriers: Vec<Carrier>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Text { kind: String, text: String },
    Attachment { kind: String, name: String, octets: Vec<u8> },
}

impl View {
    pub(crate) fn of(shown: &Shown) -> View {
        let mut view = View { shown: Vec::new(), carriers: Vec::new() };
        for part in &shown.parts {
            let octets = part.text.as_ref().map_or(part.octets.as_slice(), |text| text.as_bytes());
            if octets.trim_ascii().is_empty() && part.name.is_none() {
                continue;
            }
            match (carrier(octets), &part.text) {
                (Some(Carrier::Around(text)), Some(_)) => {
                    view.shown.push(Item::Text { kind: part.kind.clone(), text: lines(&text) });
                }
                (Some(found), None) if !matches!(found, Carrier::Around(_)) => view.carriers.push(found),
                (Some(found @ (Carrier::Armor("PGP MESSAGE") | Carrier::Pem)), Some(_)) => view.carriers.push(found),
                (_, Some(text)) => view.shown.push(Item::Text { kind: part.kind.clone(), text: lines(text) }),
                (_, None) => view.shown.push(Item::Attachment {
                    kind: part.kind.clone(),
                    name: part.name.clone().unwrap_or_default(),
                    octets: octets.trim_ascii().to_vec(),
                }),
            }
        }
        view
    }
}

/// What is expected of one reader for all messages with one payload.
pub(crate) struct Expected {
    /// That it shows nothing, because everything is encrypted or opaque.
    is_hidden: bool,
    carriers: Vec<Carrier>,
}

/// What a message that we call authentic says of itself.
pub(crate) struct Said<'a> {
    pub(crate) payload: &'a [u8],
    pub(crate) author: String,
    /// The field whose subject we show, alone as a message.
    pub(crate) subject: Vec<u8>,
}

/// The readers, and what each shows of payloads that it was asked about already.
pub(crate) struct Comparison {
    readers: Vec<Box<dyn Reader>>,
    payloads: HashMap<(usize, Vec<u8>), Vec<Item>>,
    subjects: HashMap<(usize, Vec<u8>), String>,
}

/// A reader that shows something else, and what.
#[derive(Debug)]
pub(crate) struct Disagreement {
    pub(crate) reader: String,
    /// `text`, `subject`, `from`, `format`.
    pub(crate) about: &'static str,
    pub(crate) what: String,
}

impl Comparison {
    pub(crate) fn new(readers: Vec<Box<dyn Reader>>) -> Comparison {
        Comparison { readers, payloads: HashMap::new(), subjects: HashMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.readers.len()
    }

    /// What each reader is to show of messages like this one, which is genuine.
    ///
    /// # Errors
    ///
    /// A reader that shows neither the payload nor nothing.
    pub(crate) fn expect(
        &mut self,
        message: &[u8],
        is_outermost: bool,
        said: &Said<'_>,
    ) -> Result<Vec<Expected>, Vec<Disagreement>> {
        let (mut expected, mut odd) = (Vec::new(), Vec::new());
        for index in 0..self.readers.len() {
            let shown = self.readers[index].show(message);
            let view = View::of(&shown);
            let payload = self.payload(index, said.payload);
            let hidden = view.shown.is_empty() && !view.carriers.is_empty();
            if !hidden && view.shown != payload {
                odd.push(self.difference(index, &view.shown, &payload));
            }
            if is_outermost {
                odd.extend(self.header(index, &shown, said));
            }
            expected.push(Expected { is_hidden: hidden, carriers: view.carriers });
        }
        if odd.is_empty() { Ok(expected) } else { Err(odd) }
    }

    /// The readers that show something else.
    pub(crate) fn ask(
        &mut self,
        message: &[u8],
        is_outermost: bool,
        said: &Said<'_>,
        expected: &[Expected],
    ) -> Vec<Disagreement> {
        let mut found = Vec::new();
        for (index, expected) in expected.iter().enumerate() {
            let shown = self.readers[index].show(message);
            if let Some(reason) = &shown.failed {
                found.push(self.disagreement(index, "failed", reason.clone()));
                continue;
            }
            let view = View::of(&shown);
            let payload = if expected.is_hidden { Vec::new() } else { self.payload(index, said.payload) };
            if view.shown != payload {
                found.push(self.difference(index, &view.shown, &payload));
            } else if view.carriers != expected.carriers {
                let what = format!("{:?} instead of {:?}", view.carriers, expected.carriers);
                found.push(self.disagreement(index, "format", what));
            }
            if is_outermost {
                found.extend(self.header(index, &shown, said));
            }
        }
        found
    }

    fn payload(&mut self, index: usize, payload: &[u8]) -> Vec<Item> {
        let key = (index, payload.to_vec());
        if let Some(known) = self.payloads.get(&key) {
            return known.clone();
        }
        let items = View::of(&self.readers[index].show(payload)).shown;
        self.payloads.insert(key, items.clone());
        items
    }

    fn header(&mut self, index: usize, shown: &Shown, said: &Said<'_>) -> Vec<Disagreement> {
        let mut found = Vec::new();
        // How it decodes what it finds is the reader's own affair: which field it takes, and how much of it, is not.
        let key = (index, said.subject.clone());
        let expected = self.subjects.entry(key).or_insert_with(|| {
            let subject = self.readers[index].show(&said.subject).subject;
            words(subject.as_deref().unwrap_or_default())
        });
        let expected = expected.clone();
        let subject = words(shown.subject.as_deref().unwrap_or_default());
        if subject != expected {
            found.push(self.disagreement(index, "subject", format!("{subject:?} instead of {expected:?}")));
        }
        let from: Vec<String> = shown.from.iter().map(|address| plain(address)).collect();
        if from != [said.author.as_str()] {
            found.push(self.disagreement(index, "from", format!("{from:?} instead of {:?}", said.author)));
        }
        found
    }

    fn difference(&self, index: usize, found: &[Item], expected: &[Item]) -> Disagreement {
        let first = found.iter().zip(expected).position(|(found, expected)| found != expected);
        let at = first.unwrap_or_else(|| found.len().min(expected.len()));
        let what = format!("item {at}: {} instead of {}", brief(found.get(at)), brief(expected.get(at)));
        self.disagreement(index, "text", what)
    }

    fn disagreement(&self, index: usize, about: &'static str, what: String) -> Disagreement {
        Disagreement { reader: self.readers[index].name().to_owned(), about, what }
    }
}

fn brief(item: Option<&Item>) -> String {
    let cut = |text: &str| text.chars().take(160).collect::<String>();
    match item {
        None => "nothing".to_owned(),
        Some(Item::Text { kind, text }) => format!("{kind} {:?}", cut(text)),
        Some(Item::Attachment { kind, name, octets }) => {
            format!("attachment {kind} {name:?} {:?}", cut(&String::from_utf8_lossy(octets)))
        }
    }
}

/// A text without the white space at the ends of its lines, and at its end.
fn lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().split('\n').map(str::trim_end).collect();
    lines.join("\n")
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An address without quotes, escapes and spaces, which change nothing (RFC 5322, section 3.4.1).
fn plain(address: &str) -> String {
    address.chars().filter(|c| !matches!(c, '"' | '\\') && !c.is_whitespace()).collect::<String>().to_lowercase()
}
