//! From an outcome to the responses to the MTA, and to the copies that go to the next hop.

use std::collections::HashSet;

use super::{
    edits::{Space, edits},
    transaction::Transaction,
    wire::Response,
};
use crate::{
    engine::Outcome,
    mail::{Address, Mail, Message},
    policy::Disposition,
    transport::{rejection::policy_refusal, smtp::Reply},
};

/// What is done with one message.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Mails that differ from the MTA's copy. They go to the next hop before the MTA gets a response.
    pub(super) copies: Vec<Mail>,
    /// The responses to the MTA, the final one last.
    pub(super) replies: Vec<Response>,
}

/// Plans the responses and copies for `outcome`; `old` is the received message.
///
/// The MTA has one copy and one reply for all recipients. If one recipient is refused, nothing is sent to any, and the reply names the
/// recipient. The MTA's copy becomes the one that is held, or else the unchanged one, or else the first.
///
/// # Errors
///
/// The reply that refuses the message.
pub(super) fn plan(transaction: &Transaction, old: &Message, outcome: &Outcome, space: Space) -> Result<Plan, Reply> {
    if let Some(refusal) = policy_refusal(outcome) {
        return Err(refusal);
    }
    let mut copies = outcome.transactions();
    let held = held(outcome);
    let own = match &held {
        Some((_, mail)) => Some(mail.clone()),
        None if copies.is_empty() => None,
        None => {
            let is_of_sender = |copy: &Mail| copy.envelope.sender == transaction.sender;
            let is_same = |copy: &Mail| is_of_sender(copy) && copy.message.octets() == old.octets();
            let place = copies.iter().position(is_same).or_else(|| copies.iter().position(is_of_sender));
            Some(copies.remove(place.unwrap_or_default()))
        }
    };
    let Some(own) = own else {
        return Ok(Plan { copies: Vec::new(), replies: vec![Response::Discard] });
    };
    let mut replies = edits(old, &own.message, space);
    replies.extend(envelope_edits(transaction, &own));
    replies.extend(held.map(|(reason, _)| Response::Quarantine(reason)));
    replies.push(Response::Continue);
    Ok(Plan { copies, replies })
}

/// The first reason for holding, and one mail for all recipients it is held for: it is held unchanged.
fn held(outcome: &Outcome) -> Option<(String, Mail)> {
    let mut held: Option<(String, Mail)> = None;
    for (group, mail) in outcome.copies() {
        let Disposition::Quarantine(reason) = &group.disposition else { continue };
        match &mut held {
            Some((_, whole)) => whole.envelope.recipients.extend(mail.envelope.recipients.iter().cloned()),
            None => held = Some((reason.clone(), mail.clone())),
        }
    }
    held
}

fn envelope_edits(transaction: &Transaction, mail: &Mail) -> Vec<Response> {
    let mut edits = Vec::new();
    let sender = &mail.envelope.sender;
    if *sender != transaction.sender {
        let path = bracketed(sender.address.as_ref());
        edits.push(Response::ChangeFrom { path, parameters: sender.parameters.clone() });
    }
    let staying: HashSet<&Address> = mail.envelope.recipients.iter().map(|path| &path.address).collect();
    let known: HashSet<&Address> = transaction.recipients.iter().map(|(_, path)| &path.address).collect();
    let gone = transaction.recipients.iter().filter(|(_, path)| !staying.contains(&path.address));
    edits.extend(gone.map(|(given, _)| Response::DeleteRecipient(given.clone())));
    edits.extend(mail.envelope.recipients.iter().filter(|path| !known.contains(&path.address)).map(|path| {
        let parameters = path.parameters.clone();
        Response::AddRecipient { path: bracketed(Some(&path.address)), parameters }
    }));
    edits
}

