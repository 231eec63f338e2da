//! The configuration: one TOML file. An unknown key is an error with its line and the nearest known name. Secrets are only referenced.
//!
//! ```
//! use postseal::config;
//!
//! # fn main() -> postseal::base::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("postseal.toml");
//! std::fs::write(&path, r#"
//! home = "/var/lib/postseal"
//! hostname = "mail.example.org"
//! local-domains = ["example.org"]
//!
//! [[rule]]
//! name = "partners get encrypted mail"
//! recipient = "partner.example"
//! action = "sign+encrypt"
//! protocol = "pgp"
//! "#).unwrap();
//! let config = config::load(&path)?;
//! assert_eq!(config.policy.rules[0].name, "partners get encrypted mail");
//! # Ok(())
//! # }
//! ```

mod acme;
mod audit;
mod cases;
mod check;
mod directory;
mod discovery;
mod explain;
mod forwards;
mod isolation;
mod key_uses;
mod list_check;
mod listeners;
mod lists;
mod load;
mod mailboxes;
mod member_changes;
mod members;
mod notice;
mod page;
mod provisioning;
mod rate_limits;
mod reader;
mod rules;
mod secret;
mod table;
mod templates;
mod tenancy;
mod tenants;
mod texts;
mod tokens;
mod users;

use std::{
    env, fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

pub use acme::{Acme, ChallengeProof};
pub use audit::{Audit, Decisions};
pub use cases::{Case, CaseResult, Decided, cases, likely_submitter};
pub use check::check;
pub use explain::{Explanation, PassedOver, Reached, SentOn, explain};
pub use isolation::Isolation;
pub use list_check::{check_list, list_named};
pub use load::{Loaded, load, load_from, read};
pub use provisioning::Provisioning;
pub use secret::{SecretFrom, authorities_of_environment, credentials_directory};
pub use templates::{Bounces, Templates};
pub use tenancy::{Owner, Tenancy};
pub use tenants::Tenant;
pub use texts::Texts;
pub use tokens::Token;
pub use users::{Users, user_line};

use crate::{
    base::{Error, Hint, Kind, Limits, Network, Result},
    crypto::Legacy,
    discover::{RevocationFetch, Settings},
    keys::{Reach, UseLimits},
    mail::{Address, address::Mailbox},
    pki::Revocation,
    policy::{Aliases, Members, Mode, PageTexts, Policy, QuantumSafety},
    transport::{Endpoint, NoticeTo, RateLimit, sendmail::Program, smtp::BareLf},
};

/// A valid configuration. Paths are absolute, or relative to the current directory.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where keys are, in the order in which they are asked; one home at most.
    pub keys: Vec<KeySource>,
    /// Tokens with private keys that the home names.
    pub tokens: Vec<Token>,
    /// The passphrases for the keys, one per line.
    pub passphrases: Option<SecretFrom>,
    /// The name of this host, in SMTP greetings and in Received fields.
    pub hostname: String,
    /// The name that this service writes into Authentication-Results (RFC 8601, section 2.5).
    pub authserv_id: String,
    /// The authserv-ids of other hosts whose Authentication-Results fields stay (RFC 8601, section 5).
    pub authserv_ids: Vec<String>,
    /// The secret for the marker of handled copies, shared by all services that handle the same mail.
    pub marker: Option<SecretFrom>,
    /// Whether certificates must have a known revocation status.
    pub revocation: Revocation,
    /// Whether weak and broken algorithms count.
    pub legacy: Legacy,
    /// Which sources on the network are asked for keys, where a rule says so, and from where the status of certificates is fetched.
    pub discovery: Settings,
    /// Where the password of the directory is ([`Settings::directory`]).
    pub directory_password: Option<SecretFrom>,
    /// Rules, identities, local domains.
    pub policy: Policy,
    /// Trusted networks: clients there need not log in.
    pub trusted: Vec<Network>,
    /// Clients that may name another client (XCLIENT, XFORWARD).
    pub peers: Vec<Network>,
    /// The aliases that VRFY and EXPN show, if a listener allows it. Those of one address are in the policy too
    /// ([`Mailboxes`](crate::policy::Mailboxes)).
    pub aliases: Aliases,
    /// How far the processes of `serve` are apart.
    pub isolation: Isolation,
    /// How often secret keys may be used for mail.
    pub key_uses: UseLimits,
    /// The place of its file.
    pub path: PathBuf,
    /// The texts that it was read from.
    pub texts: Texts,
    /// The listeners of `serve`.
    pub listeners: Vec<Listener>,
    /// The next server for mail.
    pub upstream: Option<Upstream>,
    /// The program that `sendmail` hands mail over to; without one, `upstream` gets it.
    pub sendmail: Option<Program>,
    /// The directory for held messages.
    pub quarantine: Option<PathBuf>,
    /// Notices of held messages.
    pub notice: Option<Notice>,
    /// Whether senders are notified of recipients who get nothing while others do.
    pub bounces: Bounces,
    /// The texts of mail that is sent by itself, where no other table has them.
    pub templates: Templates,
    /// Notices of keys that end soon.
    pub expiry_notice: Option<ExpiryNotice>,
    /// What pages say to recipients without a key.
    pub page: PageTexts,
    /// The keys that local users without one get when they first send mail; `None`: they get none.
    pub provisioning: Option<Provisioning>,
    /// What the audit log gets; `None`: what the home records by itself.
    pub audit: Option<Audit>,
    /// Where certificates are got; `None`: nowhere.
    pub acme: Option<Acme>,
    /// Limits.
    pub bounds: Bounds,
    /// How much mail a sender may send in a while.
    pub rate_limits: Vec<RateLimit>,
    /// Level and form of the log.
    pub log: Log,
    /// The address of the metrics page and the health check.
    pub metrics: Option<SocketAddr>,
    /// Domains with a home, rules and administrators of their own.
    pub tenants: Vec<Tenant>,
    /// The tenant that this is the configuration of; `None`: the rest.
    pub tenant: Option<String>,
    /// What [`check`] looks at beyond the file itself.
    mentions: Vec<Mention>,
}

