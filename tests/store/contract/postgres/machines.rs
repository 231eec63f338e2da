//! Several machines, with users of their own, over TLS.

use std::time::Instant;

use super::*;

#[test]
fn what_one_machine_revokes_another_refuses_within_a_second() {
    if !is_present() {
        return;
    }
    let server = Server::shared();
    let url = server.database("two");
    let one = Machine::new(&[&url]);
    fill(&one.open());
    let other = one.beside(&[&url]);
    let (here, there) = (one.open(), other.open());
    assert_eq!(look(&there), Ok(1));
    std::thread::sleep(UNTIL_IT_LISTENS);
    // It listens from the next look on, and then answers from memory.
    assert_eq!(look(&there), Ok(1));
    std::thread::sleep(SECOND);
    assert_eq!(look(&there), Ok(1));
    let fingerprint = PEOPLE[0].described.record.fingerprint();
    let is_revoked = || {
        let found = there.find(ProtocolName::Pgp, &Query::manage(Want::Certificate(fingerprint))).unwrap();
        found[0].bytes() == revoked(&PEOPLE[0]).record.bytes()
    };
    assert!(!is_revoked());
    let transactions = || server.psql("two", "SELECT xact_commit FROM pg_stat_database WHERE datname = 'two'").unwrap();
    let before = transactions();
    let begin = Instant::now();
    (0..2000).for_each(|_| assert_eq!(look(&there), Ok(1)));
    println!("a look-up from memory: {:?}", begin.elapsed() / 2000);
    let asked = transactions().parse::<u64>().unwrap() - before.parse::<u64>().unwrap();
    assert!(asked < 100, "{asked} transactions for 2000 look-ups of what is known");

    here.add(&[revoked(&PEOPLE[0])]).unwrap();
    let begin = Instant::now();
    while !is_revoked() {
        assert!(begin.elapsed() < SECOND, "it is still used after {:?}", begin.elapsed());
    }
    println!("seen after {:?}", begin.elapsed());
    // A process that has changed something sees that at once.
    there.remove(&PEOPLE[0].described.record, Removal::WithSecret).unwrap();
    assert_eq!(look(&there), Ok(0));
    let begin = Instant::now();
    while look(&here) != Ok(0) {
        assert!(begin.elapsed() < SECOND, "it is still used after {:?}", begin.elapsed());
    }
}

#[test]
fn each_role_can_do_what_it_is_for() {
    if !is_present() {
        return;
    }
    let server = Server::shared();
    let url = server.database("roles");
    let owner = Machine::new(&[&url]);
    fill(&owner.open());
    // Twice: running it again does no harm.
    for _ in 0..2 {
        server.psql("roles", store::roles()).unwrap();
    }
    for (user, role) in [("mx1", "postseal_service"), ("looker", "postseal_reader"), ("boss", "postseal_admin")] {
        let sql = format!("CREATE USER {user} PASSWORD '{}' IN ROLE {role}", crate::support::postgres::PASSWORD);
        server.psql("roles", &sql).unwrap();
    }
    let over_tls = |host: &str, user: &str| server.over_tls(host, user, "roles", "ca.pem");
    let record = &PEOPLE[0].described.record;

    let machine = owner.beside(&[&over_tls("127.0.0.1", "mx1")]);
    let service = machine.open();
    assert_eq!(look(&service), Ok(1));
    assert!(service.secret(record, record.fingerprint()).unwrap().is_some());
    service.add(&[revoked(&PEOPLE[0])]).unwrap();
    service.remove(&PEOPLE[1].described.record, Removal::WithSecret).unwrap();
    let refused = |result: Result<(), Error>| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), Kind::Inaccessible, "{error}");
        assert!(error.to_string().contains("permission denied"), "{error}");
    };
    // What was found on the network.
    let pending = |home: &Path| run(home, &["key", "pending"]);
    assert_eq!(pending(machine.home()), (0, String::new(), String::new()));
    let rows = server.psql(
        "roles",
        "SET ROLE mx1; DELETE FROM postseal.answer; DELETE FROM postseal.used; DELETE FROM postseal.renewal",
    );
    assert_eq!(rows, Ok(String::new()));
    let sql = "SET ROLE mx1; CREATE TABLE postseal.mine (number integer)";
    assert!(server.psql("roles", sql).unwrap_err().contains("permission denied for schema"));

    let machine = owner.beside(&[&over_tls("localhost", "looker")]);
    let reader = machine.open();
    assert_eq!(look(&reader), Ok(1));
    refused(reader.secret(record, record.fingerprint()).map(drop));
    refused(reader.add(&[copy(&PEOPLE[1].described)]).map(drop));
    assert_eq!(look(&reader), Ok(1), "it goes on after that");
    assert_eq!(pending(machine.home()).0, 77, "it does not decide which key is in use");

    assert_eq!(store::upgrade(&over_tls("localhost", "boss")).unwrap(), (2, 2));
    server.psql("roles", "CREATE DATABASE empty").unwrap();
    server.psql("roles", "GRANT CREATE ON DATABASE empty TO boss").unwrap();
    let empty = |user: &str| server.over_tls("localhost", user, "empty", "ca.pem");
    refused(store::upgrade(&empty("mx1")).map(drop));
    assert_eq!(store::upgrade(&empty("boss")).unwrap(), (0, 2));
}