fn bracketed(address: Option<&Address>) -> String {
    address.map_or_else(|| "<>".to_owned(), |address| format!("<{address}>"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Budget, Limits},
        mail::{Envelope, ForwardPath, ReversePath, Submitter},
        policy::{Decision, Direction, Group},
    };

    fn message(body: &str) -> Message {
        Message::parse(format!("A: 1\r\n\r\n{body}").into(), &mut Budget::new(Limits::default())).unwrap()
    }

    fn path(to: &str) -> ForwardPath {
        ForwardPath { address: Address::parse(to).unwrap(), parameters: Vec::new() }
    }

    /// What is told, and for whom there are copies, when each recipient's mail has such a body and such an end; the original is "old".
    fn planned(groups: &[(&str, &str, Disposition)]) -> (Vec<Response>, Vec<String>) {
        let given = |to: &&str| (format!("<{to}>").into_bytes(), path(to));
        let names: Vec<&str> = groups.iter().map(|(to, ..)| *to).filter(|to| !to.starts_with("new")).collect();
        let mut transaction = Transaction::default();
        transaction.recipients = names.iter().map(given).collect();
        let mails = groups.iter().filter(|(.., end)| matches!(end, Disposition::Relay | Disposition::Quarantine(_)));
        let mail = |(to, body, _): &(&str, &str, Disposition)| Mail {
            envelope: Envelope { sender: ReversePath::default(), recipients: vec![path(to)] },
            submitter: Submitter::Unknown,
            client: None,
            message: message(body),
        };
        let group = |(to, _, disposition): &(&str, &str, Disposition)| Group {
            sealing: Default::default(),
            recipients: vec![path(to)],
            origin: Default::default(),
            direction: Direction::Outbound,
            rule: "r".to_owned(),
            obstacle: None,
            cause: None,
            actions: Vec::new(),
            disposition: disposition.clone(),
        };
        let outcome = Outcome {
            mails: mails.map(mail).collect(),
            postings: Vec::new(),
            verdict: Default::default(),
            decision: Decision { groups: groups.iter().map(group).collect(), trials: Vec::new() },
            aliases: Vec::new(),
            joined: Vec::new(),
            keys: Vec::new(),
            notes: Vec::new(),
            unopened: Vec::new(),
            times: Default::default(),
        };
        match plan(&transaction, &message("old"), &outcome, Space::Value) {
            Err(refusal) => (vec![Response::Refuse(refusal)], Vec::new()),
            Ok(plan) => {
                let to = |copy: &Mail| copy.envelope.recipients.iter().map(|path| path.address.to_string()).collect();
                let copies: Vec<Vec<String>> = plan.copies.iter().map(to).collect();
                (plan.replies, copies.iter().map(|to| to.join(" ")).collect())
            }
        }
    }

    fn delete(to: &str) -> Response {
        Response::DeleteRecipient(format!("<{to}>").into_bytes())
    }

    #[test]
    fn the_unchanged_copy_stays_and_the_same_octets_are_one_copy() {
        let relay = Disposition::Relay;
        let groups = [
            ("a@x.org", "sealed", relay.clone()),
            ("b@x.org", "old", relay.clone()),
            ("c@x.org", "sealed", relay.clone()),
            ("d@x.org", "for d", relay),
        ];
        let (replies, copies) = planned(&groups);
        assert_eq!(replies, [delete("a@x.org"), delete("c@x.org"), delete("d@x.org"), Response::Continue]);
        assert_eq!(copies, ["a@x.org c@x.org", "d@x.org"]);
    }

    #[test]
    fn the_first_is_rewritten_when_none_is_unchanged() {
        let (replies, copies) =
            planned(&[("a@x.org", "sealed", Disposition::Relay), ("new@x.org", "sealed", Disposition::Relay)]);
        let added = Response::AddRecipient { path: "<new@x.org>".to_owned(), parameters: Vec::new() };
        assert_eq!(replies, [Response::ReplaceBody(b"sealed".to_vec()), added, Response::Continue]);
        assert!(copies.is_empty());
    }

    #[test]
    fn a_refused_recipient_refuses_the_message() {
        let reject = || Disposition::Reject("no".to_owned());
        let tempfail = || Disposition::Tempfail("wait".to_owned());
        let code = |ends: [Disposition; 2]| {
            let [one, two] = ends;
            match planned(&[("a@x.org", "old", one), ("b@x.org", "old", two)]).0.as_slice() {
                [Response::Refuse(reply)] => reply.code,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(code([Disposition::Relay, reject()]), 550);
        assert_eq!(code([tempfail(), reject()]), 550);
        assert_eq!(code([tempfail(), Disposition::Discard]), 451);
    }

    #[test]
    fn what_is_held_is_the_mtas_own_copy() {
        let held = || Disposition::Quarantine("look".to_owned());
        let groups =
            [("a@x.org", "sealed", Disposition::Relay), ("b@x.org", "old", held()), ("c@x.org", "old", held())];
        let (replies, copies) = planned(&groups);
        assert_eq!(replies, [delete("a@x.org"), Response::Quarantine("look".to_owned()), Response::Continue]);
        assert_eq!(copies, ["a@x.org"]);
    }

    #[test]
    fn a_message_without_copies_is_discarded() {
        assert_eq!(planned(&[("a@x.org", "old", Disposition::Discard)]).0, [Response::Discard]);
        let (replies, _) = planned(&[("a@x.org", "old", Disposition::Discard), ("b@x.org", "old", Disposition::Relay)]);
        assert_eq!(replies, [delete("a@x.org"), Response::Continue]);
    }
}
