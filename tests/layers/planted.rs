//! Planted violations: each rule of the module structure finds it, and nothing else.

use super::complaints;

/// What is said of one file whose text, after its first line, is `body`.
fn planted(path: &str, body: &str) -> Vec<String> {
    complaints(&[(path, &format!("//! Planted.\n{body}"))])
}

#[test]
fn an_import_upwards_is_found() {
    assert_eq!(
        planted("src/mail/parse.rs", "use crate::keys::Keys;"),
        ["src/mail/parse.rs:2: mail may not import keys (crate::keys::Keys)"]
    );
    assert_eq!(planted("src/mail/parse.rs", "use crate::base::Result;\nuse super::part::Part;"), [""; 0]);
}

#[test]
fn every_branch_of_a_nested_group_is_read() {
    let body = "use crate::{\n    base::{Error, Result},\n    mail::part::{self, Part},\n    verdict::{\n        finding::Layer,\n        Standing as S,\n    },\n};";
    assert_eq!(
        planted("src/crypto/secret.rs", body),
        [
            "src/crypto/secret.rs:4: crypto may not import mail (crate::mail::part)",
            "src/crypto/secret.rs:4: crypto may not import mail (crate::mail::part::Part)",
            "src/crypto/secret.rs:6: crypto may not import verdict (crate::verdict::finding::Layer)",
            "src/crypto/secret.rs:7: crypto may not import verdict (crate::verdict::Standing)",
        ]
    );
}

#[test]
fn a_path_within_code_is_found() {
    assert_eq!(
        planted(
            "src/keys/mod.rs",
            "fn f() -> Option<crate::verdict::Verdict> {\n    crate::engine::open::<Vec<u8>>::run()\n}"
        ),
        [
            "src/keys/mod.rs:2: keys may not import verdict (crate::verdict::Verdict)",
            "src/keys/mod.rs:3: keys may not import engine (crate::engine::open::run)",
        ]
    );
}

#[test]
fn super_is_followed_out_of_the_module() {
    assert_eq!(
        planted("src/mail/parse.rs", "use super::super::keys::Keys;"),
        ["src/mail/parse.rs:2: mail may not import keys (crate::keys::Keys)"]
    );
    assert_eq!(
        planted(
            "src/base/mod.rs",
            "mod inner {\n    fn f() { super::super::mail::go() }\n}\nfn g() { super::keys::go() }"
        ),
        [
            "src/base/mod.rs:3: base may not import mail (crate::mail::go)",
            "src/base/mod.rs:5: base may not import keys (crate::keys::go)",
        ]
    );
}

#[test]
fn another_name_for_the_crate_is_seen_through() {
    assert_eq!(
        planted("src/mail/parse.rs", "use crate as c;\nuse c::keys::Keys;\nfn f() { c::engine::go() }"),
        [
            "src/mail/parse.rs:2: imports the crate's root: name the module",
            "src/mail/parse.rs:3: mail may not import keys (crate::keys::Keys)",
            "src/mail/parse.rs:4: mail may not import engine (crate::engine::go)",
        ]
    );
    assert_eq!(
        planted(
            "src/mail/parse.rs",
            "use crate::{self as c};\nextern crate self as me;\nuse crate::*;\nuse me::store::Home;"
        ),
        [
            "src/mail/parse.rs:2: imports the crate's root: name the module",
            "src/mail/parse.rs:4: imports everything of the crate: name the module",
            "src/mail/parse.rs:5: mail may not import store (crate::store::Home)",
        ]
    );
    assert_eq!(
        planted("src/keys/mod.rs", "use postseal::verdict::Verdict;"),
        ["src/keys/mod.rs:2: keys may not import verdict (crate::verdict::Verdict)"]
    );
}

#[test]
fn a_re_export_at_the_root_is_no_way_round() {
    assert_eq!(
        planted("src/base/error.rs", "use crate::Engine;"),
        ["src/base/error.rs:2: crate::Engine is at the crate's root: name it by its module"]
    );
}

#[test]
fn macros_hide_nothing() {
    let body = "macro_rules! open {\n    ($room:ident) => {\n        $crate::engine::open();\n        crate::$room::open()\n    };\n}\nfn f() { matches!(x, crate::verdict::Y) }";
    assert_eq!(
        planted("src/mail/part.rs", body),
        [
            "src/mail/part.rs:4: mail may not import engine (crate::engine::open)",
            "src/mail/part.rs:5: a macro hides which module is meant (crate::$room::open)",
            "src/mail/part.rs:8: mail may not import verdict (crate::verdict::Y)",
        ]
    );
}

