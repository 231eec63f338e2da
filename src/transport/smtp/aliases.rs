//! VRFY and EXPN (RFC 5321, section 3.5). They answer for configured aliases and lists alone, and to known clients
//! alone.

use super::{Reply, session::Session};
use crate::transport::trace::failure;
use crate::{
    mail::Address,
    policy::{Aliases, Lists},
};

/// What stands for several addresses.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// By name.
    pub aliases: Aliases,
    /// The lists whose members are shown.
    pub lists: Lists,
}

impl Session<'_> {
    /// VRFY: the address of an alias that has one.
    pub(super) fn verify(&self, name: &str) -> Result<Reply, Reply> {
        match self.members("VRFY", name)?.as_deref() {
            Some([one]) => Ok(listed([one])),
            // RFC 5321, sections 3.5.3 and 7.3: neither confirmed nor denied.
            Some(_) => Ok(Reply::new(252, "2.1.5", "Mailing list, use EXPN")),
            None => Ok(Reply::new(252, "2.5.0", "Cannot VRFY user, but will accept message and attempt delivery")),
        }
    }

    /// EXPN: the addresses of an alias.
    pub(super) fn expand(&self, name: &str) -> Result<Reply, Reply> {
        match self.members("EXPN", name)? {
            Some(members) => Ok(listed(&members)),
            None => Err(Reply::new(550, "5.1.1", "No such list")),
        }
    }

    fn members(&self, command: &str, name: &str) -> Result<Option<Vec<Address>>, Reply> {
        let names = self.server.settings.aliases.as_ref().filter(|_| !self.is_untrusted());
        let names = names.ok_or_else(|| Reply::new(502, "5.5.1", format!("{command} command is disabled")))?;
        let name = name.trim_start_matches('<').trim_end_matches('>').to_lowercase();
        if let Some(members) = names.aliases.get(&name) {
            return Ok(Some(members.clone()));
        }
        let Some(list) = Address::parse(&name).ok().and_then(|address| names.lists.of(&address)) else {
            return Ok(None);
        };
        let members = list.members.0.read().map_err(|error| failure(&error))?;
        Ok(Some(members.iter().map(|member| member.address.clone()).collect()))
    }
}

fn listed<'a>(members: impl IntoIterator<Item = &'a Address>) -> Reply {
    let lines = members.into_iter().map(|one| format!("<{one}>")).collect();
    Reply { code: 250, status: Some("2.1.5".to_owned()), lines, server: None }
}
