//! One rule after another, for one recipient.

use super::{
    Action, AlsoTo, Condition, Direction, Disposition, Facts, Obstacle, Order, Policy, QuantumSafety, RecipientFacts,
    Resort, Rule, Sealing, Unauthenticated, Wrapping,
};
use crate::{
    keys::{Forms, KeyState, ProtocolName},
    mail::{Address, Submitter},
    protocol::Role,
};

/// What was decided for one recipient, and on the way to it.
pub(super) struct Walk {
    /// The rules before the one that decided, by their places.
    pub(super) passed: Vec<(usize, Why)>,
    /// What was decided.
    pub(super) ruling: Ruling,
    /// What would have been decided if the rules that are log-only decided too, if that is something else.
    pub(super) trial: Option<Ruling>,
}

/// Which rules decide.
#[derive(Clone, Copy, PartialEq)]
enum Among {
    All,
    Enforced,
}

/// Why a rule did not decide.
pub(super) enum Why {
    /// This condition does not hold, by its place.
    Condition(usize),
    /// It is log-only.
    LogOnly,
    /// It asks a header field, and would protect less than what is decided without it.
    Looser,
    /// It could not be followed, and lets the next ones decide; the reason in words.
    Next(Obstacle, String),
}

/// Whether the conditions of a rule hold.
enum Held {
    /// This one does not, by its place.
    No(usize),
    /// The keys could not be asked; the reason in words.
    Unknown(String),
    Yes,
}

/// What is done for one recipient.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Ruling {
    pub(super) direction: Direction,
    /// By its place; `None` when none decided.
    pub(super) rule: Option<usize>,
    pub(super) obstacle: Option<Obstacle>,
    /// See [`Group::cause`](super::Group::cause).
    pub(super) cause: Option<String>,
    pub(super) actions: Vec<Action>,
    pub(super) sealing: Sealing,
    pub(super) disposition: Disposition,
}

impl Policy {
    /// One for each recipient, in their order.
    pub(super) fn rulings(&self, facts: &Facts<'_>) -> Vec<Walk> {
        let Some(any) = facts.recipients.first() else { return Vec::new() };
        // What is about the message is asked once, however many recipients there are.
        let fails = |rule: &Rule| {
            let mut conditions = rule.conditions.iter();
            conditions.position(|condition| !condition.is_about_recipient() && !condition.holds(self, facts, any))
        };
        let failing: Vec<Option<usize>> = self.rules.iter().map(fails).collect();
        let walker = |recipient| Walker { policy: self, facts, failing: &failing, recipient };
        facts.recipients.iter().map(|recipient| walker(recipient).walk()).collect()
    }
}

struct Walker<'a> {
    policy: &'a Policy,
    facts: &'a Facts<'a>,
    /// For each rule, the condition about the message that does not hold.
    failing: &'a [Option<usize>],
    recipient: &'a RecipientFacts,
}

