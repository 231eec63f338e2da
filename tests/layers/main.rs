//! The module structure: which module imports which, which names are confined to which place, and a few rules on style.
//!
//! The checker is one function over `(path, text)` pairs, so that each rule is also tested on planted violations.

mod links;
mod pairs;
mod planted;
mod source;

use std::{collections::BTreeSet, fs, path::Path};

use source::{Source, is_word, past_closing, past_generics};

/// Who imports whom, besides itself. ARCHITECTURE.md holds the same table in words.
const ROOMS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("crypto", &["base"]),
    ("mail", &["base", "crypto"]),
    // crypto: hashes and codes of entries.
    ("audit", &["base", "crypto"]),
    // crypto: SCRAM, and the digest that names a message.
    ("mailbox", &["base", "crypto", "mail"]),
    ("keys", &["base", "crypto", "mail"]),
    ("token", &["base", "crypto", "keys"]),
    ("verdict", &["base", "crypto", "mail", "keys"]),
    ("pki", &["base", "crypto", "mail"]),
    ("protocol", &["base", "crypto", "mail", "keys", "verdict", "pki"]),
    ("store", &["audit", "base", "crypto", "mail", "keys", "protocol"]),
    ("discover", &["base", "crypto", "mail", "keys", "pki", "protocol"]),
    // protocol: how a rule seals is written in the protocols' words.
    ("policy", &["base", "mail", "keys", "verdict", "protocol"]),
    // crypto: a report names a signature's `Strength`.
    ("report", &["base", "crypto", "mail", "verdict", "policy"]),
    // crypto, pki: `Legacy` and `Revocation` are arguments of the engine, and it hands them on to the protocols.
    ("engine", &["base", "crypto", "mail", "keys", "verdict", "pki", "protocol", "policy", "report"]),
    ("transport", &["base", "mail", "policy", "report", "engine"]),
    // store: the keys that messages carry are in key files.
    (
        "scan",
        &["base", "crypto", "mail", "mailbox", "keys", "verdict", "protocol", "policy", "report", "engine", "store"],
    ),
    // Four functions over the engine, re-exported at the crate root.
    ("simple", &["base", "crypto", "mail", "keys", "pki", "protocol", "engine", "store"]),
    (
        "config",
        &[
            "base",
            "crypto",
            "mail",
            "keys",
            "pki",
            "verdict",
            "protocol",
            "discover",
            "policy",
            "report",
            "engine",
            "transport",
        ],
    ),
    ("sandbox", &["base"]),
    // report: counts and figures of one process are shown by another.
    ("isolation", &["base", "crypto", "mail", "keys", "discover", "policy", "report", "engine", "sandbox"]),
    // report: which Authentication-Results are believed.
    ("acme", &["audit", "base", "crypto", "mail", "keys", "protocol", "report", "store", "discover"]),
    // The assembly of the service: the one place where configuration, keys on disk and transports meet.
    (
        "service",
        &[
            "audit",
            "base",
            "crypto",
            "mail",
            "keys",
            "verdict",
            "protocol",
            "store",
            "discover",
            // The audit log names rules and actions.
            "policy",
            "report",
            "engine",
            "isolation",
            "sandbox",
            "transport",
            "config",
            "acme",
            "token",
        ],
    ),
    ("cli", EVERYTHING),
];

