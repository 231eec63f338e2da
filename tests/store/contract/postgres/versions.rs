//! Programs and tables of different versions.

use super::*;

#[test]
fn tables_of_another_version_are_used_or_refused_and_never_misread() {
    if !is_present() {
        return;
    }
    let server = Server::shared();
    let url = server.database("versions");
    let machine = Machine::new(&[&url]);
    let keys = machine.open();
    fill(&keys);
    let sql = |text: &str| server.psql("versions", text).unwrap();

    // A later program has added what it needs, while this one runs and another one of this version starts.
    sql("ALTER TABLE postseal.certificate ADD COLUMN colour text NOT NULL DEFAULT 'red';
         CREATE TABLE postseal.later (number bigint PRIMARY KEY);
         ALTER TABLE postseal.binding ADD COLUMN reason text;
         UPDATE postseal.version SET version = 3, least = 1");
    for keys in [&keys, &machine.open()] {
        assert_eq!(look(keys), Ok(1));
        let binding = Binding::Address(address("later@example.net"));
        keys.bind(PEOPLE[0].described.record.fingerprint(), &binding, Origin::Trusted, now()).unwrap();
        keys.remove(&PEOPLE[1].described.record, Removal::WithSecret).unwrap();
        keys.add(&[copy(&PEOPLE[1].described)]).unwrap();
        assert_eq!(keys.check(Repair::No).unwrap(), []);
    }
    assert_eq!(store::upgrade(&url).unwrap(), (3, 3), "it makes nothing older of it");

    // It has removed what this version needs.
    sql("UPDATE postseal.version SET least = 3");
    let refused = |result: Result<(), Error>, expected: &str| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), Kind::Config, "{error}");
        assert!(error.to_string().ends_with(expected), "{error}");
        assert!(!error.is_permanent());
    };
    let newer = "tables of version 3, made by a newer postseal";
    refused(look(&keys).map(drop), newer);
    refused(keys.add(&[copy(&PEOPLE[1].described)]).map(drop), newer);
    refused(machine.try_open().map(drop), newer);
    refused(store::upgrade(&url).map(drop), newer);
    assert_eq!(run(machine.home(), &["key", "list"]).0, 78);

    // Tables that are older than the program: the administrator of the database runs the command.
    sql("UPDATE postseal.version SET version = 0, least = 0");
    refused(look(&keys).map(drop), "tables of version 0, and this postseal needs 2");
    sql("UPDATE postseal.version SET version = 2, least = 1");
    assert_eq!(look(&keys), Ok(1));

    // A database whose tables are gone is not an empty one.
    sql("DROP SCHEMA postseal CASCADE");
    assert_eq!(look(&keys).unwrap_err().kind(), Kind::Damaged);
}

/// Tables as version 1 made them: those of what was found on the network are missing.
#[test]
fn tables_of_version_1_are_made_those_of_version_2() {
    if !is_present() {
        return;
    }
    let server = Server::shared();
    let url = server.database("expanded");
    let machine = Machine::new(&[&url]);
    fill(&machine.open());
    let sql = |text: &str| server.psql("expanded", text).unwrap();
    sql("DROP TABLE postseal.answer, postseal.asking, postseal.used, postseal.refreshed, postseal.pending, postseal.fetching, postseal.unfetched,
         postseal.renewal;
         UPDATE postseal.version SET version = 1, least = 1");
    let (code, _, said) = run(machine.home(), &["key", "list"]);
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("tables of version 1, and this postseal needs 2"), "{said}");
    let (code, _, said) = run(machine.home(), &["store", "upgrade", &url]);
    assert_eq!((code, said.as_str()), (0, "tables of version 1 are of version 2 now\n"));
    assert_eq!(look(&machine.open()), Ok(1));
    // A program that knows version 1 alone goes on: what it needs is as it was.
    assert_eq!(sql("SELECT version, least FROM postseal.version"), "2|1");
    assert_eq!(sql("SELECT count(*) FROM postseal.used"), "0");
}