impl Walker<'_> {
    /// First without the rules that ask the header, to know what they must not fall short of.
    fn walk(&self) -> Walk {
        if let Some(ruling) = self.routed() {
            return Walk { passed: Vec::new(), ruling, trial: None };
        }
        let walk = self.among(Among::Enforced);
        let is_tried = self.policy.rules.iter().any(|rule| !rule.is_enforced());
        let trial = is_tried.then(|| self.among(Among::All).ruling).filter(|trial| *trial != walk.ruling);
        Walk { trial, ..walk }
    }

    fn among(&self, which: Among) -> Walk {
        let floor = self.through(which, |rule, _| !rule.asks_header());
        self.through(which, |rule, ruling| !rule.asks_header() || ruling.is_at_least(&floor.ruling))
    }

    /// The first rule that decides and whose ruling is `admitted`.
    fn through(&self, which: Among, admitted: impl Fn(&Rule, &Ruling) -> bool) -> Walk {
        let mut passed = Vec::new();
        let decided = |passed, ruling| Walk { passed, ruling, trial: None };
        for (place, rule) in self.policy.rules.iter().enumerate() {
            let seen = rule.search.of(&self.recipient.keys);
            let seen = seen.map(|keys| RecipientFacts { keys, ..self.recipient.clone() });
            let walker = Walker { recipient: seen.as_ref().unwrap_or(self.recipient), ..*self };
            match walker.condition(place, rule) {
                Held::No(condition) => {
                    passed.push((place, Why::Condition(condition)));
                    continue;
                }
                // Nothing that is wrong with its keys delays a mail.
                Held::Yes | Held::Unknown(_) if which == Among::Enforced && !rule.is_enforced() => {
                    passed.push((place, Why::LogOnly));
                    continue;
                }
                Held::Yes => {}
                Held::Unknown(why) => return decided(passed, walker.unavailable(place, why)),
            }
            match walker.apply(place, rule) {
                Err((obstacle, why)) => passed.push((place, Why::Next(obstacle, why))),
                Ok(ruling) if admitted(rule, &ruling) => return decided(passed, ruling),
                Ok(_) => passed.push((place, Why::Looser)),
            }
        }
        decided(passed, self.unmatched())
    }

    /// Whether the conditions of `rule` hold.
    fn condition(&self, place: usize, rule: &Rule) -> Held {
        if let Some(about_message) = self.failing.get(place).copied().flatten() {
            return Held::No(about_message);
        }
        let mut about_recipient: Vec<(usize, &Condition)> =
            rule.conditions.iter().enumerate().filter(|(_, one)| one.is_about_recipient()).collect();
        // Keys come last: those of a rule that fails for another reason were not looked up.
        about_recipient.sort_by_key(|(_, one)| one.asks_keys());
        for (place, one) in about_recipient {
            if let Some(why) = one.unknown(self.recipient) {
                return Held::Unknown(why);
            }
            if !one.holds(self.policy, self.facts, self.recipient) {
                return Held::No(place);
            }
        }
        Held::Yes
    }

    /// What `rule` makes of the mail; an error when it leaves the mail to the next one.
    fn apply(&self, place: usize, rule: &Rule) -> Result<Ruling, (Obstacle, String)> {
        let mut cause = None;
        let (obstacle, actions, disposition) = match refusal(rule) {
            Some(refusal) => (None, Vec::new(), refusal),
            None => match self.actions(rule) {
                Ok(actions) => (None, actions, Disposition::Relay),
                Err((obstacle, why)) => {
                    cause = cause_of(obstacle, &why);
                    let disposition = match self.resort(rule, obstacle) {
                        Resort::Next => return Err((obstacle, why)),
                        Resort::Discard => Disposition::Discard,
                        Resort::Quarantine => Disposition::Quarantine(why),
                        Resort::Keep | Resort::Page | Resort::Reject => Disposition::Reject(self.told(obstacle, why)),
                        Resort::Tempfail => Disposition::Tempfail(self.told(obstacle, why)),
                    };
                    (Some(obstacle), Vec::new(), disposition)
                }
            },
        };
        let (direction, sealing) = (self.direction(), self.sealing_for(rule, &actions));
        Ok(Ruling { direction, rule: Some(place), obstacle, cause, actions, sealing, disposition })
    }

    /// How `rule` seals: with the author as a reader where the author has a key, and the submitter may use that address. Anybody can write a From, and what
    /// is forwarded or encrypted at rest must not become readable for the one who is named there.
    fn sealing_for(&self, rule: &Rule, actions: &[Action]) -> Sealing {
        let mut sealing = rule.sealing.clone();
        let protocol = actions.iter().find_map(Action::encrypts_in);
        let is_reader = |author| protocol.and_then(|protocol| self.facts.further(author, protocol));
        let may_use = |author| self.policy.may_use(self.facts.submitter, author);
        let quantum = sealing.quantum;
        // A copy that the author cannot read is better than none.
        let forms = protocol.map_or(Forms::ALL, |protocol| self.forms(rule, protocol));
        let shares = |state: &KeyState| !state.forms().in_common(forms).is_empty();
        let admits = |state: &KeyState| state.is_usable() && quantum.admits(state) && shares(state);
        let is_own = |author| may_use(author) && is_reader(author).is_some_and(admits);
        if !self.facts.author.is_ok_and(is_own) {
            sealing.also_to.retain(|one| *one != AlsoTo::Author);
        }
        sealing
    }

    /// What `rule` orders for this recipient, or why that cannot be done.
    fn actions(&self, rule: &Rule) -> Result<Vec<Action>, (Obstacle, String)> {
        let (encrypts, signs) = (rule.says(Order::Encrypt), rule.says(Order::Sign));
        if self.direction() == Direction::Outbound && !encrypts && !rule.says(Order::Clear) {
            return Err((Obstacle::Unsaid, format!("rule {:?} says neither encrypt nor clear", rule.name)));
        }
        if encrypts || signs || rule.says(Order::Decrypt) {
            self.is_tractable()?;
        }
        if *self.facts.submitter == Submitter::Host {
            self.may_send_on(rule)?;
        }
        let sealing = if encrypts || signs { self.sealing(rule)? } else { None };
        let is_clear = rule.says(Order::Clear) && !matches!(sealing, Some(Action::Keep)) && !encrypts;
        let mut actions = Vec::new();
        // What is kept or sealed is not opened first, unless this host reseals it: a layer that is there may be all that hides the mail.
        let opens = rule.says(Order::Decrypt) && self.recipient.is_reader && (sealing.is_none() || self.reseals(rule));
        actions.extend(opens.then_some(Action::Decrypt(rule.unauthenticated)));
        actions.extend(rule.edits.iter().cloned());
        actions.extend(rule.says(Order::Annotate).then_some(Action::Annotate));
        actions.extend(is_clear.then_some(Action::Clear));
        actions.extend(sealing);
        Ok(actions)
    }

    fn is_tractable(&self) -> Result<(), (Obstacle, String)> {
        let (size, limit) = (self.facts.message.size(), self.policy.max_size);
        if size > limit {
            return Err((
                Obstacle::Oversized,
                format!("the message has {size} octets, more than the {limit} that are handled"),
            ));
        }
        if let Some(why) = self.facts.message.unread() {
            return Err((Obstacle::Oversized, why));
        }
        match self.facts.wrapping {
            Wrapping::Malformed(why) => Err((Obstacle::Malformed, why.clone())),
            _ => Ok(()),
        }
    }

    /// How a message is sealed; `None` when it is signed already and nothing else is asked.
    fn sealing(&self, rule: &Rule) -> Result<Option<Action>, (Obstacle, String)> {
        let keeps = |obstacle| self.resort(rule, obstacle) == Resort::Keep;
        let mut signs = rule.says(Order::Sign);
        let is_sent_on = *self.facts.submitter == Submitter::Host;
        if *self.facts.wrapping == Wrapping::Encrypted && !self.reseals(rule) {
            if !keeps(Obstacle::AlreadyEncrypted) {
                return Err((Obstacle::AlreadyEncrypted, "the message is encrypted already".to_owned()));
            }
            // A layer that is there goes out in the author's name, even if another person made it.
            if signs || self.direction() == Direction::Outbound && !is_sent_on {
                self.may_sign()?;
            }
            return Ok(Some(Action::Keep));
        }
        if signs {
            self.may_sign()?;
        }
        if signs && *self.facts.wrapping == Wrapping::Signed {
            if !keeps(Obstacle::AlreadySigned) {
                return Err((Obstacle::AlreadySigned, "the message is signed already".to_owned()));
            }
            signs = false;
        }
        let encrypts = rule.says(Order::Encrypt);
        if !signs && !encrypts {
            return Ok(None);
        }
        let (roles, action): (&[Role], fn(ProtocolName) -> Action) = match (signs, encrypts) {
            (true, true) => (&[Role::Signer, Role::Recipient], Action::SignAndEncrypt),
            (true, false) => (&[Role::Signer], Action::Sign),
            (false, _) => (&[Role::Recipient], Action::Encrypt),
        };
        match self.suited(rule, roles) {
            Err((obstacle, _)) if self.may_page(rule, obstacle) => self.page(rule).map(Some),
            suited => Ok(Some(action(suited?))),
        }
    }

    /// Whether a page takes the place of the recipient's key that is not there. Other readers could not open it, and strangers may not use a
    /// passphrase that is stored here.
    fn may_page(&self, rule: &Rule, obstacle: Obstacle) -> bool {
        obstacle.can_page()
            && self.resort(rule, obstacle) == Resort::Page
            && rule.says(Order::Encrypt)
            && required_readers(rule).next().is_none()
            && matches!(self.facts.submitter, Submitter::Authenticated(_) | Submitter::Trusted)
    }

    /// The page with the passphrase that is known. Who can make one is believed to be the author.
    fn page(&self, rule: &Rule) -> Result<Action, (Obstacle, String)> {
        self.may_sign()?;
        let address = &self.recipient.path.address;
        let none = || {
            (Obstacle::NoPassphrase, format!("{address}: no key and no passphrase (rule {:?} sends a page)", rule.name))
        };
        self.recipient.passphrase.map(Action::Page).ok_or_else(none)
    }

    /// Whether a message may be sent on by `rule`. The key comes first, whether the message can be opened or not: the sender must not learn it from
    /// the answer.
    fn may_send_on(&self, rule: &Rule) -> Result<(), (Obstacle, String)> {
        if rule.says(Order::Encrypt) {
            self.suited(rule, &[Role::Recipient])?;
        }
        let is_closed = *self.facts.wrapping == Wrapping::Encrypted && !self.reseals(rule);
        if is_closed && self.resort(rule, Obstacle::AlreadyEncrypted) != Resort::Keep {
            return Err((Obstacle::AlreadyEncrypted, "the message is encrypted, and was not opened".to_owned()));
        }
        Ok(())
    }

    /// Whether a message that is sent on is opened and sealed anew.
    fn reseals(&self, rule: &Rule) -> bool {
        *self.facts.submitter == Submitter::Host && rule.says(Order::Decrypt) && self.recipient.is_reader
    }

    /// The first protocol of `rule` in which there is a key for each of `roles`.
    fn suited(&self, rule: &Rule, roles: &[Role]) -> Result<ProtocolName, (Obstacle, String)> {
        if rule.sealing.quantum == QuantumSafety::Preferred && roles.contains(&Role::Recipient) {
            let is_safe = |protocol: &ProtocolName| {
                let needed = self.needed(rule, roles, *protocol, QuantumSafety::Required);
                matches!(Ready::of(needed), Ready::Yes) && self.is_readable(rule, roles, *protocol)
            };
            if let Some(protocol) = rule.protocols.iter().copied().find(is_safe) {
                return Ok(protocol);
            }
        }
        for protocol in rule.protocols.iter().copied() {
            match Ready::of(self.needed(rule, roles, protocol, rule.sealing.quantum)) {
                Ready::No => {}
                // Do not fall back to the next protocol: this one may have a key.
                Ready::Unknown(why) => return Err((Obstacle::KeysUnavailable, why)),
                Ready::Yes if self.is_readable(rule, roles, protocol) => return Ok(protocol),
                Ready::Yes => {}
            }
        }
        Err(self.lack(rule))
    }

    /// The keys that `rule` needs for `roles` in `protocol`. One that `quantum` does not admit is missing.
    fn needed<'a>(
        &'a self,
        rule: &'a Rule,
        roles: &'a [Role],
        protocol: ProtocolName,
        quantum: QuantumSafety,
    ) -> impl Iterator<Item = Option<&'a KeyState>> {
        let admitted = move |state: Option<&'a KeyState>| state.filter(|state| quantum.admits(state));
        let of = move |role: &Role| match role {
            Role::Recipient => admitted(self.facts.reading(self.recipient, &rule.sealing).get(&protocol)),
            Role::Signer => self.facts.signing_by(&rule.sealing).get(&protocol),
        };
        let encrypts = roles.contains(&Role::Recipient);
        let further = required_readers(rule).filter(move |_| encrypts);
        roles.iter().map(of).chain(further.map(move |address| admitted(self.facts.further(address, protocol))))
    }

    /// The ciphertexts that the recipient and the readers of `rule` can read alike.
    fn forms(&self, rule: &Rule, protocol: ProtocolName) -> Forms {
        let own = self.facts.reading(self.recipient, &rule.sealing).get(&protocol);
        let further = required_readers(rule).map(|address| self.facts.further(address, protocol));
        std::iter::once(own).chain(further).flatten().map(KeyState::forms).fold(Forms::ALL, Forms::in_common)
    }

    /// Whether there is a ciphertext that all of them can read.
    fn is_readable(&self, rule: &Rule, roles: &[Role], protocol: ProtocolName) -> bool {
        !roles.contains(&Role::Recipient) || !self.forms(rule, protocol).is_empty()
    }

    fn may_sign(&self) -> Result<(), (Obstacle, String)> {
        let author = self.facts.author.map_err(|why| (Obstacle::Malformed, format!("no author to sign as: {why}")))?;
        if self.policy.may_use(self.facts.submitter, author) {
            return Ok(());
        }
        let who = match self.facts.submitter {
            Submitter::Authenticated(name) => format!("user {:?}", name.as_str()),
            Submitter::Host => "what is sent on".to_owned(),
            Submitter::Trusted => "a client of a trusted network".to_owned(),
            Submitter::Unknown => "a client that is not known".to_owned(),
        };
        Err((Obstacle::NotPermitted, format!("{who} may not sign as {author}")))
    }

    /// Which key is missing. The recipient's comes first: without it a key of the author is of no use.
    fn lack(&self, rule: &Rule) -> (Obstacle, String) {
        let mut tried = rule.protocols.clone();
        if rule.says(Order::Encrypt) {
            let keys = self.facts.reading(self.recipient, &rule.sealing);
            let reader = rule.sealing.reader(&self.recipient.path.address);
            let quantum = rule.sealing.quantum;
            if let Some(lack) = narrow(&mut tried, &reader, quantum, |protocol| keys.get(&protocol)) {
                return lack;
            }
            for address in required_readers(rule) {
                let key = |protocol| self.facts.further(address, protocol);
                if let Some(lack) = narrow(&mut tried, address, quantum, key) {
                    return lack;
                }
            }
            tried.retain(|protocol| !self.forms(rule, *protocol).is_empty());
            if tried.is_empty() {
                let others: Vec<String> = required_readers(rule).map(Address::to_string).collect();
                let why =
                    format!("{reader}: cannot read what {} can read: their keys are too different", others.join(", "));
                return (Obstacle::MissingKey, why);
            }
        }
        let keys = self.facts.signing_by(&rule.sealing);
        (Obstacle::NoSigningKey, reasons(tried.iter().filter_map(|one| keys.get(one)), "no signing key"))
    }

    fn resort(&self, rule: &Rule, obstacle: Obstacle) -> Resort {
        if !Obstacle::CONFIGURABLE.contains(&obstacle) {
            return obstacle.resort();
        }
        let said = rule.obstacles.get(&obstacle).or_else(|| self.policy.obstacles.get(&obstacle));
        said.copied().unwrap_or_else(|| obstacle.resort())
    }

    /// Rules look at the domain; a mail server may not stop there (RFC 5321, section 4.1.1.3 and appendix F.2; Postfix's
    /// `allow_untrusted_routing`).
    fn routed(&self) -> Option<Ruling> {
        let address = &self.recipient.path.address;
        address.local().contains(['@', '%', '!']).then(|| Ruling {
            direction: self.direction(),
            rule: None,
            obstacle: Some(Obstacle::Routed),
            cause: None,
            actions: Vec::new(),
            sealing: Sealing::default(),
            disposition: Disposition::Reject(format!("{address}: names a way to another mailbox")),
        })
    }

    /// Whether the rule at `place` decides cannot be known now.
    fn unavailable(&self, place: usize, why: String) -> Ruling {
        let obstacle = Obstacle::KeysUnavailable;
        Ruling {
            direction: self.direction(),
            rule: Some(place),
            obstacle: Some(obstacle),
            cause: cause_of(obstacle, &why),
            actions: Vec::new(),
            sealing: Sealing::default(),
            disposition: Disposition::Tempfail(self.told(obstacle, why)),
        }
    }

    /// The text for the client. An unknown client learns nothing of the message and the keys, and no client learns what is wrong with this machine.
    fn told(&self, obstacle: Obstacle, why: String) -> String {
        match self.facts.submitter {
            _ if obstacle == Obstacle::KeysUnavailable => obstacle.reply().to_owned(),
            Submitter::Host | Submitter::Unknown => obstacle.reply().to_owned(),
            Submitter::Authenticated(_) | Submitter::Trusted => why,
        }
    }

    fn unmatched(&self) -> Ruling {
        let direction = self.direction();
        let (obstacle, actions, disposition) = match direction {
            Direction::Inbound => (None, vec![Action::Annotate], Disposition::Relay),
            Direction::Outbound => {
                let refusal = Disposition::Reject("no rule allows this mail".to_owned());
                (Some(Obstacle::NoRule), Vec::new(), refusal)
            }
        };
        Ruling { direction, rule: None, obstacle, cause: None, actions, sealing: Sealing::default(), disposition }
    }

    fn direction(&self) -> Direction {
        self.policy.direction(self.facts.submitter, &self.recipient.path.address)
    }
}

