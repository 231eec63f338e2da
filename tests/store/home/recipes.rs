//! The commands that docs/manual/home.md shows in blocks, as they are printed.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use super::lab::{Lab, ran};

use crate::support::requirements::present;

#[test]
fn every_block_of_the_page_works_as_printed() {
    if !present(&["sqlite3"]) {
        return;
    }
    let page = include_str!("../../../docs/manual/home.md");
    // What `key show` prints is in a block too.
    let shown = page.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| !line.starts_with("reads "));
    let lines: Vec<&str> = shown.collect();
    assert!(lines.len() >= 4, "{lines:?}");
    let lab = Lab::new();
    let user = lab.path("");
    let shell = |line: &str| {
        let program = Path::new(env!("CARGO_BIN_EXE_postseal")).parent().unwrap();
        let path = format!("{}:{}", program.display(), env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.current_dir(&user).env_remove("POSTSEAL_HOME").env_remove("XDG_DATA_HOME");
        ran(command.env("HOME", &user).env("PATH", path).args(["-c", line]).stdin(Stdio::null()))
    };
    assert_eq!(shell("postseal key generate me@example.org --no-passphrase").code, 0);
    for line in lines {
        let said = shell(line);
        assert_eq!(said.code, 0, "{line}: {}", said.err);
    }
    // The two copies are a home.
    fs::create_dir(&lab.home).unwrap();
    for (copy, name, mode) in
        [("", "", 0o700), ("keys.db", "postseal.db", 0o600), ("somewhere-else", "master.key", 0o600)]
    {
        if !copy.is_empty() {
            fs::copy(lab.path(copy), lab.home.join(name)).unwrap();
        }
        fs::set_permissions(lab.home.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    assert_eq!(lab.run(&["key", "check"]).code, 0);
    let export = lab.run(&["key", "export", "--secret", "me@example.org"]);
    assert!(export.out.contains("PRIVATE KEY BLOCK"), "{}", export.err);
}
