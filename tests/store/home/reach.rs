//! A home that cannot be reached or read is an error, and never no home.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    process::Command,
};

use super::lab::{Lab, data, ran};

#[test]
fn a_home_that_cannot_be_reached_is_an_error() {
    let lab = Lab::filled();
    let at = |name: &str| lab.path(name);
    symlink("loop", at("loop")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    symlink("one", at("two")).unwrap();
    symlink("two", at("one")).unwrap();
    fs::write(at("file"), "").unwrap();
    fs::set_permissions(at("file"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(lab.verify(), 1);
    for name in
        ["loop", "loop/home", "dangling", "dangling/home", "dangling/a/b", "one", "file", "file/home", "file/a/b"]
    {
        let home = at(name);
        assert_eq!(lab.verify_at(&home), 74, "{name}");
        assert_eq!(lab.run_at(&home, &["key", "list"]).code, 74, "{name}");
        assert_eq!(lab.run_at(&home, &["key", "check"]).code, 74, "{name}");
    }
    // A variable that was not set.
    assert_eq!(lab.verify_at(std::path::Path::new("")), 64);
    // Nothing was ever made there.
    for name in ["never", "never/made"] {
        assert_eq!(lab.verify_at(&at(name)), 0, "{name}");
        assert!(!at("never").exists());
    }
}

#[test]
fn a_home_without_the_right_to_enter_is_an_error() {
    let lab = Lab::filled();
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(&lab.home, fs::Permissions::from_mode(0o000)).unwrap();
        let code = lab.verify_at(&lab.home.join("below"));
        fs::set_permissions(&lab.home, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(code, 74);
        return;
    }
    // Root may enter everything: another user tries.
    let up = lab.path("up");
    fs::create_dir(&up).unwrap();
    fs::rename(&lab.home, up.join("home")).unwrap();
    let folder = up.parent().unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&up, fs::Permissions::from_mode(0o700)).unwrap();
    for (name, to) in
        [(env!("CARGO_BIN_EXE_postseal"), "postseal"), (&data("signed.eml"), "m"), (&data("clean.pgp"), "k")]
    {
        fs::copy(name, folder.join(to)).unwrap();
        fs::set_permissions(folder.join(to), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--clear-groups"]).arg(folder.join("postseal")).current_dir(folder);
    command.args(["--home", "up/home", "--keys", "k", "verify", "m"]);
    let done = ran(&mut command);
    assert_eq!(done.code, 74, "{done:?}");
}

#[test]
fn a_database_that_is_empty_or_gone_is_damage() {
    let whole = Lab::filled();
    let bare = Lab::new();
    assert_eq!(bare.run(&["key", "import", &data("revoked.pgp")]).code, 0);
    for lab in [&whole, &bare] {
        assert_eq!(lab.verify(), 1);
        for is_gone in [false, true] {
            let lab = lab.copy();
            if is_gone {
                fs::remove_file(lab.database()).unwrap()
            } else {
                fs::write(lab.database(), "").unwrap()
            }
            let before = files(&lab.home);
            assert_eq!(lab.verify(), 65);
            for arguments in [&["key", "list"][..], &["key", "check"], &["key", "import", &data("clean.pgp")]] {
                let done = lab.run(arguments);
                assert_eq!((done.code, done.out.as_str()), (65, ""), "{done:?}");
            }
            assert_eq!(files(&lab.home), before, "nothing is made");
        }
    }
}

/// A prepared empty folder is a home that was not made yet; looking makes nothing in it.
#[test]
fn an_empty_folder_is_an_empty_home() {
    let lab = Lab::new();
    fs::create_dir(&lab.home).unwrap();
    fs::set_permissions(&lab.home, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(lab.verify(), 0);
    assert_eq!(lab.run(&["key", "list"]).code, 0);
    assert_eq!(lab.run(&["key", "check"]).code, 0);
    assert_eq!(files(&lab.home), Vec::<(PathBuf, u64)>::new());
    assert_eq!(lab.run(&["key", "import", &data("revoked.pgp")]).code, 0);
    assert_eq!(lab.verify(), 1);
}

fn files(folder: &std::path::Path) -> Vec<(PathBuf, u64)> {
    let mut found: Vec<_> = walkdir::WalkDir::new(folder)
        .min_depth(1)
        .into_iter()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.path().to_owned(), entry.metadata().unwrap().len()))
        .collect();
    found.sort();
    found
}
