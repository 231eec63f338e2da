//! `sendmail`, and whatever this program is called when it is installed in that one's place.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use clap::Args;
use postseal::{
    base::{Clock, Error, Kind, Result, SystemClock, SystemRandom, rfc5322},
    config::{self, Config},
    mail::build::unique,
    transport::sendmail::{Mode, Onward, Options, Program, Sendmail as Transport, Speech, Writer},
};

use crate::cli::{session::Session, show};

/// Sendmail. The configuration is $POSTSEAL_CONFIG, or /etc/postseal/postseal.toml.
#[derive(Args, Debug)]
pub(crate) struct Sendmail {
    /// The options of sendmail: -t, -i, -f SENDER, -F NAME, -bs, -bv, ...; and recipients
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// The command line as if the verb had been typed, when the program is called by one of sendmail's names.
pub(crate) fn arguments(typed: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut typed: Vec<OsString> = typed.collect();
    let name = typed.first().and_then(|program| Path::new(program).file_name()).map(OsStr::to_os_string);
    let inserted: &[&str] = match name.as_deref().and_then(OsStr::to_str) {
        Some("sendmail") => &["sendmail"],
        Some("mailq") => &["sendmail", "-bp"],
        Some("newaliases") => &["sendmail", "-bi"],
        _ => return typed,
    };
    typed.splice(1..1, inserted.iter().map(OsString::from));
    typed
}

/// Does it.
pub(crate) fn run(what: &Sendmail, session: &Session) -> Result<ExitCode> {
    let options = Options::parse(&what.arguments)?;
    let config = config::load(&super::config::path(None))?;
    if options.mode == Mode::Errand {
        return Err(passed_on(&config, &options));
    }
    let limits = config.bounds.message.clone();
    let handler = session.configured(&config)?.handler(&config)?;
    let user = User::of_this_process()?;
    let writer = Writer {
        user: &user.name,
        full_name: options.full_name.as_deref().or(user.full_name.as_deref()),
        domain: &config.hostname,
        date: rfc5322(SystemClock.now()),
        unique: unique(&SystemRandom)?,
    };
    let onward = onward(&config)?;
    let transport = Transport { handler: &handler, onward: &*onward, writer, limits: &limits };
    match options.mode {
        Mode::Verify => show::data(&lines(&transport.verify(&options)?))?,
        Mode::Smtp => transport.converse(&mut io::stdin().lock(), &mut io::stdout().lock())?,
        Mode::Deliver | Mode::Errand => {
            let notes = transport.send(&options, &mut io::stdin().lock())?;
            if options.speech == Speech::Verbose {
                show::data(&lines(&notes))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{}\n", postseal::report::printable(line))).collect()
}

/// Who takes mail over, by the configuration.
pub(super) fn onward(config: &Config) -> Result<Box<dyn Onward>> {
    match &config.sendmail {
        Some(program) => Ok(Box::new(not_ourselves(program)?)),
        None if config.upstream.is_some() => Ok(Box::new(super::upstream::waiting(config)?)),
        None => Err(Error::new(Kind::Config, "sendmail: nobody to hand mail over to").with_hint(
            "[upstream] smart-host = \"127.0.0.1:25\", or [sendmail] program = \"/usr/sbin/sendmail.postfix\"",
        )),
    }
}

/// The queue, the aliases and the daemon are the real program's: it takes this one's place, with a command line that is made anew and without a
/// standard input, because some send what they read there in any mode that they do not know. Returns only if it does not.
fn passed_on(config: &Config, options: &Options) -> Error {
    let program = config.sendmail.as_ref().map(not_ourselves);
    match program {
        None => Error::usage("only the real sendmail can do that").with_hint("[sendmail] program = ..."),
        Some(Err(error)) => error,
        Some(Ok(program)) => {
            let mut command = Command::new(&program.path);
            let error = command.args(&program.arguments).args(options.errand()).stdin(Stdio::null()).exec();
            Error::io(program.path.display(), &error)
        }
    }
}

fn not_ourselves(program: &Program) -> Result<Program> {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let own = env::current_exe().ok().and_then(|path| real(&path));
    if own.is_some() && own == real(&program.path) {
        return Err(Error::new(Kind::Config, format!("{}: is postseal itself", program.path.display()))
            .with_hint("[sendmail] program names the sendmail of the mail server"));
    }
    Ok(program.clone())
}

/// Who called.
struct User {
    name: String,
    full_name: Option<String>,
}

impl User {
    /// By the real user ID, because the environment may say anything.
    fn of_this_process() -> Result<Self> {
        let id = rustix::process::getuid().as_raw();
        let known = fs::read_to_string("/etc/passwd").ok().and_then(|text| Self::find(&text, id));
        // A directory service knows others.
        known.or_else(|| Self::asked(id)).ok_or_else(|| Error::unavailable(format!("user {id}: has no name")))
    }

    fn find(passwd: &str, id: u32) -> Option<Self> {
        let entry = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let entry = entry.into_iter().find(|entry| entry.get(2).and_then(|own| own.parse().ok()) == Some(id))?;
        let name = (*entry.first()?).to_owned();
        // The first field of GECOS, in which & is the login name (passwd(5)).
        let gecos = entry.get(4).and_then(|gecos| gecos.split(',').next()).unwrap_or_default().replace('&', &name);
        Some(User { name, full_name: Some(gecos).filter(|gecos| !gecos.is_empty()) })
    }

    fn asked(id: u32) -> Option<Self> {
        let output = Command::new("/usr/bin/getent").args(["passwd", &id.to_string()]).output().ok()?;
        Self::find(&String::from_utf8(output.stdout).ok()?, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_called_sendmail_is_sendmail() {
        let of = |line: &str| -> Vec<String> {
            let typed = line.split(' ').map(OsString::from);
            arguments(typed).into_iter().map(|argument| argument.into_string().unwrap()).collect()
        };
        assert_eq!(of("/usr/sbin/sendmail -t"), ["/usr/sbin/sendmail", "sendmail", "-t"]);
        assert_eq!(of("mailq"), ["mailq", "sendmail", "-bp"]);
        assert_eq!(of("postseal sendmail -t"), ["postseal", "sendmail", "-t"]);
    }

    #[test]
    fn names_come_from_the_list_of_users() {
        let passwd = "root:x:0:0:&:/:/bin/sh\nal:x:12:1:Al B,,,:/:/bin/sh\nx:x:13\n";
        let of = |id| User::find(passwd, id).map(|user| (user.name, user.full_name));
        assert_eq!(of(0), Some(("root".to_owned(), Some("root".to_owned()))));
        assert_eq!(of(12), Some(("al".to_owned(), Some("Al B".to_owned()))));
        assert_eq!(of(13), Some(("x".to_owned(), None)));
        assert_eq!(of(14), None);
    }
}
