//! Each obstacle, each direction, each claim in a header, one by one.

use super::*;
use crate::{
    base::{Budget, Limits},
    keys::{Forms, Handle, KeyState, PassphraseFrom, Reach, Source},
    mail::{Login, Message, NoAuthor},
    verdict::Standing,
};

/// A mail by alice, who logged in, to bob; everything is there to seal it.
struct Case {
    author: Result<Address, NoAuthor>,
    keys: BTreeMap<ProtocolName, KeyState>,
    message: Message,
    policy: Policy,
    signing: BTreeMap<ProtocolName, KeyState>,
    submitter: Submitter,
    to: &'static str,
    wrapping: Wrapping,
    passphrase: Option<PassphraseFrom>,
}

impl Case {
    fn new(orders: &[Order]) -> Self {
        let rule = Rule {
            name: "one".to_owned(),
            orders: orders.iter().copied().collect(),
            protocols: vec![ProtocolName::Smime, ProtocolName::Pgp],
            ..Rule::default()
        };
        let last = Rule { name: "last".to_owned(), orders: [Order::Clear].into(), ..Rule::default() };
        let own = vec![Pattern::parse("alice@a.example").unwrap()];
        let text = "From: alice@a.example\r\nTo: bob@b.example\r\nX-Seal: clear\r\n\r\nbody\r\n";
        Case {
            author: Ok(Address::parse("alice@a.example").unwrap()),
            keys: usable(&[ProtocolName::Pgp, ProtocolName::Smime]),
            message: Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap(),
            policy: Policy {
                local: vec![Pattern::parse("a.example").unwrap()],
                identities: [(Login::new("alice").unwrap(), own)].into(),
                rules: vec![rule, last],
                max_size: 1_000,
                ..Policy::default()
            },
            signing: usable(&[ProtocolName::Pgp, ProtocolName::Smime]),
            submitter: Submitter::Authenticated(Login::new("alice").unwrap()),
            to: "bob@b.example",
            wrapping: Wrapping::Plain,
            passphrase: None,
        }
    }

    fn decide(&self) -> Group {
        let path = ForwardPath { address: Address::parse(self.to).unwrap(), parameters: Vec::new() };
        let facts = Facts {
            submitter: &self.submitter,
            sender: None,
            author: self.author.as_ref(),
            message: &self.message,
            wrapping: &self.wrapping,
            standing: Standing::Unsigned,
            reason: None,
            signing: self.signing.clone(),
            domain_signing: BTreeMap::new(),
            others: Default::default(),
            recipients: vec![RecipientFacts {
                path,
                keys: self.keys.clone(),
                is_reader: true,
                passphrase: self.passphrase,
            }],
        };
        self.policy.decide(&facts).groups.remove(0)
    }

    #[track_caller]
    fn meets(&mut self, obstacle: Obstacle, disposition: &Disposition) {
        let group = self.decide();
        assert_eq!((group.obstacle, &group.disposition), (Some(obstacle), disposition));
        assert_eq!((group.rule.as_str(), group.actions.len()), ("one", 0));
        for (resort, expected) in [
            (Resort::Discard, Some(Disposition::Discard)),
            (Resort::Quarantine, Some(Disposition::Quarantine(why(disposition)))),
            (Resort::Reject, Some(Disposition::Reject(why(disposition)))),
            (Resort::Tempfail, Some(Disposition::Tempfail(why(disposition)))),
            (Resort::Next, None),
        ] {
            self.policy.rules[0].obstacles.insert(obstacle, resort);
            let group = self.decide();
            match (Obstacle::CONFIGURABLE.contains(&obstacle), expected) {
                (false, _) => assert_eq!(group.disposition, *disposition),
                (true, Some(expected)) => assert_eq!((group.disposition, group.rule.as_str()), (expected, "one")),
                (true, None) => {
                    assert_eq!((group.rule.as_str(), &group.actions[..]), ("last", &[Action::Clear][..]))
                }
            }
        }
        if !obstacle.can_keep() {
            self.policy.rules[0].obstacles.insert(obstacle, Resort::Keep);
            assert_eq!(self.decide().disposition, Disposition::Reject(why(disposition)), "never kept");
        }
    }
}

