//! The configuration: one TOML file. What it does not know is an error, with the line and the nearest known name; secrets stand in it
//! only by reference.

mod check;
mod explain;
mod load;
mod rules;
mod secret;
mod table;
mod users;

use std::{env, fmt, fs, net::SocketAddr, path::PathBuf};

pub use check::check;
pub use explain::{Explanation, PassedOver, Reached, explain};
pub use load::{Loaded, load, read};
pub use secret::{SecretFrom, credentials_directory};
pub use users::{Users, user_line};

use crate::{
    base::{Error, Kind, Limits, Result},
    crypto::Legacy,
    mail::Address,
    pki::Revocation,
    policy::Policy,
    transport::{Endpoint, Network, sendmail::Program, smtp::Aliases},
};

/// Everything that the file says, valid. Paths are absolute, or relative to where the program runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where keys are kept.
    pub home: PathBuf,
    /// What unlocks them: one passphrase a line.
    pub passphrases: Option<SecretFrom>,
    /// This host's name: the authserv-id of RFC 8601, and what SMTP greets with.
    pub hostname: String,
    /// The authserv-ids of other hosts whose Authentication-Results fields stay (RFC 8601, section 5).
    pub authserv_ids: Vec<String>,
    /// What makes a loop marker one of ours; shared by all programs that handle the same mail.
    pub marker: Option<SecretFrom>,
    /// How much must be known about whether certificates are revoked.
    pub revocation: Revocation,
    /// Whether weak and broken algorithms count.
    pub legacy: Legacy,
    /// Rules, identities, local domains.
    pub policy: Policy,
    /// Clients whose mail counts as our users'.
    pub trusted: Vec<Network>,
    /// Clients that may say for whom they speak (XCLIENT, XFORWARD).
    pub peers: Vec<Network>,
    /// What VRFY and EXPN tell, where a listener does.
    pub aliases: Aliases,
    /// What `serve` listens on.
    pub listeners: Vec<Listener>,
    /// Where mail goes on.
    pub upstream: Option<Upstream>,
    /// The program to which `sendmail` hands over; without one it speaks to the upstream.
    pub sendmail: Option<Program>,
    /// Where held messages go.
    pub quarantine: Option<PathBuf>,
    /// How much of what is taken on.
    pub bounds: Bounds,
    /// How events are written.
    pub log: Log,
    /// Where metrics and health are read.
    pub metrics: Option<SocketAddr>,
    /// What a check looks at beyond the file itself.
    mentions: Vec<Mention>,
}

impl Config {
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

/// One address that mail comes in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// What is spoken there.
    pub kind: ListenerKind,
    /// Where.
    pub endpoint: Endpoint,
    /// How it is protected.
    pub tls: Tls,
    /// How clients log in.
    pub auth: Auth,
    /// What VRFY and EXPN tell.
    pub vrfy: Vrfy,
    /// Whether recipients of a milter's message that need copies of their own get them; otherwise it is refused for now.
    pub copies: Copies,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerKind {
    /// LMTP (RFC 2033), one reply a recipient.
    Lmtp,
    /// The milter protocol.
    Milter,
    /// SMTP before the queue.
    Submission,
}

/// Where a server is reached.
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
    /// Whether what goes there stays on this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Server::Named(name, _) => name == "localhost",
            Server::Tcp(address) => address.ip().is_loopback(),
            Server::Unix(_) => true,
        }
    }
}

/// How a connection is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// From the first octet (RFC 8314), by this certificate chain and private key, PEM files.
    Implicit(Identity),
    /// Not.
    None,
    /// On STARTTLS (RFC 3207).
    Starttls(Identity),
}

/// Who a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// How clients log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// By this file of [`Users`].
    Here(PathBuf),
    /// They do not.
    None,
    /// AUTH is passed on to the upstream, which says who they are.
    Relay,
}

/// What VRFY and EXPN tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vrfy {
    /// The aliases, to clients that are known.
    Aliases,
    /// Nothing.
    Refuse,
}

/// What a milter does when recipients need different copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// Takes them out of the message and submits their copies upstream.
    Submit,
    /// Refuses the message for now.
    Tempfail,
}

/// Where mail goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// To the hosts that the recipients' domains name (RFC 5321, section 5.1).
    Mx,
    /// To this one, always.
    SmartHost {
        /// Where it is.
        server: Server,
        /// How the connection is protected.
        security: Security,
        /// As whom we log in there.
        account: Option<Account>,
        /// Whether it is told whose mail each is.
        xforward: Xforward,
    },
}

/// Whether the upstream is told by XFORWARD which client a mail is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xforward {
    /// It is not.
    Off,
    /// It is, where it announces XFORWARD.
    On,
}

/// As whom we log in at a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The authentication identity (RFC 4616).
    pub name: String,
    /// What proves it.
    pub password: SecretFrom,
}

/// How a connection that we make is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not.
    None,
    /// By STARTTLS where it is offered.
    Opportunistic,
    /// By STARTTLS with a certificate that names the host, or not at all.
    Required,
}

/// How much of what is taken on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// What one message may cost.
    pub message: Limits,
    /// Recipients of one message. Source: the 1,000 of Postfix's `smtpd_recipient_limit`.
    pub recipients: usize,
    /// Connections at once.
    pub connections: usize,
    /// Messages worked on at once.
    pub work: usize,
    /// Octets of memory that messages take, all together: while they come in, are worked on, and go on.
    pub memory: usize,
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// What is written.
    pub level: Level,
    /// In which form.
    pub form: LogForm,
}

/// From which severity on events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Everything.
    Debug,
    /// What failed.
    Error,
    /// Each message.
    Info,
    /// What an administrator should look at.
    Warning,
}

/// The form of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// One JSON object a line.
    Json,
    /// One line of words.
    Text,
}

/// Something wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the file, counted from 1.
    pub line: usize,
    /// How bad.
    pub grade: Grade,
    /// One lower-case line.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// The configuration is not used.
    Error,
    /// It is used, and somebody should look at it.
    Warning,
}

/// Something that the file names and that lies outside it.
#[derive(Clone, Debug)]
struct Mention {
    line: usize,
    what: What,
}

/// What is named.
#[derive(Clone, Debug)]
enum What {
    /// A directory that must be there.
    Directory(PathBuf),
    /// A file that must be readable.
    File(PathBuf),
    /// A certificate and a key that must belong together.
    Identity(Identity),
    /// Somebody whom a rule encrypts to.
    Reader(Address),
    /// A secret that must be readable, and by nobody else.
    Secret(SecretFrom),
    /// Somebody who is signed as.
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
