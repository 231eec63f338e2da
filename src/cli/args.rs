//! Verbs and options. Data only.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use postseal::crypto::Hash;

use super::{
    fetching::Fetching,
    later::Later,
    values::{Format, Padding, ProtectHeaders, Revocation},
};

/// Signs, encrypts, verifies and decrypts mail.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    version,
    about,
    long_about = "Signs, encrypts, verifies and decrypts mail.\n\nA message is read from FILE or standard input and written to standard output or -o. \
                  Data goes to standard output, everything else to standard error. Output is written whole or not at all.",
    after_help = "Environment: POSTSEAL_HOME, POSTSEAL_CONFIG (the configuration), POSTSEAL_PASSPHRASE_FILE, NO_COLOR.\n\n\
                  Exit status: 0 done (verify: the verdict is at least --require), 1 the verdict is below it, 64 usage, 65 malformed input, \
                  66 no such input, 69 unavailable, 73 cannot create, 74 I/O, 75 try again, 77 no usable key or not permitted, 78 configuration.",
    max_term_width = TERM_WIDTH
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

impl Arguments {
    /// Parses the command line; the program's name comes first.
    pub(crate) fn read(mut typed: Vec<OsString>) -> Result<Self, clap::Error> {
        move_master_home(&mut typed);
        move_list_anchors(&mut typed);
        complete_protect_headers(&mut typed);
        let command = described(typed.get(1).map(OsString::as_os_str));
        let matches = command.try_get_matches_from(typed)?;
        let mut arguments = Self::from_arg_matches(&matches)?;
        arguments.common.words = words(&matches);
        Ok(arguments)
    }
}

/// The verb and what is below it: `key trust`.
fn words(matches: &ArgMatches) -> String {
    let (mut words, mut at) = (Vec::new(), matches);
    while let Some((verb, below)) = at.subcommand() {
        words.push(verb);
        at = below;
    }
    words.join(" ")
}

/// The whole command line, or one verb of it when the first word is a verb. clap copies the common options into each verb that it describes,
/// which takes longer than many runs.
fn described(first: Option<&OsStr>) -> Command {
    let whole = Arguments::command();
    let Some(verb) = first.and_then(|first| whole.find_subcommand(first)) else { return whole };
    Common::augment_args(Command::new(NAME)).max_term_width(TERM_WIDTH).subcommand(verb.clone())
}

/// Writes `key master --home` without a folder as `key master --in-home`. clap allows one meaning for a name, and `--home DIR` is an option of every verb.
fn move_master_home(typed: &mut [OsString]) {
    let after =
        |from: usize, word: &str| typed.iter().skip(from).position(|typed| typed == word).map(|at| from + at + 1);
    let Some(start) = after(1, "key").and_then(|key| after(key, "master")) else { return };
    let is_alone = |at: &usize| {
        let next = typed.get(at + 1);
        typed[*at] == "--home" && next.is_none_or(|next| next.as_encoded_bytes().starts_with(b"-"))
    };
    if let Some(at) = (start..typed.len()).find(is_alone) {
        typed[at] = OsString::from("--in-home");
    }
}

/// Writes `key list --anchors` as `key list --anchor`: the option of every verb takes a file, and there is no use for that in a list.
fn move_list_anchors(typed: &mut [OsString]) {
    let Some(key) = typed.iter().position(|typed| typed == "key") else { return };
    if typed.get(key + 1).is_some_and(|verb| verb == "list" || verb == "ls") {
        typed.iter_mut().skip(key).filter(|typed| *typed == "--anchors").for_each(|typed| *typed = "--anchor".into());
    }
}

/// Writes `--protect-headers` without a policy, which older versions took, as `--protect-headers=baseline`. Otherwise clap would take the name
/// of the message for the policy.
fn complete_protect_headers(typed: &mut [OsString]) {
    let policies = ProtectHeaders::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let policies: Vec<String> = policies.map(|policy| policy.get_name().to_owned()).collect();
    for at in 0..typed.len() {
        let is_alone = !typed.get(at + 1).is_some_and(|next| policies.iter().any(|policy| next == policy.as_str()));
        if typed[at] == "--protect-headers" && is_alone {
            typed[at] = OsString::from("--protect-headers=baseline");
        }
    }
}