fn why(disposition: &Disposition) -> String {
    match disposition {
        Disposition::Quarantine(why) | Disposition::Reject(why) | Disposition::Tempfail(why) => why.clone(),
        Disposition::Discard | Disposition::Post | Disposition::Relay => panic!("no reason"),
    }
}

fn usable(protocols: &[ProtocolName]) -> BTreeMap<ProtocolName, KeyState> {
    let state = KeyState::Usable {
        key: Handle::from_octets(&[1; 20]),
        source: Source::Owner,
        warning: None,
        note: None,
        quantum_safe: false,
        forms: Forms::ALL,
    };
    protocols.iter().map(|protocol| (*protocol, state.clone())).collect()
}

fn reject(why: &str) -> Disposition {
    Disposition::Reject(why.to_owned())
}

const BOTH: &[Order] = &[Order::Encrypt, Order::Sign];

#[test]
fn by_default_what_may_come_in_is_not_oversized_and_nothing_goes_out() {
    assert_eq!(Policy::default().max_size, Limits::default().message);
    let case = Case { policy: Policy::default(), ..Case::new(&[]) };
    assert!(matches!(case.decide().disposition, Disposition::Reject(_)));
}

#[test]
fn the_first_protocol_with_every_key_is_taken() {
    let mut case = Case::new(BOTH);
    assert_eq!(case.decide().actions, [Action::SignAndEncrypt(ProtocolName::Smime)]);
    case.keys = usable(&[ProtocolName::Pgp]);
    assert_eq!(case.decide().actions, [Action::SignAndEncrypt(ProtocolName::Pgp)]);
    case.policy.rules[0].edits = vec![Action::TagSubject("[x]".to_owned())];
    assert_eq!(case.decide().actions.len(), 2);
    let case = Case::new(&[Order::Sign, Order::Clear]);
    assert_eq!(case.decide().actions, [Action::Clear, Action::Sign(ProtocolName::Smime)]);
}

/// A key that cannot be looked up now decides nothing: neither as a missing key, nor in favour of the next protocol.
#[test]
fn keys_that_cannot_be_asked_are_a_refusal_for_now() {
    let unknown = || KeyState::Unknown("bob: not now".to_owned());
    // No client reads the cause: it may name a path.
    let later = Disposition::Tempfail("keys cannot be looked up now, try again later".to_owned());
    let mut case = Case::new(BOTH);
    case.keys.insert(ProtocolName::Smime, unknown());
    for resort in Resort::ALL {
        case.policy.rules[0].obstacles.insert(Obstacle::KeysUnavailable, resort);
        let group = case.decide();
        assert_eq!((group.obstacle, group.disposition), (Some(Obstacle::KeysUnavailable), later.clone()));
        assert_eq!(group.cause.as_deref(), Some("bob: not now"));
    }
    // It would not have been taken.
    case.keys = [(ProtocolName::Smime, KeyState::Missing("none".to_owned())), (ProtocolName::Pgp, unknown())].into();
    case.signing = usable(&[ProtocolName::Smime]);
    assert_eq!(case.decide().obstacle, Some(Obstacle::MissingKey));

    let both = vec![ProtocolName::Pgp, ProtocolName::Smime];
    for condition in [Condition::Key(both.clone()), Condition::NoKey(both)] {
        let mut case = Case::new(&[Order::Clear]);
        case.policy.rules[0].conditions = vec![condition];
        case.keys = [(ProtocolName::Pgp, unknown())].into();
        let group = case.decide();
        assert_eq!((group.obstacle, group.disposition), (Some(Obstacle::KeysUnavailable), later.clone()));
        // One that was found decides whatever the other is.
        case.keys.extend(usable(&[ProtocolName::Smime]));
        assert_eq!(case.decide().disposition, Disposition::Relay);
        // A rule that fails for another reason does not ask.
        case.keys = [(ProtocolName::Pgp, unknown())].into();
        case.policy.rules[0].conditions.push(Condition::Recipient(vec![Pattern::parse("else.example").unwrap()]));
        assert_eq!(case.decide().rule, "last");
    }
}

