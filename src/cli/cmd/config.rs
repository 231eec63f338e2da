//! `config init`, `config check`, `config diff`, `config explain`, `config test` and `config user`.

mod diff;
mod init;
mod place;
mod test;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand, ValueHint};
use postseal::{
    base::{Error, Kind, Result, SystemRandom},
    config::{self, Grade, Loaded, Owner, Problem, Tenancy, Tenant},
    engine::Engine,
    mail::{Address, Envelope, ForwardPath, Login, Mail, Message, ReversePath, Submitter, address},
    service::TokenProbe,
    token::ProbeLogin,
};

pub(crate) use place::{given, path};

use crate::cli::{hint::words, input, later::Later, passphrase, session::Session, show};

/// Verbs of `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Write a configuration that works, and say what is left to do
    Init(Later<init::Init>),
    /// Check the configuration: rules, files, addresses, and keys that are missing or expire within 30 days
    Check(Later<Check>),
    /// Explain what would happen to a message: the rule that decides, why earlier rules do not, the keys used
    Explain(Later<Explain>),
    /// Compare two configurations: which mails of a log would be decided otherwise. Exit status 1: some would
    Diff(Later<diff::Diff>),
    /// Decide the cases of a file, and say which are not decided as the file says. Exit status 1: some are not
    Test(Later<test::Test>),
    /// Write a line for a users file; the password is the first line of --passphrase-file, or typed
    User(Later<User>),
}

/// A user.
#[derive(Args, Debug)]
pub(crate) struct User {
    /// The login name
    #[arg(value_name = "NAME")]
    name: String,
}

/// Check.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The configuration [default: $POSTSEAL_CONFIG, or /etc/postseal/postseal.toml]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Check the file, the rules and the keys of this tenant alone
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

/// Explain.
#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// The envelope sender, and the author when no message is given; <> is the null sender
    #[arg(value_name = "FROM")]
    from: String,
    /// The recipients, separated by commas
    #[arg(value_name = "TO")]
    to: String,
    /// The message [default: a short one from FROM to TO]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    message: Option<PathBuf>,
    /// The configuration [default: $POSTSEAL_CONFIG, or /etc/postseal/postseal.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Submitted by a client that logged in with this name [default: a login that may sign as FROM, or none]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["trusted", "unknown"])]
    user: Option<String>,
    /// Submitted by a client in a trusted network
    #[arg(long, conflicts_with = "unknown")]
    trusted: bool,
    /// Received from an unknown client
    #[arg(long)]
    unknown: bool,
    /// As this tenant decides [default: the tenants of the addresses]
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Print JSON, one line for each tenant
    #[arg(long)]
    json: bool,
}

