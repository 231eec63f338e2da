//! TOML read key by key, each with its line. Keys that no code reads are unknown keys.

use std::{cell::RefCell, collections::BTreeMap};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Grade, Problem};
use crate::base::{Error, Result};

/// A file's text, and the problems found so far.
pub(super) struct Document<'a> {
    text: &'a str,
    problems: RefCell<Vec<Problem>>,
}

/// A value and its line, counted from 1.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

/// A table that is read key by key.
pub(super) struct Table<'a> {
    document: &'a Document<'a>,
    /// The line where it starts.
    pub(super) line: usize,
    entries: BTreeMap<&'a str, (usize, &'a Spanned<DeValue<'a>>)>,
    asked: RefCell<Vec<&'static str>>,
    /// Keys that stand in another file.
    inherited: Vec<&'static str>,
}

impl<'a> Document<'a> {
    /// A file without problems.
    pub(super) fn new(text: &'a str) -> Self {
        Document { text, problems: RefCell::new(Vec::new()) }
    }

    /// The line of an octet.
    pub(super) fn line(&self, octet: usize) -> usize {
        self.text.bytes().take(octet).filter(|octet| *octet == b'\n').count() + 1
    }

    /// Adds an error.
    pub(super) fn error(&self, line: usize, message: impl Into<String>) {
        self.add(Problem { line, grade: Grade::Error, message: message.into(), hint: None });
    }

    /// Adds a problem.
    pub(super) fn add(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// The problems by line.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        problems
    }

    /// The text parsed by `read`. An error becomes a problem.
    pub(super) fn read<T>(&self, from: &Located<String>, read: impl FnOnce(&str) -> Result<T>) -> Option<T> {
        read(&from.value).map_err(|error| self.refuse(from.line, &error)).ok()
    }

    /// The value in `known` that the text names.
    pub(super) fn word<T: Copy>(&self, from: &Located<String>, what: &str, known: &[(&'static str, T)]) -> Option<T> {
        let found = known.iter().find(|(name, _)| *name == from.value).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            self.unknown(from.line, what, &from.value, &names);
        }
        found
    }

    fn refuse(&self, line: usize, error: &Error) {
        let hint = error.hint().cloned();
        self.add(Problem { line, grade: Grade::Error, message: error.to_string(), hint });
    }

    fn unknown(&self, line: usize, what: &str, name: &str, known: &[&str]) {
        let near = known.iter().min_by_key(|one| strsim::damerau_levenshtein(name, one));
        let near = near.filter(|one| strsim::damerau_levenshtein(name, one) <= (one.len() / 3).max(1));
        let hint = match near {
            Some(near) => format!("{near:?}?"),
            None => format!("known here: {}", known.join(", ")),
        };
        self.add(Problem {
            line,
            grade: Grade::Error,
            message: format!("unknown {what} {name:?}"),
            hint: Some(hint.into()),
        });
    }
}

impl<'a> Table<'a> {
    /// The root table of the parsed file.
    pub(super) fn new(document: &'a Document<'a>, line: usize, table: &'a DeTable<'a>) -> Self {
        let entry = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let name: &std::borrow::Cow<'a, str> = key.get_ref();
            (name.as_ref(), (document.line(key.span().start), value))
        };
        Table {
            document,
            line,
            entries: table.iter().map(entry).collect(),
            asked: RefCell::new(Vec::new()),
            inherited: Vec::new(),
        }
    }

