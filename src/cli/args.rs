//! What can be typed. Nothing here does anything.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use clap::{Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use postseal::crypto::Hash;

use super::later::Later;

/// Signs, encrypts, verifies and decrypts mail.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    version,
    about,
    long_about = "Signs, encrypts, verifies and decrypts mail.\n\nA message is read from FILE or standard input and written to standard output or -o. \
                  Data goes to standard output, everything else to standard error. Output appears whole or not at all.",
    after_help = "Exit status: 0 done (verify: the required standing was reached), 1 the verdict is below it, 64 usage, 65 malformed input, \
                  66 no such input, 69 unavailable, 73 cannot create, 74 I/O, 75 try again, 77 no usable key or not permitted, 78 configuration.",
    disable_help_subcommand = true,
    max_term_width = TERM_WIDTH
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

impl Arguments {
    /// Reads what was typed, the program's name first.
    pub(crate) fn read(mut typed: Vec<OsString>) -> Result<Self, clap::Error> {
        move_master_home(&mut typed);
        complete_protect_headers(&mut typed);
        let command = described(typed.get(1).map(OsString::as_os_str));
        command.try_get_matches_from(typed).and_then(|matches| Self::from_arg_matches(&matches))
    }
}

/// All that can be typed, or what can be when the first word is a verb: the options of every verb are copied into each verb that is described,
/// which takes longer than many a run.
fn described(first: Option<&OsStr>) -> Command {
    let whole = Arguments::command();
    let Some(verb) = first.and_then(|first| whole.find_subcommand(first)) else { return whole };
    Common::augment_args(Command::new(NAME)).max_term_width(TERM_WIDTH).subcommand(verb.clone())
}

/// Writes `key master --home` without a folder as `key master --in-home`: clap has one meaning for a name, and `--home DIR` is for every verb.
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

/// Writes `--protect-headers` without a policy, as it was once, with the default one: clap would take the message's name for it.
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
/// Columns of help, at most.
const TERM_WIDTH: usize = 110;

/// Options of every verb.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every verb")]
pub(crate) struct Common {
    /// Certificates, keyrings and secret keys for this run, in any format that postseal reads; each vouches for its user IDs
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) keys: Vec<PathBuf>,
    /// Where certificate paths end, instead of the configured trust anchors; any certificate may be one (PEM or DER)
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) anchors: Vec<PathBuf>,
    /// CRLs and OCSP responses (PEM or DER)
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) crls: Vec<PathBuf>,
    /// How much must be known about whether certificates are revoked
    #[arg(long, global = true, value_enum, default_value = "soft")]
    pub(crate) revocation: Revocation,
    /// Where keys are kept [default: $POSTSEAL_HOME, or postseal in the data directory]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) home: Option<PathBuf>,
    /// Passphrases, one a line, each tried
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Passphrases, one a line, from an inherited file descriptor
    #[arg(long, global = true, value_name = "N", conflicts_with = "passphrase_file")]
    pub(crate) passphrase_fd: Option<u32>,
    /// Judge as of this time (RFC 3339) instead of now
    #[arg(long, global = true, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// The largest message taken, in octets; K, M and G are understood
    #[arg(long, global = true, value_name = "SIZE", default_value = "64M", value_parser = size)]
    pub(crate) max_size: usize,
    /// Let weak and broken algorithms count, and write them on request
    #[arg(long, global = true)]
    pub(crate) legacy: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Sign a message
    Sign(Later<Sign>),
    /// Encrypt a message, and sign it with --sign
    Encrypt(Later<Encrypt>),
    /// Write the message as it was written; the verdict goes to standard error
    Decrypt(Later<Decrypt>),
    /// Say who vouches for each message
    Verify(Later<Verify>),
    /// Draw the tree of parts and layers; needs no key
    Inspect(Later<Inspect>),
    /// Write the exact bytes that a signature would cover
    Canon(Later<Canon>),
    /// Write the digest of a file, or of its canonical form
    Digest(Later<Digest>),
    /// Generate, import, export, list, trust and remove keys
    Key(Later<super::cmd::key::Key>),
    /// Take over what gpg, gpgsm or a folder of openssl's files holds
    Import(Later<super::cmd::import::Import>),
    /// Judge certificates
    Cert(Later<super::cmd::cert::Cert>),
    /// Handle one message by the configuration, from standard input to standard output: for pipe(8), procmail, sieve
    Filter(Later<super::cmd::filter::Filter>),
    /// Take a message as sendmail does, handle it by the configuration, and hand it over
    #[command(disable_help_flag = true)]
    Sendmail(Later<super::cmd::sendmail::Sendmail>),
    /// Serve the listeners of the configuration: the milter, SMTP, LMTP, metrics
    Serve(Later<super::cmd::serve::Serve>),
    /// Check the configuration file, and explain what it does with a mail
    #[command(subcommand)]
    Config(super::cmd::config::Config),
    /// Write a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write the manual pages into a directory
    Man {
        /// Where they go
        #[arg(value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
}

