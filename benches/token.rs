//! Signatures a second by keys on a token: through our handle, and by the bare module, in turns within one run. SoftHSM's token is in a folder of its own.
//!
//! `cargo bench --bench token`; `cargo test --bench token` is the same without optimization of our own code.

use std::{
    env, fs,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    mechanism::Mechanism,
    object::{Attribute, ObjectClass},
    session::UserType,
    types::AuthPin,
};
use postseal::{
    base::{Result, Secret, SystemRandom},
    crypto::{Curve, Hash, KeyAlgorithm, RawRsa, Scheme},
    keys::{Handle, TokenKey, TokenUri, Tokens},
    token::{KnownPins, OpenTokens, Pin, Pins},
};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const CONFIGURATION: &str = "SOFTHSM2_CONF";

fn main() {
    if env::var_os("POSTSEAL_BENCH_TOKEN").is_some() {
        return measure();
    }
    // SoftHSM reads its environment, which only a new process can be given.
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("tokens")).expect("a folder");
    let place = folder.path().join("softhsm2.conf");
    let tokens = folder.path().join("tokens");
    fs::write(&place, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display())).expect("a file");
    let initialize = ["--init-token", "--free", "--label", "bench", "--so-pin", "31415926", "--pin", "1234"];
    let made = Command::new("softhsm2-util").env(CONFIGURATION, &place).args(initialize).output();
    if !made.is_ok_and(|made| made.status.success()) {
        println!("NOT MEASURED: softhsm2-util absent");
        return;
    }
    let program = env::current_exe().expect("this program");
    let mut again = Command::new(program);
    let ended = again.env(CONFIGURATION, &place).env("POSTSEAL_BENCH_TOKEN", "1").status().expect("it starts");
    assert!(ended.success());
}

#[derive(Debug)]
struct Known;

impl Pins for Known {
    fn pin(&self, _: &TokenUri) -> Result<Option<Pin>> {
        Ok(Some(Pin::Given(Secret::new(b"1234".to_vec()))))
    }
}

fn measure() {
    let tokens = OpenTokens::new(KnownPins::default(), Arc::new(Known));
    let digest = Hash::Sha256.digest(b"text");
    let info = RawRsa::digest_info(Hash::Sha256, &digest).expect("a digest");
    let kinds = [
        ("rsa2048", KeyAlgorithm::Rsa(2048), Scheme::RsaPkcs1(Hash::Sha256), Mechanism::RsaPkcs, info),
        ("p256", KeyAlgorithm::Ecdsa(Curve::P256), Scheme::Ecdsa(Hash::Sha256), Mechanism::Ecdsa, digest.clone()),
    ];
    for (name, algorithm, scheme, mechanism, input) in kinds {
        let uri = format!("pkcs11:token=bench;object={name}?module-path={MODULE}");
        let uri = TokenUri::parse(&uri).expect("a uri");
        let (uri, public) = tokens.generate(&uri, algorithm, &SystemRandom).expect("a key");
        let handle = Handle::from_octets(&[0; 20]);
        let ours = tokens.key(&TokenKey::new(handle, uri, public, &SystemRandom).expect("a key")).expect("a handle");

        let context = Pkcs11::new(MODULE).expect("SoftHSM");
        // It is initialized already.
        let _ = context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
        let slot = context.get_slots_with_initialized_token().expect("a slot")[0];
        let session = context.open_ro_session(slot).expect("a session");
        let _ = session.login(UserType::User, Some(&AuthPin::new("1234".into())));
        let wanted = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(name.as_bytes().to_vec())];
        let key = session.find_objects(&wanted).expect("a look-up")[0];

        let (mut bare, mut through) = (0.0, 0.0);
        for _ in 0..ROUNDS {
            bare += rate(|| drop(session.sign(&mechanism, key, &input).expect("a signature")));
            through += rate(|| drop(ours.sign(scheme, &digest).expect("a signature")));
        }
        let (bare, through) = (bare / f64::from(ROUNDS), through / f64::from(ROUNDS));
        println!(
            "{name}: {bare:.0} a second by the module, {through:.0} through our handle: {:.1} %",
            100.0 * through / bare
        );
    }
}

/// How often `work` is done in a second.
fn rate(work: impl Fn()) -> f64 {
    let (start, mut count) = (Instant::now(), 0.0);
    while start.elapsed() < ROUND {
        work();
        count += 1.0;
    }
    count / start.elapsed().as_secs_f64()
}

const ROUNDS: u32 = 6;
const ROUND: Duration = Duration::from_millis(500);
