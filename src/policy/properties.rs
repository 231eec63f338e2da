//! What holds of every policy and every mail.

use std::collections::BTreeMap;

use proptest::{collection::vec, option, prelude::*, sample::select, sample::subsequence};

use super::*;
use crate::{
    base::{Budget, Limits},
    keys::{Forms, Handle, KeyState, PassphraseFrom, Source},
    mail::{Login, Message, NoAuthor},
    verdict::Standing,
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the rules say and whatever the mail is: who gets clear text gets it because the deciding rule says clear.
    #[test]
    fn nothing_goes_out_in_clear_unless_the_deciding_rule_says_so(policy in policies(), mail in mails()) {
        let decision = policy.decide(&mail.facts(&mail.silent));
        let mut seen: Vec<String> = Vec::new();
        for group in &decision.groups {
            seen.extend(group.recipients.iter().map(|path| path.address.to_string()));
            if group.direction == Direction::Inbound || group.disposition != Disposition::Relay {
                prop_assert!(group.disposition == Disposition::Relay || group.actions.is_empty());
                continue;
            }
            let rule = policy.rules.iter().find(|rule| rule.name == group.rule);
            let opens = opened(group).is_some();
            let is_kept = group.actions.contains(&Action::Keep) && mail.wrapping == Wrapping::Encrypted && !opens;
            if !encrypts(group) && !is_kept {
                prop_assert!(rule.is_some_and(|rule| rule.says(Order::Clear) && !rule.says(Order::Encrypt)), "{group:?}");
                prop_assert!(group.actions.contains(&Action::Clear), "{group:?}");
            }
        }
        let mut all: Vec<String> = mail.recipients.iter().map(|(who, _)| who.clone()).collect();
        seen.sort();
        all.sort();
        prop_assert_eq!(seen, all, "each recipient is in exactly one group");
    }

    /// A header field may ask for more and never for less.
    #[test]
    fn a_header_field_never_loosens(policy in policies(), mail in mails()) {
        let without: BTreeMap<String, Group> = alone(&policy.decide(&mail.facts(&mail.silent)));
        for (who, asked) in alone(&policy.decide(&mail.facts(&mail.asking))) {
            let plain = &without[&who];
            if asked.disposition == Disposition::Relay {
                prop_assert_eq!(&plain.disposition, &Disposition::Relay, "{:?}", asked);
                prop_assert!(encrypts(&asked) || !encrypts(plain), "{plain:?} {asked:?}");
                // Who asks for encryption does not get a signature in clear instead.
                let is_kept_from_clear = pages(&asked).is_some() && !encrypts(plain);
                prop_assert!(signs(&asked) || is_kept_from_clear || !signs(plain), "{plain:?} {asked:?}");
                prop_assert!(!asked.actions.contains(&Action::Clear) || plain.actions.contains(&Action::Clear), "{plain:?} {asked:?}");
                prop_assert!(opened(&asked) <= opened(plain), "{plain:?} {asked:?}");
                prop_assert!(asked.actions.contains(&Action::Annotate) || !plain.actions.contains(&Action::Annotate));
            }
        }
    }

    /// Only permitted authors sign, and only recipients with a key are encrypted to.
    #[test]
    fn only_those_who_may_sign_do(policy in policies(), mail in mails()) {
        let facts = mail.facts(&mail.asking);
        for group in policy.decide(&facts).groups {
            let usable = |states: &BTreeMap<ProtocolName, KeyState>, protocol| states.get(protocol).is_some_and(KeyState::is_usable);
            for action in &group.actions {
                if let Action::Sign(protocol) | Action::SignAndEncrypt(protocol) = action {
                    prop_assert!(facts.author.is_ok_and(|author| policy.may_use(facts.submitter, author)), "{group:?}");
                    prop_assert!(usable(&facts.signing, protocol), "{group:?}");
                }
                if let Action::Encrypt(protocol) | Action::SignAndEncrypt(protocol) = action {
                    let mut forms = Forms::ALL;
                    for path in &group.recipients {
                        let one = facts.recipients.iter().find(|one| one.path == *path).unwrap();
                        prop_assert!(usable(&one.keys, protocol), "{group:?}");
                        forms = forms.in_common(one.keys[protocol].forms());
                    }
                    prop_assert!(!forms.is_empty(), "they cannot read one ciphertext: {group:?}");
                }
            }
        }
    }

    /// Rules that are log-only change nothing, and what is said of them is what would be.
    #[test]
    fn log_only_rules_are_as_if_they_were_not_there(policy in policies(), mail in mails()) {
        let facts = mail.facts(&mail.asking);
        let decision = policy.decide(&facts);
        let mut without = policy.clone();
        without.rules.retain(Rule::is_enforced);
        prop_assert_eq!(&decision.groups, &without.decide(&facts).groups);
        let mut all = policy.clone();
        all.rules.iter_mut().for_each(|rule| rule.mode = Mode::Enforce);
        let mut would_be = alone(&all.decide(&facts));
        let decided = alone(&decision);
        for Trial { group, instead } in &decision.trials {
            for path in &group.recipients {
                let name = path.address.to_string();
                let one = Group { recipients: Vec::new(), ..would_be.remove(&name).unwrap() };
                prop_assert_eq!(&Group { recipients: Vec::new(), ..group.clone() }, &one);
                prop_assert_eq!(instead, &decided[&name].rule);
            }
        }
        for (name, group) in would_be {
            prop_assert_eq!(&group.rule, &decided[&name].rule, "nothing is said of it");
        }
    }

    /// The facts in the log are enough to decide again.
    #[test]
    fn what_was_logged_is_decided_again(policy in policies(), mail in mails()) {
        let facts = mail.facts(&mail.asking);
        let decision = policy.decide(&facts);
        let decided = alone(&decision);
        let mut seen = 0;
        for line in policy.record(&facts, &decision) {
            let fields = fields(&line);
            let record = Record::read(|name| fields.get(name).map(String::as_str)).unwrap_or_else(|| panic!("{line:?}"));
            for (name, again) in alone(&policy.decide(&record.facts())) {
                let group = &decided[&name];
                let told = |group: &Group| {
                    let actions: Vec<String> = group.actions.iter().map(Action::name).collect();
                    (group.rule.clone(), group.obstacle, actions, group.disposition.name(), group.direction)
                };
                prop_assert_eq!(told(&again), told(group), "{:?}", line);
                prop_assert_eq!((line.rule.as_str(), line.disposition), (group.rule.as_str(), group.disposition.name()));
                seen += 1;
            }
        }
        prop_assert_eq!(seen, decided.len());
    }

    /// A page is for mail of a known submitter with a known passphrase, and a stored passphrase is for one recipient alone.
    #[test]
    fn pages_have_a_passphrase(policy in policies(), mail in mails()) {
        for group in policy.decide(&mail.facts(&mail.asking)).groups {
            let Some(from) = pages(&group) else { continue };
            prop_assert_eq!(mail.passphrase, Some(from));
            prop_assert!(mail.author.as_ref().is_some_and(|author| policy.may_use(&mail.submitter, author)), "{group:?}");
            prop_assert!(matches!(mail.submitter, Submitter::Authenticated(_) | Submitter::Trusted), "{group:?}");
            prop_assert!(from == PassphraseFrom::Message || group.recipients.len() == 1, "{group:?}");
        }
    }

    /// A hidden recipient's ciphertext has no other recipient. A page does not tell who reads it.
    #[test]
    fn the_hidden_are_alone(policy in policies(), mail in mails()) {
        for group in policy.decide(&mail.facts(&mail.silent)).groups.iter().filter(|group| encrypts(group)) {
            let hidden = |path: &ForwardPath| !mail.shown.contains(&path.address.to_string());
            let is_page = pages(group).is_some();
            prop_assert!(is_page || group.recipients.len() == 1 || !group.recipients.iter().any(hidden), "{group:?}");
        }
    }
}