const NAME: &str = "postseal";
/// The heading of the options of every verb.
pub(crate) const COMMON_HEADING: &str = "Options of every verb";
/// Columns of help, at most.
const TERM_WIDTH: usize = 110;

/// Options of every verb.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = COMMON_HEADING)]
pub(crate) struct Common {
    /// The verb and what is below it, for the audit log
    #[arg(skip)]
    pub(crate) words: String,
    /// Keys to use and to trust in this run: certificates, keyrings, secret keys
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) keys: Vec<PathBuf>,
    /// Root certificates to trust in this run, instead of the imported ones (PEM or DER)
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) anchors: Vec<PathBuf>,
    /// CRLs and OCSP responses to use in this run (PEM or DER)
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) crls: Vec<PathBuf>,
    /// How certificates are checked for revocation
    #[arg(long, global = true, value_enum, default_value = "soft")]
    pub(crate) revocation: Revocation,
    /// The folder of the keys [default: $POSTSEAL_HOME, or postseal in the data directory]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) home: Option<PathBuf>,
    /// A file of passphrases, one on each line; each is tried [default: $POSTSEAL_PASSPHRASE_FILE]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// The same, read from this file descriptor
    #[arg(long, global = true, value_name = "N", conflicts_with = "passphrase_file")]
    pub(crate) passphrase_fd: Option<u32>,
    /// A command that prints passphrases, one on each line; it is run by sh
    #[arg(long, global = true, value_name = "COMMAND", conflicts_with_all = ["passphrase_file", "passphrase_fd"])]
    pub(crate) passphrase_command: Option<String>,
    /// A file with the PIN of a token, on its first line; /dev/fd/N is a descriptor [default: that of the configuration or of the URI, or a prompt]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) pin_file: Option<PathBuf>,
    /// Use this time (RFC 3339) instead of now
    #[arg(long, global = true, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// The largest message accepted, in bytes, or with K, M or G
    #[arg(long, global = true, value_name = "SIZE", default_value = "64M", value_parser = size)]
    pub(crate) max_size: usize,
    /// Accept weak and broken algorithms, and write them on request
    #[arg(long, global = true)]
    pub(crate) legacy: bool,
    /// Print data and errors only: no warnings, hints or progress; verify and decrypt print no verdict
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Colors,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colors {
    /// Where a terminal shows them, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Sign a message
    Sign(Later<Sign>),
    /// Encrypt a message; with --sign, sign it too
    Encrypt(Later<Encrypt>),
    /// Decrypt a message; the verdict goes to standard error
    Decrypt(Later<Decrypt>),
    /// Check signatures, and whether the author shown is the signer
    Verify(Later<Verify>),
    /// Show the tree of parts, signatures and encryption; needs no key
    Inspect(Later<Inspect>),
    /// Write the exact bytes that a signature covers
    Canon(Later<Canon>),
    /// Write the digest of a file, or of its canonical form
    Digest(Later<Digest>),
    /// Judge every message of mailboxes, convert them, and find keys in them
    Scan(Later<super::cmd::scan::Scan>),
    /// Generate, import, export, list, trust, renew, revoke and remove keys
    Key(Later<super::cmd::key::Key>),
    /// Write everything of the home into one file, sealed with a passphrase
    Backup(Later<super::cmd::backup::Backup>),
    /// Make a home of a backup
    Restore(Later<super::cmd::backup::Restore>),
    /// Keep the keys in a database of PostgreSQL, for several machines
    #[command(subcommand)]
    Store(super::cmd::store::Store),
    /// Import the keys of gpg, gpgsm, or a folder of openssl files
    Import(Later<super::cmd::import::Import>),
    /// Check certificates and their paths
    Cert(Later<super::cmd::cert::Cert>),
    /// Fetch the messages of a mailbox on a server (IMAP, POP3) to another place, through the policy
    Fetch(Later<super::cmd::fetch::Fetch>),
    /// Stay connected with a mailbox on a server, and fetch what arrives
    Watch(Later<super::cmd::fetch::Watch>),
    /// Apply the configured policy to one message, from standard input to standard output (pipe(8), procmail, sieve)
    Filter(Later<super::cmd::filter::Filter>),
    /// Replace sendmail: take a message, apply the policy, and pass it on
    #[command(disable_help_flag = true)]
    Sendmail(Later<super::cmd::sendmail::Sendmail>),
    /// Run the configured listeners: milter, SMTP, LMTP, metrics
    Serve(Later<super::cmd::serve::Serve>),
    /// Find a mail in the log, and show what became of it
    Log(Later<super::cmd::log::Log>),
    /// Record the changes of keys and trust, and check the record
    #[command(subcommand)]
    Audit(super::cmd::audit::Audit),
    /// List, show, release and delete the messages that a rule holds
    #[command(subcommand)]
    Quarantine(super::cmd::quarantine::Quarantine),
    /// Check a mailing list
    #[command(subcommand)]
    List(super::cmd::list::List),
    /// Write a configuration, check it, or explain what it does with a message
    #[command(subcommand)]
    Config(super::cmd::config::Config),
    /// Show signing, verifying and encrypting at work in a temporary home
    Demo,
    /// Write a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages into a directory
    Man {
        /// The directory to write them to; it is made if it does not exist
        #[arg(value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
}

/// Options of `sign` and `encrypt`.
#[derive(Args, Debug)]
pub(crate) struct Shaping {
    /// The protocol
    #[arg(short, long, value_enum, default_value = "pgp")]
    pub(crate) format: Format,
    /// Sign as this address instead of the author in From
    #[arg(long = "as", value_name = "ADDRESS", conflicts_with = "key")]
    pub(crate) signer: Option<String>,
    /// Sign with this key (fingerprint or key ID); may be repeated, for several signatures
    #[arg(long, value_name = "ID")]
    pub(crate) key: Vec<String>,
    /// Sign with this key too (fingerprint or key ID), beside that of the author: a second signature on the same message; may be repeated
    #[arg(long, value_name = "ID")]
    pub(crate) also_sign: Vec<String>,
    /// Write text in the body instead of MIME parts, for readers without PGP/MIME
    #[arg(long)]
    pub(crate) inline: bool,
    /// Put the signed text inside the signature object (--inline, or -f smime)
    #[arg(long)]
    pub(crate) opaque: bool,
    /// Protection of the header (RFC 9788) [default: clear for sign, baseline for encrypt; none with --inline and -f pem]
    #[arg(long, value_enum)]
    pub(crate) protect_headers: Option<ProtectHeaders>,
    /// How RSA keys sign and wrap, with -f smime
    #[arg(long, value_enum, default_value = "pkcs1")]
    pub(crate) padding: Padding,
    /// The digest of the signature [default: by key]
    #[arg(long, value_name = "NAME")]
    pub(crate) digest: Option<String>,
    /// Accepted, as gpg and age have it; what is written is text in any case
    #[arg(short = 'a', long)]
    pub(crate) armor: bool,
    /// Split the result into message/partial files of at most this size: OUT.1, OUT.2, ...
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "output")]
    pub(crate) split: Option<usize>,
    #[command(flatten)]
    pub(crate) draft: Draft,
    #[command(flatten)]
    pub(crate) files: ManyFiles,
}