/// What a rule does not admit is missing for it: for what it orders, and for its conditions.
#[test]
fn a_key_counts_for_a_rule_when_its_source_is_enough() {
    let (local, network) = (KeySearch::default(), KeySearch { reach: Reach::Network, least: None });
    let least = |source| KeySearch { least: Some(source), ..network };
    for (search, source, is_admitted) in [
        (local, Source::Claim, true),
        (local, Source::Server, false),
        (local, Source::Dnssec, false),
        (local, Source::Authority, true),
        (network, Source::Claim, false),
        (network, Source::Server, false),
        (network, Source::Domain, true),
        (network, Source::Owner, true),
        (least(Source::Server), Source::Server, true),
        (least(Source::Dnssec), Source::Domain, false),
        (KeySearch { least: Some(Source::Owner), ..local }, Source::Authority, false),
    ] {
        let mut case = Case::new(BOTH);
        case.policy.rules[0].search = search;
        let key = Handle::from_octets(&[1; 20]);
        let forms = Forms::ALL;
        let state = KeyState::Usable { key, source, warning: None, note: None, quantum_safe: false, forms };
        case.keys = [(ProtocolName::Pgp, state)].into();
        let expected = if is_admitted { None } else { Some(Obstacle::MissingKey) };
        assert_eq!(case.decide().obstacle, expected, "{search:?} {source}");
        case.policy.rules[0].conditions = vec![Condition::Key(vec![ProtocolName::Pgp])];
        assert_eq!(case.decide().rule == "last", !is_admitted, "{search:?} {source}");
    }
}

/// A key that does not withstand quantum computers is missing for a rule that requires it, and the other protocol comes first where that is preferred.
#[test]
fn quantum_safety_is_required_or_preferred() {
    let state = |quantum_safe| {
        let key = Handle::from_octets(&[1; 20]);
        KeyState::Usable { key, source: Source::Owner, warning: None, note: None, quantum_safe, forms: Forms::ALL }
    };
    let (pgp, smime) = (ProtocolName::Pgp, ProtocolName::Smime);
    let refused = "bob@b.example: key 0101010101010101010101010101010101010101 does not withstand quantum computers";
    for (quantum, keys, expected) in [
        (QuantumSafety::Indifferent, [(pgp, false), (smime, true)], Ok(pgp)),
        (QuantumSafety::Preferred, [(pgp, false), (smime, true)], Ok(smime)),
        (QuantumSafety::Preferred, [(pgp, false), (smime, false)], Ok(pgp)),
        (QuantumSafety::Required, [(pgp, false), (smime, true)], Ok(smime)),
        (QuantumSafety::Required, [(pgp, true), (smime, true)], Ok(pgp)),
        (QuantumSafety::Required, [(pgp, false), (smime, false)], Err(Obstacle::MissingKey)),
    ] {
        let mut case = Case::new(&[Order::Encrypt]);
        case.policy.rules[0].protocols = vec![pgp, smime];
        case.policy.rules[0].sealing.quantum = quantum;
        case.keys = keys.map(|(protocol, is_safe)| (protocol, state(is_safe))).into();
        let decided = case.decide();
        match expected {
            Ok(protocol) => assert_eq!(decided.actions, [Action::Encrypt(protocol)], "{quantum:?} {keys:?}"),
            Err(obstacle) => {
                assert_eq!((decided.obstacle, &decided.disposition), (Some(obstacle), &reject(refused)), "{keys:?}");
            }
        }
    }
    let mut rule = Case::new(&[Order::Encrypt]).policy.rules[0].clone();
    rule.sealing.quantum = QuantumSafety::Required;
    assert_eq!(rule.contradiction(), None);
    rule.orders = [Order::Clear].into();
    rule.protocols = vec![pgp];
    assert!(rule.contradiction().is_some());
}

