//! Any requests that a front may make, and real ones that are changed: no panic, an answer of its kind for each, no secret in any answer, copies of no post that
//! the service did not make, and lines of the log that stay lines. In the other direction, any answers that a front may be given.
#![no_main]

mod script;
#[allow(dead_code, reason = "the time and whom a mail may go to are for the other target")]
mod world;

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    ops::Range,
    sync::{Arc, LazyLock, Mutex},
};

use libfuzzer_sys::fuzz_target;
use postseal::{
    base::{Limits, Result},
    engine::{Handler, Outcome, Posting, ReloadableHandler},
    isolation::{
        Backend, HealthAnswer, HealthQuestion,
        fuzzing::front::{Keys, answered, requests, responses, tell},
    },
    keys::ProtocolName,
    mail::{Mail, Message},
    policy::Policy,
    report::{Metrics, PassedCounts},
};

use crate::{
    script::values,
    world::{Case, MARKER, cases, engine, keys, policy},
};

struct World {
    backend: Backend,
    policy: Policy,
    cases: Vec<Case>,
    posting: Arc<Posting>,
    /// What a front says.
    said: Vec<Vec<u8>>,
    /// What it is told.
    told: Vec<Vec<u8>>,
    /// Octets of secret keys, and the secret of the mark.
    secrets: Vec<Vec<u8>>,
    keys: Keys,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// What is said is taken where nothing was changed: otherwise the rest would say little.
static SOUND: LazyLock<()> = LazyLock::new(|| {
    let World { backend, said, told, secrets, .. } = &*WORLD;
    for value in said {
        let heard = answered(backend, &values(std::slice::from_ref(value), &[0, 0]));
        // The kind of a result, and that it is one.
        assert!(heard.len() > 6 && (heard[4] == 2 || heard[5] == 0), "{heard:?}");
    }
    assert!(secrets.len() > 4, "{}", secrets.len());
    let metrics = Arc::new(Metrics::default());
    for (which, value) in told.iter().enumerate() {
        let said = values(std::slice::from_ref(value), &[0, 0]);
        assert!(asks(which as u8, &said, &metrics), "{which}");
    }
});

fuzz_target!(|octets: &[u8]| {
    LazyLock::force(&SOUND);
    let [mode, program @ ..] = octets else { return };
    if mode & 1 == 0 {
        asked(&values(&WORLD.said, program));
        return;
    }
    let metrics = Arc::new(Metrics::default());
    asks(mode >> 1, &values(&WORLD.told, program), &metrics);
    for line in metrics.page().lines() {
        assert!(line.starts_with("postseal_") || line.starts_with('#'), "{line}");
    }
});

/// The service is asked by a front that says this.
fn asked(said: &[u8]) {
    let heard = answered(&WORLD.backend, said);
    for secret in &WORLD.secrets {
        let has = |octets: &[u8]| octets.windows(secret.len()).any(|window| window == secret);
        assert!(has(said) || !has(&heard), "a secret");
    }
}

/// A front asks and is told this: whether it has an answer.
fn asks(which: u8, said: &[u8], metrics: &Arc<Metrics>) -> bool {
    let World { policy, cases, posting, keys, .. } = &*WORLD;
    let remote = keys.saying(said, &[policy.lists.clone()], &limits(), metrics);
    let handler = remote.handler("relay");
    let mail = &cases[1].mail;
    match which % 5 {
        0 => handler.handle(mail.clone()).is_ok_and(|outcome| {
            _ = (outcome.refusal(), outcome.local_refusal(), outcome.octets(), outcome.authentic_author());
            _ = (outcome.copies().count(), outcome.transactions());
            _ = outcome.postings.iter().map(|posting| (posting.mails(), posting.octets())).count();
            true
        }),
        1 => handler.copies(posting, 0..2).is_ok(),
        2 => handler.mark(mail).is_ok(),
        3 => remote.send(mail).is_ok(),
        _ => remote.health(HealthQuestion::Ready).is_ok(),
    }
}

fn limits() -> Limits {
    Limits { message: 64 * 1024, ..Limits::default() }
}

/// Is asked for the copies of posts that it made.
struct Watched {
    engine: Arc<ReloadableHandler>,
    made: Arc<Mutex<HashSet<u64>>>,
}

fn hash(posting: &Posting) -> u64 {
    let mut hasher = DefaultHasher::new();
    (posting.is_post(), posting.octets(), posting.mails(), posting.list().address.to_string()).hash(&mut hasher);
    hasher.finish()
}

impl Handler for Watched {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        let outcome = self.engine.handle(mail)?;
        self.made.lock().unwrap().extend(outcome.postings.iter().map(|posting| hash(posting)));
        Ok(outcome)
    }