/// A message made from plain text.
#[derive(Args, Debug)]
pub(crate) struct Draft {
    /// The input is plain text: make a message of it, with --from, --to and --subject
    #[arg(long, requires = "from")]
    pub(crate) text: bool,
    /// The author of the text: ADDRESS or "Name <ADDRESS>"
    #[arg(long, value_name = "MAILBOX", requires = "text")]
    pub(crate) from: Option<String>,
    /// The subject of the text
    #[arg(long, value_name = "WORDS", requires = "text")]
    pub(crate) subject: Option<String>,
}

/// One message in, one out.
#[derive(Args, Debug)]
pub(crate) struct Files {
    /// The output file, written whole or not at all [default: standard output]
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// The message [default: standard input]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) input: Option<PathBuf>,
}

/// Messages in, as many out.
#[derive(Args, Debug)]
pub(crate) struct ManyFiles {
    /// The output file, written whole or not at all [default: standard output]
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Write each message to this folder, under the name of its file
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "output")]
    pub(crate) output_dir: Option<PathBuf>,
    /// The message [default: standard input]; several with --output-dir
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) input: Vec<PathBuf>,
}

/// Sign a mail message. Its header fields stay; Content-* fields move into the signed part. Input that is no mail message is refused, unless --text is given.
#[derive(Args, Debug)]
pub(crate) struct Sign {
    /// A recipient of the text; may be repeated
    #[arg(long, value_name = "ADDRESS", requires = "text")]
    pub(crate) to: Vec<String>,
    #[command(flatten)]
    pub(crate) shaping: Shaping,
}

