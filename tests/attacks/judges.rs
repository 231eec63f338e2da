//! A judge that does what an attacker wants: each thing is tried from within, in place of the engine.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write},
    ops::Range,
    os::fd::AsFd,
    path::PathBuf,
    process::{self, Command},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use postseal::{
    base::{Allowance, Kind, Limits, Result, Secret, SystemClock},
    engine::{Handler, Outcome, Posting, ReloadableHandler},
    isolation::{Answers, Judge, Pool, PoolSettings, Process},
    keys::{Handle, KeyUses, Keys, ProtocolName, Purpose, Query, UseLimits, Want},
    mail::{Mail, Message, Submitter},
    policy::{
        Disposition, FixedMembers, FromField, Gets, List, Lists, Member, Members, Otherwise, Policy, Posters, ReplyTo,
        Rule, Subscription, WithoutKey,
    },
    sandbox::Enforced,
    service::Role,
};

use crate::{
    reach::{Places, Targets, expected, reach},
    support::{
        handler::{LETTER, address, alice, hook, hook_by, keys, mail, policy},
        lab::Lab,
    },
};

/// The folder and the port for the judge.
const WITHIN: &str = "POSTSEAL_TEST_JUDGE";

/// Judges that are this test program.
fn pool(given: &str, ended: &Arc<AtomicUsize>) -> Pool {
    pool_with(given, ended, KeyUses::default())
}

fn pool_with(given: &str, ended: &Arc<AtomicUsize>, uses: KeyUses) -> Pool {
    let (given, ended) = (given.to_owned(), Arc::clone(ended));
    let start = move |ends| {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "judges::within", "--nocapture", "--test-threads", "1"]).env(WITHIN, &given);
        Process::spawn(command, ends)
    };
    let settings = PoolSettings {
        start: Box::new(start),
        path: PathBuf::new(),
        texts: BTreeMap::new(),
        tenant: None,
        marker: Secret::from("0123456789abcdef"),
        legacy: Default::default(),
        policy: with_list(),
        limits: limits(),
        recipients: 100,
        kept: 2,
        clock: Arc::new(SystemClock),
        ended: Box::new(move || {
            ended.fetch_add(1, Ordering::SeqCst);
        }),
        context: Box::new(String::new),
    };
    Pool::new(settings, Answers::new(Arc::new(keys()), with_list().lists).limited(uses)).unwrap()
}

fn limits() -> Limits {
    Limits { message: 1 << 20, ..Limits::default() }
}

/// Octets of what a judge may make of a message: eight copies that are encrypted and as many in clear, and the rest.
const MADE: usize = (16 << 20) + (16 << 20);
/// Octets of a question.
const QUESTION: usize = 4 << 20;

/// The rules, and a list with one member.
fn with_list() -> Policy {
    let member = Member { address: address("plain@example.net"), gets: Some(Gets::Clear), protocols: Vec::new() };
    let mut lists = Lists::default();
    lists.insert(List {
        address: address("dev@example.org"),
        owners: vec![address("alice@example.org")],
        description: None,
        members: Members(Arc::new(FixedMembers([member].into()))),
        post: Posters::Anybody,
        otherwise: Otherwise::Reject,
        moderators: Vec::new(),
        requires: Default::default(),
        gets: Gets::Clear,
        without_key: WithoutKey::Skip,
        rule: Rule::default(),
        from: FromField::Keep,
        reply_to: ReplyTo::Author,
        subscription: Subscription::Closed,
        unsubscribe: None,
    });
    Policy { lists, ..policy() }
}

/// A letter that makes the judge do this.
fn letter(what: &str) -> Mail {
    mail(alice(), &["bob@example.net"], LETTER.replace("Subject: hello", &format!("Subject: {what}")))
}

#[test]
fn a_judge_reaches_no_file_no_program_no_network_and_no_other_process() {
    let lab = Lab::new();
    let targets = Targets::new(&lab);
    let pool = pool(&targets.line(), &Arc::default());
    let outcome = pool.handle(letter("reach")).unwrap();
    if matches!(pool.enforced(), Enforced::CallsOnly | Enforced::Nothing) {
        println!("NOT TESTED: what a judge reaches: this kernel has no Landlock");
        return;
    }
    assert_eq!(outcome.notes, expected(Role::Judge), "{:?}", pool.enforced());
}

