//! Each verb is one change: complete or absent, whatever is killed and whichever process writes at the same time.
//!
//! POSTSEAL_KILLS says how many kills of each verb instead of a few; POSTSEAL_OPERATIONS how many operations of twenty workers.

use std::{
    cell::Cell,
    fs,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use postseal::base::{Clock as _, SystemClock};

use super::lab::{Lab, REVOKED, data, rounds};

/// Unpredictable numbers; where they began is said when a test fails.
struct Random(u64);

impl Random {
    fn new() -> Random {
        let now = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        println!("seed {}", now.as_nanos());
        Random(u64::try_from(now.as_nanos() & 0xffff_ffff).unwrap() | 1)
    }

    /// Below `limit`. Source: xorshift64 (Marsaglia 2003, "Xorshift RNGs").
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Runs `verb` again and again and kills it at a random moment of its time; `prepare` comes before each run and `judge` after it, and says
/// whether the change was made.
fn kill(name: &str, lab: &Lab, verb: &[&str], prepare: impl Fn(&Lab), judge: impl Fn(&Lab) -> bool) {
    let mut random = Random::new();
    prepare(lab);
    let start = Instant::now();
    assert_eq!(lab.run(verb).code, 0, "{name}");
    let whole = u64::try_from(start.elapsed().as_micros()).unwrap();
    assert!(judge(lab), "{name}: done");
    let (count, mut made) = (rounds("POSTSEAL_KILLS", 12), 0);
    for _ in 0..count {
        prepare(lab);
        let mut child = lab.command(verb).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_micros(random.below(whole + whole / 10)));
        // It may be over.
        let _ = child.kill();
        child.wait().unwrap();
        made += usize::from(judge(lab));
        let check = lab.run(&["key", "check"]);
        assert_eq!(check.code, 0, "{name}: {check:?}");
    }
    println!("{name}: {count} kills, {made} of them after the change");
}

fn count(lab: &Lab, sql: &str) -> i64 {
    lab.sqlite().query_row(sql, (), |row| row.get(0)).unwrap()
}

#[test]
fn generate_is_whole_or_not_at_all() {
    let lab = Lab::new();
    let sql = "SELECT count(*) FROM certificate";
    let before = Cell::new(0);
    // The first kills meet a home that does not exist.
    kill(
        "key generate",
        &lab,
        &["key", "generate", "--replace", "--no-passphrase", "a@example.org", "b@example.org"],
        |_| (),
        |lab| {
            if !lab.home.exists() {
                return false;
            }
            let certificates = count(lab, sql);
            assert_eq!(count(lab, "SELECT count(*) FROM certificate JOIN binding USING (fingerprint)"), certificates);
            assert_eq!(count(lab, "SELECT count(*) FROM secret"), certificates);
            // A key is never without the file that revokes it.
            let files = fs::read_dir(lab.home.join("revocations")).map_or(0, |all| {
                all.filter(|one| one.as_ref().unwrap().file_name().to_string_lossy().ends_with(".asc")).count()
            });
            assert!(i64::try_from(files).unwrap() >= certificates, "{files} of {certificates}");
            before.replace(certificates) < certificates
        },
    );
}

#[test]
fn generate_of_smime_is_whole_or_not_at_all() {
    let lab = Lab::new();
    let before = Cell::new(0);
    let verb = ["-f", "smime", "--algorithm", "p256", "a@example.org", "b@example.org", "c@example.org"];
    kill(
        "key generate -f smime",
        &lab,
        &[&["key", "generate", "--replace", "--no-passphrase"], &verb[..]].concat(),
        |_| (),
        |lab| {
            let sql = "SELECT count(*) FROM certificate WHERE protocol = 'smime' AND 3 <>
            (SELECT count(*) FROM binding WHERE binding.fingerprint = certificate.fingerprint)";
            assert_eq!(count(lab, sql), 0);
            let certificates = count(lab, "SELECT count(*) FROM certificate");
            before.replace(certificates) < certificates
        },
    );
}

#[test]
fn import_is_whole_or_not_at_all() {
    let source = Lab::new();
    for name in ["a", "b", "c"] {
        let arguments = ["key", "generate", "-f", "smime", "--algorithm", "p256", "--no-passphrase"];
        assert_eq!(source.run(&[&arguments[..], &[&format!("{name}@example.org")]].concat()).code, 0);
    }
    let file = source.path("all.pem");
    let mut all: Vec<u8> = Vec::new();
    for name in ["a", "b", "c"] {
        all.extend(source.run(&["key", "export", &format!("{name}@example.org")]).out.into_bytes());
    }
    all.extend(fs::read(data("ca.pem")).unwrap());
    fs::write(&file, all).unwrap();
    let lab = Lab::new();
    assert_eq!(lab.run(&["key", "import", &data("clean.pgp")]).code, 0);
    let empty = |lab: &Lab| {
        for line in lab.run(&["key", "list"]).out.lines().filter(|line| !line.starts_with(REVOKED)) {
            assert_eq!(lab.run(&["key", "remove", line.split_whitespace().next().unwrap()]).code, 0);
        }
    };
    let file = file.to_str().unwrap();
    let certificates = "SELECT count(*) FROM certificate WHERE protocol = 'smime'";
    kill("key import", &lab, &["key", "import", file], empty, |lab| {
        let found = count(lab, certificates);
        assert!([0, 4].contains(&found), "{found}");
        found > 0
    });
    kill("key import --anchor", &lab, &["key", "import", "--anchor", file], empty, |lab| {
        let found = count(lab, certificates);
        assert!([0, 4].contains(&found), "{found}");
        assert_eq!(count(lab, "SELECT count(*) FROM binding WHERE subject = 'anchor'"), found);
        found > 0
    });
    // A folder of files, two of them named after an address that they are trusted for.
    let folder = source.path("openssl");
    fs::create_dir(&folder).unwrap();
    for name in ["a", "b", "c"] {
        let address = format!("{name}@example.org");
        let end = if name == "c" { "c".to_owned() } else { address.clone() };
        fs::write(folder.join(format!("{end}.pem")), source.run(&["key", "export", &address]).out).unwrap();
    }
    kill("import openssl-dir", &lab, &["import", "openssl-dir", folder.to_str().unwrap()], empty, |lab| {
        let found = count(lab, certificates);
        assert!([0, 3].contains(&found), "{found}");
        assert_eq!(count(lab, "SELECT 3 * count(*) FROM binding"), 2 * found);
        found > 0
    });
    // With a list beside the certificates.
    let crl = data("crl.pem");
    kill(
        "key import of a list",
        &lab,
        &["key", "import", file, &crl],
        |lab| {
            // A home without the list again: lists are removed by nothing but a newer one.
            fs::remove_dir_all(&lab.home).unwrap();
            assert_eq!(lab.run(&["key", "import", &data("clean.pgp")]).code, 0);
        },
        |lab| {
            let found = count(lab, certificates);
            assert_eq!(count(lab, "SELECT 4 * count(*) FROM statement"), found);
            found > 0
        },
    );
}

#[test]
fn trust_and_remove_are_whole_or_not_at_all() {
    let lab = Lab::new();
    let import = |lab: &Lab| assert_eq!(lab.run(&["key", "import", &data("clean.pgp")]).code, 0);
    import(&lab);
    kill(
        "key trust",
        &lab,
        &["key", "trust", REVOKED, "v@example.org"],
        |lab| {
            assert_eq!(lab.run(&["key", "remove", REVOKED]).code, 0);
            import(lab);
        },
        |lab| count(lab, "SELECT count(*) FROM binding") == 1,
    );
    kill(
        "key remove",
        &lab,
        &["key", "remove", REVOKED],
        |lab| {
            import(lab);
            assert_eq!(lab.run(&["key", "trust", REVOKED, "v@example.org"]).code, 0);
        },
        |lab| {
            let left = count(lab, "SELECT count(*) FROM certificate");
            assert_eq!(count(lab, "SELECT count(*) FROM binding"), left);
            left == 0
        },
    );
    let mine = Lab::new();
    let generate = |lab: &Lab| {
        if !lab.home.exists() || count(lab, "SELECT count(*) FROM certificate") == 0 {
            assert_eq!(lab.run(&["key", "generate", "--no-passphrase", "a@example.org"]).code, 0);
        }
    };
    generate(&mine);
    // Each has a key of its own, and this one is named by its only certificate.
    let name = mine.run(&["key", "list"]).out.split_whitespace().next().unwrap().to_owned();
    let file = mine.path("own.asc");
    fs::write(&file, mine.run(&["key", "export", "--secret", &name]).out).unwrap();
    let file = file.to_str().unwrap().to_owned();
    kill(
        "key remove --secret",
        &mine,
        &["key", "remove", "--secret", &name],
        |lab| {
            assert_eq!(lab.run(&["key", "check", "--repair"]).code, 0);
            assert_eq!(lab.run(&["key", "import", &file]).code, 0);
        },
        |lab| {
            let left = count(lab, "SELECT count(*) FROM certificate");
            assert_eq!(count(lab, "SELECT count(*) FROM secret"), left);
            // Killed between the change and the erasing: that it is still to be done is known.
            assert_eq!(lab.run(&["key", "check", "--repair"]).code, 0);
            left == 0
        },
    );
}

/// Both done in some order: after the removal nothing is believed, and trust of what is gone is an error.
#[test]
fn trust_beside_remove_leaves_no_belief() {
    let lab = Lab::new();
    let mut refused = 0;
    for _ in 0..rounds("POSTSEAL_KILLS", 40) {
        assert_eq!(lab.run(&["key", "import", &data("clean.pgp")]).code, 0);
        let mut trust = lab.command(&["key", "trust", REVOKED, "v@example.org"]).stderr(Stdio::null()).spawn().unwrap();
        let mut remove = lab.command(&["key", "remove", REVOKED]).stderr(Stdio::null()).spawn().unwrap();
        let (trust, remove) = (trust.wait().unwrap(), remove.wait().unwrap());
        assert!(remove.success());
        assert!(trust.success() || trust.code() == Some(77), "{trust:?}");
        refused += usize::from(!trust.success());
        assert_eq!(count(&lab, "SELECT count(*) FROM binding"), 0);
    }
    println!("trust was refused {refused} times");
}

/// Twenty workers at once, each with certificates of its own, killed at random: what was acknowledged is there, and nothing else.
#[test]
fn twenty_workers_lose_nothing() {
    let lab = Lab::new();
    let source = Lab::new();
    let mut people = Vec::new();
    for number in 0..WORKERS {
        let address = format!("w{number}@example.org");
        assert_eq!(source.run(&["key", "generate", "--no-passphrase", &address]).code, 0);
        let file = source.path(&format!("{number}.asc"));
        let exported = source.run(&["key", "export", "--secret", &address]).out;
        fs::write(&file, exported).unwrap();
        let listed = source.run(&["key", "list"]).out;
        let line = listed.lines().find(|line| line.contains(&address)).unwrap();
        people.push((line.split_whitespace().next().unwrap().to_owned(), file.display().to_string()));
    }
    let operations = rounds("POSTSEAL_OPERATIONS", 400);
    let (done, killed, waited) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let start = Instant::now();
    thread::scope(|scope| {
        for (worker, (fingerprint, file)) in people.iter().enumerate() {
            let (lab, done, killed, waited) = (&lab, &done, &killed, &waited);
            scope.spawn(move || {
                let mut random = Random(u64::try_from(worker).unwrap() * 0x9e37_79b9 + 1);
                // What may be true: here or not, believed for how many.
                let mut states = vec![None];
                while done.fetch_add(1, Ordering::SeqCst) < operations {
                    let address = format!("x{}@example.net", random.below(3));
                    let turn = random.below(10);
                    let verb = match turn {
                        0..=3 => vec!["key", "import", file],
                        4..=5 => vec!["key", "trust", fingerprint, &address],
                        6..=7 => vec!["key", "remove", "--secret", fingerprint],
                        _ => vec!["key", "show", "--json", fingerprint],
                    };
                    let mut child = lab.command(&verb);
                    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
                    let is_killed = random.below(4) == 0;
                    if is_killed {
                        thread::sleep(Duration::from_micros(random.below(60_000)));
                        let _ = child.kill();
                        killed.fetch_add(1, Ordering::SeqCst);
                    }
                    let ended = child.wait_with_output().unwrap();
                    let code = ended.status.code();
                    let after = |state: &Option<Vec<String>>| match (turn, state) {
                        (0..=3, None) => Some(Vec::new()),
                        (4..=5, Some(bound)) => {
                            let mut bound = bound.clone();
                            bound.push(address.clone());
                            bound.sort();
                            bound.dedup();
                            Some(bound)
                        }
                        (6..=7, _) => None,
                        (_, state) => state.clone(),
                    };
                    let changed: Vec<_> = states.iter().map(after).collect();
                    match code {
                        // Killed: it may have been done.
                        None => states.extend(changed),
                        Some(0) => {
                            if turn >= 8 {
                                let text = String::from_utf8(ended.stdout).unwrap();
                                let seen = text.split("\"trusted_addresses\":[").nth(1).unwrap_or_default();
                                let seen = seen.split(']').next().unwrap_or_default();
                                let mut seen: Vec<String> =
                                    seen.split(',').map(|one| one.trim_matches('"').to_owned()).collect();
                                seen.retain(|one| !one.is_empty());
                                seen.sort();
                                assert!(states.contains(&Some(seen.clone())), "{seen:?}, not one of {states:?}");
                                states = vec![Some(seen)];
                            } else {
                                states = changed;
                            }
                        }
                        // Not here.
                        Some(77) => {
                            assert!(turn > 3 && states.contains(&None), "{verb:?} {states:?}");
                            states = vec![None];
                        }
                        // Another process read the data to be erased; it is removed.
                        Some(75) if (6..=7).contains(&turn) => {
                            waited.fetch_add(1, Ordering::SeqCst);
                            states.extend(changed);
                        }
                        Some(75) => _ = waited.fetch_add(1, Ordering::SeqCst),
                        Some(other) => panic!("{verb:?}: {other}"),
                    }
                    states.sort();
                    states.dedup();
                }
            });
        }
    });
    let repair = lab.run(&["key", "check", "--repair"]);
    assert_eq!(repair.code, 0, "{repair:?}");
    println!(
        "{operations} operations of {WORKERS} workers in {:.0} s, {} killed, {} told to wait: 0 lost, 0 wrong",
        start.elapsed().as_secs_f64(),
        killed.load(Ordering::SeqCst),
        waited.load(Ordering::SeqCst)
    );
}

const WORKERS: usize = 20;
