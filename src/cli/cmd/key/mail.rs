//! Keys out of mail: those that messages carry (`key import`), and those of their signers (`verify --save-key`).

use std::sync::Arc;

use postseal::{
    base::{Error, Kind, Limits, Result, Secret},
    engine::Opening,
    keys::{Chain, Handle, Keys, Memory, ProtocolName, Query, Record, Want},
    mail::{Message, mbox},
    protocol::{Described, KeyFile, smime::export},
    scan,
    store::{self, Carried, Carrier, Intake, Keystore},
    verdict::{LayerKind, State},
};

use super::{show, trust::Trust};
use crate::cli::{session::Session, show::warning};

/// The messages in a file: one, or those of an mbox. `None` when it is no mail.
pub(super) fn messages(octets: &[u8], session: &Session) -> Option<Vec<Message>> {
    // Armor, PEM and DER, which may be large.
    if octets.starts_with(b"-----") || !octets.first()?.is_ascii_graphic() {
        return None;
    }
    let parse = |octets: &[u8]| Message::parse(octets.to_vec(), &mut session.budget()).ok();
    if mbox::messages(octets) > 1 {
        return Some(split(octets).into_iter().filter_map(parse).collect());
    }
    parse(octets).filter(store::is_mail).map(|message| vec![message])
}

/// The messages of an mbox.
fn split(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some(boundary) = mbox::next_message(rest) {
        let (message, next) = (rest.get(..boundary.end), rest.get(boundary.next..));
        messages.extend(message);
        rest = next.unwrap_or_default();
    }
    messages.push(rest);
    messages
}

/// What each certificate of a [`KeyFile`] was found in, in its order; `None` for those of key files.
pub(super) type Carriers = Vec<Option<String>>;

/// Adds the keys that the messages of the file `place` carry. Only an attachment may hold a secret key or a trust anchor.
pub(super) fn append(
    file: &mut KeyFile,
    carriers: &mut Carriers,
    (place, messages): (&str, Vec<Message>),
    trust: Trust,
    (home, session): (&Keystore, &Session),
) -> Result<()> {
    let before = file.found.len() + file.statements.len() + file.deprecated.len() + file.lost.len();
    let count = messages.len();
    for (number, message) in messages.into_iter().enumerate() {
        let place = if count > 1 { format!("{place}, message {}", number + 1) } else { place.to_owned() };
        let opening = match session.open(message) {
            Ok(opening) => opening,
            Err(error) => {
                warning(&format!("{place}: {error}"));
                continue;
            }
        };
        if let Some(error) = opening.error() {
            warning(&format!("{place}: what is within it is not read: {error}"));
        }
        for Carried { carrier, octets } in scan::carried(&opening, session.limits()) {
            let is_attachment = matches!(carrier, Carrier::Attachment(_));
            if trust == Trust::Anchor && !is_attachment {
                continue;
            }
            let within = format!("{place}, {carrier}");
            let mut read = match home.read(&[(&within, Secret::new(octets).expose())]) {
                Err(error) if error.kind() == Kind::Malformed => {
                    file.skipped.push(error.to_string());
                    continue;
                }
                read => read?,
            };
            read.found.retain(|one| !file.found.iter().any(|known| is_copy(&known.record, &one.record)));
            if !is_attachment {
                read.found.iter_mut().for_each(without_secret);
            }
            file.append(read);
            carriers.resize(file.found.len(), Some(within));
        }
    }
    let after = file.found.len() + file.statements.len() + file.deprecated.len() + file.lost.len();
    if after > before {
        return Ok(());
    }
    Err(match file.skipped.pop() {
        Some(reason) => Error::new(Kind::Malformed, reason),
        None => store::without_keys(place),
    })
}

fn is_copy(known: &Record, one: &Record) -> bool {
    known.fingerprint() == one.fingerprint() && known.bytes() == one.bytes() && one.secrets().is_empty()
}

fn without_secret(one: &mut Described) {
    one.record.set_secrets([]);
    one.secret = None;
    one.proven.clear();
}

/// Imports the certificates of the valid signatures of a message, those of S/MIME with the issuers that came along; returns a line for each. Nothing is
/// trusted by it.
pub(crate) fn save_signers(opening: &Opening, label: &str, session: &Session) -> Result<String> {
    let (home, limits) = (session.home()?, session.limits());
    let known = Known { brought: brought(opening, limits)?, keys: session.keys()? };
    let mut certificates: Vec<Described> = Vec::new();
    for (protocol, signer) in signers(opening) {
        for octets in known.of(protocol, &signer)? {
            let read = home.read(&[(label, &octets)])?;
            certificates.extend(read.found);
        }
    }
    if certificates.is_empty() {
        return Ok(format!("{label}: no valid signature, and no key is saved\n"));
    }
    let intake = Intake { certificates: &certificates, ..Intake::default() };
    let taken = home.take_in(&intake, &Memory::new(), session.clock().now())?;
    let line = |(one, change): (&Described, _)| show::change(show::word(change), &one.record);
    Ok(certificates.iter().zip(taken.certificates).map(line).collect())
}

/// The keys of the valid signatures.
fn signers(opening: &Opening) -> Vec<(ProtocolName, Handle)> {
    let mut signers = Vec::new();
    for layer in opening.verdict().layers() {
        let LayerKind::Signed { signatures } = &layer.kind else { continue };
        let valid = signatures.iter().filter(|signature| matches!(signature.state, State::Valid(_)));
        let named = valid.filter_map(|signature| Handle::parse(signature.signer.as_deref()?).ok());
        signers.extend(named.map(|signer| (layer.protocol, signer)));
    }
    signers
}

fn brought(opening: &Opening, limits: &Limits) -> Result<Memory> {
    let files: Vec<(&str, &[u8])> = opening.certificates().iter().map(|der| ("certificate", der.as_slice())).collect();
    match files.is_empty() {
        true => Ok(Memory::new()),
        false => Ok(store::load_untrusted(&files, &Arc::default(), limits)?.keys),
    }
}

/// Where the certificates of signers are.
struct Known<'a> {
    /// What the signatures brought along.
    brought: Memory,
    keys: &'a Chain,
}

impl Known<'_> {
    /// The certificate with this key, and the issuers that came along.
    fn of(&self, protocol: ProtocolName, signer: &Handle) -> Result<Vec<Vec<u8>>> {
        let query = Query::manage(Want::Handle(signer));
        if protocol == ProtocolName::Pgp {
            let found = self.keys.find(protocol, &query)?;
            return Ok(found.iter().map(|record| record.bytes().to_vec()).collect());
        }
        if let Some(leaf) = self.brought.find(ProtocolName::Smime, &query)?.first() {
            let chain = export::chain(leaf, &self.brought)?;
            return Ok(chain.iter().map(|certificate| certificate.der().to_vec()).collect());
        }
        let found = self.keys.find(ProtocolName::Smime, &query)?;
        Ok(found.iter().map(|record| record.bytes().to_vec()).collect())
    }
}
