//! What stands beside the program: who has read its crates, what is in it, where it comes from, and who signs it. Each recipe of RELEASING.md and of
//! docs/manual/install.md is run with a key that is thrown away.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use crate::support::{postfix::run_with, requirements::present};

#[test]
fn each_crate_was_read_or_has_a_reason() {
    if !present(&["python3"]) {
        return;
    }
    assert_eq!(code(&script("vet", &[])), 0);
    // A copy of what the script reads, with other crates.
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for place in [
        "packaging/vet",
        "Cargo.lock",
        "supply-chain/config.toml",
        "supply-chain/audits.toml",
        "supply-chain/imports.lock",
    ] {
        fs::create_dir_all(root.join(place).parent().unwrap()).unwrap();
        fs::copy(source(place), root.join(place)).unwrap();
    }
    let vet = || run_with(&mut Command::new(root.join("packaging/vet")), b"");
    let write = |place: &str, from: &str, to: &str| {
        let text = fs::read_to_string(source(place)).unwrap();
        assert!(text.contains(from), "{place}: {from}");
        fs::write(root.join(place), text.replacen(from, to, 1)).unwrap();
    };
    write(
        "Cargo.lock",
        "[[package]]\n",
        "[[package]]\nname = \"unread\"\nversion = \"6.6.6\"\nsource = \"registry\"\n\n[[package]]\n",
    );
    refused(&vet(), "unread 6.6.6: neither audited nor exempted");
    let added = run_with(Command::new(root.join("packaging/vet")).arg("exempt"), b"");
    assert_eq!(code(&added), 0, "{}", said(&added));
    let config = fs::read_to_string(root.join("supply-chain/config.toml")).unwrap();
    assert!(config.contains("[[exemptions.unread]]\nversion = \"6.6.6\"\ncriteria = \"safe-to-deploy\"\n"), "{config}");
    // The rest is as it was.
    fs::copy(source("Cargo.lock"), root.join("Cargo.lock")).unwrap();
    refused(&vet(), "unread 6.6.6: an exemption, and it is not in Cargo.lock");
    write("supply-chain/config.toml", "notes = \"RustCrypto; NOT constant", "suggest = false # ");
    refused(&vet(), "it does cryptography, and its exemption gives no reason");
    fs::copy(source("supply-chain/config.toml"), root.join("supply-chain/config.toml")).unwrap();
    write("supply-chain/audits.toml", "version = \"0.1.1\"", "version = \"0.1.0\"");
    refused(&vet(), "zeroizing-alloc 0.1.1: neither audited nor exempted");
}

#[test]
fn unsafe_code_is_counted() {
    if present(&["python3"]) {
        let output = script("unsafe", &["check"]);
        assert_eq!(code(&output), 0, "{}", said(&output));
    }
}

/// The bill of materials has every crate that cargo links, and no other, and the libraries in C.
#[test]
fn the_bill_of_materials_is_complete() {
    if !present(&["python3"]) {
        return;
    }
    let bill: Value = serde_json::from_slice(&script("crates", &["sbom"]).stdout).unwrap();
    assert_eq!((bill["bomFormat"].as_str(), bill["specVersion"].as_str()), (Some("CycloneDX"), Some("1.5")));
    let components = bill["components"].as_array().unwrap();
    let field = |component: &Value, name: &str| component[name].as_str().unwrap_or_default().to_owned();
    let (inner, crates): (Vec<_>, Vec<_>) =
        components.iter().partition(|one| !field(one, "purl").starts_with("pkg:cargo/"));
    let mut names: Vec<String> =
        crates.iter().map(|one| format!("{} v{}", field(one, "name"), field(one, "version"))).collect();
    assert!(crates.iter().all(|one| one["hashes"][0]["content"].as_str().is_some_and(|hash| hash.len() == 64)));
    let inner: Vec<String> = inner.iter().map(|one| field(one, "name")).collect();
    assert_eq!(inner, ["aws-lc", "sqlite"]);
    let mut tree = Command::new(env!("CARGO"));
    tree.args([
        "tree",
        "--locked",
        "--offline",
        "--edges=normal",
        "--prefix=none",
        "--target=x86_64-unknown-linux-gnu",
    ]);
    let tree = run_with(tree.current_dir(source("")), b"");
    let mut linked: Vec<String> = said(&tree)
        .lines()
        .filter(|line| !line.contains("(proc-macro)") && !line.starts_with("postseal "))
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    linked.sort();
    linked.dedup();
    names.sort();
    // A crate that only macros need is in the tree, and not in the program.
    let lost: Vec<_> = names.iter().filter(|name| !linked.contains(name)).collect();
    assert!(lost.is_empty() && names.len() > 250, "in the bill, and not linked: {lost:?}");
    for name in ["aws-lc-rs", "sequoia-openpgp", "rusqlite", "rustls", "tokio", "zeroizing-alloc"] {
        assert!(names.iter().any(|one| one.starts_with(&format!("{name} v"))), "{name}");
    }
    for one in components {
        let reference = &one["bom-ref"];
        assert!(bill["dependencies"].as_array().unwrap().iter().any(|link| link["ref"] == *reference), "{reference}");
    }
}

