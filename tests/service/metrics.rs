//! What the monitor says: the metrics count what happened, the manual and packaging/ name no others, and idle clients do not stop it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::Duration,
};

use crate::{
    proxy::Proxy,
    submission::dialogue::Client,
    support::{
        ports::free_port,
        postfix::{Sink, present, run_with},
    },
};

#[test]
fn metrics_count_what_happened() {
    if !present(&["openssl"]) {
        return;
    }
    let (sink, port) = (Sink::start(), free_port());
    sink.answer("RCPT TO:<FULL@", "452 4.2.2 mailbox full");
    sink.answer("RCPT TO:<NOBODY@", "550 5.1.1 nobody there");
    let proxy = Proxy::start(sink.port(), &format!("metrics = \"127.0.0.1:{port}\"\nlimits.connections = 100"));
    // Expires within 7 and 30 days, and not tomorrow.
    proxy.postseal(&["key", "generate", "-f", "pgp", "--no-passphrase", "--expires", "5d", "soon@example.org"]);
    let mut client = Client::new(&proxy);
    for to in ["dave@plain.test", "full@plain.test", "nobody@plain.test", "eve@refused.test", "eve@later.test"] {
        client.begin(to);
        client.say("From: alice@example.org\r\n\r\nhello\r\n.\r\n");
    }
    let page = get(port, "/metrics");
    let counts = |line: &str| assert!(page.lines().any(|own| own == line), "{line} is not in {page}");
    let ended = |fate: &str, by: &str, count: usize| {
        format!("postseal_recipients_ended_total{{listener=\"submission\",fate=\"{fate}\",by=\"{by}\"}} {count}")
    };
    counts("postseal_recipients_total{listener=\"submission\",direction=\"outbound\",disposition=\"relay\"} 3");
    for (fate, by) in [("relayed", "next-hop"), ("deferred", "next-hop"), ("refused", "next-hop")] {
        counts(&ended(fate, by, 1));
    }
    counts(&ended("refused", "rule", 1));
    counts(&ended("deferred", "rule", 1));
    for class in ["2xx", "4xx", "5xx"] {
        counts(&format!("postseal_next_hop_replies_total{{class=\"{class}\"}} 1"));
    }
    for (days, count) in [(1, 0), (7, 1), (30, 1)] {
        counts(&format!("postseal_expiring_keys{{days=\"{days}\"}} {count}"));
    }
    counts("postseal_ready 1");
    counts("postseal_messages_waiting{listener=\"submission\"} 0");
    the_manual_and_packaging_name_these(&page);

    // A next hop that is gone.
    sink.hang_up();
    client.begin("dave@plain.test");
    assert!(client.say("From: alice@example.org\r\n\r\nhello\r\n.\r\n").starts_with('4'));
    let page = get(port, "/metrics");
    assert!(page.contains("postseal_next_hop_replies_total{class=\"network\"} 1\n"), "{page}");

    // More idle connections than the listeners take.
    let idle: Vec<TcpStream> =
        (0..300).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("the monitor listens")).collect();
    assert!(get(port, "/healthz").ends_with("\r\n\r\nok\n"));
    assert!(get(port, "/readyz").ends_with("\r\n\r\nok\n"));
    drop(idle);

    // A key store that cannot be read.
    let home = proxy.path("home");
    for entry in fs::read_dir(&home).expect("a home") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            fs::write(&path, "not a database, and not a key either").expect("a file");
        }
    }
    let ready = get(port, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 503 ") && !ready.ends_with("\r\n\r\n"), "{ready}");
    assert!(get(port, "/metrics").contains("\npostseal_ready 0\n"));
    assert!(get(port, "/livez").starts_with("HTTP/1.1 200 "));
}

#[test]
fn the_monitor_is_for_loopback() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("postseal.toml");
    let text = "home = \"home\"\nhostname = \"mx.example.org\"\nmetrics = \"0.0.0.0:9095\"\n\
                [[listener]]\nkind = \"milter\"\naddress = \"127.0.0.1:8891\"\n";
    fs::write(&config, text).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
    let output = run_with(command.arg("serve").arg("--config").arg(&config), b"");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(78) && said.contains("not a loopback address"), "{said}");
}

/// The metrics of the page are those of the manual, with their types, and the alerts and the dashboard use no others.
fn the_manual_and_packaging_name_these(page: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("a file of the repository");
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let types: BTreeMap<String, String> = types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
    let manual = read("docs/manual/metrics.md");
    let rows = manual.lines().filter(|line| line.starts_with("| `postseal_")).map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())
    });
    assert_eq!(types, rows.collect::<BTreeMap<_, _>>());
    let mut series: BTreeSet<String> = types.keys().cloned().collect();
    for (name, _) in types.iter().filter(|(_, kind)| *kind == "histogram") {
        series.extend(["_bucket", "_count", "_sum"].map(|suffix| format!("{name}{suffix}")));
    }
    let dashboard = read("packaging/grafana-dashboard.json");
    serde_json::from_str::<serde_json::Value>(&dashboard).expect("JSON");
    for text in [dashboard, read("packaging/prometheus-alerts.yml")] {
        let used = text.match_indices("postseal_").map(|(at, _)| {
            let rest = &text[at..];
            &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())]
        });
        let used: BTreeSet<&str> = used.collect();
        assert!(used.len() > 5, "{used:?}");
        for name in used {
            assert!(series.contains(name), "{name} is no metric");
        }
    }
    if present(&["python3"]) && run_with(Command::new("python3").args(["-c", "import yaml"]), b"").status.success() {
        let script = "import sys, yaml\nfor group in yaml.safe_load(sys.stdin)['groups']:\n    \
                      for rule in group['rules']: rule['alert'], rule['expr'], rule['annotations']['summary']\n";
        let alerts = read("packaging/prometheus-alerts.yml");
        let output = run_with(Command::new("python3").args(["-c", script]), alerts.as_bytes());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What the monitor at a port answers, with its header.
pub(crate) fn get(port: u16, page: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the monitor listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    write!(stream, "GET {page} HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}