impl Ruling {
    /// Whether nothing of what `floor` protects is lost: what is not relayed protects most; layers, annotations and edits stay, a
    /// ciphertext in the same protocol; nothing is readable, or opened, that was not.
    fn is_at_least(&self, floor: &Ruling) -> bool {
        if self.disposition != Disposition::Relay {
            return true;
        }
        let has = |action: &Action| self.actions.contains(action);
        let signs = || self.actions.iter().any(|one| matches!(one, Action::Sign(_) | Action::SignAndEncrypt(_)));
        let still = |action: &Action| match action {
            Action::Clear | Action::Decrypt(_) => true,
            Action::Encrypt(protocol) => has(action) || has(&Action::SignAndEncrypt(*protocol)),
            // A key protects more than a passphrase.
            Action::Page(_) => self.actions.iter().any(Action::encrypts),
            // A page is not signed. Who asks for encryption does not get a signature in clear instead.
            Action::Sign(_) => signs() || self.actions.iter().any(|one| matches!(one, Action::Page(_))),
            _ => has(action),
        };
        let clears_no_more = !has(&Action::Clear) || floor.actions.contains(&Action::Clear);
        let opens_no_more = opened(&self.actions) <= opened(&floor.actions);
        let no_more = clears_no_more && opens_no_more;
        let seals = |one: &Action| one.encrypts() || matches!(one, Action::Sign(_));
        let seals_as_well = !floor.actions.iter().any(seals) || self.sealing.is_at_least(&floor.sealing);
        floor.disposition == Disposition::Relay && no_more && seals_as_well && floor.actions.iter().all(still)
    }
}

