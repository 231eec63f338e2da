//! What tests need and may not find: other programs and test suites. An absence is printed past the test harness, which hides
//! what a passing test prints. With POSTSEAL_REQUIRE_ALL=1 it fails the test.

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Whether all of `programs` are on the path, or where administrators' programs are. `openpgp.js` is the package of npm.
pub(crate) fn present(programs: &[&str]) -> bool {
    let absent: Vec<&str> = programs.iter().copied().filter(|program| !is_found(program)).collect();
    absent.is_empty() || missing(&absent.join(", "))
}

/// A folder below the corpora, `""` for all of them: POSTSEAL_CORPORA, or beside the project.
pub(crate) fn corpus(name: &str) -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
    let folder = env::var_os("POSTSEAL_CORPORA").map_or_else(default, PathBuf::from).join(name);
    (folder.is_dir() || missing(&format!("{} (POSTSEAL_CORPORA)", folder.display()))).then_some(folder)
}

/// Says that `what` is absent. Always false, or a failure.
pub(crate) fn missing(what: &str) -> bool {
    let required = env::var_os("POSTSEAL_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!required, "absent, and POSTSEAL_REQUIRE_ALL=1: {what}");
    writeln!(io::stderr(), "NOT TESTED: {what} absent").expect("standard error is open");
    false
}

/// Where `npm install --prefix` put OpenPGP.js.
pub(crate) fn openpgpjs() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/openpgpjs");
    env::var_os("POSTSEAL_OPENPGPJS").map_or_else(default, PathBuf::from)
}

/// Where `.ci/unpack-gosop` put gosop.
pub(crate) fn gosop() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/gosop");
    env::var_os("POSTSEAL_GOSOP").map_or_else(default, PathBuf::from).join("gosop")
}

/// Where `npm install --prefix` put the packages of other readers.
pub(crate) fn readers_packages() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/readers");
    env::var_os("POSTSEAL_READERS_PACKAGES").map_or_else(default, PathBuf::from)
}

fn is_found(program: &str) -> bool {
    if program == "playwright-core" {
        return readers_packages().join("node_modules/playwright-core").is_dir();
    }
    if program == "python3-cryptography" {
        return Path::new("/usr/lib/python3/dist-packages/cryptography").is_dir();
    }
    if program.starts_with('/') {
        return Path::new(program).is_file();
    }
    if program == "openpgp.js" {
        return openpgpjs().join("node_modules/openpgp").is_dir();
    }
    if program == "@protontech/openpgp" {
        return openpgpjs().join("node_modules/@protontech/openpgp").is_dir();
    }
    if program == "gosop" {
        return gosop().is_file();
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    let administration = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&folders).chain(administration).any(|folder| folder.join(program).is_file())
}