    fn copies(&self, posting: &Posting, numbers: Range<usize>) -> Result<Vec<Mail>> {
        assert!(self.made.lock().unwrap().contains(&hash(posting)), "a post that was not made here");
        self.engine.copies(posting, numbers)
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        self.engine.mark(mail)
    }
}

impl World {
    fn new() -> World {
        let ((keys, files), policy, limits) = (keys(), policy(), limits());
        let keys = Arc::new(keys);
        let engine = Arc::new(engine(&keys, &policy, &limits));
        let made: Arc<Mutex<HashSet<u64>>> = Arc::default();
        let watched = Watched { engine: Arc::clone(&engine), made: Arc::clone(&made) };
        let handler: Arc<dyn Handler> = Arc::new(watched);
        let backend = Backend {
            handlers: [("relay", Arc::clone(&handler)), ("submission", handler)].into(),
            lists: vec![policy.lists.clone()],
            limits,
            recipients: 10,
            health: Box::new(|question| match question {
                HealthQuestion::ClockSkew => HealthAnswer::ClockSkew(None),
                HealthQuestion::Endings => HealthAnswer::Endings(Vec::new()),
                HealthQuestion::Keys => HealthAnswer::Keys(None),
                HealthQuestion::Ready => HealthAnswer::Ready(Ok(())),
            }),
            counts: Arc::new(PassedCounts::default()),
            context: Arc::new(|context| assert!(!context.contains(char::is_control), "{context:?}")),
            program: Some(Box::new(|_| Ok(()))),
            mailer: Default::default(),
            posted: Default::default(),
        };
        let cases = cases();
        let outcomes: Vec<Outcome> = cases.iter().map(|case| engine.handle(case.mail.clone()).unwrap()).collect();
        outcomes.iter().for_each(|outcome| tell(&backend, outcome));
        made.lock().unwrap().extend(outcomes.iter().flat_map(|outcome| &outcome.postings).map(|posting| hash(posting)));
        let posting = Arc::clone(outcomes.iter().find_map(|outcome| outcome.postings.first()).expect("a post"));
        let said = cases.iter().flat_map(|case| requests("relay", &case.mail, &posting, 0..2)).collect();
        let copies = engine.copies(&posting, 0..2).unwrap();
        let metrics = Metrics::default();
        metrics.key_used(ProtocolName::Pgp.name(), "sign");
        let told = responses(&cases[1].mail, &outcomes[1], &copies, &metrics.take());
        let secrets = files.iter().map(secret_part).chain([MARKER.as_bytes().to_vec()]).collect();
        World { backend, policy, cases, posting, said, told, secrets, keys: Keys::default() }
    }
}

/// Octets of a secret key: the middle of the first long run of what its file has and the public part has not.
fn secret_part((secret, public): &(Vec<u8>, Vec<u8>)) -> Vec<u8> {
    let secret = without_armor(secret);
    let is_public = |at: &usize| public.windows(LENGTH).any(|window| window == &secret[*at..][..LENGTH]);
    let mut run = 0;
    for at in 0..secret.len() - LENGTH {
        run = if is_public(&at) { 0 } else { run + 1 };
        // 32 octets that are not public stand in as many windows as they have octets, and more.
        if run == LENGTH + 8 {
            return secret[at - 8..][..LENGTH].to_vec();
        }
    }
    panic!("a file without a secret key");
}

/// Octets of each.
const LENGTH: usize = 20;

/// The octets in the lines of base 64, if there are such.
fn without_armor(file: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(file);
    if !text.starts_with("-----BEGIN") {
        return file.to_vec();
    }
    let lines = text.lines().filter(|line| !line.contains([':', '-']) && !line.starts_with('='));
    let (mut bits, mut count, mut octets) = (0_u32, 0, Vec::new());
    for letter in lines.flat_map(str::bytes) {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let Some(value) = alphabet.iter().position(|known| *known == letter) else { break };
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            octets.push((bits >> count) as u8);
        }
    }
    octets
}
