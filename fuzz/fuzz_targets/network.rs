//! Any values that the process for the network may say, and real ones that are changed: no panic, no more octets than were asked for, no value without octets, and
//! reasons of one line. In the other direction, any values that it may be told.
#![no_main]

mod script;

use std::{sync::LazyLock, time::Instant};

use libfuzzer_sys::fuzz_target;
use postseal::{
    discover::{
        Method, NetworkAccess, NetworkSettings, SignedKeys,
        http::{Bounds, Failure},
    },
    isolation::fuzzing::network::{self, Taken},
    mail::Address,
};

use crate::script::values;

/// Octets of an answer. A change of the real ones can be longer.
const MOST: usize = 310;

static REPLIES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(network::replies);
static CALLS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let address = Address::parse("alice@example.org").unwrap();
    // Without the feature `discover` they say nothing.
    network::calls(&NetworkSettings, &address)
});

/// What is said is taken where nothing was changed: otherwise the rest would say little.
static SOUND: LazyLock<()> = LazyLock::new(|| {
    let all: Vec<u8> = (0..REPLIES.len()).flat_map(|which| values(&REPLIES, &[which as u8, 0])).collect();
    let taken = network::taken(&all, 320);
    assert_eq!(taken.len(), REPLIES.len() - 1, "all but that it is ready");
    assert!(!taken.iter().any(|one| matches!(one, Taken::Nothing)), "{taken:?}");
    // The settings, and each question.
    let told: Vec<u8> = [0, 2, 3, 4, 5].iter().flat_map(|which| values(&CALLS, &[*which, 0])).collect();
    let answers = network::taken(&network::answered(&told, &Servers), 1 << 20);
    let [Taken::Octets(got), Taken::Octets(posted), Taken::Signed(_), Taken::Values(some)] = answers.as_slice() else {
        panic!("{answers:?}")
    };
    assert_eq!((got.len(), posted.len(), some.len()), (40, 40, 1));
});

fuzz_target!(|octets: &[u8]| {
    LazyLock::force(&SOUND);
    let [mode, program @ ..] = octets else { return };
    match mode & 1 {
        0 => network::taken(&values(&REPLIES, program), MOST).iter().for_each(look),
        _ => {
            let answers = network::answered(&values(&CALLS, program), &Servers);
            network::taken(&answers, 1 << 20).iter().for_each(look);
        }
    }
});

fn look(taken: &Taken) {
    let is_line = |why: &str| assert!(why.chars().count() <= 1_000 && !why.contains(char::is_control), "{why:?}");
    let most = 1 << 20;
    match taken {
        Taken::Octets(octets) | Taken::Signed(SignedKeys::Found(octets)) => assert!(octets.len() <= most),
        Taken::Signed(SignedKeys::Missing(why)) => {
            assert!(why.len() <= most && !why.contains(char::is_control), "{why:?}");
        }
        Taken::Values(values) => {
            assert!(values.iter().map(Vec::len).sum::<usize>() <= most);
            assert!(!values.iter().any(Vec::is_empty));
        }
        Taken::Failed(Failure::Failed(why) | Failure::Unfit(why)) => is_line(why),
        Taken::Failed(Failure::NoHost | Failure::NotFound) | Taken::Nothing => {}
    }
}

/// Servers that answer at once.
struct Servers;

impl NetworkAccess for Servers {
    fn get(&self, url: &str, _: &Bounds) -> Result<Vec<u8>, Failure> {
        if url.is_empty() { Err(Failure::NotFound) } else { Ok(vec![7; 40]) }
    }

    fn post(&self, _: &str, _: &str, octets: &[u8], _: &Bounds) -> Result<Vec<u8>, Failure> {
        if octets.is_empty() { Err(Failure::Failed("why\r\n".to_owned())) } else { Ok(vec![7; 40]) }
    }

    fn signed_keys(&self, _: Method, _: &Address, deadline: Instant) -> Result<SignedKeys, Failure> {
        assert!(deadline > Instant::now() || deadline.elapsed().as_secs() < 60);
        Ok(SignedKeys::Found(vec![7; 40]))
    }

    fn directory_keys(&self, _: Method, _: &Address, _: Instant) -> Result<Vec<Vec<u8>>, Failure> {
        // A directory may have values without octets.
        Ok(vec![Vec::new(), vec![7; 40]])
    }
}