/// Notices of held messages.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The file with the text.
    pub template: PathBuf,
    /// The author.
    pub from: Mailbox,
    /// Who gets them.
    pub to: NoticeTo,
}

/// Notices of keys that end soon.
#[derive(Clone, Debug)]
pub struct ExpiryNotice {
    /// The file with the text; `None`: a text of ours.
    pub template: Option<PathBuf>,
    /// The author.
    pub from: Mailbox,
    /// Who gets those of all keys.
    pub administrators: Vec<Address>,
    /// Whether the owner of a key in a local domain gets those of that key.
    pub owners: Owners,
}

/// Whether owners of keys get notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// They get none.
    NotTold,
    /// Those with local addresses get them.
    Told,
}

/// What the template of a notice of a key may name.
pub const EXPIRY_PLACEHOLDERS: &[&str] = &["address", "date", "days", "key", "protocol"];

/// A place with keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySource {
    /// Certificates and keys in a file, read once. OpenPGP certificates are trusted for their own user IDs, as with `--keys`.
    File(PathBuf),
    /// A home; learned capabilities are stored there.
    Home(PathBuf, Presence),
}

/// Whether a home that is not there is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is empty: the first write makes it.
    Optional,
    /// It is an error: its file system may not be mounted, and no mail may be refused or sent on as if there were no keys.
    Required,
}

impl Config {
    /// Where a rule asks the network for keys, or known keys are refreshed: whom.
    ///
    /// # Errors
    ///
    /// As [`Config::sources`].
    pub fn network(&self) -> Result<Option<Settings>> {
        let asks = self.policy.rules.iter().any(|rule| rule.search.reach == Reach::Network);
        (asks || self.discovery.refresh.is_some()).then(|| self.sources()).transpose()
    }

    /// The sources on the network, with the password of the directory.
    ///
    /// # Errors
    ///
    /// `Config`: the password cannot be read.
    pub fn sources(&self) -> Result<Settings> {
        let mut settings = self.discovery.clone();
        if let (Some(directory), Some(password)) = (&mut settings.directory, &self.directory_password) {
            directory.password = Some(password.read()?);
        }
        Ok(settings)
    }

    /// Where the status of certificates is fetched from: how.
    pub fn status_settings(&self) -> Option<&Settings> {
        (self.discovery.revocation_fetch != RevocationFetch::Off).then_some(&self.discovery)
    }

    /// Whether nothing is done with any mail.
    pub fn is_log_only(&self) -> bool {
        self.policy.mode == Mode::LogOnly
    }

    /// The home, if there is one among the places with keys.
    pub fn home(&self) -> Option<&Path> {
        self.keys.iter().find_map(|source| match source {
            KeySource::Home(place, _) => Some(place.as_path()),
            KeySource::File(_) => None,
        })
    }

    /// The program in `[sendmail]`.
    ///
    /// # Errors
    ///
    /// `Config`: it is the running program itself, which would call itself without end.
    pub fn sendmail_program(&self) -> Result<Option<&Program>> {
        let Some(program) = &self.sendmail else { return Ok(None) };
        let own = env::current_exe().ok().and_then(|path| fs::canonicalize(path).ok());
        if own.is_some() && own == fs::canonicalize(&program.path).ok() {
            return Err(Error::new(Kind::Config, format!("{}: is postseal itself", program.path.display()))
                .with_hint("[sendmail] program names the sendmail of the mail server"));
        }
        Ok(Some(program))
    }
}

/// A listening address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The protocol.
    pub kind: ListenerKind,
    /// The address.
    pub endpoint: Endpoint,
    /// TLS.
    pub tls: Tls,
    /// How clients log in.
    pub auth: Auth,
    /// Whether clients that are not known may submit.
    pub strangers: Strangers,
    /// Whether VRFY and EXPN are enabled.
    pub vrfy: Vrfy,
    /// What is done about lines that end in LF alone.
    pub bare_lf: BareLf,
    /// What a milter does when recipients need different copies.
    pub copies: Copies,
}