#[test]
fn each_obstacle_has_its_own_outcome() {
    let missing = KeyState::Missing("bob: no key".to_owned());
    let mut case = Case::new(BOTH);
    case.keys = [(ProtocolName::Pgp, missing.clone())].into();
    case.meets(Obstacle::MissingKey, &reject("bob: no key"));

    let mut case = Case::new(BOTH);
    case.keys = [(ProtocolName::Pgp, missing), (ProtocolName::Smime, KeyState::Expired("bob: old".to_owned()))].into();
    case.meets(Obstacle::ExpiredKey, &reject("bob: old; bob: no key"));

    let mut case = Case::new(BOTH);
    case.signing = BTreeMap::new();
    case.meets(Obstacle::NoSigningKey, &Disposition::Tempfail("no signing key".to_owned()));

    let mut case = Case::new(BOTH);
    case.wrapping = Wrapping::Encrypted;
    case.meets(Obstacle::AlreadyEncrypted, &reject("the message is encrypted already"));
    case.policy.rules[0].obstacles.insert(Obstacle::AlreadyEncrypted, Resort::Keep);
    assert_eq!(case.decide().actions, [Action::Keep]);

    let mut case = Case::new(BOTH);
    case.wrapping = Wrapping::Signed;
    case.meets(Obstacle::AlreadySigned, &reject("the message is signed already"));
    case.policy.rules[0].obstacles.insert(Obstacle::AlreadySigned, Resort::Keep);
    assert_eq!(case.decide().actions, [Action::Encrypt(ProtocolName::Smime)]);

    let mut case = Case::new(BOTH);
    case.wrapping = Wrapping::Malformed("broken".to_owned());
    case.meets(Obstacle::Malformed, &reject("broken"));

    let mut case = Case::new(BOTH);
    case.author = Err(NoAuthor::Missing);
    case.meets(Obstacle::Malformed, &reject("no author to sign as: there is no From field"));

    let mut case = Case::new(BOTH);
    case.policy.max_size = 60;
    let size = case.message.octets().len();
    let why = format!("the message has {size} octets, more than the 60 that are handled");
    case.meets(Obstacle::Oversized, &reject(&why));

    let mut case = Case::new(BOTH);
    case.submitter = Submitter::Authenticated(Login::new("bob").unwrap());
    case.meets(Obstacle::NotPermitted, &reject("user \"bob\" may not sign as alice@a.example"));

    let mut case = Case::new(&[Order::Sign]);
    case.meets(Obstacle::Unsaid, &reject("rule \"one\" says neither encrypt nor clear"));

    let mut case = Case::new(BOTH);
    case.policy.rules.clear();
    let group = case.decide();
    assert_eq!((group.obstacle, group.disposition), (Some(Obstacle::NoRule), reject("no rule allows this mail")));
}

#[test]
fn the_world_sends_in_and_never_signs() {
    let mut case = Case::new(BOTH);
    (case.submitter, case.to) = (Submitter::Unknown, "carol@a.example");
    let group = case.decide();
    assert_eq!((group.direction, group.obstacle), (Direction::Inbound, Some(Obstacle::NotPermitted)));
    case.policy.rules.clear();
    assert_eq!(case.decide().actions, [Action::Annotate]);
    case.to = "bob@b.example";
    assert_eq!(case.decide().direction, Direction::Outbound, "mail to other domains goes out");
    let own = Submitter::Authenticated(Login::new("Carol@a.example").unwrap());
    assert!(case.policy.may_use(&own, &Address::parse("carol@a.example").unwrap()));
    let foreign = Submitter::Authenticated(Login::new("bob@b.example").unwrap());
    assert!(!case.policy.may_use(&foreign, &Address::parse("bob@b.example").unwrap()));
}

