//! What a judge asks about keys and lists, and the answers.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{
    crypto::{Hash, KeyAlgorithm, Scheme, Unwrap},
    keys::{
        Binding, Capabilities, Deprecated, Handle, PassphraseFrom, ProtocolName, Purpose, Query, Reach, Record, Want,
    },
    mail::Address,
    policy::{Carried, Member, Request},
};

/// A question of a judge. The questions of [`Keys`](crate::keys::Keys), the operations of [`SecretKey`](crate::crypto::SecretKey), and those of
/// [`Membership`](crate::policy::Membership).
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Question {
    Agree {
        key: u32,
        peer: ByteBuf,
    },
    Anchors,
    CarryOut {
        list: Address,
        request: Request,
    },
    Decapsulate {
        key: u32,
        ciphertext: ByteBuf,
    },
    Decrypt {
        key: u32,
        unwrap: UnwrapForm,
        wrapped: ByteBuf,
    },
    Deprecated(Handle),
    Find {
        protocol: ProtocolName,
        query: QueryForm,
    },
    Members(Address),
    Passwords,
    Revocations,
    /// The secret key with a handle, of a record that was an answer.
    Secret {
        record: u32,
        key: Handle,
    },
    SharedPassphrase(Address),
    Sign {
        key: u32,
        scheme: Scheme,
        digest: ByteBuf,
    },
    Statements {
        path: Vec<ByteBuf>,
        left: Option<Duration>,
    },
    TakesRequests(Address),
}

/// What is said to a judge.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Answer {
    Carried(Carried),
    Deprecated(Option<Deprecated>),
    Members(Vec<Member>),
    Octets(ByteBuf),
    Passphrase(Option<(ByteBuf, PassphraseFrom)>),
    Passwords(Vec<ByteBuf>),
    Records(Vec<Known<RecordForm>>),
    Secret(Option<(u32, KeyAlgorithm)>),
    Statements(Vec<Known<ByteBuf>>),
    TakesRequests(TakesRequests),
}

/// The answer to a question that was not asked yet.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Foretold {
    pub(super) question: Question,
    pub(super) answer: Answer,
}

/// Something that may be an answer several times: its octets are sent once.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Known<T> {
    /// It gets the next number.
    New(T),
    /// That with this number.
    Numbered(u32),
}

/// Whether the members of a list can change themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) enum TakesRequests {
    No,
    Yes,
}

/// Whether the status of certificates is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) enum Fetching {
    No,
    Yes,
}

/// Whether a judge still knows the numbers of what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) enum Memory {
    Cleared,
    Kept,
}

/// [`Unwrap`], with its own label.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum UnwrapForm {
    RsaOaep { hash: Hash, mgf: Hash, label: ByteBuf },
    RsaPkcs1,
}

/// [`Query`], with its own octets, and the time that is left.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct QueryForm {
    want: WantForm,
    purpose: Purpose,
    left: Option<Duration>,
    reach: Reach,
}

/// [`Want`], with its own octets.
#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
enum WantForm {
    Address(Address),
    All,
    Certificate(Handle),
    Handle(Handle),
    Secrets,
}

/// [`Record`].
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct RecordForm {
    protocol: ProtocolName,
    fingerprint: Handle,
    handles: Vec<Handle>,
    claimed: Vec<Address>,
    bindings: Vec<Binding>,
    octets: ByteBuf,
    secrets: Vec<Handle>,
    capabilities: Option<Capabilities>,
}

impl Question {
    /// Whether the answer may come from the network, and with it what older answers do not have.
    pub(super) fn fetches(&self) -> bool {
        match self {
            Question::Find { query, .. } => query.reach == Reach::Network,
            Question::Statements { .. } => true,
            _ => false,
        }
    }

    /// Whether it only looks something up on this machine.
    pub(super) fn may_be_foretold(&self) -> bool {
        self.is(self) && !self.fetches()
    }

    /// Whether the answer to `foretold` is the answer to this.
    pub(super) fn is(&self, foretold: &Question) -> bool {
        match (self, foretold) {
            (Question::Anchors, Question::Anchors) | (Question::Revocations, Question::Revocations) => true,
            (
                Question::Find { protocol, query: QueryForm { want, purpose, left: _, reach } },
                Question::Find { protocol: its_protocol, query: its },
            ) => (protocol, want, purpose, reach) == (its_protocol, &its.want, &its.purpose, &its.reach),
            (Question::Secret { record, key }, Question::Secret { record: its_record, key: its_key }) => {
                (record, key) == (its_record, its_key)
            }
            _ => false,
        }
    }
}

impl UnwrapForm {
    pub(super) fn of(unwrap: Unwrap<'_>) -> UnwrapForm {
        match unwrap {
            Unwrap::RsaOaep { hash, mgf, label } => {
                UnwrapForm::RsaOaep { hash, mgf, label: ByteBuf::from(label.to_vec()) }
            }
            Unwrap::RsaPkcs1 => UnwrapForm::RsaPkcs1,
        }
    }

    pub(super) fn unwrap(&self) -> Unwrap<'_> {
        match self {
            UnwrapForm::RsaOaep { hash, mgf, label } => Unwrap::RsaOaep { hash: *hash, mgf: *mgf, label },
            UnwrapForm::RsaPkcs1 => Unwrap::RsaPkcs1,
        }
    }
}

impl QueryForm {
    pub(super) fn of(query: &Query<'_>) -> QueryForm {
        let want = match query.want {
            Want::Address(address) => WantForm::Address(address.clone()),
            Want::All => WantForm::All,
            Want::Certificate(handle) => WantForm::Certificate(handle.clone()),
            Want::Handle(handle) => WantForm::Handle(handle.clone()),
            Want::Secrets => WantForm::Secrets,
        };
        QueryForm { want, purpose: query.purpose, left: query.deadline.map(left), reach: query.reach }
    }

    pub(super) fn query(&self) -> Query<'_> {
        let want = match &self.want {
            WantForm::Address(address) => Want::Address(address),
            WantForm::All => Want::All,
            WantForm::Certificate(handle) => Want::Certificate(handle),
            WantForm::Handle(handle) => Want::Handle(handle),
            WantForm::Secrets => Want::Secrets,
        };
        Query { want, purpose: self.purpose, deadline: deadline(self.left), reach: self.reach }
    }
}

/// The time until `deadline`: the clocks of two processes have no common beginning that a type names.
pub(super) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// The end of the time that is left. A time that no clock shows is no deadline.
pub(super) fn deadline(left: Option<Duration>) -> Option<Instant> {
    left.and_then(|left| Instant::now().checked_add(left))
}

impl RecordForm {
    pub(super) fn of(record: &Record) -> RecordForm {
        RecordForm {
            protocol: record.protocol(),
            fingerprint: record.fingerprint().clone(),
            handles: record.handles().to_vec(),
            claimed: record.claimed().to_vec(),
            bindings: record.bindings().to_vec(),
            octets: ByteBuf::from(record.bytes().to_vec()),
            secrets: record.secrets().to_vec(),
            capabilities: record.capabilities().cloned(),
        }
    }

    pub(super) fn record(self) -> Record {
        Record::new(self.protocol, self.fingerprint, self.octets.into_vec(), self.secrets)
            .with_handles(self.handles)
            .with_claimed(self.claimed)
            .with_bindings(self.bindings)
            .with_capabilities(self.capabilities)
    }
}
