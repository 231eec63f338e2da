//! What people ask of a list: which mail is a request, and what it is answered.

use super::{
    Engine, HandlerContext, Posting,
    list::{ForList, is_automatic},
    posting::Asked,
    sent_on::SentOn,
};
use crate::{
    base::Result,
    keys::{Query, Want},
    mail::{Address, Mail, Part, address::Mailbox, compose::Draft},
    policy::{Carried, Command, Disposition, List, ListText, ListTexts, Request, Step},
    verdict::Standing,
};

impl Engine<'_> {
    /// What becomes of a mail for the request address of `list`, if it is a request that may be carried out. Anything else is for the owner.
    ///
    /// The reply is the same in both cases: a sender must not learn whether a key here opened an encrypted mail.
    ///
    /// # Errors
    ///
    /// As [`Handler::handle`](super::Handler::handle).
    pub(super) fn requested(
        &self,
        mail: &ForList<'_>,
        list: &List,
        handler: HandlerContext<'_>,
    ) -> Result<Option<SentOn>> {
        let root = mail.came.message.root();
        if !list.members.0.takes_requests() || mail.came.envelope.sender.address.is_none() || is_never_answered(root) {
            return Ok(None);
        }
        let Ok(found) = self.found(mail, list, handler)? else { return Ok(None) };
        let verdict = &found.verdict;
        let content = found.content.root();
        let Ok(author) = verdict.author() else { return Ok(None) };
        let is_person = handler.policy.lists.of(author).is_none() && !is_role(author);
        if verdict.standing() < Standing::Authentic || !is_person || is_never_answered(content) {
            return Ok(None);
        }
        let command = first_text(content).and_then(|text| Command::read(&text, &list.address));
        let Some(command) = command.filter(|command| list.subscription.permits(*command)) else { return Ok(None) };
        // Without a time it could be sent again by others at any time.
        let signatures = verdict.by_author().map(|one| Some((one.signer.clone()?, one.at?))).collect::<Option<_>>();
        let Some(signatures) = signatures else { return Ok(None) };
        let request = Request { author: author.clone(), command, signatures };
        if !request.is_current(self.context.clock.now()) {
            return Ok(None);
        }
        let mut sent_on = mail.answered_as(list, None, Disposition::Post);
        let id = root.header("Message-ID").filter(|id| is_message_id(id));
        let origin = mail.origin.then(Step::List(list.address.clone()));
        sent_on
            .postings
            .push(Posting::of_request(list, origin, mail.came.message.clone(), Asked { request, id }).into());
        Ok(Some(sent_on))
    }

    /// Carries out a request, and makes the answer; none, if its author has had too many.
    ///
    /// # Errors
    ///
    /// The members cannot be changed now, or the answer cannot be made: the mail is to be sent again.
    pub(super) fn carried_out(
        &self,
        list: &List,
        Asked { request, id }: &Asked,
        texts: &ListTexts,
    ) -> Result<Option<Mail>> {
        let carried = list.members.0.carry_out(request, self.context.clock.now())?;
        let Request { author, command, .. } = request;
        let result = match carried {
            Carried::Already => "already",
            Carried::Before => "before",
            Carried::Done => "done",
            Carried::Fixed => "fixed",
            Carried::TooMany => "too-many",
        };
        tracing::info!(event = "list-command", list = %list.address, %author, command = command.name(), result);
        if carried == Carried::TooMany {
            return Ok(None);
        }
        let from = Mailbox { name: None, address: list.address.clone() };
        let (subject, text) = self.answer(list, *command, carried, texts)?;
        let draft = Draft { from, to: vec![author.clone()], subject: Some(subject) };
        let mut octets = format!("Auto-Submitted: auto-replied\r\nReply-To: {}\r\n", list.request());
        octets.extend(id.iter().map(|id| format!("In-Reply-To: {id}\r\n")));
        let mut octets = octets.into_bytes();
        octets.extend(draft.message(text.as_bytes(), self.context.clock, self.context.random)?);
        let protocol = self.protocol_for(list, author)?;
        self.told(list, author, octets, protocol).map(Some)
    }

    /// The subject and the text of an answer.
    fn answer(&self, list: &List, command: Command, carried: Carried, texts: &ListTexts) -> Result<(String, String)> {
        let which = match (command, carried) {
            (_, Carried::Before) => ListText::DoneBefore,
            (Command::Help, _) => ListText::Help,
            (Command::Key, _) => ListText::Key,
            (Command::Subscribe, Carried::Done) => ListText::Joined,
            (Command::Subscribe, _) => ListText::AlreadyMember,
            (Command::Unsubscribe, Carried::Done) => ListText::Left,
            (Command::Unsubscribe, Carried::Fixed) => ListText::OwnerRemoves,
            (Command::Unsubscribe, _) => ListText::NotMember,
        };
        let keys = if which == ListText::Key { self.keys_of(list)? } else { Vec::new() };
        let permitted = Command::ALL.into_iter().filter(|command| list.subscription.permits(*command));
        let commands = permitted.map(|command| format!("{} {}", command.name(), list.address)).collect();
        let value = |name: &str| match name {
            "command" => command.name().to_owned(),
            "owner" => list.owner().to_string(),
            "request" => list.request().to_string(),
            _ => list.address.to_string(),
        };
        Ok(texts.text(which)?.filled(value, &[("keys", keys), ("commands", commands)]))
    }

    /// The lines of the public keys of the list, as text.
    fn keys_of(&self, list: &List) -> Result<Vec<String>> {
        let mut lines: Vec<String> = Vec::new();
        for protocol in &self.protocols {
            if !list.rule.protocols.contains(&protocol.name()) {
                continue;
            }
            for record in self.context.keys.find(protocol.name(), &Query::manage(Want::Address(&list.address)))? {
                if !record.secrets().is_empty() {
                    lines.extend(protocol.key_text(&record)?.lines().map(str::to_owned));
                }
            }
        }
        Ok(if lines.is_empty() { vec![format!("{} has no key.", list.address)] } else { lines })
    }
}

/// The first part of a message that is a plain text.
fn first_text(part: Part<'_>) -> Option<String> {
    if part.children().len() == 0 {
        return part.content_type().is("text", "plain").then(|| part.text());
    }
    part.children().find_map(first_text)
}

/// Whether the header is that of mail that no program answers (RFC 3834, section 2): of other programs, and of lists.
fn is_never_answered(root: Part<'_>) -> bool {
    let is_bulk = |value: String| ["bulk", "junk", "list"].iter().any(|word| value.trim().eq_ignore_ascii_case(word));
    is_automatic(root) || root.header("List-Id").is_some() || root.header("Precedence").is_some_and(is_bulk)
}

/// Whether the address is one of a program or of the owners of a list, by its name (RFC 3834, section 2).
fn is_role(address: &Address) -> bool {
    let local = address.local().to_ascii_lowercase();
    let is_daemon = ["mailer-daemon", "postmaster", "listserv", "majordomo"].contains(&local.as_str());
    is_daemon
        || local.starts_with("owner-")
        || ["-owner", "-request", "-bounces"].iter().any(|end| local.ends_with(end))
}

/// `<...>` of a few printable characters, for a field of our own.
fn is_message_id(id: &str) -> bool {
    id.starts_with('<') && id.ends_with('>') && id.len() <= 200 && id.bytes().all(|octet| octet.is_ascii_graphic())
}