/// How much must be known about whether certificates are revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Revocation {
    /// Nothing: CRLs and OCSP responses are not looked at
    Off,
    /// What is known to be revoked is refused
    Soft,
    /// Every certificate of a path must be known not to be revoked
    Hard,
}

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Classic PEM (RFC 1421): text alone, in the body or as a file
    Pem,
    /// OpenPGP: PGP/MIME, or inline with --inline
    Pgp,
    /// S/MIME
    Smime,
}

/// How RSA keys sign and wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Padding {
    /// PKCS#1 v1.5: every reader knows it
    Pkcs1,
    /// PSS and OAEP
    PssOaep,
}

/// What happens to the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProtectHeaders {
    /// It stays outside, and no signature covers it
    None,
    /// The signature covers it, and all of it stands outside too
    Clear,
    /// Encryption hides Subject, Comments and Keywords
    Baseline,
    /// Encryption hides names and the time zone too
    Shy,
}

/// Options of both sealing verbs.
#[derive(Args, Debug)]
pub(crate) struct Shaping {
    /// The protocol
    #[arg(short, long, value_enum, default_value = "pgp")]
    pub(crate) format: Format,
    /// Sign as this address instead of the author in From
    #[arg(long = "as", value_name = "ADDRESS", conflicts_with = "key")]
    pub(crate) signer: Option<String>,
    /// Sign with this key (fingerprint or key ID); several sign in parallel
    #[arg(long, value_name = "ID")]
    pub(crate) key: Vec<String>,
    /// As text in the body instead of MIME parts: for readers that know no PGP/MIME
    #[arg(long)]
    pub(crate) inline: bool,
    /// Signed so that nothing can be read without software: one block with --inline, one part with -f smime
    #[arg(long)]
    pub(crate) opaque: bool,
    /// What of the header is protected (RFC 9788) [default: clear when signing, baseline when encrypting; none with --inline and -f pem]
    #[arg(long, value_enum)]
    pub(crate) protect_headers: Option<ProtectHeaders>,
    /// How RSA keys sign and wrap, with -f smime
    #[arg(long, value_enum, default_value = "pkcs1")]
    pub(crate) padding: Padding,
    /// The digest of the signature [default: by key]
    #[arg(long, value_name = "NAME")]
    pub(crate) digest: Option<String>,
    /// Cut the result into message/partial pieces of at most this size: OUT.1, OUT.2, ...
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "output")]
    pub(crate) split: Option<usize>,
    #[command(flatten)]
    pub(crate) draft: Draft,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// A message made of a text.
#[derive(Args, Debug)]
pub(crate) struct Draft {
    /// The input is a text and no mail message: make a message of it, with --from, --to and --subject
    #[arg(long, requires = "from")]
    pub(crate) text: bool,
    /// Who writes the text: ADDRESS or "Name <ADDRESS>"
    #[arg(long, value_name = "MAILBOX", requires = "text")]
    pub(crate) from: Option<String>,
    /// The subject of the text
    #[arg(long, value_name = "WORDS", requires = "text")]
    pub(crate) subject: Option<String>,
}

/// One message in, one out.
#[derive(Args, Debug)]
pub(crate) struct Files {
    /// Where the result goes; appears whole or not at all [default: standard output]
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// The message [default: standard input]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) input: Option<PathBuf>,
}

/// Sign a mail message. The header survives; Content-* fields move into the signed part. Anything else is refused, unless --text makes a message of it.
#[derive(Args, Debug)]
pub(crate) struct Sign {
    /// To whom a text goes; may be given several times
    #[arg(long, value_name = "ADDRESS", requires = "text")]
    pub(crate) to: Vec<String>,
    #[command(flatten)]
    pub(crate) shaping: Shaping,
}

