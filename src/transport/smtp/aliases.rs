//! VRFY and EXPN (RFC 5321, section 3.5): only what the configuration has aliases for is told, and to nobody who is not known.

use std::collections::BTreeMap;

use super::{Reply, session::Session};
use crate::mail::Address;

/// Names, in lower case, and who is behind each.
pub type Aliases = BTreeMap<String, Vec<Address>>;

impl Session<'_> {
    /// Who is behind an alias for one.
    pub(super) fn verify(&self, name: &str) -> Result<Reply, Reply> {
        match self.behind(name)? {
            Some([one]) => Ok(told([one])),
            // RFC 5321, sections 3.5.3 and 7.3: neither yes nor no.
            Some(_) => Ok(Reply::new(252, "2.1.5", "a list; EXPN tells it")),
            None => Ok(Reply::new(252, "2.5.0", "send, and see")),
        }
    }

    /// Who is behind an alias for any number.
    pub(super) fn expand(&self, name: &str) -> Result<Reply, Reply> {
        match self.behind(name)? {
            Some(people) => Ok(told(people)),
            None => Err(Reply::new(550, "5.1.1", "no such list")),
        }
    }

    fn behind(&self, name: &str) -> Result<Option<&[Address]>, Reply> {
        let aliases = self.server.settings.aliases.as_ref().filter(|_| !self.is_stranger());
        let aliases = aliases.ok_or_else(|| Reply::new(502, "5.7.0", "nobody is told here; send, and see"))?;
        let name = name.trim_start_matches('<').trim_end_matches('>').to_lowercase();
        Ok(aliases.get(&name).map(Vec::as_slice))
    }
}

fn told<'a>(people: impl IntoIterator<Item = &'a Address>) -> Reply {
    let lines = people.into_iter().map(|one| format!("<{one}>")).collect();
    Reply { code: 250, status: Some("2.1.5".to_owned()), lines }
}
