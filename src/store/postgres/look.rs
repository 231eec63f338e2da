//! A look at the rows of one moment. What was read before is answered from memory as long as nothing was changed, and a transaction begins only when
//! something else is asked.

use std::{
    cell::{Cell, OnceCell},
    sync::Arc,
};

use super::{
    answers::{Question, Size},
    nodes::Nodes,
    pool::{Lease, Pool},
    rows::Rows,
    schema,
};
use crate::{
    base::{Error, Kind, Result},
    keys::ProtocolName,
    store::backend::{
        BindingRow, CapabilityRow, CertificateRow, Entry, Found, Index, Link, MasterRow, Records, StatementRow, View,
    },
};

pub(super) struct Look<'a> {
    nodes: &'a Nodes,
    /// Within a transaction.
    lease: OnceCell<Lease<'a>>,
    /// The version whose rows are read; `None` until that is known.
    version: Cell<Option<i64>>,
    has_answered: Cell<bool>,
    end: Cell<End>,
}

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// What was read is of one moment.
    Steady,
    /// Something was changed meanwhile: what was read counts for nothing.
    Moved,
    /// The connection was lost.
    Lost,
}

/// What a look may believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// The number of the last change, as the primary said it.
    Heard,
    /// Nothing but its own transaction.
    Nothing,
}

impl<'a> Look<'a> {
    pub(super) fn new(nodes: &'a Nodes, trust: Trust) -> Look<'a> {
        let version = if trust == Trust::Heard { nodes.watch.version() } else { None };
        Look {
            nodes,
            lease: OnceCell::new(),
            version: Cell::new(version),
            has_answered: Cell::new(false),
            end: Cell::new(End::Steady),
        }
    }

    /// Ends the transaction, if there is one.
    pub(super) fn end(self) -> End {
        if let Some(lease) = self.lease.get() {
            if lease.is_usable() {
                lease.send("COMMIT");
            } else {
                return if self.end.get() == End::Moved { End::Moved } else { End::Lost };
            }
        }
        self.end.get()
    }

    fn rows(&self) -> Result<Rows<'_>> {
        let lease = match self.lease.get() {
            Some(lease) => lease,
            None => {
                let lease = self.begin()?;
                self.lease.get_or_init(|| lease)
            }
        };
        Ok(Rows::new(lease))
    }