    /// The same table, which has these keys too ([`Table::has`]), in another file.
    pub(super) fn inheriting(self, inherited: Vec<&'static str>) -> Table<'a> {
        Table { inherited, ..self }
    }

    /// Adds an error for each of these keys that is here.
    pub(super) fn reserve(&self, keys: &[&'static str], why: &str) {
        for key in keys {
            if let Some((line, _)) = self.entries.get(key) {
                self.asked.borrow_mut().push(key);
                self.document.error(*line, format!("{key}: {why}"));
            }
        }
    }

    /// Adds a problem for every key that was not read.
    pub(super) fn finish(self) {
        let asked = self.asked.into_inner();
        for (name, (line, _)) in self.entries.iter().filter(|(name, _)| !asked.contains(*name)) {
            self.document.unknown(*line, "key", name, &asked);
        }
    }

    /// The line of a key.
    pub(super) fn line_of(&self, key: &str) -> usize {
        self.entries.get(key).map_or(self.line, |(line, _)| *line)
    }

    /// Whether the key exists.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key) || self.inherited.contains(&key)
    }

    /// A string.
    pub(super) fn string(&self, key: &'static str) -> Option<Located<String>> {
        let (line, value) = self.value(key)?;
        self.text(key, line, value)
    }

    /// A required string.
    pub(super) fn required(&self, key: &'static str) -> Option<Located<String>> {
        if !self.has(key) {
            self.document.error(self.line, format!("{key:?} is missing"));
        }
        self.string(key)
    }

    /// A string or an array of strings; empty if the key is missing.
    pub(super) fn strings(&self, key: &'static str) -> Vec<Located<String>> {
        self.value(key).map_or_else(Vec::new, |(line, value)| self.texts(key, line, value))
    }

    /// A non-negative integer, or a string such as `64M`.
    pub(super) fn size(&self, key: &'static str) -> Option<usize> {
        let (line, value) = self.value(key)?;
        let text = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().replace('_', ""),
            DeValue::String(text) => text.to_string(),
            _ => String::new(),
        };
        let size = size(&text);
        if size.is_none() {
            self.document.error(line, format!("{key}: not a size such as 64M"));
        }
        size
    }

    /// A boolean.
    pub(super) fn truth(&self, key: &'static str) -> Option<bool> {
        let (line, value) = self.value(key)?;
        let truth = value.get_ref().as_bool();
        if truth.is_none() {
            self.document.error(line, format!("{key}: neither true nor false"));
        }
        truth
    }

    /// A table.
    pub(super) fn table(&self, key: &'static str) -> Option<Table<'a>> {
        let (line, value) = self.value(key)?;
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.document.error(line, format!("{key}: not a table"));
        }
        Some(Table::new(self.document, line, table?))
    }

    /// The tables of an array, `[[key]]`.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Table<'a>> {
        let Some((line, value)) = self.value(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.document.error(line, format!("{key}: not an array of tables; write [[{key}]]"));
            return Vec::new();
        };
        let table = |one: &'a Spanned<DeValue<'a>>| {
            let line = self.document.line(one.span().start);
            let table = one.get_ref().as_table();
            if table.is_none() {
                self.document.error(line, format!("{key}: not a table"));
            }
            Some(Table::new(self.document, line, table?))
        };
        array.iter().filter_map(table).collect()
    }

    /// Every key with its strings, for tables with names as keys.
    pub(super) fn named(&self) -> Vec<(Located<String>, Vec<Located<String>>)> {
        let entry = |(name, (line, value)): (&&'a str, &(usize, &'a Spanned<DeValue<'a>>))| {
            (Located { line: *line, value: (*name).to_owned() }, self.texts(name, *line, value))
        };
        self.entries.iter().map(entry).collect()
    }

    fn value(&self, key: &'static str) -> Option<(usize, &'a Spanned<DeValue<'a>>)> {
        self.asked.borrow_mut().push(key);
        self.entries.get(key).copied()
    }

    fn texts(&self, key: &str, line: usize, value: &'a Spanned<DeValue<'a>>) -> Vec<Located<String>> {
        match value.get_ref() {
            DeValue::Array(array) => {
                let one = |one: &'a Spanned<DeValue<'a>>| self.text(key, self.document.line(one.span().start), one);
                array.iter().filter_map(one).collect()
            }
            _ => self.text(key, line, value).into_iter().collect(),
        }
    }

    fn text(&self, key: &str, line: usize, value: &Spanned<DeValue<'_>>) -> Option<Located<String>> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.document.error(line, format!("{key}: not a string"));
        }
        Some(Located { line, value: text?.to_owned() })
    }
}

/// `64M`: octets, with K, M or G for powers of 1024.
fn size(text: &str) -> Option<usize> {
    let (digits, unit) = match text.strip_suffix(['K', 'M', 'G']) {
        Some(digits) if text.ends_with('K') => (digits, 1 << 10),
        Some(digits) if text.ends_with('M') => (digits, 1 << 20),
        Some(digits) => (digits, 1 << 30),
        None => (text, 1),
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}