/// Encrypt a mail message. Input that is no mail message is refused, unless --text is given. A message that is already encrypted is refused,
/// unless --keep or --again is given.
#[derive(Args, Debug)]
pub(crate) struct Encrypt {
    /// A recipient [default: those in To and Cc]
    #[arg(short = 'r', long, visible_alias = "recipient", value_name = "ADDRESS", num_args = 1..)]
    pub(crate) to: Vec<String>,
    /// A recipient that the encrypted message does not name
    #[arg(long, value_name = "ADDRESS", num_args = 1..)]
    pub(crate) hidden_to: Vec<String>,
    /// Look for missing keys on the network, as [discovery] of $POSTSEAL_CONFIG says
    #[arg(long)]
    pub(crate) discover: bool,
    /// Do not encrypt to the author's own key too
    #[arg(long)]
    pub(crate) no_self: bool,
    /// Encrypt with each passphrase of --passphrase-file too, or with one that is typed
    #[arg(long)]
    pub(crate) password: bool,
    /// Make a page that a browser opens with a passphrase, for recipients without a key
    #[arg(
        long,
        conflicts_with_all = [
            "hidden_to", "discover", "password", "sign", "nested", "triple", "aead", "cipher", "legacy_display", "inline", "opaque", "split",
        ],
    )]
    pub(crate) page: bool,
    /// Sign too
    #[arg(long)]
    pub(crate) sign: bool,
    /// Encrypt a signed message (RFC 3156, section 6.1), instead of both in one object
    #[arg(long, requires = "sign", conflicts_with_all = ["inline", "opaque"])]
    pub(crate) nested: bool,
    /// Sign, encrypt, and sign again (RFC 2634), with -f smime
    #[arg(long, requires = "sign", conflicts_with_all = ["inline", "nested", "opaque"])]
    pub(crate) triple: bool,
    /// Use authenticated encryption even if not all recipients are known to support it, with -f smime
    #[arg(long)]
    pub(crate) aead: bool,
    /// The cipher [default: the one that all recipients prefer]
    #[arg(long, value_name = "NAME")]
    pub(crate) cipher: Option<String>,
    /// Repeat hidden header fields in the text, for readers without RFC 9788
    #[arg(long, conflicts_with = "inline")]
    pub(crate) legacy_display: bool,
    /// Encrypt again a message that is already encrypted
    #[arg(long)]
    pub(crate) again: bool,
    /// Pass a message that is already encrypted on unchanged
    #[arg(long, conflicts_with = "again")]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) shaping: Shaping,
}

/// Decrypt a message. Pieces of type message/partial are joined first, in any order.
#[derive(Args, Debug)]
pub(crate) struct Decrypt {
    /// Decrypt encrypted parts beside other text and in attached messages too; the verdict cannot tell who wrote them
    #[arg(long)]
    pub(crate) parts: bool,
    /// Print the verdict as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) files: ManyFiles,
}

/// Verify messages. Pieces of type message/partial are joined first, in any order.
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// The verdict that exit code 0 needs
    #[arg(long, value_enum, default_value = "authentic")]
    pub(crate) require: Require,
    /// Import the certificates of valid signatures into the home; that trusts none of them
    #[arg(long)]
    pub(crate) save_key: bool,
    #[command(flatten)]
    pub(crate) fetching: Fetching,
    /// Print one line of JSON for each message
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a page for a web browser that shows each message, the verdict on it and what that rests on; - is standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) html: Option<PathBuf>,
    /// The messages [default: standard input]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) input: Vec<PathBuf>,
}

/// The verdict that `verify --require` needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Require {
    /// The author shown signed the whole message
    Authentic,
    /// A known key signed the whole message
    Signed,
}