    /// A transaction of the change that is looked at: on a replica that has it already, or on the primary.
    fn begin(&self) -> Result<Lease<'a>> {
        if let Some(version) = self.version.get()
            && let Some(replica) = self.nodes.replica()
            // One that is down or behind is no reason to fail.
            && let Ok((lease, there)) = begun(replica)
        {
            if self.nodes.watch.version_of(there) == version {
                return Ok(lease);
            }
            lease.send("COMMIT");
        }
        let (lease, there) = begun(&self.nodes.primary).inspect_err(|_| self.end.set(End::Lost))?;
        self.nodes.watch.saw(there);
        let there = self.nodes.watch.version_of(there);
        if self.version.get() != Some(there) {
            if self.has_answered.get() {
                self.end.set(End::Moved);
                lease.send("COMMIT");
                return Err(Error::new(Kind::TryAgain, format!("{}: changed meanwhile", self.nodes.name())));
            }
            self.version.set(Some(there));
        }
        Ok(lease)
    }

    /// The answer from memory, or from `ask`.
    fn answer<T>(&self, question: Question, ask: impl FnOnce(&Rows<'_>) -> Result<T>) -> Result<Arc<T>>
    where
        T: Size + Send + Sync + 'static,
    {
        let known = |version: i64| self.nodes.answers.get(version, &question);
        if let Some(found) = self.version.get().and_then(known) {
            self.has_answered.set(true);
            return Ok(found);
        }
        let rows = self.rows()?;
        let answer = Arc::new(ask(&rows)?);
        if let Some(version) = self.version.get() {
            self.nodes.answers.put(version, question, Arc::clone(&answer));
        }
        Ok(answer)
    }
}

/// A transaction, and the number of the last change in it.
fn begun(pool: &Pool) -> Result<(Lease<'_>, i64)> {
    let lease = pool.take()?;
    let sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT number, version, least FROM postseal.change, postseal.version";
    let numbers = match lease.numbers(sql) {
        Ok(numbers) => numbers,
        Err(error) => {
            lease.send("ROLLBACK");
            return Err(error);
        }
    };
    let [change, version, least] = numbers[..] else {
        return Err(Error::damaged(lease.place(), "the version of the tables cannot be read"));
    };
    schema::Tables::of_numbers(version, least)
        .check(lease.place(), schema::known())
        .inspect_err(|_| lease.send("ROLLBACK"))?;
    Ok((lease, change))
}

impl View for Look<'_> {
    fn location(&self) -> String {
        self.nodes.name().to_owned()
    }

    fn version(&self) -> Result<i64> {
        if let Some(version) = self.version.get() {
            self.has_answered.set(true);
            return Ok(version);
        }
        let rows = self.rows()?;
        self.version.get().map_or_else(|| rows.version(), Ok)
    }

    fn certificate(&self, number: i64, known: &Records) -> Result<Option<Found>> {
        let row = self.answer(Question::Certificate(number), |rows| rows.row(number))?;
        Ok((*row).as_ref().map(|row: &CertificateRow| match known.get(&row.fingerprint) {
            Some(record) => Found::Known(record),
            None => Found::New(Box::new(row.clone())),
        }))
    }

    fn certificates(&self, protocol: ProtocolName, known: &Records) -> Result<Vec<Found>> {
        self.rows()?.certificates(protocol, known)
    }

    fn numbers(&self) -> Result<Vec<i64>> {
        self.rows()?.numbers()
    }

    fn count(&self, protocols: &[ProtocolName]) -> Result<i64> {
        self.rows()?.count(protocols)
    }

    fn with_secrets(&self, protocol: ProtocolName) -> Result<Vec<String>> {
        self.rows()?.with_secrets(protocol)
    }

    fn secret(&self, number: i64) -> Result<Option<Vec<u8>>> {
        self.answer(Question::Secret(number), |rows| rows.secret(number)).map(|found| (*found).clone())
    }

    fn capability(&self, number: i64) -> Result<Option<CapabilityRow>> {
        self.answer(Question::Capability(number), |rows| rows.capability(number)).map(|found| (*found).clone())
    }

    fn bindings(&self, fingerprint: &str) -> Result<Vec<BindingRow>> {
        let question = Question::Bindings(fingerprint.to_owned());
        self.answer(question, |rows| rows.bindings(fingerprint)).map(|found| (*found).clone())
    }

    fn stray_bindings(&self) -> Result<Vec<String>> {
        self.rows()?.stray_bindings()
    }

    fn links(&self, index: Index, from: &str, to: &str) -> Result<Vec<Link>> {
        let question = Question::Links(index, from.to_owned(), to.to_owned());
        self.answer(question, |rows| rows.links(index, from, to)).map(|found| (*found).clone())
    }

    fn all_links(&self, index: Index) -> Result<Vec<Link>> {
        self.rows()?.all_links(index)
    }

    fn link(&self, index: Index, entry: &Entry) -> Result<Option<Link>> {
        self.rows()?.link(index, entry)
    }

    fn link_before(&self, index: Index, entry: &Entry) -> Result<Option<Link>> {
        self.rows()?.link_before(index, entry)
    }

    fn statements(&self) -> Result<Vec<StatementRow>> {
        self.rows()?.statements()
    }

    fn statement_digests(&self) -> Result<Vec<Vec<u8>>> {
        self.rows()?.statement_digests()
    }

    fn master(&self) -> Result<Option<MasterRow>> {
        self.answer(Question::Master, |rows| rows.master()).map(|found| (*found).clone())
    }

    fn total(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.answer(Question::Total(name.to_owned()), |rows| rows.total(name)).map(|found| (*found).clone())
    }

    fn is_set_aside(&self, fingerprint: &str) -> Result<bool> {
        self.rows()?.is_set_aside(fingerprint)
    }

    fn faults(&self) -> Result<Vec<String>> {
        self.rows()?.faults()
    }
}
