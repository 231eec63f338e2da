//! `config init`: a configuration that works, and what is left to do.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use clap::{Args, ValueEnum, ValueHint};
use postseal::{
    base::{Error, Kind, Result},
    mail::Address,
};
use rustix::system::uname;

use super::place;
use crate::cli::{
    ask,
    cmd::sendmail::User,
    output::{Output, Privacy},
    session::Session,
    show,
};

/// Init. What is not given is asked for at a terminal, or has a default.
#[derive(Args, Debug)]
pub(crate) struct Init {
    /// What the configuration is for
    #[arg(value_enum, value_name = "FOR")]
    purpose: Option<Purpose>,
    /// The domain of your addresses [default: of the host]
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// The name of this host [default: as Postfix or the system has it]
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Where postseal listens [default: systemd:milter for postfix, 127.0.0.1:1587 for submission]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The provider's server, for submission: HOST:PORT
    #[arg(long, value_name = "HOST:PORT")]
    upstream: Option<String>,
    /// The program that gets the mail, for sendmail [default: /usr/sbin/sendmail]
    #[arg(long, value_name = "PROGRAM", value_hint = ValueHint::ExecutablePath)]
    program: Option<String>,
    /// The address that your mail comes from, for sendmail [default: USER@HOSTNAME]
    #[arg(long = "as", value_name = "ADDRESS")]
    signer: Option<String>,
    /// The file to write, which must not exist, or be that of a package as it was installed [default: $POSTSEAL_CONFIG, or
    /// /etc/postseal/postseal.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
}

/// What a configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Purpose {
    /// A milter: the mail of a whole mail server
    Postfix,
    /// In the place of sendmail: mail of cron, php and scripts
    Sendmail,
    /// Between mail programs and the provider's server
    Submission,
}

/// Writes the file, and prints what is left to do.
pub(super) fn run(what: &Init, session: &Session) -> Result<ExitCode> {
    let file = place::path(what.output.as_deref());
    let is_shown = file.as_os_str() == "-";
    if !is_shown && file.exists() && !is_of_package(&file) {
        return Err(Error::new(Kind::CannotCreate, format!("{}: exists already", file.display()))
            .with_hint("-o FILE writes another file"));
    }
    let purpose = purpose(what.purpose)?;
    let values = values(purpose, what, session)?;
    let (settings, steps) = match purpose {
        Purpose::Postfix => (include_str!("init/postfix.toml"), include_str!("init/postfix.txt")),
        Purpose::Sendmail => (include_str!("init/sendmail.toml"), include_str!("init/sendmail.txt")),
        Purpose::Submission => (include_str!("init/submission.toml"), include_str!("init/submission.txt")),
    };
    let settings = filled(settings, &values.iter().map(|(name, value)| (*name, quoted(value))).collect());
    if let Some(folder) = file.parent().filter(|folder| !is_shown && !folder.as_os_str().is_empty() && !folder.exists())
    {
        fs::create_dir(folder)
            .map_err(|error| Error::new(Kind::CannotCreate, Error::io(folder.display(), &error).to_string()))?;
    }
    let mut output = Output::create(Some(&file), &[], Privacy::Umask)?;
    output.write_all(settings.as_bytes()).map_err(|error| Error::io("output", &error))?;
    output.commit()?;
    let place = if is_shown { "postseal.toml".to_owned() } else { file.display().to_string() };
    let written = if is_shown { String::new() } else { format!("{place} is written\n") };
    let steps = filled(steps, &values.into_iter().chain([("file", place)]).collect());
    show::aside(&(written + &steps));
    Ok(ExitCode::SUCCESS)
}

/// Whether a file is the one that the packages install, which has nothing of the administrator's.
fn is_of_package(file: &Path) -> bool {
    fs::read(file).is_ok_and(|content| content == include_bytes!("../../../../packaging/postseal.toml"))
}

/// The purpose that is given, or chosen at the terminal.
fn purpose(given: Option<Purpose>) -> Result<Purpose> {
    let name = |purpose: &Purpose| purpose.to_possible_value().map(|value| value.get_name().to_owned());
    let names: Vec<String> = Purpose::value_variants().iter().filter_map(name).collect();
    if let Some(given) = given {
        return Ok(given);
    }
    let typed = ask::line(&format!("for what ({})", names.join(", ")), names.first().map(String::as_str))?.ok_or_else(
        || Error::usage("config init: for what is not given").with_hint(format!("one of {}", names.join(", "))),
    )?;
    Purpose::from_str(&typed, true).map_err(|_| Error::usage(format!("{typed:?}: not one of {}", names.join(", "))))
}