/// Inspect a message. Nothing is verified or decrypted.
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// Canonical forms.
#[derive(Args, Debug)]
pub(crate) struct Canon {
    /// The protocol whose rules apply
    #[arg(long, value_enum)]
    pub(crate) form: Form,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// The canonical forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// The text that PEM signs: with CRLF, otherwise unchanged (RFC 1421, section 4.3.2.2)
    Pem,
    /// The MIME part that PGP/MIME signs: 7-bit, CRLF, no trailing white space (RFC 3156)
    Pgp,
    /// The MIME part that S/MIME signs: the same form (RFC 8551, section 3.1)
    Smime,
}

/// Digests.
#[derive(Args, Debug)]
pub(crate) struct Digest {
    #[arg(short, long, value_name = "NAME", help = digests())]
    pub(crate) algorithm: String,
    /// Digest the canonical form instead of the file as it is
    #[arg(long, value_enum)]
    pub(crate) form: Option<Form>,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// The names of the digests, as `--algorithm` takes them.
fn digests() -> String {
    Hash::ALL.map(Hash::name).join(", ")
}

/// `64M`: octets, with K, M or G for powers of 1024.
fn size(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1024),
        Some((at, 'm' | 'M')) => (&text[..at], 1024 * 1024),
        Some((at, 'g' | 'G')) => (&text[..at], 1024 * 1024 * 1024),
        _ => (text, 1),
    };
    let number: usize = digits.parse().map_err(|_| "not a size such as 64M".to_owned())?;
    number.checked_mul(unit).filter(|size| *size > 0).ok_or_else(|| "out of range".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// clap checks this in debug builds, for the verbs that are described. Here all of them are.
    #[test]
    fn the_whole_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    /// tests/cli/verbs reads the help, which does not show hidden options.
    #[test]
    fn nothing_is_hidden_from_the_help() {
        fn walk(command: &Command) {
            let hidden: Vec<_> = command.get_arguments().filter(|argument| argument.is_hide_set()).collect();
            assert!(hidden.is_empty() && !command.is_hide_set(), "{}: {hidden:?}", command.get_name());
            command.get_subcommands().for_each(walk);
        }
        let mut whole = Arguments::command();
        whole.build();
        walk(&whole);
    }

    #[test]
    fn home_without_a_folder_is_the_homes_own_key() {
        let moved = |line: &str| {
            let mut typed: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            move_master_home(&mut typed);
            typed.join(OsStr::new(" ")).into_string().unwrap()
        };
        for (typed, read) in [
            ("postseal key master --home", "postseal key master --in-home"),
            ("postseal --home a key master --home --legacy", "postseal --home a key master --in-home --legacy"),
            ("postseal key master --home --home a", "postseal key master --in-home --home a"),
            ("postseal key master --home a --file b", "postseal key master --home a --file b"),
            ("postseal key list --home", "postseal key list --home"),
        ] {
            assert_eq!(moved(typed), read);
        }
    }

    #[test]
    fn anchors_of_a_list_take_no_file() {
        let moved = |line: &str| {
            let mut typed: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            move_list_anchors(&mut typed);
            typed.join(OsStr::new(" ")).into_string().unwrap()
        };
        for (typed, read) in [
            ("postseal key list --anchors bob", "postseal key list --anchor bob"),
            ("postseal key ls --json --anchors", "postseal key ls --json --anchor"),
            ("postseal key show --anchors a.pem b", "postseal key show --anchors a.pem b"),
            ("postseal verify --anchors a.pem m", "postseal verify --anchors a.pem m"),
        ] {
            assert_eq!(moved(typed), read);
        }
    }

    #[test]
    fn protect_headers_without_a_policy_takes_no_file_for_one() {
        let completed = |line: &str| {
            let mut typed: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            complete_protect_headers(&mut typed);
            typed.join(OsStr::new(" ")).into_string().unwrap()
        };
        for (typed, read) in [
            ("postseal sign --protect-headers m", "postseal sign --protect-headers=baseline m"),
            ("postseal sign --protect-headers", "postseal sign --protect-headers=baseline"),
            ("postseal sign --protect-headers shy m", "postseal sign --protect-headers shy m"),
            ("postseal sign --protect-headers=none m", "postseal sign --protect-headers=none m"),
        ] {
            assert_eq!(completed(typed), read);
        }
    }
}
