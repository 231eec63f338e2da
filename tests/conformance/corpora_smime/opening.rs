//! Opens a message through the engine and says in one line what was found.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::gnupg::{self, AgentKey};
use postseal::{
    base::{FixedClock, Limits, Secret, SystemRandom},
    crypto::Legacy,
    engine::Engine,
    keys::{Binding, Keys, Memory, Passphrases, ProtocolName, Query, Want},
    mail::Message,
    pki::{Certificate, Revocation},
    protocol::{Context, smime::keyfile},
    verdict::{Layer, LayerKind, Signature, State},
};

/// Every certificate and key in `places`, and those in `anchors` as trust anchors.
pub(crate) fn keys(places: &[PathBuf], anchors: &[PathBuf], passwords: &[&str]) -> Memory {
    let passwords: Vec<Secret> = passwords.iter().map(|password| Secret::from(*password)).collect();
    let passphrases = Arc::new(Passphrases::new(passwords.clone()));
    let mut memory = Memory::new();
    let files = || all(anchors).map(|file| (file, true)).chain(all(places).map(|file| (file, false)));
    // Twice, since a private key may come before its certificate; one without it opens nothing.
    for (file, is_anchor) in files().chain(files()) {
        if file.extension().is_some_and(|ending| ending == "kbx") {
            from_keybox(&file, is_anchor, &mut memory);
            continue;
        }
        let Ok(octets) = fs::read(&file) else { continue };
        let name = file.display().to_string();
        let read = keyfile::read(&[(&name, &octets)], &passphrases, &Limits::default(), &memory);
        for mut one in read.map(|read| read.found).unwrap_or_default() {
            if is_anchor {
                one.record.bind(Binding::Anchor);
            }
            if let Some(secret) = one.secret {
                let locked = keyfile::LockedKey::new(&one.record, secret, Arc::clone(&passphrases), &Limits::default());
                memory.add_locked(one.record.secrets().to_vec(), Arc::new(locked.unwrap()));
            }
            let known =
                memory.find(ProtocolName::Smime, &Query::manage(Want::Handle(one.record.fingerprint()))).unwrap();
            if !known.iter().any(|known| known.secrets() == one.record.secrets()) {
                memory.add(one.record);
            }
        }
    }
    for password in passwords {
        memory.add_password(password);
    }
    memory
}

/// The certificates of a keybox, with the keys that gpg-agent keeps beside it.
fn from_keybox(keybox: &Path, is_anchor: bool, memory: &mut Memory) {
    let agent: Vec<_> =
        files(&keybox.with_file_name("private-keys-v1.d")).iter().map(|file| AgentKey::read(file)).collect();
    for octets in gnupg::certificates(keybox) {
        let certificate = Certificate::parse(&octets).unwrap();
        let mut record = keyfile::describe(&octets, "pubring.kbx").unwrap().record;
        record = record.with_bindings(is_anchor.then_some(Binding::Anchor));
        if let Some(key) = agent.iter().find(|key| key.belongs_to(&certificate)) {
            record.set_secrets([record.fingerprint().clone()]);
            memory.add_secret(record.fingerprint().clone(), Arc::new(key.software()));
        }
        memory.add(record);
    }
}

fn all(places: &[PathBuf]) -> impl Iterator<Item = PathBuf> {
    places.iter().flat_map(|place| files(place))
}

/// The files at `place`, in order.
pub(crate) fn files(place: &Path) -> Vec<PathBuf> {
    let found = walkdir::WalkDir::new(place).sort_by_file_name().into_iter().filter_map(Result::ok);
    found.filter(|entry| entry.file_type().is_file()).map(|entry| entry.into_path()).collect()
}

/// Opens `octets` at `now`: `authentic encrypted signed(valid)`; errant layers after a bar, an error after an exclamation mark.
pub(crate) fn open(octets: Vec<u8>, keys: &Memory, now: SystemTime, legacy: Legacy) -> String {
    let clock = FixedClock(now);
    let context = Context { keys, clock: &clock, random: &SystemRandom, legacy, revocation: Revocation::Soft };
    let engine = Engine::new(context, Limits::default());
    let message = Message::parse(octets, &mut engine.budget()).unwrap();
    let opening = engine.open(message).unwrap();
    let verdict = opening.verdict();
    let mut line = verdict.standing().name().to_owned();
    for layer in verdict.layers() {
        line += &format!(" {}", self::layer(layer));
    }
    if !verdict.errant().is_empty() {
        line += &format!(" | {}", verdict.errant().iter().map(layer).collect::<Vec<_>>().join(" "));
    }
    if let Some(error) = opening.error() {
        line += &format!(" ! {error}");
    }
    line
}

fn layer(layer: &Layer) -> String {
    match &layer.kind {
        LayerKind::Compressed { .. } => "compressed".to_owned(),
        LayerKind::Encrypted { authenticated: true, .. } => "encrypted".to_owned(),
        LayerKind::Encrypted { .. } => "encrypted(unprotected)".to_owned(),
        LayerKind::Signed { signatures } => {
            format!("signed({})", signatures.iter().map(signature).collect::<Vec<_>>().join(", "))
        }
    }
}

/// `valid`, `valid but ...`, `invalid: ...`, `unknown: ...`.
fn signature(signature: &Signature) -> String {
    match (&signature.state, &signature.reservation) {
        (State::Valid(_), None) => "valid".to_owned(),
        (State::Valid(_), Some(why)) => format!("valid but {why}"),
        (State::Invalid(why) | State::Unknown(why), _) => format!("{}: {why}", signature.state.name()),
    }
}
