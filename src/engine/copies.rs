//! The copies of a post for the members of a list, made as they are sent.

use std::ops::Range;

use super::{
    Engine, HandlerContext, Posting,
    accounting::Times,
    leg::{Leg, Made},
    sent_on::Origins,
};
use crate::{
    base::{Error, Result},
    keys::{ProtocolName, Snapshot},
    mail::{Address, Mail, Message},
    policy::{Action, Disposition, Group, Member},
    protocol::{Recipient, Resolved, Seal, Signer},
};

impl Engine<'_> {
    /// See [`Handler::copies`](super::Handler::copies).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn copies(&self, posting: &Posting, range: Range<usize>, handler: HandlerContext<'_>) -> Result<Vec<Mail>> {
        let keys = Snapshot::new(self.context.keys, self.limits.network);
        self.with_keys(&keys).copies_from_snapshot(posting, range, handler)
    }

    fn copies_from_snapshot(
        &self,
        posting: &Posting,
        range: Range<usize>,
        handler: HandlerContext<'_>,
    ) -> Result<Vec<Mail>> {
        if let Some(asked) = posting.request.as_ref().filter(|_| range.contains(&0)) {
            return Ok(self.carried_out(&posting.list, asked, &handler.policy.lists.texts)?.into_iter().collect());
        }
        let count = posting.copies.len();
        let some = posting.copies.get(range.start.min(count)..range.end.min(count));
        let some = some.ok_or_else(|| missing("a range that ends before it starts"))?;
        let members: Vec<Member> = some.iter().map(|(member, _)| member.clone()).collect();
        let keys = self.member_keys(&posting.list, &members, handler.policy)?;
        let mut mails: Vec<Option<Mail>> = some.iter().map(|_| None).collect();
        let mut unsealed: Vec<(Address, String)> = Vec::new();
        for (place, group) in posting.groups.iter().enumerate() {
            let own: Vec<usize> =
                some.iter().enumerate().filter(|(_, (_, at))| *at == place).map(|(at, _)| at).collect();
            let to: Vec<Address> =
                own.iter().filter_map(|at| members.get(*at)).map(|one| one.address.clone()).collect();
            if to.is_empty() {
                continue;
            }
            let sealing = group.actions.iter().find_map(|action| match action {
                Action::Sign(protocol) | Action::SignAndEncrypt(protocol) => Some(*protocol),
                _ => None,
            });
            let signing = Seal { sign: vec![Signer::Address(posting.list.address.clone())], ..Seal::default() };
            let copies = match sealing {
                None => vec![Ok(posting.clear.octets().to_vec()); to.len()],
                Some(protocol) if group.encrypts() => {
                    let to = to.iter().cloned().map(Recipient::Named).collect();
                    let seal = group.sealing.applied_to(Seal { to, ..signing }, protocol);
                    self.sealed_where_possible(keys.of(protocol)?, protocol, &posting.content, &seal)?
                }
                Some(protocol) => {
                    let seal = group.sealing.applied_to(signing, protocol);
                    let mut octets = Vec::with_capacity(posting.content.octets().len() * 3 / 2);
                    self.seal_with(keys.of(protocol)?, protocol, &posting.content, &seal, &mut octets)?;
                    vec![Ok(octets); to.len()]
                }
            };
            for ((at, to), octets) in own.into_iter().zip(to).zip(copies) {
                let octets = match octets {
                    Ok(octets) => octets,
                    Err(why) => {
                        unsealed.push((to, why));
                        continue;
                    }
                };
                let mail = posting.copy_for(to, self.parsed(posting.addressed(octets, &members, at))?);
                mails.get_mut(at).into_iter().for_each(|place| *place = Some(mail.clone()));
            }
        }
        if mails.iter().filter(|mail| mail.is_none()).count() != unsealed.len() {
            return Err(missing("a member without a group"));
        }
        let mut all = Vec::with_capacity(mails.len());
        for mail in mails.into_iter().flatten() {
            self.follow(mail, posting, handler, &mut all)?;
        }
        all.extend(self.notices(&posting.list, posting.content.root(), &unsealed, &handler.policy.lists.texts)?);
        let after = |at: usize| at.saturating_sub(count).min(posting.notices.len());
        all.extend(posting.notices.get(after(range.start)..after(range.end)).unwrap_or_default().iter().cloned());
        Ok(all)
    }

    /// [`Engine::seal_each`]; why not, for a reader whose key cannot be used after all: it does not concern the others.
    fn sealed_where_possible(
        &self,
        keys: &dyn Resolved,
        protocol: ProtocolName,
        message: &Message,
        how: &Seal,
    ) -> Result<Vec<std::result::Result<Vec<u8>, String>>> {
        match self.seal_each(keys, protocol, message, how) {
            Ok(sealed) => return Ok(sealed.into_iter().map(Ok).collect()),
            Err(error) if !error.is_permanent() => return Err(error),
            Err(_) => {}
        }
        let one = |reader: &Recipient| match self.seal_each(keys, protocol, message, &how.to_one(reader)) {
            Ok(sealed) => sealed.into_iter().next().map(Ok).ok_or_else(|| missing("nothing was sealed")),
            Err(error) if error.is_permanent() => {
                let (Recipient::Named(to) | Recipient::Hidden(to)) = reader;
                tracing::warn!(event = "list-copy-refused", %to, reason = %error);
                Ok(Err(error.to_string()))
            }
            Err(error) => Err(error),
        };
        how.to.iter().map(one).collect()
    }

    /// The copy, or what becomes of it where the member forwards their mail.
    fn follow(&self, mail: Mail, posting: &Posting, handler: HandlerContext<'_>, all: &mut Vec<Mail>) -> Result<()> {
        let goes_on = mail.envelope.recipients.iter().any(|path| handler.policy.onward(&path.address).is_some());
        if !goes_on {
            all.push(mail);
            return Ok(());
        }
        let group = posting.groups.iter().find(|group| group.recipients.first() == mail.envelope.recipients.first());
        let group = group.or(posting.groups.first()).ok_or_else(|| missing("no group"))?;
        let group = Group { recipients: mail.envelope.recipients.clone(), ..group.clone() };
        let made =
            Made { mail: Some(mail.clone()), ..Made::nothing(Group { disposition: Disposition::Relay, ..group }) };
        let verdict = self.unopened(&mail);
        let leg = Leg {
            mail,
            verdict,
            made: vec![made],
            trials: Vec::new(),
            notes: Vec::new(),
            unopened: Vec::new(),
            times: Times::default(),
        };
        let sent_on = self.send_on(leg, &Origins::all(posting.origin.clone()), handler)?;
        for made in sent_on.made {
            match (made.mail, made.group.disposition) {
                (Some(mail), Disposition::Relay) => all.push(mail),
                (_, disposition) => {
                    let to: Vec<String> = made.group.recipients.iter().map(|path| path.address.to_string()).collect();
                    let (origin, reason) = (made.group.origin.to_string(), disposition.reason().map(str::to_owned));
                    tracing::warn!(event = "list-copy-refused", to = to.join(","), origin, reason);
                }
            }
        }
        Ok(())
    }
}

/// An error of a posting that does not have what is asked.
fn missing(what: &str) -> Error {
    Error::unavailable(format!("copies of a post: {what}"))
}