/// A mail in the making.
#[derive(Clone, Debug)]
struct Draft {
    /// With a header field that rules ask for.
    asking: Message,
    /// Of the same size, without it.
    silent: Message,
    author: Option<Address>,
    recipients: Vec<(String, BTreeMap<ProtocolName, KeyState>)>,
    sender: Option<Address>,
    shown: Vec<String>,
    signing: BTreeMap<ProtocolName, KeyState>,
    standing: Standing,
    submitter: Submitter,
    wrapping: Wrapping,
    passphrase: Option<PassphraseFrom>,
}

impl Draft {
    fn facts<'a>(&'a self, message: &'a Message) -> Facts<'a> {
        let recipient = |(who, keys): &(String, BTreeMap<ProtocolName, KeyState>)| RecipientFacts {
            path: ForwardPath { address: Address::parse(who).unwrap(), parameters: Vec::new() },
            keys: keys.clone(),
            is_reader: true,
            passphrase: self.passphrase,
        };
        Facts {
            submitter: &self.submitter,
            sender: self.sender.as_ref(),
            author: self.author.as_ref().ok_or(&NoAuthor::Missing),
            message,
            wrapping: &self.wrapping,
            standing: self.standing,
            reason: None,
            signing: self.signing.clone(),
            domain_signing: BTreeMap::new(),
            others: Default::default(),
            recipients: self.recipients.iter().map(recipient).collect(),
        }
    }
}

