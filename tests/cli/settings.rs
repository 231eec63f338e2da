//! docs/manual/settings.md and docs/schema/postseal.toml.schema.json have every key, word and default of the configuration. The program itself says which
//! keys and words it knows, in the hint of its error about an unknown one.

mod schema;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use postseal::{config, policy::Obstacle};
use serde_json::Value;

use crate::support::lab::Lab;
use schema::{Schema, Table};

/// No key or word resembles it, so that the hint lists all that are known.
const UNKNOWN: &str = "zzzzzzzzzzzzzzzzzzzzzzzz";

#[test]
fn the_schema_has_every_key_that_the_program_knows() {
    let schema = Schema::read();
    let said = Said::about(&schema, |_| vec![(UNKNOWN, format!("{UNKNOWN:?}"))]);
    let mut closed = 0;
    for table in schema.tables() {
        let known = said.known(&table, UNKNOWN);
        if table.is_open() {
            assert_eq!(known, None, "{}: the program refuses unknown keys", table.title());
            continue;
        }
        let known = known.unwrap_or_else(|| panic!("{}: the program takes any key", table.title()));
        assert_eq!(known, table.keys(), "{}: the keys of the program and of the schema", table.title());
        assert_eq!(said.missing(&table), table.required(), "{}: the required keys", table.title());
        closed += 1;
    }
    assert!(closed >= 14, "only {closed} tables were found");
}

#[test]
fn the_schema_has_every_word_that_the_program_knows() {
    let schema = Schema::read();
    let plain = |table: &Table<'_>, key: &str| !schema.tables().iter().any(|other| other.is_at(&table.path, key));
    let said = Said::about(&schema, |table| {
        let keys = table.properties().map(|(key, _)| key).filter(|key| plain(table, key));
        keys.map(|key| (key, format!("{UNKNOWN:?}"))).collect()
    });
    let mut most = 0;
    for table in schema.tables() {
        for (key, property) in table.properties().filter(|(key, _)| plain(&table, key)) {
            let known = said.known(&table, key).unwrap_or_default();
            let words = BTreeSet::from_iter(schema.words(property));
            // Some words stand beside others: "none" is no kind of TLS, and "any" no protocol.
            let is_whole = known.is_subset(&words) && known.is_empty() == words.is_empty();
            assert!(is_whole, "{} {key}: the program knows {known:?}, and the schema {words:?}", table.title());
            most = most.max(words.len());
        }
    }
    assert!(most >= 10, "the actions are ten words");
    // The program knows each word of the schema.
    for at in 0..most {
        let said = Said::about(&schema, |table| {
            let one = |words: Vec<String>| format!("{:?}", words[at % words.len()]);
            words(&schema, table).into_iter().map(|(key, words)| (key, one(words))).collect()
        });
        assert_eq!(said.unknown(), Vec::<&str>::new());
    }
}

/// The keys of a table whose values are words, with these words.
fn words<'a>(schema: &'a Schema, table: &Table<'a>) -> Vec<(&'a str, Vec<String>)> {
    let words = table.properties().map(|(key, property)| (key, schema.words(property)));
    words.filter(|(_, words)| !words.is_empty()).collect()
}

/// A default that is written out changes nothing, and any other value does.
#[test]
fn the_defaults_in_the_schema_are_those_of_the_program() {
    let schema = Schema::read();
    let lab = Lab::new();
    let read = |place: &str, setting: &str| {
        let lines = BASE.lines().map(|line| match line.strip_prefix('@') {
            Some(here) if here == place => setting,
            Some(_) => "",
            None => line,
        });
        lab.write("c.toml", lines.collect::<Vec<_>>().join("\n"));
        let loaded = config::read(&lab.path("c.toml")).unwrap();
        loaded.config.map(|config| format!("{config:?}")).ok_or(loaded.problems)
    };
    let plain = read("", "").unwrap();
    let mut checked = 0;
    for table in schema.tables() {
        let place = table.path.join(".");
        for (key, property) in table.properties() {
            let Some(default) = property.get("default") else { continue };
            checked += 1;
            if let Some(obstacle) = Obstacle::CONFIGURABLE.iter().find(|obstacle| obstacle.name() == key) {
                assert_eq!(default, obstacle.resort().name(), "{place} {key}");
                continue;
            }
            let written = read(&place, &format!("{key} = {default}"));
            assert_eq!(written.as_ref(), Ok(&plain), "{place} {key}: {default} is not the default");
            for other in others(&schema, property, default) {
                let written = read(&place, &format!("{key} = {other}"));
                assert_ne!(written.as_ref(), Ok(&plain), "{place} {key}: {other} is the default too");
            }
        }
    }
    assert!(checked >= 30, "only {checked} defaults were found");
}

/// A line `@TABLE` is the place of a setting of this table.
const BASE: &str = r#"
home = "home"
quarantine = "."
marker = { file = "marker" }
hostname = "mx.example.org"
local-domains = ["example.org"]
@
[aliases]
staff = ["carol@example.org"]
[limits]
@limits
[trusted]
networks = ["127.0.0.1"]
@trusted
[log]
@log
[discovery]
@discovery
[discovery.ldap]
servers = "ldaps://ldap.example.org"
base = "dc=example"
@discovery.ldap
[provisioning]
@provisioning
[page]
@page
[audit]
@audit
[templates]
@templates
[acme]
server = "https://ca.example/directory"
addresses = ["example.org"]
@acme
[upstream]
smart-host = "127.0.0.1:2526"
@upstream
[[listener]]
kind = "submission"
address = "127.0.0.1:2587"
@listener
[[forward]]
address = "carol@example.org"
to = "carol@example.net"
action = "encrypt"
@forward
[[list]]
address = "dev@example.org"
owner = "carol@example.org"
members = ["carol@example.org"]
@list
[key-uses]
@key-uses
[[rate-limit]]
name = "one"
messages = 100
@rate-limit
[[rule]]
name = "one"
direction = "outbound"
action = "sign+encrypt"
@rule
"#;