#[test]
fn a_header_asks_for_more_and_never_for_less() {
    let mut case = Case::new(BOTH);
    let asks = |order: &[Order]| Rule {
        name: "asks".to_owned(),
        conditions: vec![Condition::Header("X-Seal".to_owned(), "cl*".to_owned())],
        orders: order.iter().copied().collect(),
        protocols: vec![ProtocolName::Pgp],
        ..Rule::default()
    };
    case.policy.rules.insert(0, asks(&[Order::Clear]));
    assert_eq!(case.decide().rule, "one");
    case.policy.rules[0] = asks(&[Order::Encrypt]);
    assert_eq!(case.decide().rule, "one", "it would not be signed, and in another protocol");
    case.policy.rules[0] = asks(&[Order::Reject]);
    assert_eq!(case.decide().rule, "asks");
    case.policy.rules[1].orders = [Order::Sign, Order::Clear].into();
    case.policy.rules[0] = asks(BOTH);
    assert_eq!(case.decide().actions, [Action::SignAndEncrypt(ProtocolName::Pgp)]);
    case.keys.clear();
    assert_eq!(case.decide().obstacle, Some(Obstacle::MissingKey), "who asked for encryption does not get clear");
    case.policy.rules[0].obstacles.insert(Obstacle::MissingKey, Resort::Page);
    assert_eq!(case.decide().obstacle, Some(Obstacle::NoPassphrase), "nor where no passphrase is known");
    case.passphrase = Some(PassphraseFrom::Message);
    assert_eq!(case.decide().actions, [Action::Page(PassphraseFrom::Message)]);
}

#[test]
fn a_page_takes_the_place_of_the_recipients_key_alone() {
    let page = |change: fn(&mut Case)| {
        let mut case = Case::new(BOTH);
        case.keys.clear();
        case.passphrase = Some(PassphraseFrom::Store);
        case.policy.rules[0].obstacles = [(Obstacle::MissingKey, Resort::Page)].into();
        change(&mut case);
        let group = case.decide();
        (group.actions, group.obstacle, group.rule)
    };
    let paged = (vec![Action::Page(PassphraseFrom::Store)], None, "one".to_owned());
    let refused = |obstacle| (Vec::new(), Some(obstacle), "one".to_owned());
    assert_eq!(page(|_| ()), paged);
    assert_eq!(page(|case| case.signing.clear()), paged, "it is not signed");
    let to_archive = |case: &mut Case| {
        let archive = Address::parse("archive@a.example").unwrap();
        case.policy.rules[0].sealing.also_to = vec![AlsoTo::Address(archive)];
    };
    assert_eq!(page(to_archive), refused(Obstacle::MissingKey), "the archive could not read it");
    let of_bob = |case: &mut Case| case.submitter = Submitter::Authenticated(Login::new("bob").unwrap());
    assert_eq!(page(of_bob), refused(Obstacle::NotPermitted));
    let expired = |case: &mut Case| {
        case.keys.insert(ProtocolName::Pgp, KeyState::Expired("old".to_owned()));
    };
    assert_eq!(page(expired), refused(Obstacle::ExpiredKey), "the rule says nothing about expired keys");
    assert_eq!(page(|case| case.passphrase = None), refused(Obstacle::NoPassphrase));
    let next = |case: &mut Case| {
        case.passphrase = None;
        case.policy.rules[0].obstacles.insert(Obstacle::NoPassphrase, Resort::Next);
    };
    assert_eq!(page(next), (vec![Action::Clear], None, "last".to_owned()), "the next rule says clear");
}

#[test]
fn a_from_that_is_not_ones_own_decides_nothing() {
    let mut case = Case::new(&[Order::Reject]);
    case.policy.rules[0].conditions = vec![Condition::Author(vec![Pattern::parse("alice@a.example").unwrap()])];
    assert_eq!(case.decide().rule, "one");
    case.submitter = Submitter::Authenticated(Login::new("bob").unwrap());
    assert_eq!(case.decide().rule, "last");
    case.author = Err(NoAuthor::Missing);
    case.policy.rules[0].conditions = vec![Condition::Author(vec![Pattern::Null])];
    assert_eq!(case.decide().rule, "last");
    (case.submitter, case.to) = (Submitter::Unknown, "carol@a.example");
    assert_eq!(case.decide().rule, "one");
}

