//! `list check` and `list post`.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, Subcommand, ValueHint};
use postseal::{
    base::{Error, Kind, Result},
    config::{self, Config},
    engine::Engine,
    mail::{Address, Envelope, ForwardPath, Mail, Message, ReversePath, Submitter},
    policy::List as MailingList,
    service::{self, ApprovingHandler},
    transport::{HandingOver, Measured, Quarantine, SessionId},
};

use crate::cli::{input, later::Later, log, session::Session, show};

/// Verbs of `list`.
#[derive(Debug, Subcommand)]
pub(crate) enum List {
    /// Show what each member of a mailing list would get now, with the keys, and what is missing
    Check(Later<Check>),
    /// Post a message that was held to its mailing list, and remove it from the quarantine
    Post(Later<Post>),
}

/// Check.
#[derive(Args, Debug)]
pub(crate) struct Check {
    #[command(flatten)]
    which: Which,
}

/// Post.
#[derive(Args, Debug)]
pub(crate) struct Post {
    #[command(flatten)]
    which: Which,
    /// The message, as `quarantine list` names it [default: a message on standard input, which the mail server holds]
    #[arg(value_name = "ID")]
    id: Option<String>,
}

/// One list.
#[derive(Args, Debug)]
pub(crate) struct Which {
    /// The list: its address, or the part before the @
    #[arg(value_name = "NAME")]
    name: String,
    /// The configuration [default: $POSTSEAL_CONFIG, or /etc/postseal/postseal.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
}

/// Runs one verb of `list`.
pub(crate) fn run(what: &List, session: &Session) -> Result<ExitCode> {
    match what {
        List::Check(Later(Check { which })) => {
            let config = which.configuration()?;
            let session = session.configured(&config)?;
            let engine = Engine::new(session.context()?, config.bounds.message.clone());
            show::data(&config::check_list(&config.policy, &engine, &which.name)?)?;
        }
        List::Post(Later(Post { which, id })) => post(which, id.as_deref(), session)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Which {
    /// That of the tenant who has the list, if one does.
    fn configuration(&self) -> Result<Config> {
        let config = config::load(&super::config::path(self.config.as_deref()))?;
        let has_list = |config: &&Config| config::list_named(&config.policy, &self.name).is_ok();
        let of_tenants = config.tenants.iter().filter_map(|tenant| tenant.config().ok());
        let found: Vec<&Config> = std::iter::once(&config).chain(of_tenants).filter(has_list).collect();
        match found.as_slice() {
            [] => Ok(config),
            [only] => Ok((*only).clone()),
            several => {
                let names = several.iter().map(|config| config.tenant.as_deref().unwrap_or("no tenant"));
                let what = format!(
                    "list {:?}: more than one has this name: of {}",
                    self.name,
                    names.collect::<Vec<_>>().join(", ")
                );
                Err(Error::new(Kind::NoInput, what).with_hint("name it by its address"))
            }
        }
    }
}

fn post(which: &Which, id: Option<&str>, session: &Session) -> Result<()> {
    let config = which.configuration()?;
    log::start_for_message(&config.log);
    let list = config::list_named(&config.policy, &which.name)?;
    let environment = session.configured(&config)?.environment()?;
    let (clock, random) = (Arc::clone(&environment.clock), Arc::clone(&environment.random));
    let approving = ApprovingHandler::new(&config, &environment, &list.address)?;
    let handler = Measured::new(Arc::new(approving), Arc::default(), "list");
    let next_hop = service::release_next_hop(&config, &random)?;
    let quarantine = service::quarantine(&config, &clock, &random)?;
    let copies = HandingOver {
        handler: &handler,
        next_hop: &next_hop,
        quarantine: quarantine.as_ref(),
        bounces: None,
        name: "list",
        session: &SessionId::new(&*random)?,
    };
    let deliver = |mail: Mail| copies.deliver(mail, 1);
    let notes = match (id, &quarantine) {
        (Some(id), Some(quarantine)) => held(quarantine, id, list, &config, deliver)?,
        (Some(_), None) => return Err(Error::new(Kind::Config, "no quarantine is configured")),
        (None, _) => {
            let sender = ReversePath { address: Some(list.owner()), parameters: Vec::new() };
            deliver(mail(list, sender, input::received(&config.bounds.message)?))?
        }
    };
    show::data(&notes.iter().map(|note| format!("{note}\n")).collect::<String>())
}

/// Posts a message of the quarantine. It stays there unless all was sent.
fn held(
    quarantine: &Quarantine,
    id: &str,
    list: &MailingList,
    config: &Config,
    deliver: impl FnOnce(Mail) -> Result<Vec<String>>,
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    quarantine.release(id, &config.bounds.message, |held: &Mail| {
        let is_list = |path: &ForwardPath| is_same(&path.address, &list.address);
        if !held.envelope.recipients.iter().all(is_list) {
            return Err(Error::new(Kind::NoInput, format!("{id}: is not held for {} alone", list.name())));
        }
        notes = deliver(mail(list, held.envelope.sender.clone(), held.message.clone()))?;
        Ok(())
    })?;
    Ok(notes)
}

fn mail(list: &MailingList, sender: ReversePath, message: Message) -> Mail {
    let recipients = vec![ForwardPath { address: list.address.clone(), parameters: Vec::new() }];
    Mail { envelope: Envelope { sender, recipients }, submitter: Submitter::Host, client: None, message }
}

fn is_same(one: &Address, other: &Address) -> bool {
    one.to_string().eq_ignore_ascii_case(&other.to_string())
}
