//! Counts messages by sender.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    month::Month,
    outline::{Finding, Outline},
};

/// The messages of a scan, counted.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    senders: BTreeMap<String, Counts>,
    months: BTreeMap<Month, BTreeMap<Finding, u64>>,
    total: Counts,
}

/// Messages counted.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// All of them.
    pub messages: u64,
    /// Those that came out of encryption, or are in it; they are in one of the groups too.
    pub encrypted: u64,
    /// The keys that signed them.
    pub keys: BTreeSet<String>,
    groups: BTreeMap<Finding, u64>,
}

impl Summary {
    /// Counts a message.
    pub fn add(&mut self, outline: &Outline) {
        self.total.add(outline);
        // There are as many months as years that a date can name.
        if let Some(month) = outline.month {
            *self.months.entry(month).or_default().entry(outline.finding).or_default() += 1;
        }
        let is_known = self.senders.contains_key(&outline.sender);
        let sender = match is_known || self.senders.len() < MAX_SENDERS {
            true => outline.sender.clone(),
            false => OTHERS.to_owned(),
        };
        self.senders.entry(sender).or_default().add(outline);
    }

    /// The senders, those with the most messages first.
    pub fn senders(&self) -> Vec<(&str, &Counts)> {
        let mut senders: Vec<(&str, &Counts)> =
            self.senders.iter().map(|(name, counts)| (name.as_str(), counts)).collect();
        senders.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.messages));
        senders
    }

    /// How many messages of a month are in a group.
    pub fn in_month(&self, month: Month, finding: Finding) -> u64 {
        self.months.get(&month).and_then(|counts| counts.get(&finding)).copied().unwrap_or_default()
    }

    /// The months that messages are of, the first one first.
    pub fn months(&self) -> impl DoubleEndedIterator<Item = Month> {
        self.months.keys().copied()
    }

    /// All messages.
    pub fn total(&self) -> &Counts {
        &self.total
    }
}

impl Counts {
    /// How many messages are in a group.
    pub fn of(&self, finding: Finding) -> u64 {
        self.groups.get(&finding).copied().unwrap_or_default()
    }

    fn add(&mut self, outline: &Outline) {
        self.messages += 1;
        self.encrypted += u64::from(outline.encrypted);
        *self.groups.entry(outline.finding).or_default() += 1;
        let room = MAX_KEYS.saturating_sub(self.keys.len());
        self.keys.extend(outline.keys.iter().take(room).cloned());
    }
}

/// Senders that are counted by name. Source: the senders of spam are made up; 100,000 names take 20 MB.
const MAX_SENDERS: usize = 100_000;
/// What all others are counted as.
const OTHERS: &str = "(others)";
/// Keys that are remembered of one sender.
const MAX_KEYS: usize = 10_000;