/// Two policies over one mail of the log.
#[test]
fn a_policy_is_compared_by_what_it_does() {
    let mut case = Case::new(BOTH);
    let old = case.policy.clone();
    let facts = |case: &Case| case.decide();
    assert_eq!(facts(&case).rule, "one");
    let record = || Record {
        submitter: case.submitter.clone(),
        sender: None,
        author: case.author.clone(),
        message: Described::default(),
        wrapping: Wrapping::Plain,
        standing: Standing::Unsigned,
        reason: Some("not-signed"),
        signing: case.signing.clone(),
        domain_signing: BTreeMap::new(),
        others: Default::default(),
        recipients: vec![RecipientFacts {
            path: ForwardPath { address: Address::parse(case.to).unwrap(), parameters: Vec::new() },
            keys: case.keys.clone(),
            is_reader: true,
            passphrase: None,
        }],
    };
    let record = record();
    let changed = |change: fn(&mut Policy)| {
        let mut new = old.clone();
        change(&mut new);
        let mut all = old.compare(&new, &record);
        let Comparison { decided_by, change, .. } = all.remove(0);
        assert!(all.is_empty() && decided_by == "one");
        change
    };
    assert_eq!(changed(|_| ()), Change::None);
    assert!(matches!(changed(|new| new.rules[0].name = "two".to_owned()), Change::Rule(..)));
    // Sealed otherwise is otherwise, and a log-only policy or rule does nothing.
    for change in [
        (|new: &mut Policy| new.rules[0].protocols = vec![ProtocolName::Pgp]) as fn(&mut Policy),
        |new| new.rules[0].sealing.also_to = vec![AlsoTo::Address(Address::parse("alice@a.example").unwrap())],
        |new| new.rules[0].orders = [Order::Sign, Order::Clear].into(),
        |new| new.rules[0].orders = [Order::Reject].into(),
        |new| new.rules[0].mode = Mode::LogOnly,
        |new| new.mode = Mode::LogOnly,
    ] {
        let change = changed(change);
        let is_asked = matches!(&change, Change::Unknown(_, rule) if rule == "one");
        assert!(is_asked || matches!(change, Change::Effect(..)), "{change:?}");
    }
    // What is not in the log is not known, unless it makes no difference.
    let header = |new: &mut Policy, order: Order| {
        let conditions = vec![Condition::Header("X-New".to_owned(), "yes".to_owned())];
        let rule = Rule { name: "new".to_owned(), conditions, orders: [order].into(), ..Rule::default() };
        new.rules.insert(0, rule);
    };
    let unknown = Change::Unknown(effect_of(&old, &record), "new".to_owned());
    let mut new = old.clone();
    header(&mut new, Order::Reject);
    assert_eq!(old.compare(&new, &record)[0].change, unknown);
    let mut new = old.clone();
    header(&mut new, Order::Clear);
    assert_eq!(old.compare(&new, &record)[0].change, Change::None, "it may only tighten");
    let asked = changed(|new| new.rules[0].protocols = vec![ProtocolName::Pem]);
    assert!(matches!(asked, Change::Unknown(_, rule) if rule == "one"));
    // The network may have a key.
    case.keys.clear();
    let with_no_key = |change: fn(&mut Policy)| {
        let mut record = record.clone();
        let missing = || KeyState::Missing("none".to_owned());
        record.recipients[0].keys = [(ProtocolName::Pgp, missing()), (ProtocolName::Smime, missing())].into();
        let mut new = old.clone();
        change(&mut new);
        old.compare(&new, &record).remove(0).change
    };
    assert_eq!(with_no_key(|_| ()), Change::None);
    assert!(matches!(with_no_key(|new| new.rules[0].search.reach = Reach::Network), Change::Unknown(..)));
}

fn effect_of(policy: &Policy, record: &Record) -> Effect {
    let group = policy.decide(&record.facts()).groups.remove(0);
    Effect {
        rule: group.rule,
        obstacle: group.obstacle.map(Obstacle::name),
        outcome: group.disposition.name(),
        actions: group.actions.iter().map(Action::name).collect(),
        text: None,
        note: None,
    }
}