/// Each advisory that is ignored has a statement, for versions that are in Cargo.lock.
#[test]
fn ignored_advisories_are_explained() {
    let deny = fs::read_to_string(source("deny.toml")).unwrap();
    let vex: Value = serde_json::from_str(&fs::read_to_string(source("packaging/vex.json")).unwrap()).unwrap();
    let lock = fs::read_to_string(source("Cargo.lock")).unwrap();
    let has = |purl: &str| {
        let (name, version) = purl.strip_prefix("pkg:cargo/").unwrap().split_once('@').unwrap();
        lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n"))
    };
    let statements = vex["statements"].as_array().unwrap();
    let ignored: Vec<&str> = deny.lines().filter_map(|line| line.trim().strip_prefix("\"RUSTSEC-")).collect();
    assert!(deny.contains("ignore = [") && !ignored.is_empty());
    for number in ignored {
        let advisory = format!("RUSTSEC-{}", number.trim_end_matches("\","));
        assert!(statements.iter().any(|one| one["vulnerability"]["name"] == advisory.as_str()), "{advisory}");
    }
    for statement in statements {
        let status = statement["status"].as_str().unwrap();
        let needed = if status == "not_affected" { "impact_statement" } else { "action_statement" };
        assert!(statement[needed].as_str().is_some_and(|text| text.len() > 40), "{statement}");
        for product in statement["products"].as_array().unwrap() {
            assert_eq!(product["@id"], format!("pkg:cargo/postseal@{}", env!("CARGO_PKG_VERSION")));
            for part in product["subcomponents"].as_array().unwrap() {
                assert!(has(part["@id"].as_str().unwrap()), "{part} is not in Cargo.lock");
            }
        }
    }
}