/// The protocol of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerKind {
    /// LMTP (RFC 2033), one reply per recipient.
    Lmtp,
    /// The milter protocol.
    Milter,
    /// SMTP from other mail servers: anybody's mail for local recipients, as on port 25.
    Relay,
    /// SMTP from users (RFC 6409), who log in or are in a trusted network.
    Submission,
}

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// `mail.example.org:25`.
    Named(String, u16),
    /// `192.0.2.1:25`, `[2001:db8::1]:25`.
    Tcp(SocketAddr),
    /// `unix:/run/postseal/upstream`.
    Unix(PathBuf),
}

impl Server {
    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Server::Named(name, _) => name == "localhost",
            Server::Tcp(address) => address.ip().is_loopback(),
            Server::Unix(_) => true,
        }
    }
}

/// TLS of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// TLS from the first octet (RFC 8314).
    Implicit(Identity),
    /// No TLS.
    None,
    /// STARTTLS (RFC 3207).
    Starttls(Identity),
}

/// The files of a server's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate chain in PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
}

/// How clients log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// With the users in this file, see [`Users`].
    Here(PathBuf),
    /// No login.
    None,
    /// The next server checks the password.
    Relay,
    /// A peer has checked that the envelope sender is the address of the user who logged in there.
    Sender,
}

/// Whether a submission listener takes mail for local recipients from clients that are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strangers {
    /// Yes.
    Accept,
    /// No (RFC 6409, section 4.3).
    Refuse,
}

/// Whether VRFY and EXPN are enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vrfy {
    /// They show aliases to known clients.
    Aliases,
    /// They show aliases, and the members of lists too.
    Lists,
    /// They are disabled.
    Refuse,
}

/// What a milter does when recipients need different copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// Removes recipients from the message, and sends their copies to the next hop.
    Submit,
    /// Refuses the message temporarily.
    Tempfail,
}

/// The next server for mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// The mail servers of the recipients' domains (RFC 5321, section 5.1).
    Mx,
    /// One server for all mail.
    SmartHost {
        /// Its address.
        server: Server,
        /// What it speaks.
        protocol: NextProtocol,
        /// TLS.
        security: Security,
        /// The login there.
        account: Option<Account>,
        /// Whether it is told the client of each mail.
        xforward: Xforward,
    },
}

/// The protocol of the next server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextProtocol {
    /// LMTP (RFC 2033): the server delivers to mailboxes, and replies for each recipient.
    Lmtp,
    /// SMTP.
    Smtp,
}

/// Whether the next server is told the client of each mail by XFORWARD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xforward {
    /// No.
    Off,
    /// Yes, if it supports XFORWARD.
    On,
}

/// The login at a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The authentication identity (RFC 4616).
    pub name: String,
    /// The password.
    pub password: SecretFrom,
}

/// TLS of outgoing connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// No TLS.
    None,
    /// STARTTLS if the server offers it.
    Opportunistic,
    /// STARTTLS with a certificate for the server's name, or no connection.
    Required,
}

/// Limits of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Limits on one message.
    pub message: Limits,
    /// Recipients of one message. Source: the 1,000 of Postfix's `smtpd_recipient_limit`.
    pub recipients: usize,
    /// Connections at once.
    pub connections: usize,
    /// Messages handled at once.
    pub work: usize,
    /// Octets of memory for all messages while they are received, handled and sent.
    pub memory: usize,
}

/// Level, form and place of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least severe level that is logged.
    pub level: Level,
    /// The form of a line.
    pub form: LogForm,
    /// The socket of the system log, for programs that run for one message. The service writes to standard error.
    pub syslog: PathBuf,
}

/// A log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Everything.
    Debug,
    /// Failures.
    Error,
    /// Each message.
    Info,
    /// What an administrator should check.
    Warning,
}

/// The form of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// One JSON object a line.
    Json,
    /// logfmt: `event=NAME key=value`.
    Text,
}

/// A problem with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1.
    pub line: usize,
    /// The severity.
    pub grade: Grade,
    /// The problem in one lower-case line.
    pub message: String,
    /// A remedy.
    pub hint: Option<Hint>,
}

/// The severity of a [`Problem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// The configuration is not used.
    Error,
    /// The configuration is used, but should be checked.
    Warning,
}

/// Something outside the file that the file names.
#[derive(Clone, Debug)]
struct Mention {
    line: usize,
    what: What,
}

/// What is named.
#[derive(Clone, Debug)]
enum What {
    /// A directory that must exist.
    Directory(PathBuf),
    /// A file that must be readable.
    File(PathBuf),
    /// A certificate and its key.
    Identity(Identity),
    /// The members of a list.
    Members(Members),
    /// An address that a rule encrypts to.
    Reader(Address, QuantumSafety),
    /// A secret that only its owner can read.
    Secret(SecretFrom),
    /// The template of automatic mail, with the placeholders that it may have.
    Template(PathBuf, &'static [&'static str]),
    /// An address that is signed for.
    Signer(Address),
    /// A file of [`Users`].
    Users(PathBuf),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grade = match self.grade {
            Grade::Error => "error",
            Grade::Warning => "warning",
        };
        write!(f, "{}: {grade}: {}", self.line, self.message)
    }
}
