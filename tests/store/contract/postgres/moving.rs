//! From a home to a database and back; what a copy of the database gives away.

use super::*;

#[test]
fn keys_move_to_a_database_and_back() {
    if !is_present() {
        return;
    }
    let server = Server::shared();
    let url = server.database("moved");
    let folder = private();
    let place = folder.path().join("home");
    fill(&home(&place, &[]));
    let old = home(&place, &[PASSPHRASE]);
    old.keep_statement(b"a list", &Memory::new(), now()).unwrap();
    let listed = || {
        let (code, out, said) = run(&place, &["key", "list", "--json"]);
        assert_eq!(code, 0, "{said}");
        out
    };
    let before = listed();
    let expected = "3 certificates, 3 of them with a secret key, 1 revocation lists; all were compared\n";
    let moves = |to: &str| {
        let (code, _, said) = run(&place, &["store", "migrate", to]);
        (code, said)
    };
    let (code, said) = moves(&url);
    assert!(code == 0 && said.ends_with(expected), "{said}");
    assert!(place.join("postseal.db.moved").exists() && !place.join("postseal.db").exists());
    assert_eq!(fs::metadata(place.join("store")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(listed(), before);
    assert_eq!(run(&place, &["key", "check"]).0, 0);
    contract(&home(&place, &[PASSPHRASE]), &home(&place, &[]));
    assert_eq!(server.psql("moved", "SELECT count(*) FROM postseal.secret"), Ok("3".to_owned()));
    let (code, _, said) = run(&place, &["backup", "keys.backup"]);
    assert!(code == 69 && said.contains("backed up with the tools of its database"), "{said}");
    // A process that had the home open does not go on with the old rows.
    let error = look(&old).unwrap_err();
    assert_eq!((error.kind(), error.is_permanent()), (Kind::TryAgain, false), "{error}");
    assert_eq!(old.remove(&PEOPLE[0].described.record, Removal::WithSecret).unwrap_err().kind(), Kind::TryAgain);
    assert_eq!(moves(&url).0, 64, "they are there already");

    // Interrupted between the copy and the change of the home: it can be run again.
    fs::rename(place.join("postseal.db.moved"), place.join("postseal.db")).unwrap();
    fs::remove_file(place.join("store")).unwrap();
    let (code, said) = moves(&url);
    assert!(code == 0 && said.ends_with(expected), "{said}");
    // Interrupted after it: the file of the home has no say any more.
    fs::copy(place.join("postseal.db.moved"), place.join("postseal.db")).unwrap();
    home(&place, &[]).remove(&PEOPLE[2].described.record, Removal::WithSecret).unwrap();
    assert_eq!(server.psql("moved", "SELECT count(*) FROM postseal.secret"), Ok("2".to_owned()));
    fs::remove_file(place.join("postseal.db")).unwrap();

    let after = listed();
    let (code, said) = moves("sqlite");
    let expected = "2 certificates, 2 of them with a secret key, 1 revocation lists; all were compared\n";
    assert!(code == 0 && said.ends_with(expected), "{said}");
    assert!(place.join("postseal.db").exists() && !place.join("store").exists());
    assert_eq!(listed(), after);
    assert_eq!(home(&place, &[]).check(Repair::No).unwrap(), []);
    assert_eq!(moves("sqlite").0, 64);

    // A database with other keys is left alone, and so is the home.
    home(&place, &[]).add(&[copy(&PEOPLE[2].described)]).unwrap();
    let (code, said) = moves(&url);
    assert!(code == 73 && said.contains("there are other keys in it: 0 rows are not here, and "), "{said}");
    assert!(place.join("postseal.db").exists() && !place.join("store").exists());
    assert_eq!(run(&place, &["store", "connect", &url]).0, 73, "the home has keys of its own");
}

#[test]
fn a_copy_of_the_database_has_no_usable_secret_key() {
    if !is_present() {
        return;
    }
    let server = Server::shared();
    let url = server.database("dumped");
    let machine = Machine::new(&[&url]);
    fill(&machine.open());
    let [alice, ..] = &*PEOPLE;
    let fingerprint = alice.described.record.fingerprint();
    let secret = machine.open().secret_parts(fingerprint).unwrap().unwrap();
    let dump = server.dump("dumped");
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    assert!(dump.contains(&hex(alice.described.record.bytes())), "the certificate is in it");
    let public = alice.described.record.bytes();
    let telling = |window: &&[u8]| !public.windows(window.len()).any(|one| one == *window);
    let window = secret.expose().windows(16).find(telling).unwrap();
    assert!(!dump.contains(&hex(window)));
    // Not with the master key of another machine either.
    let master = fs::read_to_string(machine.home().join("master.key")).unwrap();
    assert!(!dump.contains(master.trim()));
    let stranger = Machine::new(&[&url]);
    fs::write(stranger.home().join("master.key"), "00".repeat(32)).unwrap();
    fs::set_permissions(stranger.home().join("master.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let error = stranger.open().secret_parts(fingerprint).unwrap_err();
    assert_eq!(error.kind(), Kind::Inaccessible, "{error}");
    // A machine that has no master key is told what to do.
    let place = private();
    let (code, _, said) = run(place.path(), &["store", "connect", &url]);
    assert!(code == 0 && said.contains("copy master.key from the home of another machine"), "{said}");
}
