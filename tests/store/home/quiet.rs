//! What was acknowledged is seen, by whatever name the database is reached and in whatever mode it is written.

use std::{fs, os::unix::fs::symlink, path::PathBuf, thread, time::Duration};

use rusqlite::Connection;

use super::lab::{Lab, REVOKED, copy_folder, data};

/// Longer than the ticks in which the times of files are counted: from then on a home is read quietly.
const QUIETLY: Duration = Duration::from_millis(120);

#[test]
fn the_log_lies_beside_the_real_file() {
    let lab = Lab::new();
    assert_eq!(lab.run(&["key", "import", &data("clean.pgp")]).code, 0);
    // The database is a link in this home, and its log is not beside the link.
    let linked = lab.path("linked");
    fs::create_dir(&linked).unwrap();
    fs::set_permissions(&linked, fs::metadata(&lab.home).unwrap().permissions()).unwrap();
    symlink(lab.database(), linked.join("postseal.db")).unwrap();
    symlink(&lab.home, lab.path("alias")).unwrap();
    symlink("alias", lab.path("again")).unwrap();
    symlink(".", lab.path("here")).unwrap();
    thread::sleep(QUIETLY);
    let homes: Vec<PathBuf> =
        ["home", "linked", "alias", "again", "here/home", "here/here/again"].map(|name| lab.path(name)).to_vec();
    for home in &homes {
        assert_eq!(lab.verify_at(home), 0, "{}", home.display());
    }
    // As long as this is open, what is written stays in the log.
    let open = lab.sqlite();
    open.query_row("SELECT count(*) FROM certificate", (), |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(lab.run(&["key", "import", &data("revoked.pgp")]).code, 0);
    assert!(fs::metadata(lab.home.join("postseal.db-wal")).unwrap().len() > 0);
    thread::sleep(QUIETLY);
    for home in &homes {
        assert_eq!(lab.verify_at(home), 1, "{}", home.display());
    }
}

#[test]
fn what_is_written_by_one_name_is_read_by_another() {
    let lab = Lab::new();
    assert_eq!(lab.run(&["key", "import", &data("clean.pgp")]).code, 0);
    symlink(&lab.home, lab.path("alias")).unwrap();
    thread::sleep(QUIETLY);
    assert_eq!(lab.verify(), 0);
    assert_eq!(lab.run_at(&lab.path("alias"), &["key", "import", &data("revoked.pgp")]).code, 0);
    assert_eq!(lab.verify(), 1);
}

/// In each mode that leaves a journal: a writer that was killed before it committed has not taken the revocation away.
#[test]
fn what_was_not_committed_is_not_believed() {
    for mode in ["DELETE", "TRUNCATE", "PERSIST"] {
        let lab = Lab::new();
        assert_eq!(lab.run(&["key", "import", &data("clean.pgp")]).code, 0);
        assert_eq!(lab.run(&["key", "trust", REVOKED, "v@example.org"]).code, 0);
        let clean = lab.copy();
        assert_eq!(lab.run(&["key", "import", &data("revoked.pgp")]).code, 0);
        assert_eq!(lab.verify(), 1);
        let writer = lab.sqlite();
        writer.execute_batch(&format!("PRAGMA journal_mode = {mode}; PRAGMA cache_size = 1")).unwrap();
        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (octets, digest): (Vec<u8>, Vec<u8>) = clean
            .sqlite()
            .query_row("SELECT octets, digest FROM certificate", (), |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        writer.execute("UPDATE certificate SET octets = ?1, digest = ?2", (octets, digest)).unwrap();
        for number in 0..200u8 {
            // More than fits in the cache: it goes to the file.
            writer.execute("INSERT INTO statement VALUES (?1, zeroblob(3000))", ([number],)).unwrap();
        }
        // What lies on the disk now is what a kill leaves.
        let killed = lab.path("killed");
        copy_folder(&lab.home, &killed);
        assert!(fs::metadata(killed.join("postseal.db-journal")).unwrap().len() > 512, "{mode}");
        writer.execute_batch("ROLLBACK").unwrap();
        thread::sleep(QUIETLY);
        assert_eq!(lab.verify_at(&killed), 1, "{mode}");
        assert_eq!(lab.run_at(&killed, &["key", "check"]).code, 0, "{mode}");
    }
}

#[test]
fn a_database_in_another_mode_is_read_and_written() {
    for mode in ["DELETE", "TRUNCATE", "PERSIST"] {
        let lab = Lab::new();
        assert_eq!(lab.run(&["key", "import", &data("clean.pgp")]).code, 0);
        lab.sqlite().execute_batch(&format!("PRAGMA journal_mode = {mode}; PRAGMA user_version = 3")).unwrap();
        thread::sleep(QUIETLY);
        assert_eq!(lab.verify(), 0, "{mode}");
        assert_eq!(lab.run(&["key", "import", &data("revoked.pgp")]).code, 0, "{mode}");
        thread::sleep(QUIETLY);
        assert_eq!(lab.verify(), 1, "{mode}");
        // Another program goes on in its own mode.
        let other: Connection = lab.sqlite();
        other.execute_batch(&format!("PRAGMA journal_mode = {mode}")).unwrap();
        assert_eq!(lab.run(&["key", "trust", REVOKED, "v@example.org"]).code, 0, "{mode}");
        let bound = other.query_row("SELECT count(*) FROM binding", (), |row| row.get::<_, i64>(0));
        assert_eq!(bound.unwrap(), 1, "{mode}");
    }
}
