//! Any rules, any forwards, any list: nothing leaves in clear unless the rule, the forward or the list that decides says clear, and each recipient of the
//! envelope, and each member, is accounted for.

use std::{collections::BTreeSet, sync::Arc};

use postseal::{
    engine::{Handler, HandlerConfig, Outcome, ReloadableHandler},
    keys::ProtocolName,
    mail::{Address, Mail, Submitter},
    policy::{
        Direction, Disposition, Forward, Forwards, Gets, List, Lists, MailboxCopy, Obstacle, Order, Otherwise, Policy,
        Posters, Requirement, Resort, ReturnPath, Rule, WithoutKey,
    },
};

use super::{LIST, PLAIN, copies, encrypt, fixed, keys, list, member, sign};
use crate::{
    gateway::rules::{self, one},
    support::{
        change::Dice,
        handler::{address, alice, hook, mail, text},
    },
};

const PEOPLE: [&str; 6] = [
    "alice@example.org",
    "bob@example.net",
    "carol@bank.example",
    "dora@example.net",
    "frank@example.org",
    "dev-owner@example.org",
];

#[test]
fn nothing_leaves_in_clear_unless_the_deciding_rule_or_list_says_so() {
    let mut seen: BTreeSet<&'static str> = BTreeSet::new();
    for number in 0..CASES {
        let mut dice = Dice(7 << 32 | number);
        let (lists, forwards) = (random_list(&mut dice), random_forwards(&mut dice));
        let mut policy = rules::policy(&mut dice);
        if dice.below(2) == 0 {
            policy.rules = vec![Rule { name: "all".to_owned(), orders: [Order::Clear].into(), ..Rule::default() }];
        }
        let policy = Policy { forwards: of(&forwards), lists: only(&lists), ..policy };
        let config = HandlerConfig { policy, keys: Arc::new(keys()), ..HandlerConfig::clone(&hook().config()) };
        let handler = ReloadableHandler::new(config);
        let mail = random_mail(&mut dice);
        let outcome = handler.handle(mail.clone()).unwrap_or_else(|error| panic!("{number}: {error}"));
        let all = Case { number, lists: &lists, forwards: &forwards, handler: &handler };
        all.accounts_for(&mail, &outcome);
        seen.extend(all.judged(&outcome));
    }
    println!("{seen:?}");
    // A test that lets nothing out shows nothing.
    for what in ["rule clear", "forward clear", "forward sealed", "member clear", "member sealed", "posted", "refused"]
    {
        assert!(seen.contains(what), "{what} is not among {seen:?}");
    }
}

struct Case<'a> {
    number: u64,
    lists: &'a List,
    forwards: &'a [Forward],
    handler: &'a ReloadableHandler,
}

impl Case<'_> {
    fn accounts_for(&self, mail: &Mail, outcome: &Outcome) {
        for path in &mail.envelope.recipients {
            let count = outcome.deliveries(&path.address).count();
            assert!(count > 0, "{}: {} is in no group: {:#?}", self.number, path.address, outcome.decision);
        }
        let posts = outcome.decision.groups.iter().filter(|group| group.disposition == Disposition::Post).count();
        assert_eq!(posts.min(1), outcome.postings.len(), "{}: each list once", self.number);
        for posting in &outcome.postings {
            let mut reached: Vec<Address> = posting
                .groups()
                .iter()
                .flat_map(|group| group.recipients.iter().map(|path| path.address.clone()))
                .collect();
            let members = self.lists.members.0.read().unwrap();
            let mut all: Vec<Address> = members.iter().map(|member| member.address.clone()).collect();
            reached.sort_by_key(ToString::to_string);
            all.sort_by_key(ToString::to_string);
            assert_eq!(reached, all, "{}: each member is in exactly one group", self.number);
        }
    }

    fn judged(&self, outcome: &Outcome) -> Vec<&'static str> {
        let mut seen = Vec::new();
        let policy = &self.handler.config().policy;
        for (group, mail) in outcome.copies().filter(|(group, _)| group.disposition == Disposition::Relay) {
            if group.direction == Direction::Inbound {
                continue;
            }
            let is_clear = shows(mail);
            let forward = self.forwards.iter().find(|forward| forward.rule.name == group.rule);
            let rule = policy.rules.iter().find(|rule| rule.name == group.rule);
            let deciding = forward.map(|forward| &forward.rule).or(rule).unwrap_or_else(|| panic!("{group:?}"));
            assert!(
                !is_clear || deciding.says(Order::Clear),
                "{}: {deciding:?} lets it out:\n{}",
                self.number,
                text(mail)
            );
            seen.push(match (is_clear, forward) {
                (true, Some(_)) => "forward clear",
                (false, Some(_)) => "forward sealed",
                (true, None) => "rule clear",
                (false, None) => "rule sealed",
            });
        }
        for posting in &outcome.postings {
            seen.push("posted");
            let made: Vec<Mail> = (0..posting.mails())
                .flat_map(|number| self.handler.copies(posting, number..number + 1).unwrap())
                .collect();
            assert_eq!(made.len(), copies(self.handler, outcome, 3).len(), "in ranges of any size");
            for mail in &made {
                seen.push(self.judged_copy(mail));
            }
        }
        if outcome.refusal().is_some() {
            seen.push("refused");
        }
        seen
    }

    fn judged_copy(&self, mail: &Mail) -> &'static str {
        let [path] = mail.envelope.recipients.as_slice() else { panic!("{:?}", mail.envelope) };
        if !shows(mail) {
            return "member sealed";
        }
        let members = self.lists.members.0.read().unwrap();
        let says_clear = members.iter().filter(|member| member.address == path.address).any(|member| {
            match member.gets.unwrap_or(self.lists.gets) {
                Gets::Clear | Gets::Sign => true,
                Gets::Encrypt => self.lists.without_key == WithoutKey::Clear && !has_key(&path.address),
                Gets::Nothing => false,
            }
        });
        let is_forwarded_in_clear =
            self.forwards.iter().any(|forward| forward.to.contains(&path.address) && forward.rule.says(Order::Clear));
        assert!(says_clear || is_forwarded_in_clear, "{}: {} reads\n{}", self.number, path.address, text(mail));
        "member clear"
    }
}