/// Values other than the default.
fn others(schema: &Schema, property: &Value, default: &Value) -> Vec<Value> {
    let words = schema.words(property).into_iter().map(Value::from).filter(|word| word != default);
    match default {
        Value::Bool(default) => vec![(!default).into()],
        Value::String(_) | Value::Array(_) if words.clone().count() > 0 => words.collect(),
        // Of a size, and of a path.
        _ => vec!["600M".into()],
    }
}

#[test]
fn the_page_has_every_row_of_the_schema() {
    let schema = Schema::read();
    let page = fs::read_to_string(root().join("docs/manual/settings.md")).unwrap();
    let mut sections: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for section in page.split("\n## ").skip(1) {
        let (title, text) = section.split_once('\n').unwrap();
        let mut rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).skip(2).collect();
        rows.sort_unstable();
        if !rows.is_empty() {
            sections.insert(title, rows);
        }
    }
    let mut expected: BTreeMap<String, Vec<String>> = [("Types".to_owned(), schema.types())].into();
    expected.extend(schema.tables().into_iter().map(|table| (table.title().to_owned(), schema.rows(&table))));
    assert_eq!(sections.keys().copied().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (title, mut rows) in expected {
        rows.sort_unstable();
        let written = &sections[title.as_str()];
        assert_eq!(written, &rows, "{title}: write these rows:\n{}\n", rows.join("\n"));
    }
}

#[test]
fn the_configurations_in_the_documents_fit_the_schema() {
    let schema = Schema::read();
    let mut documents = vec![root().join("README.md")];
    documents.extend(fs::read_dir(root().join("docs/manual")).unwrap().map(|entry| entry.unwrap().path()));
    let mut shown = 0;
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for block in text.split("```toml").skip(1) {
            let (_, block) = block.split_once('\n').unwrap();
            let faults = schema.faults(block.split("```").next().unwrap_or_default());
            assert_eq!(faults, Vec::<String>::new(), "{}: {block}", document.display());
            shown += 1;
        }
    }
    assert!(shown >= 12, "only {shown} blocks were found");
    for (bad, fault) in [
        ("hom = \"home\"", "hom: unknown key"),
        ("home = 1", "home: not a string"),
        ("[limits]\nmesage = 1", "limits.mesage: unknown key"),
        ("[limits]\nmessage = true", "limits.message: no form of it fits"),
        ("[log]\nlevel = \"all\"", "log.level: unknown word \"all\""),
        ("[[rule]]\nkey = [\"pgb\"]", "rule.key: no form of it fits"),
        ("[upstream]\npassword = { fil = \"x\" }", "upstream.password.fil: unknown key"),
        ("[identities]\nalice = { file = \"x\" }", "identities.alice: no form of it fits"),
    ] {
        assert_eq!(schema.faults(bad), [fault], "{bad}");
    }
}

/// What `config check` says about a file that has every table of the schema.
struct Said {
    /// The line of the header of each table.
    headers: BTreeMap<Vec<String>, usize>,
    /// The line of each setting.
    settings: BTreeMap<(Vec<String>, String), usize>,
    output: String,
}

impl Said {
    /// The settings of each table are those of `settings`: keys with their values.
    fn about<'a>(schema: &'a Schema, settings: impl Fn(&Table<'a>) -> Vec<(&'a str, String)>) -> Said {
        let (mut lines, mut headers, mut lines_of) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for table in schema.tables() {
            lines.extend(table.header());
            headers.insert(table.path.clone(), lines.len().max(1));
            for (key, value) in settings(&table) {
                lines.push(format!("{key} = {value}"));
                lines_of.insert((table.path.clone(), key.to_owned()), lines.len());
            }
        }
        let lab = Lab::new();
        lab.write("c.toml", lines.join("\n"));
        let done = lab.run(&["config", "check", "c.toml"]).code(78);
        Said { headers, settings: lines_of, output: done.text() + &done.stderr }
    }

    /// What the program knows in the place of the unknown key or word at this key. `None`: it is not an error.
    fn known(&self, table: &Table<'_>, key: &str) -> Option<BTreeSet<String>> {
        let line = self.settings[&(table.path.clone(), key.to_owned())];
        let mut said = self.output.lines().skip_while(|said| !is_unknown(said, &format!("c.toml:{line}: ")));
        said.next()?;
        let known = said.next().and_then(|hint| hint.strip_prefix("  hint: known here: "));
        let known = known.unwrap_or_else(|| panic!("no list of known words in {}", self.output));
        Some(known.split(", ").map(str::to_owned).collect())
    }

    /// The keys of which the program says that they are missing.
    fn missing(&self, table: &Table<'_>) -> BTreeSet<String> {
        let start = format!("c.toml:{}: error: \"", self.headers[&table.path]);
        let key = |said: &str| Some(said.strip_prefix(&start)?.strip_suffix("\" is missing")?.to_owned());
        self.output.lines().filter_map(key).collect()
    }

    /// The errors about unknown keys and words.
    fn unknown(&self) -> Vec<&str> {
        self.output.lines().filter(|said| is_unknown(said, "c.toml:")).collect()
    }
}

fn is_unknown(said: &str, start: &str) -> bool {
    said.starts_with(start) && said.contains(": error: unknown ")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
