//! What handling a mail needs beside the engine.

use crate::{base::Secret, policy::Policy, report::authserv::Believed};

/// The policy of this host, and its name, for one call of [`Engine::handle`](super::Engine::handle).
#[derive(Clone, Copy, Debug)]
pub struct HandlerContext<'a> {
    /// Who gets what.
    pub policy: &'a Policy,
    /// The authserv-id in Authentication-Results, usually the host's name (RFC 8601, section 2.5).
    pub name: &'a str,
    /// The authserv-ids of other hosts whose Authentication-Results fields stay.
    pub authserv_ids: &'a [String],
    /// What makes a mark one of ours: 16 octets or more, shared by all that handle the same mail.
    pub marker: &'a Secret,
}

impl<'a> HandlerContext<'a> {
    /// Whose Authentication-Results fields are believed.
    pub fn believed(&self) -> Believed<'a> {
        Believed { own: self.name, hosts: self.authserv_ids }
    }
}
