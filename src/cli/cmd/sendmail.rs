//! `sendmail`, also by the names under which that program is called.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::Arc,
};

use clap::Args;
use postseal::{
    base::{Clock, Error, Random, Result, rfc5322},
    config::{self, Config},
    engine::Handler,
    mail::build::unique,
    service,
    transport::{
        Blocking, HandingOver, SessionId,
        filter::{temporary, try_again},
        sendmail::{Mode, Options, Sendmail as Transport, Speech, Writer},
    },
};

use crate::cli::{log, session::Session, show};

/// Sendmail. The configuration is $POSTSEAL_CONFIG, or /etc/postseal/postseal.toml.
#[derive(Args, Debug)]
pub(crate) struct Sendmail {
    /// The options of sendmail: -t, -i, -f SENDER, -F NAME, -bs, -bv, ...; and recipients. Options of postseal come before the word sendmail
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

/// Runs the verb. Faults of this machine are temporary errors (exit status 75): the caller keeps the mail.
pub(crate) fn run(what: &Sendmail, session: &Session) -> Result<ExitCode> {
    // No option of sendmail's begins with two hyphens.
    if what.arguments.first().is_some_and(|first| first == "--help") {
        return super::manual::help("sendmail");
    }
    let options = Options::parse(&what.arguments)?;
    let config = config::load(&super::config::path(None)).map_err(try_again)?;
    if options.mode == Mode::Errand {
        return Err(run_real_sendmail(&config, &options));
    }
    // With -bv no mail is sent.
    if options.mode != Mode::Verify {
        log::start_for_message(&config.log);
    }
    let ready = Ready::new(&config, session).map_err(try_again)?;
    ready.carry_out(&options)
}

/// Everything but the message.
struct Ready<'a> {
    config: &'a Config,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    handler: Arc<dyn Handler>,
    next_hop: Blocking,
    user: User,
}

impl Ready<'_> {
    fn new<'a>(config: &'a Config, session: &Session) -> Result<Ready<'a>> {
        let environment = session.configured(config)?.environment()?;
        let (clock, random) = (Arc::clone(&environment.clock), Arc::clone(&environment.random));
        Ok(Ready {
            config,
            handler: service::measured_handler(config, environment, Arc::default(), "sendmail")?,
            next_hop: service::sendmail_next_hop(config, &random)?,
            user: User::of_this_process()?,
            clock,
            random,
        })
    }

    fn carry_out(&self, options: &Options) -> Result<ExitCode> {
        let user = &self.user;
        let writer = Writer {
            user: &user.name,
            full_name: options.full_name.as_deref().or(user.full_name.as_deref()),
            domain: &self.config.hostname,
            date: rfc5322(self.clock.now()),
            unique: unique(&*self.random)?,
        };
        let session = &SessionId::new(&*self.random)?;
        let _within = session.span("sendmail").entered();
        let limits = &self.config.bounds.message;
        let quarantine = service::quarantine(self.config, &self.clock, &self.random).map_err(try_again)?;
        let bounces = service::bounces(self.config, &self.clock, &self.random).map_err(try_again)?;
        let (handler, next_hop) = (&*self.handler, &self.next_hop);
        let copies = HandingOver {
            handler,
            next_hop,
            quarantine: quarantine.as_ref(),
            bounces: bounces.as_ref(),
            name: "sendmail",
            session,
        };
        let transport = Transport { copies, writer, limits };
        match options.mode {
            Mode::Verify => show::data(&lines(&transport.verify(options).map_err(temporary)?))?,
            Mode::Smtp => transport.converse(&mut io::stdin().lock(), &mut io::stdout().lock()).map_err(temporary)?,
            Mode::Deliver | Mode::Errand => {
                let notes = transport.send(options, &mut io::stdin().lock()).map_err(temporary)?;
                if options.speech == Speech::Verbose {
                    show::data(&lines(&notes))?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{}\n", postseal::report::printable(line))).collect()
}

/// Runs the real sendmail in place of this process: it has the queue, the aliases and the daemon. The command line is built anew, and there is
/// no standard input, because some programs send what they read there in a mode that they do not know. Returns only on failure.
fn run_real_sendmail(config: &Config, options: &Options) -> Error {
    match config.sendmail_program() {
        Err(error) => error,
        Ok(None) => Error::usage("only the real sendmail can do that").with_hint("[sendmail] program = ..."),
        Ok(Some(program)) => {
            let mut command = Command::new(&program.path);
            let error = command.args(&program.arguments).args(options.errand()).stdin(Stdio::null()).exec();
            Error::io(program.path.display(), &error)
        }
    }
}

/// The calling user.
pub(crate) struct User {
    /// The login name.
    pub(crate) name: String,
    full_name: Option<String>,
}

impl User {
    /// The user of the real user ID. The environment is not trusted.
    pub(crate) fn of_this_process() -> Result<Self> {
        let id = rustix::process::getuid().as_raw();
        let known = fs::read_to_string("/etc/passwd").ok().and_then(|text| Self::find(&text, id));
        // Users of a directory service.
        known.or_else(|| Self::from_directory(id)).ok_or_else(|| Error::unavailable(format!("user {id}: has no name")))
    }

    fn find(passwd: &str, id: u32) -> Option<Self> {
        let entry = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let entry = entry.into_iter().find(|entry| entry.get(2).and_then(|own| own.parse().ok()) == Some(id))?;
        let name = (*entry.first()?).to_owned();
        // The first field of GECOS, in which & is the login name (passwd(5)).
        let gecos = entry.get(4).and_then(|gecos| gecos.split(',').next()).unwrap_or_default().replace('&', &name);
        Some(User { name, full_name: Some(gecos).filter(|gecos| !gecos.is_empty()) })
    }

    fn from_directory(id: u32) -> Option<Self> {
        let output = Command::new("/usr/bin/getent").args(["passwd", &id.to_string()]).output().ok()?;
        Self::find(&String::from_utf8(output.stdout).ok()?, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_sendmail_select_the_verb() {
        let of = |line: &str| -> Vec<String> {
            let typed = line.split(' ').map(OsString::from);
            arguments(typed).into_iter().map(|argument| argument.into_string().unwrap()).collect()
        };
        assert_eq!(of("/usr/sbin/sendmail -t"), ["/usr/sbin/sendmail", "sendmail", "-t"]);
        assert_eq!(of("mailq"), ["mailq", "sendmail", "-bp"]);
        assert_eq!(of("postseal sendmail -t"), ["postseal", "sendmail", "-t"]);
    }

    #[test]
    fn user_names_are_read_from_passwd() {
        let passwd = "root:x:0:0:&:/:/bin/sh\nal:x:12:1:Al B,,,:/:/bin/sh\nx:x:13\n";
        let of = |id| User::find(passwd, id).map(|user| (user.name, user.full_name));
        assert_eq!(of(0), Some(("root".to_owned(), Some("root".to_owned()))));
        assert_eq!(of(12), Some(("al".to_owned(), Some("Al B".to_owned()))));
        assert_eq!(of(13), Some(("x".to_owned(), None)));
        assert_eq!(of(14), None);
    }
}
