//! Old tables, full disks, odd names and files that are none: the right thing, or a clear error.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use postseal::base::{Clock as _, SystemClock};
use rusqlite::Connection;

use super::lab::{AT, Lab, Ran, data, ran};

/// A home as an older postseal left it.
fn version_2() -> Lab {
    let lab = Lab::new();
    fs::create_dir(&lab.home).unwrap();
    let sql = fs::read_to_string(data("version-2.sql")).unwrap();
    Connection::open(lab.database()).unwrap().execute_batch(&format!("PRAGMA journal_mode = WAL; {sql}")).unwrap();
    fs::copy(data("version-2.key"), lab.home.join("master.key")).unwrap();
    for (name, mode) in [("", 0o700), ("postseal.db", 0o600), ("master.key", 0o600)] {
        fs::set_permissions(lab.home.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    thread::sleep(Duration::from_millis(120));
    lab
}

fn version(lab: &Lab) -> i64 {
    lab.sqlite().query_row("PRAGMA user_version", (), |row| row.get(0)).unwrap()
}

#[test]
fn an_older_home_is_brought_up_to_date() {
    let lab = version_2();
    assert_eq!(lab.verify(), 1);
    assert_eq!(lab.verify_smime(), 1);
    assert_eq!(version(&lab), 3);
    assert_eq!(lab.run(&["key", "check"]).code, 0);
    assert_eq!(lab.run(&["key", "export", "--secret", "me@example.org"]).code, 0);
    let listed = lab.run(&["key", "list"]).out;
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert_eq!(listed.matches("(trusted)").count(), 2, "{listed}");
    // What an older version left behind when it removed a certificate is not believed when that comes again.
    let lab = version_2();
    let sql = "INSERT INTO binding (fingerprint, subject, sought, origin, at)
        VALUES ('AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'x@example.org', 'x@example.org', 'trusted', '2026-01-01T00:00:00Z')";
    lab.sqlite().execute(sql, ()).unwrap();
    let check = lab.run(&["key", "check"]);
    assert!(check.code == 65 && check.out.contains("which is not here (x@example.org)"), "{check:?}");
    assert_eq!(lab.run(&["key", "check", "--repair"]).code, 65);
    assert_eq!(lab.run(&["key", "check"]).code, 0);
}

#[test]
fn an_older_home_that_cannot_be_written_to_is_read() {
    let lab = version_2();
    let folder = lab.home.parent().unwrap();
    let reader: &dyn Fn(&[&str]) -> Ran = &|arguments| as_another(folder, arguments);
    for name in ["clean.pgp", "signed.eml", "signed-smime.eml"] {
        fs::copy(data(name), folder.join(name)).unwrap();
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(lab.database(), fs::Permissions::from_mode(0o400)).unwrap();
    fs::set_permissions(&lab.home, fs::Permissions::from_mode(0o500)).unwrap();
    let verified = [
        reader(&["--home", "home", "--keys", "clean.pgp", "--at", AT, "verify", "signed.eml"]),
        reader(&["--home", "home", "--at", AT, "verify", "signed-smime.eml"]),
    ];
    let listed = reader(&["--home", "home", "key", "list"]);
    let imported = reader(&["--home", "home", "key", "import", "clean.pgp"]);
    let exported = reader(&["--home", "home", "key", "export", "--secret", "me@example.org"]);
    fs::set_permissions(&lab.home, fs::Permissions::from_mode(0o700)).unwrap();
    for done in verified {
        assert!(done.code == 1 && done.out.contains("the key is revoked"), "{done:?}");
    }
    assert_eq!((listed.code, listed.out.lines().count()), (0, 4), "{listed:?}");
    assert!(exported.out.contains("PRIVATE KEY"), "{exported:?}");
    assert!(imported.code == 73 && imported.err.contains("cannot be written to"), "{imported:?}");
    assert_eq!(version(&lab), 2);
}

/// SQLite cannot open it there in its usual way, and as an immutable file it is only read once a change would show.
#[test]
fn a_home_that_was_copied_just_now_and_cannot_be_written_to_is_read() {
    let lab = Lab::new();
    assert_eq!(lab.run(&["key", "import", &data("clean.pgp")]).code, 0);
    let folder = lab.home.parent().unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&lab.home, fs::Permissions::from_mode(0o500)).unwrap();
    // The first one copies the program.
    assert_eq!(as_another(folder, &["--home", "home", "key", "list"]).code, 0);
    let database = fs::File::options().append(true).open(lab.database()).unwrap();
    let listed: Vec<Ran> = (0..4)
        .map(|_| {
            database.set_modified(SystemClock.now()).unwrap();
            as_another(folder, &["--home", "home", "key", "list"])
        })
        .collect();
    fs::set_permissions(&lab.home, fs::Permissions::from_mode(0o700)).unwrap();
    for done in listed {
        assert_eq!((done.code, done.out.lines().count()), (0, 1), "{done:?}");
    }
}

/// The program as a user who is subject to permissions, unlike root.
fn as_another(folder: &Path, arguments: &[&str]) -> Ran {
    let program = folder.join("postseal");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_postseal"), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    if !rustix::process::geteuid().is_root() {
        return ran(Command::new(program).current_dir(folder).args(arguments));
    }
    let chown = Command::new("chown").args(["-R", "65534:65534"]).arg(folder.join("home")).status().unwrap();
    assert!(chown.success());
    let mut command = Command::new("setpriv");
    ran(command.args(["--reuid=65534", "--clear-groups"]).arg(program).current_dir(folder).args(arguments))
}

#[test]
fn a_name_that_looks_like_an_address_is_a_name() {
    let lab = Lab::new();
    for name in ["file:x", "file:x?mode=memory", ":memory:", "file::memory:", "x#y%41"] {
        let home = Path::new(name);
        assert_eq!(lab.run_at(home, &["key", "import", &data("revoked.pgp")]).code, 0, "{name}");
        thread::sleep(Duration::from_millis(120));
        assert!(lab.path(name).join("postseal.db").is_file(), "{name}");
        assert_eq!(lab.verify_at(home), 1, "{name}");
        assert_eq!(lab.run_at(home, &["key", "remove", "B38A0B4F28EF7F872F36BFC3FF055D7A9E5F4E04"]).code, 0, "{name}");
        assert_eq!(lab.verify_at(home), 0, "{name}");
    }
}

/// A disk that is full in the middle: by a limit on the size of files, which says the same at the same places.
#[test]
fn a_full_disk_loses_nothing() {
    let lab = Lab::filled();
    let before = lab.run(&["key", "list"]).out;
    let mut refused = 0;
    for blocks in (0..120).step_by(7) {
        for verb in
            ["key generate --no-passphrase -f smime --algorithm rsa2048 b@example.org", "key import --anchor $F"]
        {
            let lab = lab.copy();
            // In blocks of 512 octets.
            let script = format!("ulimit -f {blocks}; exec \"$P\" --home \"$H\" {verb}");
            let mut shell = Command::new("sh");
            shell.args(["-c", &script]).env("P", env!("CARGO_BIN_EXE_postseal")).env("H", &lab.home);
            let done = ran(shell.env("F", data("ca.pem")).stdin(Stdio::null()).current_dir(lab.home.parent().unwrap()));
            assert!([0, 73, 74].contains(&done.code), "{blocks}: {verb}: {done:?}");
            let after = lab.run(&["key", "list"]);
            assert_eq!(after.code, 0, "{blocks}: {after:?}");
            if done.code == 0 {
                continue;
            }
            refused += 1;
            assert!(done.err.starts_with("postseal: error: "), "{blocks}: {done:?}");
            assert_eq!(after.out, before, "{blocks}: {verb}");
            assert_eq!((lab.verify(), lab.verify_smime()), (1, 1), "{blocks}");
            assert_eq!(lab.run(&["key", "check"]).code, 0, "{blocks}");
        }
    }
    assert!(refused > 5, "{refused}");
    // And a home that does not exist yet.
    for blocks in (0..120).step_by(7) {
        let lab = Lab::new();
        let script = format!("ulimit -f {blocks}; exec \"$P\" --home \"$H\" key import \"$F\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).env("P", env!("CARGO_BIN_EXE_postseal")).env("H", &lab.home);
        let done = ran(shell.env("F", data("revoked.pgp")).stdin(Stdio::null()));
        assert!([0, 73, 74].contains(&done.code), "{blocks}: {done:?}");
        assert_eq!(lab.run(&["key", "import", &data("revoked.pgp")]).code, 0, "{blocks}");
        assert_eq!(lab.verify(), 1, "{blocks}");
    }
}

#[test]
fn a_master_key_that_is_no_file_is_an_error() {
    let lab = Lab::new();
    assert_eq!(lab.run(&["key", "generate", "--no-passphrase", "a@example.org"]).code, 0);
    let own = lab.home.join("master.key");
    let kept = fs::read(&own).unwrap();
    let export = || {
        // Whatever waits for a pipe waits for ever.
        let mut command = Command::new("timeout");
        command.args(["20", env!("CARGO_BIN_EXE_postseal"), "--home"]).arg(&lab.home);
        ran(command.args(["key", "export", "--secret", "a@example.org"]).stdin(Stdio::null()))
    };
    let cases: [(&str, &dyn Fn()); 4] = [
        ("not a regular file", &|| {
            assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&own).status().unwrap().success())
        }),
        ("not a regular file", &|| symlink("/dev/zero", &own).unwrap()),
        ("a link to nothing", &|| symlink("nowhere", &own).unwrap()),
        ("more than 1048576 octets", &|| {
            fs::File::create(&own).unwrap().set_len(1 << 40).unwrap();
            fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).unwrap();
        }),
    ];
    for (said, make) in cases {
        fs::remove_file(&own).unwrap();
        make();
        let done = export();
        assert!([65, 74].contains(&done.code) && done.err.contains(said), "{said}: {done:?}");
    }
    fs::remove_file(&own).unwrap();
    fs::write(&own, kept).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(export().code, 0);
}