#[test]
fn protocols_are_blind_to_one_another() {
    assert_eq!(
        planted(
            "src/protocol/pgp/open.rs",
            "use super::super::smime::open;\nuse crate::protocol;\nfn f() { protocol::pem::go() }"
        ),
        [
            "src/protocol/pgp/open.rs:2: pgp may not know smime (crate::protocol::smime::open)",
            "src/protocol/pgp/open.rs:4: pgp may not know pem (crate::protocol::pem::go)",
        ]
    );
    assert_eq!(planted("src/protocol/mod.rs", "pub mod pgp;\npub mod smime;\nuse self::pgp::Pgp;"), [""; 0]);
}

#[test]
fn a_module_without_a_row_is_found() {
    assert_eq!(planted("src/shed/mod.rs", ""), ["src/shed/mod.rs:1: shed is not in the list of modules"]);
}

#[test]
fn confined_crates_are_found() {
    assert_eq!(
        planted(
            "src/engine/open.rs",
            "use sequoia_openpgp as openpgp;\nfn f() { ::rsa::go(); sha1::Sha1::new() }\nextern crate md5;"
        ),
        [
            "src/engine/open.rs:4: md5:: belongs in crypto",
            "src/engine/open.rs:3: rsa:: belongs in crypto",
            "src/engine/open.rs:2: sequoia_openpgp:: belongs in protocol/pgp",
            "src/engine/open.rs:3: sha1:: belongs in crypto",
        ]
    );
    assert_eq!(planted("src/protocol/pgp/open.rs", "use sequoia_openpgp::Cert;"), [""; 0]);
    // A module of that name is not the crate.
    assert_eq!(planted("src/crypto/software.rs", "use super::rsa::Key;\nmod rsa;\nfn f() { rsa::go() }"), [""; 0]);
    assert_eq!(
        planted("src/store/mod.rs", "mod postgres;\nfn f() { postgres::go(); crate::base::rsa::go() }"),
        [""; 0]
    );
}

#[test]
fn the_machines_clock_and_the_default_limits_are_named_in_the_assembly_alone() {
    let body = "use crate::base::{Clock, Limits, SystemClock};\nfn f() {\n    let _ = (SystemClock.now(), Limits::default());\n}";
    let found = planted("src/transport/relay.rs", body);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("src/transport/relay.rs:4: Limits::default belongs in base, cli, "), "{found:?}");
    assert!(
        found[1].starts_with("src/transport/relay.rs:2: base::SystemClock belongs in audit, base, cli, "),
        "{found:?}"
    );
    assert_eq!(planted("src/service/environment.rs", body), [""; 0]);
}

#[test]
fn confined_functions_are_found_under_another_name() {
    assert_eq!(
        planted("src/mail/protect.rs", "use std::time::SystemTime as Now;\nfn f() { Now::now() }"),
        ["src/mail/protect.rs:3: SystemTime::now belongs in base/clock"]
    );
    assert_eq!(
        planted("src/mail/protect.rs", "fn f() { <std::time::SystemTime>::now(); }"),
        ["src/mail/protect.rs:2: SystemTime::now belongs in base/clock"]
    );
    assert_eq!(planted("src/base/clock.rs", "fn f() { std::time::SystemTime::now() }"), [""; 0]);
}

#[test]
fn evidence_is_made_where_the_checking_is() {
    let body = "use crate::verdict::{Matches as M, Verdict};\nfn f() { M::assertion(); Verdict::new() }";
    assert_eq!(
        planted("src/protocol/pgp/open.rs", body),
        [
            "src/protocol/pgp/open.rs:3: Matches::assertion belongs in protocol/*/verify",
            "src/protocol/pgp/open.rs:3: Verdict::new belongs in engine, verdict",
        ]
    );
    assert_eq!(
        planted("src/protocol/smime/verify.rs", body),
        ["src/protocol/smime/verify.rs:3: Verdict::new belongs in engine, verdict"]
    );
    assert_eq!(
        planted("src/engine/mod.rs", body),
        ["src/engine/mod.rs:3: Matches::assertion belongs in protocol/*/verify"]
    );
}