/// Names that belong to one place.
const CONFINED: &[(Name, &[&str])] = &[
    (Name::Crate("aws_lc_rs"), &["crypto"]),
    (Name::Crate("clap"), &["cli"]),
    (Name::Crate("clap_complete"), &["cli"]),
    (Name::Crate("cms"), &["protocol/smime"]),
    (Name::Crate("cryptoki"), &["token"]),
    (Name::Crate("des"), &["crypto"]),
    (Name::Crate("landlock"), &["sandbox"]),
    (Name::Crate("libc"), &["sandbox"]),
    (Name::Crate("md5"), &["crypto"]),
    (Name::Crate("tokio_postgres"), &["store/postgres"]),
    (Name::Crate("postcard"), &["isolation"]),
    (Name::Crate("roff"), &["cli"]),
    (Name::Crate("rsa"), &["crypto"]),
    (Name::Crate("rusqlite"), &["store/sqlite", "discover/cache"]),
    (Name::Crate("seccompiler"), &["sandbox"]),
    (Name::Crate("sequoia_openpgp"), &["protocol/pgp"]),
    (Name::Crate("sha1"), &["crypto"]),
    (Name::Crate("sha1_checked"), &["crypto"]),
    (Name::Crate("tokio"), &["transport", "service", "discover/dns", "store/postgres"]),
    (Name::Crate("ureq"), &["discover/http"]),
    (Name::Crate("x509_cert"), &["pki", "protocol/smime"]),
    (Name::Crate("zeroizing_alloc"), &["main"]),
    (Name::Function("Authenticated", "assertion"), &["protocol/smime/verify", "protocol/pem/verify"]),
    (Name::Function("Matches", "assertion"), &["protocol/*/verify"]),
    (Name::Function("SystemTime", "now"), &["base/clock"]),
    (Name::Function("Timestamp", "now"), &["base/clock"]),
    (Name::Function("Verdict", "new"), &["engine", "verdict"]),
    (Name::Function("Zoned", "now"), &["base/clock"]),
    // Limits, time and randomness are arguments. The assembly names the machine's own: service, cli, and the four simple functions. `config`
    // holds the defaults of a configuration. The other places are still to pass them on.
    (
        Name::Function("Limits", "default"),
        &[
            "base",
            "cli",
            "config/load",
            "simple",
            "service",
            "protocol/pem/select",
            "protocol/pem/services",
            "protocol/pgp/keyfile",
            "protocol/smime/select",
            "protocol/smime/revocation_files",
        ],
    ),
    // audit: its entries have the time of the machine, whatever --at says.
    (
        Name::Item("base", "SystemClock"),
        &["audit", "base", "cli", "service", "simple", "store/postgres", "store/sqlite"],
    ),
    (
        Name::Item("base", "SystemRandom"),
        &["base", "cli", "service", "simple", "crypto", "store/keystore", "store/master"],
    ),
    (Name::Crate("getrandom"), &["base/random", "crypto/cbc", "crypto/keywrap", "crypto/legacy", "crypto/padding"]),
    (Name::Macro("dbg"), &[]),
    (Name::Macro("eprint"), &["cli", "main"]),
    (Name::Macro("eprintln"), &["cli", "main"]),
    (Name::Macro("print"), &["cli", "main"]),
    (Name::Macro("println"), &["cli", "main"]),
    (Name::Module("std", "env"), &["cli", "config", "main"]),
];

/// Blind to one another.
const PROTOCOLS: &[&str] = &["pgp", "smime", "pem"];

/// Names for a file or module that say nothing of its job.
const NAMELESS: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

const EVERYTHING: &[&str] = &["*"];

/// Who may name commands and options: the program, and the check of its configuration.
const NAMES_COMMANDS: &[&str] = &["cli", "config"];

const VERBS: &[&str] = &[
    "audit",
    "canon",
    "cert",
    "completions",
    "config",
    "decrypt",
    "demo",
    "digest",
    "encrypt",
    "fetch",
    "filter",
    "import",
    "inspect",
    "key",
    "log",
    "man",
    "quarantine",
    "scan",
    "sendmail",
    "serve",
    "sign",
    "verify",
    "watch",
];

enum Name {
    Crate(&'static str),
    Function(&'static str, &'static str),
    /// A public item of a module of this crate.
    Item(&'static str, &'static str),
    Macro(&'static str),
    Module(&'static str, &'static str),
}

#[test]
fn modules_import_only_what_they_may() {
    let files = sources();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let found = complaints(&files);
    assert!(found.is_empty(), "{} violations of the module structure:\n{}", found.len(), found.join("\n"));
}

#[test]
fn dependencies_go_by_their_own_names() {
    let manifest = document("Cargo.toml");
    let renamed: Vec<&str> = manifest.lines().filter(|line| line.contains("package =")).collect();
    assert!(renamed.is_empty(), "a renamed crate walks around the confined names: {renamed:?}");
}

/// Every dependency says why it is here, in docs/dependencies.md.
#[test]
fn every_dependency_has_its_reason() {
    let (manifest, reasons) = (document("Cargo.toml"), document("docs/dependencies.md"));
    let named: BTreeSet<&str> = reasons.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').collect();
    let mut section = "";
    for line in manifest.lines() {
        section = if line.starts_with('[') { line } else { section };
        let Some((name, _)) = line.split_once(" = ") else { continue };
        if matches!(section, "[dependencies]" | "[dev-dependencies]") {
            assert!(named.contains(name), "docs/dependencies.md says nothing of {name}");
        }
    }
}

/// Every standard that the sources cite has a row in STANDARDS.md, and the places that it names exist.
#[test]
fn every_standard_has_its_place() {
    let standards = document("STANDARDS.md");
    let cited = |text: &str| -> BTreeSet<String> {
        let numbers = text.split("RFC ").skip(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect());
        numbers.filter(|number: &String| !number.is_empty()).collect()
    };
    let rows = cited(&standards);
    for (path, text) in sources() {
        let missing: Vec<String> = cited(&text).into_iter().filter(|number| !rows.contains(number)).collect();
        assert!(missing.is_empty(), "STANDARDS.md has no row for RFC {}, cited in {path}", missing.join(", "));
    }
    for place in standards.split(['|', ',']).map(str::trim).filter(|place| place.starts_with("src/")) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(place).exists(), "STANDARDS.md names {place}");
    }
}

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Every file under src: its path from the project's root, and its text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(root.join("src")).sort_by_file_name() {
        let entry = entry.expect("the source tree can be walked");
        if entry.path().extension().is_some_and(|extension| extension == "rs") {
            let inner = entry.path().strip_prefix(root).expect("walked from the root");
            let path: Vec<_> = inner.iter().map(|segment| segment.to_string_lossy()).collect();
            files.push((path.join("/"), fs::read_to_string(entry.path()).expect("sources are UTF-8")));
        }
    }
    assert!(files.len() > 20, "only {} files under src", files.len());
    files
}

