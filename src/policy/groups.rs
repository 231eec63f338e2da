//! Recipients put together by what they get.

use std::collections::HashMap;

use super::{
    Action, Decision, Facts, Group, NO_RULE, Origin, Policy, RecipientFacts, Trial,
    ruling::{Ruling, Walk},
};
use crate::{
    keys::{Forms, KeyState, PassphraseFrom},
    mail::ForwardPath,
};

/// Recipients with the same ruling share a group, unless a ciphertext would tell of one who is hidden, or is none that all of them can read.
pub(super) fn group(policy: &Policy, facts: &Facts<'_>, walks: Vec<Walk>) -> Decision {
    let shown = facts.message.shown();
    let mut groups: Vec<Group> = Vec::new();
    // The groups that others may join, by what they get, with the ciphertexts that all in them can read.
    let mut shared: HashMap<Ruling, Vec<(usize, Forms)>> = HashMap::new();
    let mut trials: Vec<Trial> = Vec::new();
    // Recipients whose mail would be decided alike, and is.
    let mut tried: HashMap<(Ruling, Option<usize>), usize> = HashMap::new();
    for (recipient, walk) in facts.recipients.iter().zip(walks) {
        let ruling = walk.ruling;
        if let Some(trial) = walk.trial {
            let place = *tried.entry((trial.clone(), ruling.rule)).or_insert_with(|| {
                let of_nobody = Group { recipients: Vec::new(), ..of(policy, recipient.path.clone(), &trial) };
                trials.push(Trial { group: of_nobody, instead: name(policy, &ruling) });
                trials.len() - 1
            });
            trials.get_mut(place).into_iter().for_each(|one| one.group.recipients.push(recipient.path.clone()));
        }
        let alone = match page(&ruling) {
            // It has its recipient's own passphrase.
            Some(PassphraseFrom::Store) => true,
            // It does not tell how many can read it.
            Some(PassphraseFrom::Message) => false,
            None => encrypts(&ruling) && !shown.contains(&recipient.path.address),
        };
        if alone {
            groups.push(of(policy, recipient.path.clone(), &ruling));
            continue;
        }
        let forms = facts.forms(recipient, &ruling);
        let open =
            shared.get_mut(&ruling).and_then(|open| open.iter_mut().find(|(_, own)| !own.in_common(forms).is_empty()));
        match open {
            Some((place, own)) => {
                *own = own.in_common(forms);
                groups.get_mut(*place).into_iter().for_each(|group| group.recipients.push(recipient.path.clone()));
            }
            None => {
                groups.push(of(policy, recipient.path.clone(), &ruling));
                shared.entry(ruling).or_default().push((groups.len() - 1, forms));
            }
        }
    }
    Decision { groups, trials }
}

impl Facts<'_> {
    /// The ciphertexts that `recipient` can read, as far as what is ruled is one.
    fn forms(&self, recipient: &RecipientFacts, ruling: &Ruling) -> Forms {
        let protocol = ruling.actions.iter().find_map(Action::encrypts_in);
        let key = protocol.and_then(|protocol| self.reading(recipient, &ruling.sealing).get(&protocol));
        key.map_or(Forms::ALL, KeyState::forms)
    }
}

/// One recipient's group.
pub(super) fn of(policy: &Policy, recipient: ForwardPath, ruling: &Ruling) -> Group {
    Group {
        recipients: vec![recipient],
        origin: Origin::default(),
        direction: ruling.direction,
        rule: name(policy, ruling),
        obstacle: ruling.obstacle,
        cause: ruling.cause.clone(),
        actions: ruling.actions.clone(),
        sealing: ruling.sealing.clone(),
        disposition: ruling.disposition.clone(),
    }
}

fn name(policy: &Policy, ruling: &Ruling) -> String {
    let rule = ruling.rule.and_then(|place| policy.rules.get(place));
    rule.map_or_else(|| NO_RULE.to_owned(), |rule| rule.name.clone())
}

fn page(ruling: &Ruling) -> Option<PassphraseFrom> {
    ruling.actions.iter().find_map(|action| match action {
        Action::Page(from) => Some(*from),
        _ => None,
    })
}

