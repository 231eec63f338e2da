//! A post that was held for the moderators of a list, and that they approve.

use super::{
    Engine, HandlerContext, Outcome,
    leg::Made,
    list::{ForList, is_of},
};
use crate::{
    base::{Error, Kind, Result},
    keys::Snapshot,
    mail::Mail,
    policy::{Direction, Disposition, Group, List, Obstacle, Origin, Sealing},
};

impl Engine<'_> {
    /// The same as [`Engine::handle`] for a mail to `list` that its moderators approved: neither the rules nor the list decide whether it may be posted.
    ///
    /// # Errors
    ///
    /// `NoKey`, `Malformed`: no key of the list opens it, or it cannot be read. `Usage`: it went through the list before. Others as
    /// [`Handler::handle`](super::Handler::handle).
    pub fn approve(&self, mail: Mail, list: &List, handler: HandlerContext<'_>) -> Result<Outcome> {
        let keys = Snapshot::new(self.context.keys, self.limits.network);
        self.with_keys(&keys).approve_from_snapshot(mail, list, handler)
    }

    fn approve_from_snapshot(&self, mail: Mail, list: &List, handler: HandlerContext<'_>) -> Result<Outcome> {
        let Some(path) = mail.envelope.recipients.first().cloned() else {
            return Err(Error::usage("envelope: no recipients"));
        };
        let one = Made {
            mail: Some(mail.clone()),
            ..Made::nothing(Group {
                recipients: vec![path.clone()],
                origin: Origin::default(),
                direction: Direction::Inbound,
                rule: list.name(),
                obstacle: None,
                cause: None,
                actions: Vec::new(),
                sealing: Sealing::default(),
                disposition: Disposition::Relay,
            })
        };
        let verdict = self.unopened(&mail);
        let for_list = ForList { came: &mail, verdict: &verdict, one: &one, path: &path, origin: &Origin::default() };
        let refused =
            |obstacle: Obstacle| Error::new(Kind::Malformed, format!("{}: {}", list.name(), obstacle.reply()));
        let found = self.found(&for_list, list, handler)?.map_err(refused)?;
        if !found.is_opened {
            return Err(Error::no_key(format!("{}: no key of the list opens the message", list.name())));
        }
        if [mail.message.root(), found.content.root()].into_iter().any(|root| is_of(list, root)) {
            return Err(Error::usage(format!("{}: the message went through the list before", list.name())));
        }
        let shares = self.shares(list, &list.members.0.read()?, handler.policy)?;
        let is_for_now = |group: &&Group| matches!(group.disposition, Disposition::Tempfail(_));
        if let Some(Group { obstacle: Some(obstacle), .. }) = shares.groups.iter().find(is_for_now) {
            return Err(Error::new(Kind::TryAgain, format!("{}: {}", list.name(), obstacle.reply())));
        }
        let verdict = found.verdict.clone();
        Ok(Outcome::of(self.posted(&for_list, list, found, shares, handler)?, verdict))
    }
}
