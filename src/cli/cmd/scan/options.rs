//! The options of `scan`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use postseal::{
    base::{Error, Result},
    mailbox::mbox,
    policy::Pattern,
    scan::Finding,
};

use crate::cli::{servers::ServerOptions, values::Format};

/// Judge every message of mailboxes: Maildirs with their folders, mboxes, folders of .eml files, single messages, packed by gzip, xz or zstd or not; and
/// mailboxes on servers, with IMAP and POP3.
/// Nothing is changed unless --in-place is given.
#[derive(Args, Debug)]
pub(crate) struct Scan {
    /// Print one line of JSON for each message, as verify does, with the message's id in its mailbox
    #[arg(long, conflicts_with = "csv")]
    pub(super) json: bool,
    /// Print one line of comma-separated values for each message
    #[arg(long)]
    pub(super) csv: bool,
    /// Write a page for a web browser: senders, messages by month, what failed and why, keys that end; - is standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "undo")]
    pub(super) html: Option<PathBuf>,
    /// Note there what is done, and go on from there when it exists
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) state: Option<PathBuf>,
    /// Exit with 1 when a message is so; may be repeated
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(super) fail_on: Vec<FailOn>,
    /// Report only messages from this address or domain (.example.org: the domains below it); may be repeated
    #[arg(long, value_name = "WHO", conflicts_with_all = ["annotate", "decrypt", "encrypt_to", "in_place"])]
    pub(super) from: Vec<String>,
    /// Write the keys and certificates in the messages to a file for `key import`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) save_keys: Option<PathBuf>,
    /// How mboxes quote lines that begin with From [default: recognized; mboxrd for copies]
    #[arg(long, value_enum, value_name = "FORMAT")]
    mbox_format: Option<MboxFormat>,
    /// Copy the mailboxes into this folder, each message with an Authentication-Results field
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["decrypt", "encrypt_to", "in_place", "state"])]
    pub(super) annotate: Option<PathBuf>,
    /// Copy the mailboxes into this folder, encrypted messages decrypted
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["encrypt_to", "in_place", "state"])]
    pub(super) decrypt: Option<PathBuf>,
    /// Copy the mailboxes into this folder, encrypted to this address
    #[arg(long, num_args = 2, value_names = ["ADDRESS", "DIR"], conflicts_with_all = ["in_place", "state"])]
    pub(super) encrypt_to: Vec<String>,
    /// The protocol of --encrypt-to
    #[arg(short, long, value_enum, default_value = "pgp")]
    pub(super) format: Format,
    /// Convert the messages of Maildirs where they lie: annotate, decrypt, or encrypt-to=ADDRESS. The originals are kept for --undo
    #[arg(long, value_name = "HOW", conflicts_with = "state")]
    pub(super) in_place: Option<String>,
    /// Put the originals back that --in-place replaced
    #[arg(long, conflicts_with_all = ["annotate", "decrypt", "encrypt_to", "in_place", "state", "json", "csv"])]
    pub(super) undo: bool,
    /// The name of this host in Authentication-Results [default: the machine's name]
    #[arg(long, value_name = "NAME")]
    authserv_id: Option<String>,
    #[command(flatten)]
    pub(super) servers: ServerOptions,
    /// The mailboxes; - is standard input; imap://USER@HOST/MAILBOX, imaps:, pop3://USER@HOST and pop3s: are on servers
    #[arg(value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub(super) paths: Vec<PathBuf>,
}

/// What `--fail-on` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// Not signed as a whole
    Unsigned,
    /// Signed, and the signature is invalid, covers a part, or uses a broken algorithm
    Bad,
    /// Signed by a key that is not here
    Unknown,
    /// Anything but authentic
    NotAuthentic,
    /// Encrypted, and no key here opens it
    Closed,
}

/// The formats of mbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MboxFormat {
    /// `>` before From and any number of `>`; Thunderbird's too
    Mboxrd,
    /// `>` before From
    Mboxo,
    /// No `>`; Content-Length says where a message ends
    Mboxcl2,
}

impl Scan {
    /// The format of mboxes, where it was given.
    pub(super) fn mbox_format(&self) -> Option<mbox::Format> {
        self.mbox_format.map(|format| match format {
            MboxFormat::Mboxrd => mbox::Format::Rd,
            MboxFormat::Mboxo => mbox::Format::O,
            MboxFormat::Mboxcl2 => mbox::Format::Cl2,
        })
    }

    /// Whether messages are copied or changed.
    pub(super) fn converts(&self) -> bool {
        let is_copied = self.annotate.is_some() || self.decrypt.is_some() || !self.encrypt_to.is_empty();
        is_copied || self.in_place.is_some() || self.undo
    }

    /// The authserv-id (RFC 8601, section 2.5).
    pub(super) fn authserv_id(&self) -> String {
        let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        self.authserv_id.clone().unwrap_or_else(host)
    }

    /// Whether `--fail-on` is about such a message.
    pub(super) fn fails_on(&self, finding: Finding) -> bool {
        self.fail_on.iter().any(|on| match on {
            FailOn::Unsigned => finding == Finding::Unsigned,
            FailOn::Bad => finding == Finding::Bad,
            FailOn::Unknown => finding == Finding::Unknown,
            FailOn::NotAuthentic => finding != Finding::Authentic,
            FailOn::Closed => finding == Finding::Closed,
        })
    }

    /// `unsigned or bad`.
    pub(super) fn fail_words(&self) -> String {
        let names = self.fail_on.iter().filter_map(ValueEnum::to_possible_value);
        names.map(|name| name.get_name().to_owned()).collect::<Vec<_>>().join(" or ")
    }
}

/// Reads what `--from` names.
pub(super) fn pattern(text: &str) -> Result<Pattern> {
    Pattern::parse(text).map_err(|error| {
        let usage = Error::usage(format!("--from {error}"));
        error.hint().map_or(usage.clone(), |hint| usage.with_hint(hint.clone()))
    })
}