fn encrypts(ruling: &Ruling) -> bool {
    ruling.actions.iter().any(Action::encrypts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Budget, Limits},
        keys::{Handle, ProtocolName, Source},
        mail::{Address, Login, Message, Submitter},
        policy::{AlsoTo, Disposition, Obstacle, Order, Pattern, Rule, Wrapping},
        verdict::Standing,
    };

    const OLD: Forms = Forms::one(1);
    const NEW: Forms = Forms::one(2);

    /// What becomes of a mail by alice to these, whose keys read these forms, where a rule encrypts to these too.
    fn decided(to: &[(&str, Forms)], also: &[(AlsoTo, Forms)]) -> Vec<Group> {
        let key = |forms| {
            let key = Handle::from_octets(&[1; 20]);
            let state =
                KeyState::Usable { key, source: Source::Owner, warning: None, note: None, quantum_safe: false, forms };
            std::collections::BTreeMap::from([(ProtocolName::Pgp, state)])
        };
        let mut rule = Rule { name: "one".to_owned(), orders: [Order::Encrypt].into(), ..Rule::default() };
        rule.protocols = vec![ProtocolName::Pgp];
        rule.sealing.also_to = also.iter().map(|(who, _)| who.clone()).collect();
        let (alice, login) = (address("alice"), Login::new("alice").unwrap());
        let own = vec![Pattern::parse("alice@a.example").unwrap()];
        let policy = Policy { identities: [(login.clone(), own)].into(), rules: vec![rule], ..Policy::default() };
        let shown: Vec<String> = to.iter().map(|(who, _)| address(who).to_string()).collect();
        let text = format!("From: {alice}\r\nTo: {}\r\n\r\nbody\r\n", shown.join(", "));
        let reader = |who: &AlsoTo| match who {
            AlsoTo::Address(address) => address.clone(),
            AlsoTo::Author => alice.clone(),
        };
        let recipient = |(who, forms): &(&str, Forms)| RecipientFacts {
            path: ForwardPath { address: address(who), parameters: Vec::new() },
            keys: key(*forms),
            is_reader: false,
            passphrase: None,
        };
        let facts = Facts {
            submitter: &Submitter::Authenticated(login),
            sender: Some(&alice),
            author: Ok(&alice),
            message: &Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap(),
            wrapping: &Wrapping::Plain,
            standing: Standing::Unsigned,
            reason: None,
            signing: Default::default(),
            domain_signing: Default::default(),
            others: also.iter().map(|(who, forms)| (reader(who), key(*forms))).collect(),
            recipients: to.iter().map(recipient).collect(),
        };
        policy.decide(&facts).groups
    }

    fn address(local: &str) -> Address {
        Address::parse(&format!("{local}@a.example")).unwrap()
    }

    fn shared(to: &[(&str, Forms)]) -> Vec<String> {
        let names = |group: &Group| {
            let names: Vec<&str> = group.recipients.iter().map(|path| path.address.local()).collect();
            names.join("+")
        };
        decided(to, &[]).iter().map(names).collect()
    }

    #[test]
    fn those_who_can_read_one_ciphertext_share_it() {
        let both = OLD | NEW;
        assert_eq!(shared(&[("a", both), ("b", Forms::ALL), ("c", both)]), ["a+b+c"]);
        assert_eq!(shared(&[("a", OLD), ("b", NEW), ("c", both), ("d", OLD), ("e", NEW)]), ["a+c+d", "b+e"]);
        // Who came first takes what the next one needs, and no more is shared then.
        assert_eq!(shared(&[("a", both), ("b", NEW), ("c", OLD), ("d", both)]), ["a+b+d", "c"]);
    }

    #[test]
    fn a_reader_that_a_rule_requires_is_never_left_out() {
        let archive = (AlsoTo::Address(address("archive")), OLD);
        let groups = decided(&[("a", NEW), ("b", OLD)], &[archive]);
        let why = "a@a.example: cannot read what archive@a.example can read: their keys are too different";
        assert_eq!(groups[0].disposition, Disposition::Reject(why.to_owned()));
        assert_eq!((groups[0].obstacle, groups[1].obstacle), (Some(Obstacle::MissingKey), None));
    }

    #[test]
    fn the_author_reads_what_they_can() {
        let groups = decided(&[("a", NEW), ("b", OLD)], &[(AlsoTo::Author, OLD)]);
        let readers: Vec<usize> = groups.iter().map(|group| group.sealing.also_to.len()).collect();
        assert_eq!((groups.iter().all(Group::encrypts), readers), (true, vec![0, 1]));
    }
}
