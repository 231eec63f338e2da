//! The quarantine that a configuration describes, and the notifications to senders.

use std::sync::Arc;

use crate::{
    base::{Clock, Random, Result},
    config::{self, Config},
    mail::address::mailbox,
    transport::{BOUNCE_PLACEHOLDERS, Bounces, Notices, PLACEHOLDERS, Quarantine, Template, Writer},
};

/// The folder for held messages, with the notices of them; `None` if none is configured.
///
/// # Errors
///
/// `Config`: the template of notices cannot be read, or has an error.
pub fn quarantine(config: &Config, clock: &Arc<dyn Clock>, random: &Arc<dyn Random>) -> Result<Option<Quarantine>> {
    let Some(directory) = &config.quarantine else { return Ok(None) };
    let quarantine = Quarantine::new(directory.clone(), Arc::clone(clock));
    let Some(notice) = &config.notice else { return Ok(Some(quarantine)) };
    Ok(Some(quarantine.with_notices(Notices {
        template: Template::read(&notice.template, PLACEHOLDERS)?,
        to: notice.to.clone(),
        writer: Writer {
            from: notice.from.clone(),
            limits: config.bounds.message.clone(),
            clock: Arc::clone(clock),
            random: Arc::clone(random),
        },
    })))
}

/// What writes notifications to senders whose message went to some recipients only; `None`: the configuration wants none.
///
/// # Errors
///
/// `Config`: the template cannot be read, or has an error.
pub fn bounces(config: &Config, clock: &Arc<dyn Clock>, random: &Arc<dyn Random>) -> Result<Option<Arc<Bounces>>> {
    if config.bounces == config::Bounces::Off {
        return Ok(None);
    }
    let template = config.templates.bounce.as_ref().map(|path| Template::read(path, BOUNCE_PLACEHOLDERS));
    let writer = Writer {
        from: mailbox(&format!("Mail Delivery System <MAILER-DAEMON@{}>", config.hostname))?,
        limits: config.bounds.message.clone(),
        clock: Arc::clone(clock),
        random: Arc::clone(random),
    };
    Ok(Some(Arc::new(Bounces::new(template.transpose()?, writer, &config.hostname)?)))
}