/// The keys answer questions. No answer has a secret part, and a key works for the message for which it was asked.
#[test]
fn a_judge_has_no_key() {
    let pool = pool("0 0 0 /", &Arc::default());
    let outcome = pool.handle(letter("keys")).unwrap();
    let secret = keys().find(ProtocolName::Pgp, &Query::new(Purpose::Sign, Want::Secrets)).unwrap();
    assert!(!secret.is_empty());
    assert_eq!(outcome.notes.len(), secret.len(), "{:?}", outcome.notes);
    assert!(outcome.notes.iter().all(|note| note.starts_with("RemoteSecret(")), "{:?}", outcome.notes);
    // One message is not reason enough to sign for ever.
    let outcome = pool.handle(letter("sign for ever")).unwrap();
    assert_eq!(outcome.notes, ["4096: keys: used too often for one message"]);
    pool.handle(letter("keys")).unwrap();
    // Another message, and the handle that was kept from the first one.
    let outcome = pool.handle(letter("old keys")).unwrap();
    assert_eq!(outcome.notes, ["refused: a judge names what it was not told"]);
}

/// Whatever it makes of the refusal. Its next message can use the key again after a while.
#[test]
fn a_judge_that_used_a_key_up_has_no_outcome() {
    let twice = Allowance { most: 2, period: Duration::from_secs(3_600) };
    let pool = pool_with(
        "0 0 0 /",
        &Arc::default(),
        KeyUses::new(UseLimits { per_key: twice, ..Default::default() }, |_, _| {}),
    );
    for _ in 0..2 {
        let error = pool.handle(letter("sign for ever")).unwrap_err();
        assert_eq!(error.kind(), Kind::TryAgain);
        assert!(error.to_string().ends_with(": used too often in a while"), "{error}");
    }
    pool.handle(letter("keys")).unwrap();
}

/// It can ask for what its message needs, and not for what a home has.
#[test]
fn a_judge_cannot_read_a_home() {
    let pool = pool("0 0 0 /", &Arc::default());
    assert_eq!(
        pool.handle(letter("read the home")).unwrap().notes,
        [
            "refused: keys: a judge asks for every certificate",
            "refused: keys: a judge asks for every certificate",
            "refused: keys: a judge asks for the passphrase of another recipient",
            "no passphrase",
        ]
    );
}

#[test]
fn a_judge_sends_mail_to_recipients_alone_and_writes_no_lines() {
    let ended = Arc::default();
    let pool = pool("0 0 0 /", &ended);
    for (what, why) in [
        ("send to mallory", "it names mallory@evil.example, who is no recipient"),
        ("decide for mallory", "it names mallory@evil.example, who is no recipient"),
        ("write a command", "a control character"),
        ("write a reply", "a control character"),
    ] {
        let error = pool.handle(letter(what)).unwrap_err();
        assert_eq!(error.kind(), Kind::TryAgain, "{what}: {error}");
        assert!(error.to_string().contains(why), "{what}: {error}");
    }
    assert!(pool.handle(letter("hello")).is_ok());
    // One that says what it may not is not asked again.
    let who = || pool.handle(letter("who")).unwrap().notes;
    let (one, same) = (who(), who());
    assert_eq!(one, same);
    pool.handle(letter("send to mallory")).unwrap_err();
    assert_ne!(who(), one);
}

/// A copy of a post is for the member that it was asked for.
#[test]
fn a_judge_sends_copies_of_a_post_to_members_alone() {
    let pool = pool("0 0 0 /", &Arc::default());
    let posted = |what: &str| {
        let letter = LETTER.replace("Subject: hello", &format!("Subject: {what}"));
        let outcome = pool.handle(mail(Submitter::Unknown, &["dev@example.org"], letter)).unwrap();
        pool.copies(&outcome.postings[0], 0..10)
    };
    let copies = posted("hello").unwrap();
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0].envelope.recipients[0].address, address("plain@example.net"));
    for (what, why) in
        [("copy for mallory", "it names mallory@evil.example, who is"), ("copy of a command", "a control")]
    {
        let error = posted(what).unwrap_err();
        assert!(error.kind() == Kind::TryAgain && error.to_string().contains(why), "{what}: {error}");
    }
}

/// The message is put off, the next one is handled, and the others do not notice.
#[test]
fn a_judge_that_ends_costs_one_message() {
    let ended: Arc<AtomicUsize> = Arc::default();
    let pool = pool("0 0 0 /", &ended);
    for what in ["abort", "panic", "leave", "take memory"] {
        let before = ended.load(Ordering::SeqCst);
        thread::scope(|scope| {
            let other = scope.spawn(|| pool.handle(letter("hello")).map(|outcome| outcome.mails.len()));
            let error = pool.handle(letter(what)).unwrap_err();
            assert_eq!(error.kind(), Kind::TryAgain, "{what}: {error}");
            assert!(error.to_string().starts_with("the process that read the message ended ("), "{what}: {error}");
            assert_eq!(other.join().unwrap(), Ok(1), "beside {what}");
        });
        assert_eq!(ended.load(Ordering::SeqCst), before + 1, "{what}");
        assert_eq!(pool.handle(letter("hello")).unwrap().mails.len(), 1, "after {what}");
    }
}