#[test]
fn the_terminal_and_the_environment_are_the_command_lines() {
    assert_eq!(
        planted(
            "src/report/text.rs",
            "use std::{env, io};\nuse std as s;\nfn f() { println!(\"\"); s::env::var(\"HOME\"); dbg!(1) }"
        ),
        [
            "src/report/text.rs:4: dbg! belongs in nowhere",
            "src/report/text.rs:4: println! belongs in cli, main",
            "src/report/text.rs:2: std::env belongs in cli, config, main",
        ]
    );
    assert_eq!(
        planted("src/report/text.rs", "use std::*;"),
        ["src/report/text.rs:2: std::env belongs in cli, config, main"]
    );
    assert_eq!(planted("src/lib.rs", "fn f() { println!() }"), ["src/lib.rs:2: println! belongs in cli, main"]);
    assert_eq!(planted("src/cli/mod.rs", "use std::env;\nuse clap::Parser;\nfn f() { println!() }"), [""; 0]);
    assert_eq!(planted("src/main.rs", "fn main() { println!(\"{:?}\", std::env::args()) }"), [""; 0]);
}

#[test]
fn comments_strings_and_tests_are_no_code() {
    let body = r##"/* use crate::keys; /* nested */ crate::engine::x */
/// See [`crate::verdict::Verdict`].
fn f<'a>(c: char) -> &'a str { if c == '"' || c == '\'' { "crate::keys::\"x" } else { r#"crate::"keys"::y"# } }
#[cfg(test)]
mod tests {
    use crate::engine::Engine;
    fn g() { println!("}") }
}
#[cfg(test)]
use crate::{keys::Keys, verdict::Verdict};
#[cfg(all(test, feature = "x"))]
pub(crate) const fn h() -> [u8; 2] { crate::cli::go() }
fn after() { crate::store::go() }
"##;
    assert_eq!(
        planted("src/mail/part.rs", body),
        ["src/mail/part.rs:14: mail may not import store (crate::store::go)"]
    );
    // What is not for tests alone is code.
    assert_eq!(
        planted(
            "src/mail/part.rs",
            "#[cfg(not(test))]\nuse crate::keys::Keys;\nstruct S {\n    #[cfg(test)]\n    a: u8,\n    b: crate::keys::K,\n}"
        ),
        [
            "src/mail/part.rs:3: mail may not import keys (crate::keys::Keys)",
            "src/mail/part.rs:7: mail may not import keys (crate::keys::K)",
        ]
    );
}

#[test]
fn a_test_module_in_its_own_file_is_no_code() {
    let test = "//! Tests.\nuse crate::engine::Engine;";
    let files = |head| [("src/mail/mod.rs", head), ("src/mail/tests.rs", test)];
    assert_eq!(complaints(&files("//! Mail.\n#[cfg(test)]\nmod tests;")), [""; 0]);
    assert_eq!(
        complaints(&files("//! Mail.\nmod tests;")),
        ["src/mail/tests.rs:2: mail may not import engine (crate::engine::Engine)"]
    );
}

#[test]
fn rules_on_style_are_kept() {
    assert_eq!(
        complaints(&[("src/mail/util.rs", "use std::fmt;")]),
        [
            "src/mail/util.rs:1: does not start with a //! line that says what it is",
            "src/mail/util.rs:1: a module called util has no job of its own",
        ]
    );
    assert_eq!(
        planted("src/mail/part.rs", "mod helpers { }\n#[path = \"x.rs\"]\nmod x;\ninclude!(\"y.rs\");"),
        [
            "src/mail/part.rs:2: a module called helpers has no job of its own",
            "src/mail/part.rs:3: #[path] hides where a module lies",
            "src/mail/part.rs:5: include! hides source text",
        ]
    );
    let body = "pub fn open<F: Fn(u8) -> bool>(\n    name: &str,\n    deep: bool,\n    test: impl Fn(&str) -> bool,\n) {}\npub(crate) const fn seal(wide: Option<bool>) {}\nfn own(quiet: bool) {}\npub fn get_key() -> bool {}";
    assert_eq!(
        planted("src/mail/part.rs", body),
        [
            "src/mail/part.rs:2: fn open: the parameter deep is a bool: make it an enum",
            "src/mail/part.rs:7: fn seal: the parameter wide is a bool: make it an enum",
            "src/mail/part.rs:9: fn get_key: say it without get_",
        ]
    );
}
