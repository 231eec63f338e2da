//! Tests of addresses.

use super::*;
use proptest::prelude::*;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn shown(value: &str) -> Vec<String> {
    let show = |mailbox: Mailbox| format!("{}|{}", mailbox.name.unwrap_or_default(), mailbox.address);
    list(value).unwrap().into_iter().map(show).collect()
}

#[test]
fn equal_as_people_mean_it() {
    assert_eq!(address("Alice@EXAMPLE.org"), address("alice@example.ORG"));
    assert_eq!(address("\"alice\"@example.org"), address("alice@example.org"));
    assert_eq!(address("a@B\u{dc}CHER.example"), address("a@xn--bcher-kva.example"));
    assert_eq!(address("a@b\u{fc}cher\u{3002}example"), address("a@XN--BCHER-KVA.example"));
    assert_eq!(address("\u{7528}\u{6237}@\u{4f8b}\u{5b50}.\u{5e7f}\u{544a}").domain(), "xn--fsqu00a.xn--4rr70v");
    assert_ne!(address("a@fa\u{df}.de"), address("a@fass.de"));
    assert_ne!(address("alice@example.org"), address("al.ice@example.org"));
    assert_ne!(address("\u{e9}@example.org"), address("\u{c9}@example.org"));
    assert_eq!(address("a@[IPv6:::1]").domain(), "[ipv6:::1]");
}

#[test]
fn a_character_that_stands_for_a_special_is_in_no_domain() {
    for domain in ["\u{1f101}", "x.\u{1f102}.org", "\u{2474}", "\u{ff0c}", "\u{fe19}"] {
        assert!(Address::parse(&format!("a@{domain}")).is_err(), "{domain}");
    }
}

#[test]
fn written_as_it_can_be_read_again() {
    for text in
        ["a@x.org", "\"a b\"@x.org", "\"a\\\"\\\\b\"@x.org", "a..b.@x.org", "\"a@b\"@x.org", "a_b+c=d@sub_x.org"]
    {
        assert_eq!(address(text).to_string(), text);
    }
}

#[test]
fn a_bare_address_has_nothing_around_it() {
    for text in [
        "",
        "a",
        "@x",
        "a@",
        "a@x.",
        "a@.x",
        "a@x..y",
        " a@x",
        "a@x ",
        "<a@x>",
        "a@x (c)",
        "a@x,b@y",
        "a b@x",
        "a@\"x\"",
        "a@x\n",
        "a@x\0",
        "\"a\nb\"@x",
        "\"a\u{7f}\"@x",
        "a\u{202e}b@x",
        "a\u{200b}@x",
        "\"\"@x",
        "\"a\tb\"@x",
        "a@b@c",
        "\"a@x",
        "a@[x",
        "a@x:y",
        "a@x_\u{0}",
        "a\u{fffd}@x",
        "a@x\u{ad}y\u{200b}z\u{fffd}",
    ] {
        let error = Address::parse(text).unwrap_err();
        assert!(error.to_string().ends_with("not in the form local@domain"), "{text:?}: {error}");
    }
    assert!(Address::parse(&format!("a@{}", "x".repeat(100_000))).is_err());
}

#[test]
fn lists() {
    assert_eq!(shown("a@x.org"), ["|a@x.org"]);
    assert_eq!(shown("\"a@x.org\" <b@y.org>"), ["a@x.org|b@y.org"]);
    assert_eq!(shown("John Q. Public <j@x.org>, , <k@x.org>,"), ["John Q. Public|j@x.org", "|k@x.org"]);
    assert_eq!(shown("=?utf-8?q?J=C3=B6?= =?utf-8?q?rg?= (Hi \\) (there)) <j(x)@ x . org>"), ["J\u{f6}rg|j@x.org"]);
    assert_eq!(
        shown("A: b@x.org, \"C, D\" <c@x.org>;, e@x.org, Undisclosed:;"),
        ["|b@x.org", "C, D|c@x.org", "|e@x.org"]
    );
    assert_eq!(shown("X <@a.org,@b.org:c@d.org>"), ["X|c@d.org"]);
    assert_eq!(shown("\"quoted \\\"local\\\"\"@x.org"), ["|\"quoted \\\"local\\\"\"@x.org"]);
    assert_eq!(shown("J\u{f6}rg <j\u{f6}rg@b\u{fc}cher.example>"), ["J\u{f6}rg|j\u{f6}rg@xn--bcher-kva.example"]);
    assert_eq!(shown(""), [""; 0]);
}

#[test]
fn half_a_list_is_none() {
    for value in [
        "a@x, b",
        "a@x b@y",
        "a@x <b@y>",
        "<a@x> <b@y>",
        "<a@x",
        "a@x>",
        "A: b@x",
        "A: B: c@x;;",
        "a@x;",
        "\"a@x",
        "(a@x",
        "a@x)",
        "<>",
        "<@a,@b c@d>",
        "a@x, b@\r\n",
        "a\\b@x",
    ] {
        let error = list(value).unwrap_err();
        assert!(error.to_string().ends_with("not in the form of RFC 5322, section 3.4"), "{value:?}: {error}");
    }
}

#[test]
fn user_ids() {
    for (text, expected) in [
        ("Alice <a@x.org>", Some("a@x.org")),
        ("a@x.org", Some("a@x.org")),
        ("Alice (work), Inc. @ home <a@x.org>", Some("a@x.org")),
        ("evil@y.org <a@x.org>", Some("a@x.org")),
        ("<a@x.org>", Some("a@x.org")),
        ("Alice", None),
        ("A <a@x.org> <b@x.org>", None),
        ("A <<a@x.org>", None),
        ("A <a@x.org> B", None),
        ("A <a@x.org, b@x.org>", None),
        ("a@x.org b@x.org", None),
        ("https://x.org/a@b c", None),
    ] {
        assert_eq!(of_user_id(text).map(|address| address.to_string()).as_deref(), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn what_is_read_can_be_written_and_read_again(
        local in "(a|\u{fc}|[ \t.,;@<>()\\\\]|\u{7f}|\u{200b}|\\PC){1,4}",
        domain in "(a|\u{fc}|\u{df}|xn--|[.\\-_]|\\PC){1,6}",
    ) {
        let value = format!("x <{local}@{domain}>, \"{local}\"@a{domain}");
        for value in [value.as_str(), &format!("{local}@{domain}"), &format!("\"{local}\"@x.{domain}")] {
            for mailbox in list(value).unwrap_or_default() {
                let written = mailbox.address.to_string();
                prop_assert!(!written.contains(|c: char| c.is_control() || visible(c).is_none()), "{written:?}");
                prop_assert_eq!(Address::parse(&written).unwrap(), mailbox.address);
            }
            let _ = (of_user_id(value), only(value));
        }
    }
}