/// One octet over what it may say. Memory is taken for what arrives, and what it says is not waited for.
#[test]
fn a_judge_that_says_too_much_is_ended() {
    let ended: Arc<AtomicUsize> = Arc::default();
    let pool = pool("0 0 0 /", &ended);
    for what in ["say too much", "ask too much", "say for ever", "name millions"] {
        let before = ended.load(Ordering::SeqCst);
        thread::scope(|scope| {
            let other = scope.spawn(|| pool.handle(letter("hello")).map(|outcome| outcome.mails.len()));
            let error = pool.handle(letter(what)).unwrap_err();
            assert_eq!(error.kind(), Kind::TryAgain, "{what}: {error}");
            assert_eq!(other.join().unwrap(), Ok(1), "beside {what}");
        });
        assert_eq!(ended.load(Ordering::SeqCst), before + 1, "{what}");
    }
    assert_eq!(pool.handle(letter("hello")).unwrap().mails.len(), 1);
}

/// What an unchanged judge makes and cannot say: the message is refused, and the judge goes on.
#[test]
fn an_outcome_that_is_too_long_is_refused_for_good() {
    let ended: Arc<AtomicUsize> = Arc::default();
    let pool = pool("0 0 0 /", &ended);
    let who = || pool.handle(letter("who")).unwrap().notes;
    let one = who();
    assert_eq!(pool.handle(letter("nearly too long")).unwrap().notes[0].len(), MADE - (64 << 10));
    let error = pool.handle(letter("too long")).unwrap_err();
    assert!(error.is_permanent() && error.to_string().contains("more than 33554432 octets"), "{error}");
    // It is another one, because what a judge refuses may have been made to change it.
    assert_ne!(who(), one);
    assert_eq!(ended.load(Ordering::SeqCst), 0);
}

/// The same questions and answers as in one process.
#[test]
fn a_judge_decides_as_the_engine_does() {
    let (pool, engine) = (pool("0 0 0 /", &Arc::default()), hook());
    for recipients in [
        &["bob@example.net", "carol@bank.example"] as &[&str],
        &["list@example.net", "plain@example.net", "tag@example.net"],
        &["alice@example.org"],
        &["nobody@elsewhere.example", "bob@example.net"],
    ] {
        let (one, other) =
            (pool.handle(mail(alice(), recipients, LETTER)), engine.handle(mail(alice(), recipients, LETTER)));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.decision.groups.len(), other.decision.groups.len());
        for (one, other) in one.decision.groups.iter().zip(&other.decision.groups) {
            assert_eq!((&one.recipients, &one.rule, &one.actions), (&other.recipients, &other.rule, &other.actions));
            assert_eq!(one.disposition, other.disposition);
        }
        assert_eq!((one.verdict.standing(), one.verdict.author()), (other.verdict.standing(), other.verdict.author()));
        assert_eq!(one.keys.len(), other.keys.len());
        let addressed = |outcome: &Outcome| outcome.mails.iter().map(|mail| mail.envelope.clone()).collect::<Vec<_>>();
        assert_eq!(addressed(&one), addressed(&other));
        // What the engine marks, it knows again, and so does the judge.
        for copy in &one.mails {
            let marked = Mail { message: pool.mark(copy).unwrap(), ..copy.clone() };
            assert_eq!(engine.handle(marked.clone()).unwrap().decision.groups[0].rule, postseal::engine::HANDLED);
            assert_eq!(pool.handle(marked).unwrap().decision.groups[0].rule, postseal::engine::HANDLED);
        }
    }
}

/// The judge; a test of its own only in name.
#[test]
fn within() {
    let Ok(given) = env::var(WITHIN) else { return };
    let connection = io::stdin().as_fd().try_clone_to_owned().unwrap();
    let judge = Judge::start(connection.into()).unwrap();
    let policy = with_list();
    let lists = judge.lists(policy.lists.clone());
    let taken = Taken {
        engine: hook_by(Policy { lists: lists.clone(), ..policy }),
        keys: Arc::new(judge.keys()),
        places: given.parse().unwrap(),
        kept: Default::default(),
    };
    judge.serve(&taken, &lists, &Limits::default(), drop).unwrap();
}

/// What an attacker would do in the place of the engine.
struct Taken {
    engine: ReloadableHandler,
    keys: Arc<dyn Keys>,
    places: Places,
    kept: std::sync::Mutex<Option<Arc<dyn postseal::crypto::SecretKey>>>,
}

