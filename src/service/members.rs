//! Changes of the members of lists, in the audit log of the home.

use std::{fmt, sync::Arc, time::SystemTime};

use serde_json::json;

use crate::{
    audit::Event,
    base::Result,
    mail::Address,
    policy::{Carried, Command, Lists, Member, Members, Membership, Request},
    store::Keystore,
};

/// Members whose changes are recorded.
struct RecordedMembers {
    list: Address,
    within: Members,
    home: Arc<Keystore>,
}

/// The same lists: what people change by mail is recorded in `home`, where that has a log.
pub(super) fn recorded(lists: Lists, home: &Arc<Keystore>) -> Lists {
    lists.over(|list| {
        let within = list.members.clone();
        Members(Arc::new(RecordedMembers { list: list.address.clone(), within, home: Arc::clone(home) }))
    })
}

impl Membership for RecordedMembers {
    fn read(&self) -> Result<Arc<[Member]>> {
        self.within.0.read()
    }

    fn takes_requests(&self) -> bool {
        self.within.0.takes_requests()
    }

    fn carry_out(&self, request: &Request, now: SystemTime) -> Result<Carried> {
        let carried = self.within.0.carry_out(request, now)?;
        let is_change = matches!(request.command, Command::Subscribe | Command::Unsubscribe);
        if carried == Carried::Done && is_change {
            let keys: Vec<&str> = request.signatures.iter().map(|(key, _)| key.as_str()).collect();
            let fact = json!({
                "list": self.list.to_string(),
                "member": request.author.to_string(),
                "command": request.command.name(),
                "signed_by": keys,
            });
            // It is done, and must not be said to be not.
            if let Err(error) = self.home.record_other(Event::Members, fact) {
                tracing::error!(event = "audit-failed", list = %self.list, %error);
            }
        }
        Ok(carried)
    }
}

impl fmt::Debug for RecordedMembers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.within.fmt(f)
    }
}