#[test]
fn a_server_that_is_not_the_one_is_refused() {
    if !is_present() {
        return;
    }
    let server = Server::shared();
    let url = server.database("tls");
    store::upgrade(&url).unwrap();
    server.psql("tls", store::roles()).unwrap();
    let user = format!("CREATE USER mx9 PASSWORD '{}' IN ROLE postseal_service", crate::support::postgres::PASSWORD);
    server.psql("tls", &user).unwrap();
    let said = |url: &str| {
        let error = Machine { folder: private() }.connect(&[url]).unwrap_err();
        assert!(!error.to_string().contains(crate::support::postgres::PASSWORD), "{error}");
        (error.kind(), error.to_string())
    };
    let good = server.over_tls("localhost", "mx9", "tls", "ca.pem");
    let machine = Machine::new(&[&good]);
    assert_eq!(look(&machine.open()), Ok(0));
    let open = machine.open();
    let sql = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'mx9'";
    assert_eq!(server.psql("tls", sql).unwrap(), "t");
    drop(open);

    // Another authority; this machine's own ones; another name.
    let (kind, reason) = said(&server.over_tls("localhost", "mx9", "tls", "other.pem"));
    assert!(kind == Kind::TryAgain && reason.contains("invalid peer certificate"), "{reason}");
    let (kind, reason) = said(good.split_once('?').unwrap().0);
    assert!(kind == Kind::TryAgain && reason.contains("invalid peer certificate"), "{reason}");
    let named = server.over_tls("other.example.org", "mx9", "tls", "ca.pem");
    let (kind, reason) = said(&format!("{named}&hostaddr=127.0.0.1"));
    assert!(kind == Kind::TryAgain && reason.contains("invalid peer certificate"), "{reason}");
    // The server would take it in clear, and so might one in the middle: only the URL can allow it.
    let clear = format!("{}?sslmode=disable", good.split_once('?').unwrap().0);
    assert_eq!(look(&Machine::new(&[&clear]).open()), Ok(0));
    let (kind, _) = said(&format!("{}?sslmode=prefer", good.split_once('?').unwrap().0));
    assert_eq!(kind, Kind::Config);

    let wrong = good.replace(crate::support::postgres::PASSWORD, "wrong");
    let (kind, reason) = said(&wrong);
    assert!(
        kind == Kind::Inaccessible && reason.ends_with("password authentication failed for user \"mx9\""),
        "{reason}"
    );
    let file = machine.home().join("password");
    fs::write(&file, format!("{}\n", crate::support::postgres::PASSWORD)).unwrap();
    let by_file = good.replace(&format!(":{}@", crate::support::postgres::PASSWORD), "@");
    assert_eq!(look(&Machine::new(&[&format!("{by_file}&passwordfile={}", file.display())]).open()), Ok(0));
    let (kind, reason) = said(&good.replace("/tls?", "/nowhere?"));
    assert!(kind == Kind::Config && reason.ends_with("database \"nowhere\" does not exist"), "{reason}");
}

#[test]
fn a_replica_that_is_behind_is_not_asked() {
    if !is_present() {
        return;
    }
    let server = Server::start();
    let url = server.database("copied");
    let one = Machine::new(&[&url]);
    fill(&one.open());
    let replica = server.replica();
    let copy_url = replica.url("copied");
    let caught_up = || {
        let number = |server: &Server| server.psql("copied", "SELECT number FROM postseal.change").unwrap();
        while number(&replica) != number(&server) {
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    caught_up();
    let other = one.beside(&[&url, &copy_url]);
    let (here, there) = (one.open(), other.open());
    look(&there).unwrap();
    std::thread::sleep(UNTIL_IT_LISTENS);
    look(&there).unwrap();
    std::thread::sleep(SECOND);
    let reads = || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'postseal'";
        replica.psql("copied", sql).unwrap()
    };
    assert_eq!(reads(), "0");
    // Not known yet: the replica is asked.
    let bob = address("bob@example.org");
    let of_bob = |keys: &Keystore| keys.find(ProtocolName::Pgp, &Query::manage(Want::Address(&bob))).unwrap().len();
    assert_eq!(of_bob(&there), 1);
    assert_eq!(reads(), "1", "a connection to the replica");

    replica.psql("copied", "SELECT pg_wal_replay_pause()").unwrap();
    here.remove(&PEOPLE[1].described.record, Removal::WithSecret).unwrap();
    let begin = Instant::now();
    while of_bob(&there) != 0 {
        assert!(begin.elapsed() < SECOND, "the replica's old answer counts");
    }
    assert_eq!(replica.psql("copied", "SELECT count(*) FROM postseal.certificate").unwrap(), "3", "it is behind");
    for _ in 0..20 {
        assert_eq!(of_bob(&there), 0);
    }
    replica.psql("copied", "SELECT pg_wal_replay_resume()").unwrap();
    caught_up();
    assert_eq!(of_bob(&there), 0);
}