/// Encrypt a mail message. Anything else is refused, unless --text makes a message of it; and so is a message that is already encrypted,
/// unless --keep or --again says what becomes of it.
#[derive(Args, Debug)]
pub(crate) struct Encrypt {
    /// A recipient
    #[arg(long, value_name = "ADDRESS", num_args = 1..)]
    pub(crate) to: Vec<String>,
    /// A recipient who is not named in the message
    #[arg(long, value_name = "ADDRESS", num_args = 1..)]
    pub(crate) hidden_to: Vec<String>,
    /// Encrypt to each passphrase of --passphrase-file too
    #[arg(long)]
    pub(crate) password: bool,
    /// Sign too
    #[arg(long)]
    pub(crate) sign: bool,
    /// A signed message within an encrypted one (RFC 3156, section 6.1), instead of both in one
    #[arg(long, requires = "sign", conflicts_with_all = ["inline", "opaque"])]
    pub(crate) nested: bool,
    /// Signed, encrypted, and signed again (RFC 2634), with -f smime
    #[arg(long, requires = "sign", conflicts_with_all = ["inline", "nested", "opaque"])]
    pub(crate) triple: bool,
    /// Authenticate what is encrypted even where not every recipient is known to read that, with -f smime
    #[arg(long)]
    pub(crate) aead: bool,
    /// The cipher [default: what all recipients prefer]
    #[arg(long, value_name = "NAME")]
    pub(crate) cipher: Option<String>,
    /// Repeat what is hidden of the header in the text, for readers that do not know RFC 9788
    #[arg(long, conflicts_with = "inline")]
    pub(crate) legacy_display: bool,
    /// Encrypt even what is already encrypted
    #[arg(long)]
    pub(crate) again: bool,
    /// Pass an already encrypted message on unchanged, to any readers it has
    #[arg(long, conflicts_with = "again")]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) shaping: Shaping,
}

/// Decrypt a message, or the message/partial pieces of one.
#[derive(Args, Debug)]
pub(crate) struct Decrypt {
    /// Open sealed parts and blocks that stand beside other text or in attached messages too, each in its place; the verdict says nothing of who wrote them
    #[arg(long)]
    pub(crate) parts: bool,
    /// The verdict as one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Where the result goes; appears whole or not at all [default: standard output]
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// The message, or all pieces of it in any order [default: standard input]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) input: Vec<PathBuf>,
}

/// Verify messages; message/partial pieces are put together first, in any order.
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// The standing that is good enough
    #[arg(long, value_enum, default_value = "authentic")]
    pub(crate) require: Require,
    /// One JSON object a message, one line each
    #[arg(long)]
    pub(crate) json: bool,
    /// The messages [default: standard input]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) input: Vec<PathBuf>,
}

/// What `verify` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Require {
    /// The author shown vouches for the whole message
    Authentic,
    /// Somebody vouches for the whole message
    Signed,
}

/// Inspect a message: nothing is verified or decrypted.
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// Canonical forms.
#[derive(Args, Debug)]
pub(crate) struct Canon {
    /// Whose rules
    #[arg(long, value_enum)]
    pub(crate) form: Form,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// Canonical forms that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// The text that PEM signs: CRLF, and nothing else (RFC 1421, section 4.3.2.2)
    Pem,
    /// The MIME part that PGP/MIME signs: 7-bit, CRLF, no trailing white space (RFC 3156)
    Pgp,
    /// The MIME part that S/MIME signs: the same, so that no relay changes it (RFC 8551, section 3.1)
    Smime,
}

/// Digests.
#[derive(Args, Debug)]
pub(crate) struct Digest {
    #[arg(short, long, value_name = "NAME", help = digests())]
    pub(crate) algorithm: String,
    /// Of the canonical form instead of the file as it is
    #[arg(long, value_enum)]
    pub(crate) form: Option<Form>,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// The names of the digests, as they may be given.
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

    /// clap checks this in debug builds, and only for the verbs that are described: here, all of them are.
    #[test]
    fn the_whole_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    /// tests/verbs.rs reads the help, which shows what is not hidden.
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