fn shows(mail: &Mail) -> bool {
    text(mail).contains("the plan")
}

fn has_key(address: &Address) -> bool {
    ["alice@example.org", "bob@example.net", "carol@bank.example"].contains(&address.to_string().as_str())
}

fn random_list(dice: &mut Dice) -> List {
    let gets = [None, None, Some(Gets::Encrypt), Some(Gets::Clear), Some(Gets::Sign), Some(Gets::Nothing)];
    let mut members = Vec::new();
    for person in PEOPLE {
        if dice.below(2) == 0 {
            members.push(member(person, one(dice, &gets)));
        }
    }
    let requires = [Requirement::Authentic, Requirement::Encrypted].into_iter().filter(|_| dice.below(5) == 0);
    List {
        requires: requires.collect(),
        post: one(dice, &[Posters::Anybody, Posters::Anybody, Posters::Members, Posters::Moderators]),
        otherwise: one(dice, &[Otherwise::Hold, Otherwise::Reject]),
        members: fixed(&members),
        gets: one(dice, &[Gets::Encrypt, Gets::Encrypt, Gets::Sign, Gets::Clear]),
        without_key: one(dice, &[WithoutKey::Skip, WithoutKey::Hold, WithoutKey::Clear]),
        ..list()
    }
}

fn random_forwards(dice: &mut Dice) -> Vec<Forward> {
    let orders =
        [&[Order::Encrypt][..], &[Order::Clear], &[Order::Decrypt, Order::Encrypt], &[Order::Decrypt, Order::Clear]];
    let targets = ["bob@example.net", "carol@bank.example", "dora@example.net", LIST];
    let mut all = Vec::new();
    for of in ["alice@example.org", "frank@example.org", "dev-owner@example.org"] {
        if dice.below(2) == 0 {
            continue;
        }
        let rule = Rule {
            name: format!("forward of {of}"),
            orders: one(dice, &orders).iter().copied().collect(),
            protocols: vec![ProtocolName::Pgp, ProtocolName::Smime],
            obstacles: [(Obstacle::AlreadyEncrypted, Resort::Keep)].into(),
            ..Rule::default()
        };
        all.push(Forward {
            of: address(of),
            to: vec![address(one(dice, &targets))],
            mailbox: one(dice, &[MailboxCopy::None, MailboxCopy::Delivered]),
            sender: one(dice, &[ReturnPath::Keep, ReturnPath::Own, ReturnPath::Rewrite]),
            rule,
        });
    }
    all
}

fn of(all: &[Forward]) -> Forwards {
    let mut forwards = Forwards::default();
    all.iter().for_each(|one| drop(forwards.insert(one.clone())));
    forwards
}

fn only(list: &List) -> Lists {
    let mut lists = Lists::default();
    lists.insert(list.clone());
    lists
}

fn random_mail(dice: &mut Dice) -> Mail {
    let message = match dice.below(5) {
        0 => encrypt(&sign(PLAIN), LIST),
        1 => encrypt(PLAIN.as_bytes(), "alice@example.org"),
        2 => sign(PLAIN),
        _ => PLAIN.into(),
    };
    let to = match dice.below(3) {
        0 => vec![LIST, one(dice, &PEOPLE)],
        1 => vec![one(dice, &PEOPLE)],
        _ => vec![LIST],
    };
    let submitter = if dice.below(2) == 0 { alice() } else { Submitter::Unknown };
    mail(submitter, &to, message)
}

/// A few seconds of them.
const CASES: u64 = 400;