#[test]
fn provenance_names_sources_and_files() {
    if !present(&["python3", "git"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("postseal.deb"), "a package").unwrap();
    fs::write(at("other.deb"), "another").unwrap();
    let statement = script("provenance", &[&at("postseal.deb")]);
    fs::write(at("statement"), &statement.stdout).unwrap();
    let value: Value = serde_json::from_slice(&statement.stdout).unwrap();
    assert_eq!(value["predicateType"], "https://slsa.dev/provenance/v1");
    assert_eq!(value["subject"][0]["name"], "postseal.deb");
    let used = value["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
    assert!(used[0]["digest"]["gitCommit"].as_str().is_some_and(|commit| commit.len() == 40), "{}", used[0]);
    assert!(used.len() > 400);
    let check = |statement: &str, file: &str| script("provenance", &["check", &at(statement), &at(file)]);
    assert_eq!(code(&check("statement", "postseal.deb")), 0);
    refused(&check("statement", "other.deb"), "other.deb: not a subject of the statement");
    fs::write(at("postseal.deb"), "a changed package").unwrap();
    refused(&check("statement", "postseal.deb"), "postseal.deb: another digest");
    fs::write(at("postseal.deb"), "a package").unwrap();
    let text = String::from_utf8(statement.stdout).unwrap();
    fs::write(at("older"), text.replacen("pkg:cargo/rsa@", "pkg:cargo/rsb@", 1)).unwrap();
    refused(&check("older", "postseal.deb"), "in Cargo.lock, and not in the statement");
}

/// RELEASING.md makes a key and signs with it, and docs/manual/install.md checks; a changed package, a changed list and a tag by another key are noticed.
#[test]
fn releases_are_signed_and_checked() {
    if !present(&["gpg", "git"]) {
        return;
    }
    let folder = tempfile::Builder::new().prefix("rk").tempdir().unwrap();
    let root = folder.path();
    for home in ["makers", "users"] {
        fs::DirBuilder::new().mode(0o700).create(root.join(home)).unwrap();
    }
    let sources = root.join("sources");
    fs::create_dir_all(sources.join("target/packages")).unwrap();
    fs::create_dir(sources.join("packaging")).unwrap();
    fs::copy(source("packaging/sign"), sources.join("packaging/sign")).unwrap();
    fs::write(sources.join("target/packages/postseal.deb"), "a package").unwrap();
    fs::write(sources.join("target/packages/postseal.intoto.json"), "{}").unwrap();
    let shell = |home: &str, line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(&sources).env("GNUPGHOME", root.join(home));
        command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("HOME", "/nonexistent")]);
        run_with(&mut command, b"")
    };
    let done = |home: &str, line: &str| {
        let output = shell(home, line);
        assert_eq!(code(&output), 0, "{line}: {}{}", said(&output), String::from_utf8_lossy(&output.stderr));
        said(&output)
    };
    done("makers", "git init -q . && git -c user.name=x -c user.email=x@example.org commit -q --allow-empty -m x");
    let [make, add, export, tag, sign] =
        recipes("RELEASING.md", "## The release key").try_into().expect("five commands");
    // No one types a passphrase here.
    let gpg = |line: &str| line.replace("gpg ", "gpg --batch --pinentry-mode loopback --passphrase '' ");
    done("makers", &gpg(&make));
    let listed = done("makers", "gpg --list-keys --with-colons");
    let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).unwrap().trim_end_matches(':');
    let filled = |line: &str| line.replace("FINGERPRINT", fingerprint).replace("VERSION", "0.1.0");
    done("makers", &gpg(&filled(&add)));
    done("makers", &filled(&export));
    done("makers", &format!("git config user.name x && git config user.email x@example.org && {}", filled(&tag)));
    done("makers", &filled(&sign));

    let checks = recipes("docs/manual/install.md", "## Check a package");
    let [import, verify, sums, verify_tag] = checks[..4].to_vec().try_into().unwrap();
    done("users", &import);
    let within = |line: &str| format!("cd target/packages && {line}");
    done("users", &within(&verify));
    let said = done("users", &within(&sums));
    assert_eq!(said, "postseal.deb: OK\npostseal.intoto.json: OK\n");
    done("users", &filled(&verify_tag));

    let package = sources.join("target/packages/postseal.deb");
    fs::write(&package, "a changed package").unwrap();
    assert_ne!(code(&shell("users", &within(&sums))), 0);
    let list = sources.join("target/packages/SHA256SUMS");
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, text.replacen('0', "1", 1)).unwrap();
    assert_ne!(code(&shell("users", &within(&verify))), 0);
    done(
        "users",
        &gpg(
            "gpg --quick-generate-key mallory ed25519 sign 1d && git -c user.signingkey=mallory tag -f -s -m x v0.1.0",
        ),
    );
    // Valid for git, by a key that this user has; so the page says whose fingerprint it has to be.
    let other = shell("makers", &filled(&verify_tag));
    assert_ne!(code(&other), 0, "a tag by an unknown key");
    let _ = ["makers", "users"].map(|home| shell(home, "gpgconf --kill all"));
}

/// The indented commands of a section, without comments.
fn recipes(page: &str, section: &str) -> Vec<String> {
    let text = fs::read_to_string(source(page)).unwrap();
    let (_, rest) = text.split_once(&format!("{section}\n")).expect("the section");
    let section = rest.split("\n## ").next().unwrap_or_default();
    let commands = section.lines().filter(|line| line.starts_with("    ") && !line.trim_start().starts_with('-'));
    commands.map(|line| line.split(" # ").next().unwrap_or_default().trim().to_owned()).collect()
}

fn source(place: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(place)
}

fn script(name: &str, arguments: &[&str]) -> Output {
    let script = source("packaging").join(name);
    assert!(fs::metadata(&script).unwrap().permissions().mode() & 0o100 != 0, "{name} can be run");
    run_with(Command::new(script).args(arguments), b"")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ends by itself")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(output: &Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(code(output) != 0 && said.contains(words), "{}: {said}", code(output));
}