/// How much is opened; `None`: nothing.
fn opened(actions: &[Action]) -> Option<Unauthenticated> {
    actions.iter().find_map(|action| match action {
        Action::Decrypt(unauthenticated) => Some(*unauthenticated),
        _ => None,
    })
}

/// What a rule says that lets nothing through; of several the one that keeps the mail.
fn refusal(rule: &Rule) -> Option<Disposition> {
    let text = || rule.text.clone().unwrap_or_else(|| format!("refused by rule {:?}", rule.name));
    let [tempfail, reject, quarantine, discard] =
        [Order::Tempfail, Order::Reject, Order::Quarantine, Order::Discard].map(|order| rule.says(order));
    match () {
        () if tempfail => Some(Disposition::Tempfail(text())),
        () if reject => Some(Disposition::Reject(text())),
        () if quarantine => Some(Disposition::Quarantine(text())),
        () if discard => Some(Disposition::Discard),
        () => None,
    }
}

/// What is not for clients.
fn cause_of(obstacle: Obstacle, why: &str) -> Option<String> {
    (obstacle == Obstacle::KeysUnavailable).then(|| why.to_owned())
}

/// Whether all keys that an action needs are there.
pub(super) enum Ready {
    /// One is not there.
    No,
    /// The keys could not be asked for one, and no other is missing; the reason in words.
    Unknown(String),
    /// All are there.
    Yes,
}

