//! Opens a message through the public API and says in one line what was found.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use postseal::{
    base::{Budget, FixedClock, Limits, Secret, SystemRandom},
    crypto::Legacy,
    keys::{Binding, Memory, Passphrases},
    mail::{Message, Part},
    pki::Revocation,
    protocol::{Claim, Context, Protocol, pgp::Pgp, pgp::keyfile},
    verdict::{Layer, LayerKind, Signature, State},
};

/// Every key in these files and folders, believed for its user IDs, and the passwords as passphrases too.
pub(crate) fn keys(places: &[PathBuf], passwords: &[&str]) -> Memory {
    let passwords: Vec<Secret> = passwords.iter().map(|password| Secret::from(*password)).collect();
    let passphrases = Arc::new(Passphrases::new(passwords.clone()));
    let mut memory = Memory::new();
    for file in places.iter().flat_map(|place| files(place)) {
        let Ok(octets) = fs::read(&file) else { continue };
        let Ok(found) = keyfile::describe(&octets, &file.display().to_string()) else { continue };
        for mut one in found.found {
            one.record.bind(Binding::UserIds);
            if let Some(secret) = one.secret {
                let locked = keyfile::LockedKeys::new(secret, Arc::clone(&passphrases), &Limits::default());
                memory.add_locked(one.record.secrets().to_vec(), Arc::new(locked));
            }
            memory.add(one.record);
        }
    }
    for password in passwords {
        memory.add_password(password);
    }
    memory
}

/// The files at `place`, in order.
pub(crate) fn files(place: &Path) -> Vec<PathBuf> {
    let found = walkdir::WalkDir::new(place).sort_by_file_name().into_iter().filter_map(Result::ok);
    found.filter(|entry| entry.file_type().is_file()).map(|entry| entry.into_path()).collect()
}

/// What a message came to.
pub(crate) struct Found {
    /// Layers peeled from the root, outermost first.
    pub(crate) layers: Vec<Layer>,
    /// Layers found deeper.
    pub(crate) errant: Vec<Layer>,
    /// Errors, in the order met.
    pub(crate) errors: Vec<String>,
}

/// Opens `octets` at `now`.
pub(crate) fn open(octets: Vec<u8>, keys: &Memory, now: SystemTime, legacy: Legacy) -> Found {
    // The vectors of RFC 9580 use the first recommendation of RFC 9106, section 4: 2 GiB.
    let limits = Limits { argon2_memory: 2 << 30, ..Limits::default() };
    let mut budget = Budget::new(limits);
    let clock = FixedClock(now);
    let context = Context { keys, clock: &clock, random: &SystemRandom, legacy, revocation: Revocation::Soft };
    let mut found = Found { layers: Vec::new(), errant: Vec::new(), errors: Vec::new() };
    let mut current = Message::parse(octets, &mut budget).unwrap();
    while let Some(claim) = whole(current.root()) {
        budget.layer().unwrap();
        match Pgp.open(current, &claim, context, &mut budget) {
            Ok(opened) => {
                found.layers.extend(opened.layers);
                current = opened.payload;
            }
            Err(error) => {
                found.errors.push(error.to_string());
                return found;
            }
        }
    }
    errant(current.root(), context, &mut budget, &mut found);
    found
}

fn whole(part: Part<'_>) -> Option<Claim> {
    Pgp.claim(part).filter(|claim| claim.is_whole(part))
}

fn errant(part: Part<'_>, context: Context<'_>, budget: &mut Budget, found: &mut Found) {
    if let Some(claim) = Pgp.claim(part) {
        match Pgp.open(part.as_message(), &claim, context, budget) {
            Ok(opened) => {
                found.errant.extend(opened.layers);
                errant(opened.payload.root(), context, budget, found);
            }
            Err(error) => found.errors.push(error.to_string()),
        }
        return;
    }
    for child in part.children() {
        errant(child, context, budget, found);
    }
}

impl Found {
    /// The signers in the layers at the root.
    pub(crate) fn signers(&self) -> Vec<String> {
        let signatures = self.layers.iter().flat_map(|layer| match &layer.kind {
            LayerKind::Signed { signatures } => signatures.as_slice(),
            _ => &[],
        });
        signatures.filter_map(|signature| signature.signer.clone()).collect()
    }

    /// `encrypted compressed signed(valid)`, errant layers after a bar, errors after an exclamation mark.
    pub(crate) fn line(&self) -> String {
        let mut line = self.layers.iter().map(layer).collect::<Vec<_>>().join(" ");
        if !self.errant.is_empty() {
            line += &format!(" | {}", self.errant.iter().map(layer).collect::<Vec<_>>().join(" "));
        }
        for error in &self.errors {
            line += &format!(" ! {error}");
        }
        line.trim().to_owned()
    }
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

/// `valid`, `valid part`, `invalid: ...`, `unknown: ...`.
fn signature(signature: &Signature) -> String {
    let part = match signature.covers {
        postseal::verdict::Covers::Part => " part",
        postseal::verdict::Covers::Whole => "",
    };
    match &signature.state {
        State::Valid(_) => format!("valid{part}"),
        State::Invalid(why) | State::Unknown(why) => format!("{}{part}: {why}", signature.state.name()),
    }
}