fn alone(decision: &Decision) -> BTreeMap<String, Group> {
    let each = |group: &Group| {
        let one = group.clone();
        group
            .recipients
            .clone()
            .into_iter()
            .map(move |path| (path.address.to_string(), one.clone()))
            .collect::<Vec<_>>()
    };
    decision.groups.iter().flat_map(each).collect()
}

/// A line of the log, by the names of its fields.
fn fields(line: &RecordLine) -> BTreeMap<&'static str, String> {
    let to: Vec<String> = line.to.iter().map(|address| format!("<{address}>")).collect();
    let named = |word: Option<&str>| word.map(str::to_owned);
    let all = [
        ("to", Some(to.join(","))),
        ("submitter", Some(line.submitter.to_owned())),
        ("login", line.login.clone()),
        ("from", Some(line.from.clone())),
        ("author", line.author.clone()),
        ("wrapping", Some(line.wrapping.to_owned())),
        ("standing", Some(line.standing.to_owned())),
        ("standing_reason", named(line.standing_reason)),
        ("octets", Some(line.octets.to_string())),
        ("unread", named(line.unread)),
        ("types", Some(line.types.clone())),
        ("auto_submitted", named(line.auto_submitted)),
        ("headers", line.headers.clone()),
        ("keys", line.keys.clone()),
        ("opens", named(line.opens)),
        ("passphrase", named(line.passphrase)),
        ("signing", line.signing.clone()),
        ("domain_signing", line.domain_signing.clone()),
        ("others", line.others.clone()),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn encrypts(group: &Group) -> bool {
    group.encrypts()
}

fn pages(group: &Group) -> Option<PassphraseFrom> {
    group.actions.iter().find_map(|action| match action {
        Action::Page(from) => Some(*from),
        _ => None,
    })
}

fn opened(group: &Group) -> Option<Unauthenticated> {
    group.actions.iter().find_map(|action| match action {
        Action::Decrypt(how) => Some(*how),
        _ => None,
    })
}

fn signs(group: &Group) -> bool {
    group.actions.iter().any(|action| matches!(action, Action::Sign(_) | Action::SignAndEncrypt(_)))
}

fn policies() -> impl Strategy<Value = Policy> {
    let parts = (vec(rules(), 0..6), patterns(), patterns(), patterns(), resorts(), select(vec![64_usize, 100_000]));
    parts.prop_map(|(mut rules, local, own, trusted, obstacles, max_size)| {
        for (place, rule) in rules.iter_mut().enumerate() {
            rule.name = format!("rule {place}");
        }
        let identities = [(Login::new("alice").unwrap(), own)].into();
        Policy {
            mode: Mode::Enforce,
            local,
            identities,
            trusted,
            rules,
            obstacles,
            max_size,
            mailboxes: Mailboxes::default(),
            aliases: Default::default(),
            forwards: Forwards::default(),
            lists: Default::default(),
        }
    })
}

/// Any set of orders, also those that make no sense.
fn rules() -> impl Strategy<Value = Rule> {
    let orders = vec![Order::Clear, Order::Encrypt, Order::Sign, Order::Annotate, Order::Decrypt, Order::Verify];
    let often = subsequence(orders, 0..4);
    let ends = subsequence(Order::ALL.to_vec(), 0..3);
    let edits =
        subsequence(vec![Action::TagSubject("[x]".to_owned()), Action::RemoveHeader("X-Seal".to_owned())], 0..2);
    let unauthenticated = select(Unauthenticated::ALL.to_vec());
    let modes = select(vec![Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::LogOnly]);
    let orders = prop_oneof![4 => often, 1 => ends];
    let parts = (vec(conditions(), 0..3), orders, protocols(), edits, resorts(), unauthenticated, modes);
    parts.prop_map(|(conditions, orders, protocols, edits, obstacles, unauthenticated, mode)| Rule {
        mode,
        conditions,
        orders: orders.into_iter().collect(),
        protocols,
        edits,
        obstacles,
        unauthenticated,
        ..Rule::default()
    })
}

fn conditions() -> impl Strategy<Value = Condition> {
    prop_oneof![
        3 => select(vec!["yes", "*", "no"]).prop_map(|like| Condition::Header("X-Seal".to_owned(), like.to_owned())),
        1 => patterns().prop_map(Condition::Author),
        1 => patterns().prop_map(Condition::Recipient),
        1 => patterns().prop_map(Condition::Sender),
        1 => protocols().prop_map(Condition::Key),
        1 => protocols().prop_map(Condition::NoKey),
        1 => select(vec![Direction::Inbound, Direction::Outbound]).prop_map(Condition::Direction),
        1 => subsequence(vec![Standing::Unsigned, Standing::Signed, Standing::Authentic], 1..3).prop_map(Condition::Standing),
        1 => select(vec![Party::Authenticated, Party::Trusted, Party::Unknown, Party::User(Login::new("alice").unwrap())])
            .prop_map(|party| Condition::Submitter(vec![party])),
        1 => select(vec![WrappingKind::Encrypted, WrappingKind::Plain, WrappingKind::Signed, WrappingKind::Malformed])
            .prop_map(|kind| Condition::Wrapping(vec![kind])),
        1 => select(vec![10_usize, 1_000]).prop_map(Condition::Larger),
    ]
}

fn mails() -> impl Strategy<Value = Draft> {
    let wrappings = select(vec![
        Wrapping::Encrypted,
        Wrapping::Malformed("broken".to_owned()),
        Wrapping::Plain,
        Wrapping::Plain,
        Wrapping::Signed,
    ]);
    let submitters = select(vec![
        Submitter::Authenticated(Login::new("alice").unwrap()),
        Submitter::Authenticated(Login::new("bob@b.example").unwrap()),
        Submitter::Trusted,
        Submitter::Unknown,
    ]);
    let people = || subsequence(PEOPLE.to_vec(), 0..PEOPLE.len());
    let someone = || option::of(select(PEOPLE.to_vec()).prop_map(|who| Address::parse(who).unwrap()));
    let keys = vec(states(), PEOPLE.len());
    let standings = select(vec![Standing::Unsigned, Standing::Signed, Standing::Authentic]);
    let passphrases = option::of(select(vec![PassphraseFrom::Message, PassphraseFrom::Store]));
    let parts =
        (wrappings, submitters, people(), people(), keys, states(), someone(), someone(), standings, passphrases);
    parts.prop_map(|(wrapping, submitter, to, shown, keys, signing, author, sender, standing, passphrase)| {
        let message = |field: &str| {
            let text = format!("{field}: yes\r\nTo: {}\r\nSubject: x\r\n\r\nbody\r\n", shown.join(", "));
            Message::parse(text.into_bytes(), &mut Budget::new(Limits::default())).unwrap()
        };
        Draft {
            author,
            recipients: to.iter().map(|who| (*who).to_owned()).zip(keys).collect(),
            sender,
            asking: message("X-Seal"),
            silent: message("X-Else"),
            shown: shown.iter().map(|who| (*who).to_owned()).collect(),
            signing,
            standing,
            submitter,
            wrapping,
            passphrase,
        }
    })
}

fn states() -> impl Strategy<Value = BTreeMap<ProtocolName, KeyState>> {
    let usable = |forms| KeyState::Usable {
        key: Handle::from_octets(&[7; 20]),
        source: Source::Owner,
        warning: None,
        note: None,
        quantum_safe: false,
        forms,
    };
    let state = select(vec![
        usable(Forms::ALL),
        usable(Forms::one(1) | Forms::one(2)),
        usable(Forms::one(1)),
        usable(Forms::one(2)),
        KeyState::Missing("none".to_owned()),
        KeyState::Expired("old".to_owned()),
        KeyState::Unknown("not now".to_owned()),
    ]);
    vec((select(PROTOCOLS.to_vec()), state), 0..4).prop_map(|all| all.into_iter().collect())
}

fn resorts() -> impl Strategy<Value = BTreeMap<Obstacle, Resort>> {
    vec((select(Obstacle::CONFIGURABLE.to_vec()), select(Resort::ALL.to_vec())), 0..3)
        .prop_map(|all| all.into_iter().collect())
}

fn protocols() -> impl Strategy<Value = Vec<ProtocolName>> {
    subsequence(PROTOCOLS.to_vec(), 0..3).prop_shuffle()
}

fn patterns() -> impl Strategy<Value = Vec<Pattern>> {
    let all = ["*", "<>", "a.example", ".example", "alice@a.example", "bob@b.example"];
    subsequence(all.to_vec(), 0..3).prop_map(|all| all.into_iter().map(|one| Pattern::parse(one).unwrap()).collect())
}

const PEOPLE: [&str; 5] =
    ["alice@a.example", "bob@b.example", "carol@c.example", "dave@a.example", "erin@sub.a.example"];

const PROTOCOLS: [ProtocolName; 3] = [ProtocolName::Pem, ProtocolName::Pgp, ProtocolName::Smime];