impl Ready {
    /// Of the states of these keys; `None` is one that was not looked up.
    pub(super) fn of<'a>(states: impl Iterator<Item = Option<&'a KeyState>>) -> Ready {
        let mut all = Ready::Yes;
        for state in states {
            match state {
                Some(KeyState::Usable { .. }) => {}
                Some(KeyState::Unknown(why)) => all = Ready::Unknown(why.clone()),
                Some(KeyState::Expired(_) | KeyState::Missing(_)) | None => return Ready::No,
            }
        }
        all
    }
}

/// The readers beside the recipient without whose keys `rule` does not encrypt.
fn required_readers(rule: &Rule) -> impl Iterator<Item = &Address> {
    rule.sealing.also_to.iter().filter_map(|one| match one {
        AlsoTo::Address(address) => Some(address),
        AlsoTo::Author => None,
    })
}

/// Leaves the protocols of `tried` in which `reader` has a usable key; if there is none, what is missing.
fn narrow<'k>(
    tried: &mut Vec<ProtocolName>,
    reader: &Address,
    quantum: QuantumSafety,
    key: impl Fn(ProtocolName) -> Option<&'k KeyState>,
) -> Option<(Obstacle, String)> {
    let states: Vec<&KeyState> = tried.iter().filter_map(|protocol| key(*protocol)).collect();
    tried.retain(|protocol| key(*protocol).is_some_and(|state| state.is_usable() && quantum.admits(state)));
    if !tried.is_empty() {
        return None;
    }
    let has_expired = states.iter().any(|state| matches!(state, KeyState::Expired(_)));
    let obstacle = if has_expired { Obstacle::ExpiredKey } else { Obstacle::MissingKey };
    let otherwise = match states.iter().find(|state| !quantum.admits(state)) {
        Some(KeyState::Usable { key, .. }) => format!("{reader}: key {key} does not withstand quantum computers"),
        _ => format!("{reader}: no encryption key"),
    };
    Some((obstacle, reasons(states.into_iter(), &otherwise)))
}

fn reasons<'a>(states: impl Iterator<Item = &'a KeyState>, otherwise: &str) -> String {
    let words = states.filter_map(|state| match state {
        KeyState::Expired(why) | KeyState::Missing(why) | KeyState::Unknown(why) => Some(why.as_str()),
        KeyState::Usable { .. } => None,
    });
    let words: Vec<&str> = words.collect();
    if words.is_empty() { otherwise.to_owned() } else { words.join("; ") }
}