/// What the templates name, by its name there.
fn values(purpose: Purpose, what: &Init, session: &Session) -> Result<BTreeMap<&'static str, String>> {
    for (name, given, only) in [
        ("--upstream", what.upstream.is_some(), Purpose::Submission),
        ("--program", what.program.is_some(), Purpose::Sendmail),
        ("--as", what.signer.is_some(), Purpose::Sendmail),
    ] {
        if given && purpose != only {
            return Err(Error::usage(format!("{name}: not for this purpose")));
        }
    }
    if what.listen.is_some() && purpose == Purpose::Sendmail {
        return Err(Error::usage("--listen: not for this purpose"));
    }
    let known = host();
    let hostname =
        answer("--hostname", "name of this host", what.hostname.as_ref(), known.filter(|name| is_host(name)))?;
    require_host("--hostname", &hostname)?;
    let parent = hostname.split_once('.').map(|(_, parent)| parent).filter(|parent| parent.contains('.'));
    let usual = parent.unwrap_or(&hostname).to_owned();
    let domain = answer("--domain", "domain of your addresses", what.domain.as_ref(), Some(usual))?;
    require_host("--domain", &domain)?;
    let home = match (session.given_home(), purpose) {
        (Some(home), _) => home.to_path_buf(),
        (None, Purpose::Postfix) => PathBuf::from(SERVICE_HOME),
        (None, _) => session.home_directory()?,
    };
    let home = home.to_str().ok_or_else(|| Error::usage("--home: not UTF-8"))?.to_owned();
    let mut values = BTreeMap::from([("authserv", format!("postseal.{hostname}")), ("home", home)]);
    match purpose {
        Purpose::Postfix => {
            let address = what.listen.clone().unwrap_or_else(|| "systemd:milter".to_owned());
            values.insert("milter", milter(&address));
            values.insert("address", address);
        }
        Purpose::Sendmail => {
            let user = User::of_this_process()?.name;
            let usual = format!("{user}@{hostname}");
            let signer = answer("--as", "address that the mail comes from", what.signer.as_ref(), Some(usual))?;
            Address::parse(&signer).map_err(|error| Error::usage(format!("--as: {error}")))?;
            let program = what.program.clone().unwrap_or_else(|| "/usr/sbin/sendmail".to_owned());
            values.extend([("user", user), ("address", signer), ("program", program)]);
        }
        Purpose::Submission => {
            let upstream = answer("--upstream", "the provider's server, HOST:PORT", what.upstream.as_ref(), None)?;
            let is_here = ["127.", "[::1]", "localhost"].iter().any(|start| upstream.starts_with(start));
            values.insert("tls", if is_here { "none" } else { "required" }.to_owned());
            values.insert("upstream", upstream);
            values.insert("address", what.listen.clone().unwrap_or_else(|| "127.0.0.1:1587".to_owned()));
        }
    }
    values.extend([("hostname", hostname), ("domain", domain)]);
    Ok(values)
}

/// What the option has, or what is typed, or the usual value.
fn answer(option: &str, question: &str, given: Option<&String>, usual: Option<String>) -> Result<String> {
    if let Some(given) = given {
        return Ok(given.clone());
    }
    ask::line(question, usual.as_deref())?.or(usual).ok_or_else(|| Error::usage(format!("{option}: is not given")))
}

/// The name of this host: Postfix knows it best.
fn host() -> Option<String> {
    let postfix = Command::new("postconf").args(["-h", "myhostname"]).stderr(Stdio::null()).output().ok();
    let postfix = postfix.filter(|output| output.status.success());
    let postfix = postfix.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    postfix.or_else(|| uname().nodename().to_str().ok().map(str::to_owned))
}

fn is_host(name: &str) -> bool {
    name.contains('.') && Address::parse(&format!("postmaster@{name}")).is_ok()
}

fn require_host(option: &str, name: &str) -> Result<()> {
    let why = || Error::usage(format!("{option}: {name:?} is not the name of a host with its domain"));
    if is_host(name) { Ok(()) } else { Err(why()) }
}

/// The listener as Postfix names it. The socket unit of the package puts the milter below Postfix's queue.
fn milter(address: &str) -> String {
    match address {
        "systemd:milter" => "unix:postseal/milter".to_owned(),
        other if other.starts_with("unix:") => other.to_owned(),
        other => format!("inet:{other}"),
    }
}

/// The template with each `{name}` replaced.
fn filled(template: &str, values: &BTreeMap<&str, String>) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// As a TOML string.
fn quoted(value: &str) -> String {
    let escaped: String = value
        .chars()
        .map(|character| match character {
            '"' | '\\' => format!("\\{character}"),
            control if control.is_control() => format!("\\u{:04x}", u32::from(control)),
            other => other.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}

/// The home of the service, as the packaged unit has it.
const SERVICE_HOME: &str = "/var/lib/postseal";