/// Runs one verb of `config`.
pub(crate) fn run(what: &Config, session: &Session) -> Result<ExitCode> {
    match what {
        Config::Init(Later(init)) => init::run(init, session),
        Config::Check(Later(check)) => self::check(check, session),
        Config::Explain(Later(explain)) => self::explain(explain, session),
        Config::Diff(Later(diff)) => diff::run(diff),
        Config::Test(Later(test)) => test::run(test, session),
        Config::User(Later(User { name })) => {
            let passphrase = passphrase::new("config user", "the user", "", session)?;
            show::data(&(config::user_line(name, &passphrase, &SystemRandom)? + "\n"))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(what: &Check, session: &Session) -> Result<ExitCode> {
    let path = path(what.file.as_deref());
    let Loaded { config, problems } = config::read(&path)?;
    let mut checked = Vec::new();
    let is_wanted = |tenant: &&Tenant| what.tenant.as_ref().is_none_or(|name| *name == tenant.name);
    let tenants: Vec<Tenant> = config.iter().flat_map(|config| &config.tenants).filter(is_wanted).cloned().collect();
    match (&what.tenant, &config) {
        (Some(name), Some(config)) if tenants.is_empty() => drop(config.of_tenant(name)?),
        (Some(_), Some(_)) => {}
        _ => checked.push(Checked::new(path, config.as_ref(), problems, session)?),
    }
    for tenant in tenants {
        let config = tenant.config().ok();
        checked.push(Checked::new(tenant.file.clone(), config, tenant.problems.clone(), session)?);
    }
    show::data(&checked.iter().map(Checked::text).collect::<String>())?;
    let is_good = checked.iter().all(|one| one.count(Grade::Error) == 0);
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(show::exit_code(Kind::Config)) })
}

/// A file and its problems.
struct Checked {
    path: PathBuf,
    rules: usize,
    problems: Vec<Problem>,
}

impl Checked {
    /// With the problems of what the file names, where it can be used.
    fn new(
        path: PathBuf,
        config: Option<&config::Config>,
        mut problems: Vec<Problem>,
        session: &Session,
    ) -> Result<Checked> {
        let mut rules = 0;
        if let Some(config) = config {
            rules = config.policy.rules.len();
            let found = session.configured(config).and_then(|session| config::check(config, session.context()?));
            problems.extend(found.unwrap_or_else(|error| {
                let hint = error.hint().cloned();
                vec![Problem { line: 0, grade: Grade::Error, message: error.to_string(), hint }]
            }));
            // A token that is not there may be there when the service asks.
            problems.extend(TokenProbe::new(&config.tokens, ProbeLogin::IfUntried).ask().into_iter().map(|error| {
                Problem {
                    line: 0,
                    grade: if error.kind() == Kind::TryAgain { Grade::Warning } else { Grade::Error },
                    message: error.to_string(),
                    hint: error.hint().cloned(),
                }
            }));
            problems.sort_by_key(|problem| problem.line);
        }
        Ok(Checked { path, rules, problems })
    }

    fn count(&self, grade: Grade) -> usize {
        self.problems.iter().filter(|problem| problem.grade == grade).count()
    }

    fn text(&self) -> String {
        let lines: String = self.problems.iter().map(|problem| line(&self.path, problem)).collect();
        let (errors, warnings) = (self.count(Grade::Error), self.count(Grade::Warning));
        format!("{lines}{}: {} rules, {errors} errors, {warnings} warnings\n", self.path.display(), self.rules)
    }
}

/// `postseal.toml:12: error: ...`; without a number when no line is at fault.
fn line(path: &Path, problem: &Problem) -> String {
    let hint = problem.hint.as_ref().map(|hint| format!("  hint: {}\n", words(hint))).unwrap_or_default();
    let text = problem.to_string();
    let text = text.strip_prefix("0: ").map_or_else(|| text.clone(), |rest| format!(" {rest}"));
    format!("{}:{text}\n{hint}", path.display())
}

fn explain(what: &Explain, session: &Session) -> Result<ExitCode> {
    let service = config::load(&path(what.config.as_deref()))?;
    let tenancy = Tenancy::of(&service);
    let of_service = session.configured(&service)?;
    let sender = if what.from == "<>" { None } else { Some(input::address(&what.from)?) };
    let to = address::list(&what.to).map_err(|error| Error::usage(error.to_string()))?;
    let recipients: Vec<ForwardPath> =
        to.into_iter().map(|to| ForwardPath { address: to.address, parameters: Vec::new() }).collect();
    let message = match &what.message {
        Some(file) => input::message(Some(file), &mut of_service.budget())?,
        None => written(sender.as_ref(), &recipients, &of_service)?,
    };
    let named = what.tenant.as_deref().map(|name| service.of_tenant(name)).transpose()?;
    let submitter = match (&what.user, what.trusted, what.unknown) {
        (Some(name), ..) => Submitter::Authenticated(login(name)?),
        (None, true, _) => Submitter::Trusted,
        (None, false, true) => Submitter::Unknown,
        (None, false, false) => {
            let of_sender = sender.as_ref().and_then(|sender| tenancy.owner(sender)).unwrap_or(Owner::Rest);
            let config = named.map_or_else(|| service.of_owner(of_sender), Ok)?;
            config::likely_submitter(&config.policy, sender.as_ref())
        }
    };
    let sender = ReversePath { address: sender, parameters: Vec::new() };
    let mail = Mail { envelope: Envelope { sender, recipients }, submitter, client: None, message };
    let mut parts: Vec<(&config::Config, Mail)> = Vec::new();
    match (named, tenancy.sender(&mail)) {
        (Some(config), _) => parts.push((config, mail)),
        (None, Ok(Some(owner))) => parts.push((service.of_owner(owner)?, mail)),
        (None, Ok(None)) => {
            for (owner, recipients) in tenancy.recipients(&mail) {
                let envelope = Envelope { sender: mail.envelope.sender.clone(), recipients };
                let part =
                    Mail { envelope, submitter: mail.submitter.clone(), client: None, message: mail.message.clone() };
                parts.push((service.of_owner(owner)?, part));
            }
        }
        (None, Err(error)) => return Err(error),
    }
    let mut text = String::new();
    for (config, mail) in parts {
        let session = session.configured(config)?.fetching_as_configured();
        let engine = Engine::new(session.context()?, config.bounds.message.clone());
        let mut explanation = config::explain(config, &engine, &mail)?;
        explanation.hand_on(config, &tenancy);
        if what.json {
            let json = serde_json::to_string(&explanation)
                .map_err(|error| Error::new(Kind::Io, format!("explanation: {error}")))?;
            text += &(json + "\n");
        } else {
            text += &explanation.text();
        }
    }
    show::data(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn login(name: &str) -> Result<Login> {
    Login::new(name).ok_or_else(|| Error::usage(format!("user {name:?}: not a login name")))
}

/// A short message from the sender to the recipients.
fn written(from: Option<&Address>, to: &[ForwardPath], session: &Session) -> Result<Message> {
    let from = from.map_or_else(|| "postmaster@localhost.invalid".to_owned(), ToString::to_string);
    let to: Vec<String> = to.iter().map(|path| path.address.to_string()).collect();
    let text = format!("From: {from}\r\nTo: {}\r\nSubject: \r\n\r\n\r\n", to.join(",\r\n "));
    Message::parse(text.into_bytes(), &mut session.budget())
}