impl Handler for Taken {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        let what = mail.message.root().header("Subject").unwrap_or_default();
        let mut outcome = self.engine.handle(mail)?;
        let mallory = address("mallory@evil.example");
        match what.trim() {
            "reach" => outcome.notes = reach(&self.places),
            "keys" => outcome.notes = self.secrets()?,
            "old keys" => {
                let kept = self.kept.lock().unwrap().take().unwrap();
                let signed = kept.sign(postseal::crypto::Scheme::EdDsa, b"text");
                outcome.notes = vec![signed.map_or_else(|error| format!("refused: {error}"), |_| "signed".to_owned())];
            }
            "read the home" => {
                let every =
                    |protocol| self.keys.find(protocol, &Query::new(Purpose::Decrypt, Want::All)).map(|_| "read");
                let passphrase = |of: &str| {
                    let found = self.keys.shared_passphrase(&address(of));
                    found.map(|found| found.map_or("no passphrase", |_| "a passphrase"))
                };
                let tried = [
                    every(ProtocolName::Pgp),
                    every(ProtocolName::Smime),
                    passphrase("carol@bank.example"),
                    passphrase("bob@example.net"),
                ];
                let told = |one: Result<&str>| one.map_or_else(|error| format!("refused: {error}"), str::to_owned);
                outcome.notes = tried.into_iter().map(told).collect();
            }
            "who" => outcome.notes = vec![process::id().to_string()],
            "sign for ever" => {
                self.secrets()?;
                let kept = self.kept.lock().unwrap().take().unwrap();
                let sign = |_: &usize| kept.sign(postseal::crypto::Scheme::EdDsa, b"text").err();
                let (times, error) = (0..10_000).find_map(|times| Some((times, sign(&times)?))).unwrap();
                outcome.notes = vec![format!("{times}: {error}")];
            }
            "send to mallory" => outcome.mails[0].envelope.recipients[0].address = mallory,
            "decide for mallory" => outcome.decision.groups[0].recipients[0].address = mallory,
            "write a command" => {
                let injected = "NOTIFY=NEVER\r\nRCPT TO:<mallory@evil.example>";
                outcome.mails[0].envelope.recipients[0].parameters = vec![injected.to_owned()];
            }
            "write a reply" => {
                outcome.decision.groups[0].disposition = Disposition::Reject("no\r\n250 2.0.0 Ok".to_owned());
            }
            "abort" => process::abort(),
            "panic" => panic!("as a dependency may"),
            "leave" => process::exit(0),
            "nearly too long" => outcome.notes = vec!["x".repeat(MADE - (64 << 10))],
            "too long" => outcome.notes = vec!["x".repeat(MADE)],
            // An outcome, and a question.
            "say too much" => say(MADE + 1, &[1], 0),
            "ask too much" => say(QUESTION + 1, &[3], 0),
            "say for ever" => say(u32::MAX as usize, &[3], usize::MAX),
            // An outcome that begins with messages of no octet.
            "name millions" => say(20 << 20, &[1, 0, 0x80, 0x80, 0x80, 0x08], 20 << 20),
            "take memory" => drop(vec![1_u8; 1 << 36]),
            _ => {}
        }
        Ok(outcome)
    }

    fn copies(&self, posting: &Posting, numbers: Range<usize>) -> Result<Vec<Mail>> {
        let mut copies = self.engine.copies(posting, numbers)?;
        let what = copies[0].message.root().header("Subject").unwrap_or_default();
        let recipient = &mut copies[0].envelope.recipients[0];
        match what.trim() {
            "copy for mallory" => recipient.address = address("mallory@evil.example"),
            "copy of a command" => recipient.parameters = vec!["NOTIFY=NEVER\r\nQUIT".to_owned()],
            _ => {}
        }
        Ok(copies)
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        self.engine.mark(mail)
    }
}

/// Says this on the connection, by a way of its own: a value of so many octets that begins so, and as many more as are told.
fn say(length: usize, first: &[u8], more: usize) {
    let mut connection = fs::File::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
    let length = u32::try_from(length).unwrap().to_le_bytes();
    connection.write_all(&[&length, first].concat()).unwrap();
    let mut left = more;
    while left > 0 && connection.write_all(&[0; 1 << 10]).is_ok() {
        left = left.saturating_sub(1 << 10);
    }
    thread::sleep(Duration::from_secs(600));
}

impl Taken {
    /// Every secret key, as far as it is seen here.
    fn secrets(&self) -> Result<Vec<String>> {
        let mut seen = Vec::new();
        for record in self.keys.find(ProtocolName::Pgp, &Query::new(Purpose::Sign, Want::Secrets))? {
            let first: &Handle = &record.secrets()[0];
            let secret = self.keys.secret(&record, first)?.unwrap();
            seen.push(format!("{secret:?}"));
            *self.kept.lock().unwrap() = Some(secret);
        }
        Ok(seen)
    }
}
