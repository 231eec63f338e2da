//! The page about the service, at `/` of the `metrics` address.

use crate::{
    metrics::get,
    proxy::Proxy,
    submission::dialogue::Client,
    support::{
        browser,
        pages::{assert_harmless, text},
        ports::free_port,
        postfix::{Sink, present},
    },
};

#[test]
fn the_page_tells_of_the_last_day() {
    if !present(&["openssl"]) {
        return;
    }
    let (sink, port) = (Sink::start(), free_port());
    let proxy = Proxy::start(sink.port(), &format!("metrics = \"127.0.0.1:{port}\""));
    proxy.postseal(&["key", "generate", "-f", "pgp", "--no-passphrase", "--expires", "5d", "soon@example.org"]);
    let mut client = Client::new(&proxy);
    for to in ["dave@plain.test", "eve@refused.test"] {
        client.begin(to);
        client.say("From: alice@example.org\r\nSubject: secret\r\n\r\nhello\r\n.\r\n");
    }
    let answer = get(port, "/");
    let (head, page) = answer.split_once("\r\n\r\n").expect("a head");
    for field in [
        "Content-Type: text/html; charset=utf-8",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
    ] {
        assert!(head.lines().any(|line| line == field), "{field} is not in {head}");
    }
    let policy = head.lines().find_map(|line| line.strip_prefix("Content-Security-Policy: ")).expect("a policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-") && policy.ends_with("; frame-ancestors 'none'")
    );
    assert_harmless(page);
    let shown = text(page);
    for words in [
        concat!("postseal ", env!("CARGO_PKG_VERSION")),
        "Mail can be handled.",
        "Running for 0 minutes.",
        "1open connections",
        "0messages waiting for work",
        "unsigned2",
        "relayed1",
        "refused1",
        "submission",
    ] {
        assert!(shown.contains(words), "{words:?} is not in {shown}");
    }
    let endings = page.split_once("Keys that end within 30 days").expect("a heading").1;
    assert!(endings.contains("<td>pgp</td>"), "{endings}");
    // Anyone on this machine can read it.
    for secret in ["soon@", "alice@", "dave@", "secret"] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
    // Other pages have the same fields, and a page that is not there names those that are.
    assert!(get(port, "/x").contains("nosniff"));
    assert!(get(port, "/x").ends_with("/, /metrics, /livez or /readyz\n"));
    if browser::is_here() {
        let document = browser::document(&format!("http://127.0.0.1:{port}/"));
        assert!(document.contains("Mail can be handled."), "{document}");
    }
}
