//! What was read, as it is in one version.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::store::backend::{BindingRow, CapabilityRow, CertificateRow, Index, Link, MasterRow};

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Question {
    Bindings(String),
    Capability(i64),
    Certificate(i64),
    Links(Index, String, String),
    Master,
    Secret(i64),
    Total(String),
}

/// Answers to questions, all of the same version.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    version: i64,
    octets: usize,
    answers: HashMap<Question, Arc<dyn Any + Send + Sync>>,
}

impl Answers {
    /// The answer as of `version`, if it is known.
    pub(super) fn get<T: Send + Sync + 'static>(&self, version: i64, question: &Question) -> Option<Arc<T>> {
        let held = self.held();
        let found = held.answers.get(question).filter(|_| held.version == version)?;
        Arc::clone(found).downcast().ok()
    }

    /// Keeps an answer as of `version`.
    pub(super) fn put<T: Size + Send + Sync + 'static>(&self, version: i64, question: Question, answer: Arc<T>) {
        let mut held = self.held();
        let octets = answer.octets() + EACH;
        if version != held.version || held.octets + octets > MAX_OCTETS {
            *held = Held { version, ..Held::default() };
        }
        held.octets += octets;
        held.answers.insert(question, answer);
    }

    /// Drops all of them.
    pub(super) fn clear(&self) {
        *self.held() = Held::default();
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much memory an answer takes, about.
pub(super) trait Size {
    fn octets(&self) -> usize;
}

impl<T: Size> Size for Option<T> {
    fn octets(&self) -> usize {
        self.as_ref().map_or(0, Size::octets)
    }
}

impl<T: Size> Size for Vec<T> {
    fn octets(&self) -> usize {
        self.iter().map(|one| one.octets() + size_of::<T>()).sum()
    }
}

impl Size for u8 {
    fn octets(&self) -> usize {
        0
    }
}

impl Size for CertificateRow {
    fn octets(&self) -> usize {
        self.octets.len() + self.addresses.len() + self.handles.len() + 4 * EACH
    }
}

impl Size for BindingRow {
    fn octets(&self) -> usize {
        self.subject.len() + self.sought.len()
    }
}

impl Size for CapabilityRow {
    fn octets(&self) -> usize {
        self.list.len()
    }
}

impl Size for Link {
    fn octets(&self) -> usize {
        self.entry.sought.len() + self.next.len()
    }
}

impl Size for MasterRow {
    fn octets(&self) -> usize {
        self.wrapped.len()
    }
}

/// What a question and its place take beside the answer.
const EACH: usize = 200;
/// All of them, about.
const MAX_OCTETS: usize = 16 * 1024 * 1024;
