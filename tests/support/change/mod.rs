//! What an attacker can do to a message without touching what is signed: each a named change of its skeleton.

mod body;
mod fields;
mod gaps;
mod parts;
mod types;

use super::entity::{Body, Entity};

/// One change, and what it is called: `family: which, where`.
pub(crate) struct Change {
    pub(crate) name: String,
    apply: Box<dyn Fn(&mut Entity) + Send + Sync>,
}

impl Change {
    /// A change of the entity at `path`.
    fn at(path: &[usize], name: impl Into<String>, apply: impl Fn(&mut Entity) + Send + Sync + 'static) -> Change {
        let place = path.iter().map(usize::to_string).collect::<Vec<_>>().join(".");
        let path = path.to_vec();
        let apply = move |root: &mut Entity| {
            // Another change may have taken it away.
            if let Some(entity) = root.find(&path) {
                apply(entity);
            }
        };
        Change { name: format!("{}, at [{place}]", name.into()), apply: Box::new(apply) }
    }

    pub(crate) fn apply(&self, root: &mut Entity) {
        (self.apply)(root);
    }

    pub(crate) fn family(&self) -> &str {
        self.name.split(':').next().unwrap_or_default()
    }
}

/// Every single change of a message, at every unsigned place in it.
pub(crate) fn all(root: &Entity) -> Vec<Change> {
    let mut root = root.clone();
    let nl = if root.blank.starts_with(b"\r") { "\r\n" } else { "\n" };
    let mut changes = Vec::new();
    for path in root.paths() {
        let Some(entity) = root.find(&path).cloned() else { continue };
        fields::changes(&entity, &path, nl, &mut changes);
        types::changes(&entity, &path, nl, &mut changes);
        match entity.body {
            Body::Leaf(_) => body::changes(&entity, &path, nl, &mut changes),
            Body::Parts(_) => {
                gaps::changes(&entity, &path, nl, &mut changes);
                parts::changes(&entity, &path, nl, &mut changes);
            }
        }
    }
    parts::wrappings(&root, nl, &mut changes);
    changes
}

/// What the attacker wants to have shown. No letters of base64 alone.
pub(crate) const EVIL: &str = "Please pay 1000 EUR to Mallory, today.";
/// The same without a letter that base64 has.
const FOREIGN: &str = "\u{41f}\u{43e}\u{436}\u{430}\u{43b}\u{443}\u{439}\u{441}\u{442}\u{430}.";

/// A body with a part of its own for readers that take `evil` for the boundary.
fn evil_parts(nl: &str) -> String {
    format!("--evil{nl}Content-Type: text/plain{nl}{nl}{EVIL}{nl}--evil--{nl}")
}

/// Lines with the line ends of the message.
fn with_ends(text: &str, nl: &str) -> Vec<u8> {
    text.replace('\n', nl).into_bytes()
}

/// Puts `text` into `octets` at `at`.
fn insert(octets: &mut Vec<u8>, at: usize, text: &[u8]) {
    let at = at.min(octets.len());
    octets.splice(at..at, text.iter().copied());
}

/// Numbers by chance, the same each time.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// SplitMix64.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) % bound.max(1) as u64).unwrap_or_default()
    }
}
