//! The quarantine that a configuration describes.

use std::sync::Arc;

use crate::{
    base::{Clock, Random, Result},
    config::Config,
    transport::{Notices, PLACEHOLDERS, Quarantine, Template, Writer},
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