#[test]
fn what_a_killed_process_left_is_swept_away() {
    let lab = Lab::filled();
    let out = lab.path("out");
    fs::create_dir(&out).unwrap();
    let (leftover, foreign) = (out.join(".postseal-a1B2c3"), out.join(".postseal-notes.txt"));
    let own = lab.home.join(".postseal-x1Y2z3");
    for name in [&leftover, &foreign, &own] {
        fs::write(name, "plaintext of a process that was killed").unwrap();
    }
    let message = lab.path("m");
    fs::write(&message, "From: me@example.org\nTo: me@example.org\nSubject: t\n\nhello\n").unwrap();
    let to = out.join("signed");
    let done = lab.run(&["sign", message.to_str().unwrap(), "-o", to.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!leftover.exists() && foreign.exists() && to.exists());
    assert!(own.exists(), "nothing was written in the home");
    let done = lab.run(&["key", "generate", "--no-passphrase", "b@example.org"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!own.exists());
}

#[test]
fn a_link_to_nothing_as_output_stays_a_link() {
    let lab = Lab::filled();
    let message = lab.path("m");
    fs::write(&message, "From: me@example.org\nTo: me@example.org\nSubject: t\n\nhello\n").unwrap();
    fs::create_dir(lab.path("there")).unwrap();
    for (link, target) in [("one", "there/signed"), ("two", "one-more")] {
        symlink(target, lab.path(link)).unwrap();
        let done = lab.run(&["sign", message.to_str().unwrap(), "-o", link]);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(lab.path(link).is_symlink());
        assert!(fs::read_to_string(lab.path(target)).unwrap().contains("hello"));
    }
    for (link, target) in [("loop", "loop"), ("nowhere", "no/such/folder")] {
        symlink(target, lab.path(link)).unwrap();
        let done = lab.run(&["sign", message.to_str().unwrap(), "-o", link]);
        assert_eq!(done.code, 73, "{done:?}");
        assert!(lab.path(link).is_symlink());
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let lab = Lab::filled();
    let message = lab.path("m");
    fs::write(&message, "From: me@example.org\nTo: me@example.org\nSubject: t\n\nhello\n").unwrap();
    for arguments in [&["sign", message.to_str().unwrap()][..], &["key", "list"], &["key", "export", "me@example.org"]]
    {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let done =
            lab.command(arguments).stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(74), "{arguments:?}");
    }
}
