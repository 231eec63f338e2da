//! One genuine message, and whether what became of it is shown as it was.

use std::collections::BTreeSet;

use postseal::{engine::Opening, verdict::Standing};

use crate::support::change::Change;

use super::{
    compare::{Comparison, Disagreement, Expected, Said},
    seeds::{Around, Keyring, Seed},
};

/// What is known of a genuine message.
pub(crate) struct Genuine<'a> {
    seed: &'a Seed,
    payload: Vec<u8>,
    /// Of the message as it travels, and of what is within an encryption that was put around it.
    expected: Vec<Vec<Expected>>,
}

/// A changed message that is authentic, and not shown as what was signed.
pub(crate) struct Finding {
    pub(crate) families: BTreeSet<String>,
    seed: String,
    changes: Vec<String>,
    pub(crate) disagreements: Vec<Disagreement>,
    pub(crate) message: Vec<u8>,
    /// What is within the encryption that was put around it.
    pub(crate) inner: Option<Vec<u8>>,
}

impl<'a> Genuine<'a> {
    /// Asks all readers.
    ///
    /// # Errors
    ///
    /// Why it cannot be taken for genuine: we or a reader see something else in it.
    pub(crate) fn new(keyring: &Keyring, comparison: &mut Comparison, seed: &'a Seed) -> Result<Genuine<'a>, String> {
        let message = keyring.around(seed.around, &seed.message);
        let opening = keyring.opened(&message).ok_or("it cannot be parsed")?;
        if opening.verdict().standing() != Standing::Authentic {
            return Err(format!(
                "{}: {:?} {:?}",
                opening.verdict().standing().name(),
                opening.error(),
                opening.verdict()
            ));
        }
        let payload = payload(&opening);
        let said = said(&opening, &payload);
        let mut expected = Vec::new();
        for (index, stage) in stages(seed, &message, &seed.message).iter().enumerate() {
            expected.push(comparison.expect(stage, index == 0, &said).map_err(|odd| format!("{odd:#?}"))?);
        }
        Ok(Genuine { seed, payload, expected })
    }

    /// Whether the changed message is authentic, and if so, which readers show it differently.
    pub(crate) fn judge(
        &self,
        keyring: &Keyring,
        comparison: &mut Comparison,
        changed: &[u8],
        changes: &[&Change],
    ) -> (bool, Option<Finding>) {
        let message = keyring.around(self.seed.around, changed);
        let Some(opening) = keyring.opened(&message) else { return (false, None) };
        if opening.verdict().standing() != Standing::Authentic {
            return (false, None);
        }
        let payload = payload(&opening);
        let said = said(&opening, &payload);
        let mut disagreements = Vec::new();
        if self.signed(&payload) != self.signed(&self.payload) {
            let what = format!(
                "{:?} instead of {:?}",
                String::from_utf8_lossy(&payload),
                String::from_utf8_lossy(&self.payload)
            );
            disagreements.push(Disagreement { reader: "postseal".to_owned(), about: "payload", what });
        }
        for (index, stage) in stages(self.seed, &message, changed).iter().enumerate() {
            disagreements.extend(comparison.ask(stage, index == 0, &said, &self.expected[index]));
        }
        let finding = (!disagreements.is_empty()).then(|| Finding {
            families: changes.iter().map(|change| change.family().to_owned()).collect(),
            seed: self.seed.name.clone(),
            changes: changes.iter().map(|change| change.name.clone()).collect(),
            disagreements,
            inner: (self.seed.around != Around::Nothing).then(|| changed.to_vec()),
            message,
        });
        (true, finding)
    }
}

impl Genuine<'_> {
    /// What of the payload was signed. A text in the body has a header that we made, after the message's; and white space at the ends of its
    /// lines is not signed.
    fn signed(&self, payload: &[u8]) -> String {
        let text = String::from_utf8_lossy(payload);
        let text = if self.seed.is_inline() {
            text.strip_prefix("\r\n").or(text.split_once("\r\n\r\n").map(|(_, body)| body)).unwrap_or_default()
        } else {
            &text
        };
        text.trim_end().split("\r\n").map(str::trim_end).collect::<Vec<_>>().join("\n")
    }
}

impl Finding {
    /// The kinds of changes, with the readers and what they showed.
    pub(crate) fn class(&self) -> String {
        let about: BTreeSet<&str> = self.disagreements.iter().map(|one| one.about).collect();
        format!(
            "{} [{}]",
            Vec::from_iter(self.families.iter().map(String::as_str)).join(" + "),
            Vec::from_iter(about).join(", ")
        )
    }

    pub(crate) fn describe(&self) -> String {
        let said: Vec<String> = self
            .disagreements
            .iter()
            .map(|one| format!("\n      {}: {}: {}", one.reader, one.about, one.what))
            .collect();
        format!("{}: {}{}", self.seed, self.changes.join(" + "), said.concat())
    }
}

/// What a reader gets to see: the message, and its content if it can be decrypted.
fn stages<'b>(seed: &Seed, message: &'b [u8], inner: &'b [u8]) -> Vec<&'b [u8]> {
    match seed.around {
        Around::Nothing => vec![message],
        _ => vec![message, inner],
    }
}

/// The signed octets, with the line ends of mail.
fn payload(opening: &Opening) -> Vec<u8> {
    let octets = opening.payload().map(|payload| payload.root().octets().to_vec()).unwrap_or_default();
    octets
        .split(|octet| *octet == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .collect::<Vec<_>>()
        .join(&b"\r\n"[..])
}

fn said<'b>(opening: &Opening, payload: &'b [u8]) -> Said<'b> {
    let subject = opening.outer().root().fields().find(|field| field.is("Subject")).map(|field| field.raw.to_vec());
    Said {
        payload,
        author: opening.verdict().author().map(|author| author.to_string().to_ascii_lowercase()).unwrap_or_default(),
        subject: [subject.unwrap_or_default().as_slice(), b"\r\n"].concat(),
    }
}