/// One line a violation, each once a file: `src/mail/parse.rs:3: mail may not import keys (crate::keys::Keys)`.
fn complaints(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> = files.iter().map(|(path, text)| Source::read(path, text)).collect();
    let test_modules: Vec<&Vec<String>> = sources.iter().flat_map(|source| &source.test_modules).collect();
    let mut found = Vec::new();
    for (source, (_, text)) in sources.iter().zip(files) {
        let mut complain = Complaints { source, seen: BTreeSet::new(), found: &mut found };
        shape(source, text, &mut complain);
        if !test_modules.iter().any(|module| source.module.starts_with(module)) {
            imports(source, &mut complain);
            confined(source, &mut complain);
            signatures(source, &mut complain);
            commands(source, &mut complain);
        }
    }
    found
}

/// The library names no command and no option of the program: `base::Hint` says what to do, and `cli/hint.rs` how.
fn commands(source: &Source, complain: &mut Complaints<'_>) {
    if source.module.first().is_none_or(|room| NAMES_COMMANDS.contains(&room.as_str())) {
        return;
    }
    for token in &source.tokens {
        let words = token.literal.as_deref().unwrap_or_default().split([' ', '`', '"', '(']);
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let is_option = |word: &&str| {
            word.strip_prefix("--").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
        };
        let is_verb =
            |pair: &[&str]| pair[0] == "postseal" && VERBS.contains(&pair[1].trim_end_matches([',', ';', ':']));
        if let Some(option) = words.iter().copied().find(|word| is_option(word)) {
            complain.add(token.line, format!("{option}: an option belongs in cli"));
        }
        if let Some(pair) = words.windows(2).find(|pair| is_verb(pair)) {
            complain.add(token.line, format!("{}: a command belongs in cli", pair.join(" ")));
        }
    }
}

struct Complaints<'a> {
    source: &'a Source,
    seen: BTreeSet<String>,
    found: &'a mut Vec<String>,
}

impl Complaints<'_> {
    fn add(&mut self, line: usize, what: String) {
        if self.seen.insert(what.clone()) {
            self.found.push(format!("{}:{line}: {what}", self.source.path));
        }
    }
}

/// What holds of each file whole: it says what it is, and what it is called says something.
fn shape(source: &Source, text: &str, complain: &mut Complaints<'_>) {
    if !text.trim_start().starts_with("//!") {
        complain.add(1, "does not start with a //! line that says what it is".into());
    }
    let declared = source.tokens.windows(3).filter(|three| three[0].text == "mod" && three[2].text == "{");
    let inline = declared.map(|three| (three[1].line, three[1].text.clone()));
    for (line, name) in source.module.last().map(|own| (1, own.clone())).into_iter().chain(inline) {
        if NAMELESS.contains(&name.as_str()) {
            complain.add(line, format!("a module called {name} has no job of its own"));
        }
    }
    for pair in source.tokens.windows(4) {
        let texts: Vec<&str> = pair.iter().map(|token| token.text.as_str()).collect();
        match texts.as_slice() {
            ["#", "[", "path", "="] => complain.add(pair[0].line, "#[path] hides where a module lies".into()),
            ["include", "!", ..] => complain.add(pair[0].line, "include! hides source text".into()),
            _ => {}
        }
    }
}