/// Facts that cannot be read are no facts.
#[test]
fn a_line_that_was_cut_is_not_read() {
    let good = [
        ("to", "<bob@b.example>,<carol@c.example>"),
        ("submitter", "authenticated"),
        ("login", "alice"),
        ("from", "<>"),
        ("author", "<alice@a.example>"),
        ("wrapping", "signed"),
        ("standing", "authentic"),
        ("octets", "7000"),
        ("types", "text/html,..."),
        ("headers", "x-seal=a%3B%25b;x-else=*"),
        ("keys", "pgp:domain,smime:expired"),
        ("others", "archive@a.example=pgp:owner;vault@a.example=pgp:missing"),
    ];
    let read = |changed: &str, value: Option<&'static str>| {
        let field = |name: &str| {
            if name == changed { value } else { good.iter().find(|(own, _)| *own == name).map(|one| one.1) }
        };
        Record::read(field)
    };
    let record = read("", None).unwrap();
    assert_eq!(record.recipients.len(), 2);
    assert_eq!((record.sender, record.message.size, record.message.has_all_types), (None, 7000, false));
    assert_eq!(record.message.held, [("x-seal".to_owned(), "a;%b".to_owned()), ("x-else".to_owned(), "*".to_owned())]);
    assert_eq!(record.others.len(), 2);
    for (field, value) in [
        ("to", Some("<bob@b.exam...")),
        ("to", None),
        ("submitter", Some("host")),
        ("login", None),
        ("from", Some("alice@a.example")),
        ("author", Some("<alice>")),
        ("wrapping", Some("paper")),
        ("standing", None),
        ("standing_reason", Some("luck")),
        ("octets", Some("many")),
        ("types", None),
        ("headers", Some("x-seal")),
        ("keys", Some("pgp:domain,smi...")),
        ("others", Some("archive@a.example=pgp:own...")),
        ("passphrase", Some("guess")),
    ] {
        assert!(read(field, value).is_none(), "{field} {value:?}");
    }
}

/// A rule that is log-only decides nothing, even where its keys cannot be asked.
#[test]
fn a_log_only_rule_says_what_it_would_do() {
    let mut case = Case::new(BOTH);
    case.policy.rules[0].mode = Mode::LogOnly;
    let trial = |case: &Case| {
        let path = ForwardPath { address: Address::parse(case.to).unwrap(), parameters: Vec::new() };
        let recipient = RecipientFacts { path, keys: case.keys.clone(), is_reader: true, passphrase: None };
        let facts = Facts {
            submitter: &case.submitter,
            sender: None,
            author: case.author.as_ref(),
            message: &case.message,
            wrapping: &case.wrapping,
            standing: Standing::Unsigned,
            reason: None,
            signing: case.signing.clone(),
            domain_signing: BTreeMap::new(),
            others: Default::default(),
            recipients: vec![recipient],
        };
        let mut decision = case.policy.decide(&facts);
        assert_eq!((decision.groups[0].rule.as_str(), &decision.groups[0].actions[..]), ("last", &[Action::Clear][..]));
        assert_eq!(decision.groups[0].disposition, Disposition::Relay);
        decision.trials.pop()
    };
    let one = trial(&case).unwrap();
    assert_eq!((one.group.rule.as_str(), one.instead.as_str()), ("one", "last"));
    assert_eq!(one.group.actions, [Action::SignAndEncrypt(ProtocolName::Smime)]);
    case.keys.insert(ProtocolName::Smime, KeyState::Unknown("bob: not now".to_owned()));
    assert_eq!(trial(&case).unwrap().group.obstacle, Some(Obstacle::KeysUnavailable));
    case.policy.rules[0].conditions = vec![Condition::NoKey(vec![ProtocolName::Smime])];
    assert_eq!(trial(&case).unwrap().group.obstacle, Some(Obstacle::KeysUnavailable));
    case.policy.rules[0].conditions = vec![Condition::Recipient(vec![Pattern::parse("else.example").unwrap()])];
    assert_eq!(trial(&case), None);
    // It asks nobody on the network.
    case.policy.rules[0].conditions.clear();
    case.policy.rules[0].search.reach = Reach::Network;
    let searches = |case: &Case| case.policy.discovers(&case.submitter, None, &Address::parse(case.to).unwrap());
    assert!(!searches(&case));
    case.policy.rules[0].mode = Mode::Enforce;
    assert!(searches(&case));
}