fn imports(source: &Source, complain: &mut Complaints<'_>) {
    let Some(room) = source.module.first() else { return }; // lib.rs and main.rs are the roots
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| name == room) else {
        return complain.add(1, format!("{room} is not in the list of modules"));
    };
    let protocol_of = |module: &[String]| match module {
        [first, second, ..] if first == "protocol" => PROTOCOLS.iter().find(|name| *name == second).copied(),
        _ => None,
    };
    for named in source.named().iter().filter(|named| named.segments[0] == "crate") {
        let path = named.segments.join("::");
        let Some(target) = named.segments.get(1) else {
            if *allowed != EVERYTHING {
                let what = if named.glob { "imports everything of the crate" } else { "imports the crate's root" };
                complain.add(named.line, format!("{what}: name the module"));
            }
            continue;
        };
        let protocols = (protocol_of(&source.module), protocol_of(&named.segments[1..]));
        if let (Some(own), Some(other)) = protocols
            && own != other
        {
            complain.add(named.line, format!("{own} may not know {other} ({path})"));
        }
        if target == room || *allowed == EVERYTHING || allowed.contains(&target.as_str()) {
            continue;
        }
        complain.add(
            named.line,
            if ROOMS.iter().any(|(name, _)| name == target) {
                format!("{room} may not import {target} ({path})")
            } else if target.starts_with('$') {
                format!("a macro hides which module is meant ({path})")
            } else {
                format!("{path} is at the crate's root: name it by its module")
            },
        );
    }
}

fn confined(source: &Source, complain: &mut Complaints<'_>) {
    let here = if source.module.is_empty() { vec!["main".to_owned()] } else { source.module.clone() };
    let here = if source.path == "src/lib.rs" { vec!["lib".to_owned()] } else { here };
    let is_here = |place: &&&str| {
        let mut own = here.iter();
        place.split('/').all(|segment| own.next().is_some_and(|name| segment == "*" || name == segment))
    };
    let named = source.named();
    for (name, places) in CONFINED {
        if places.iter().any(|place| is_here(&place)) {
            continue;
        }
        let place = if places.is_empty() { "nowhere".to_owned() } else { places.join(", ") };
        let say = |what: String| format!("{what} belongs in {place}");
        match name {
            Name::Crate(krate) => named
                .iter()
                .filter(|one| one.segments[0] == *krate)
                .for_each(|one| complain.add(one.line, say(format!("{krate}::")))),
            Name::Function(owner, function) => named
                .iter()
                .filter(|one| matches!(one.segments.as_slice(), [.., o, f] if o == owner && f == function))
                .for_each(|one| complain.add(one.line, say(format!("{owner}::{function}")))),
            Name::Item(module, item) => named
                .iter()
                .filter(|one| matches!(one.segments.as_slice(), [_, m, i, ..] if m == module && i == item))
                .for_each(|one| complain.add(one.line, say(format!("{module}::{item}")))),
            Name::Module(krate, module) => named
                .iter()
                .filter(|one| match one.segments.as_slice() {
                    [only] => only == krate && one.glob,
                    [first, second, ..] => first == krate && second == module,
                    [] => false,
                })
                .for_each(|one| complain.add(one.line, say(format!("{krate}::{module}")))),
            Name::Macro(name) => source
                .tokens
                .windows(2)
                .filter(|pair| pair[0].text == *name && pair[1].text == "!")
                .for_each(|pair| complain.add(pair[0].line, say(format!("{name}!")))),
        }
    }
}

/// What a caller reads at the call: no bare `true`, and no `get_`.
fn signatures(source: &Source, complain: &mut Complaints<'_>) {
    let tokens = &source.tokens;
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    for start in (0..tokens.len()).filter(|index| text(*index) == "pub") {
        let mut index = start + 1;
        if text(index) == "(" {
            index = past_closing(tokens, index);
        }
        while ["const", "async", "unsafe", "extern", "0"].contains(&text(index)) {
            index += 1;
        }
        if text(index) != "fn" || !is_word(text(index + 1)) {
            continue;
        }
        let (name, line) = (text(index + 1), tokens[index].line);
        if name.starts_with("get_") {
            complain.add(line, format!("fn {name}: say it without get_"));
        }
        let open = if text(index + 2) == "<" { past_generics(tokens, index + 2) } else { index + 2 };
        let close = past_closing(tokens, open).saturating_sub(1);
        for colon in (open..close).filter(|index| text(*index) == ":") {
            let mut at = colon + 1;
            while matches!(text(at), "&" | "mut") {
                at += 1;
            }
            let optional = text(at) == "Option" && text(at + 1) == "<";
            if text(at + 2 * usize::from(optional)) == "bool" {
                complain.add(line, format!("fn {name}: the parameter {} is a bool: make it an enum", text(colon - 1)));
            }
        }
    }
}
