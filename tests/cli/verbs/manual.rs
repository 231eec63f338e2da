//! The manual pages: that there is one for each verb with all sections, that groff accepts them, and that their examples work as they are printed.

use std::{collections::BTreeMap, fs, path::Path};

use super::{help, sample_home};
use crate::support::{
    lab::{Lab, POSTSEAL},
    requirements::present,
};

#[test]
fn every_verb_has_a_page_with_all_sections() {
    let lab = Lab::new();
    lab.shell("SOURCE_DATE_EPOCH=86400 \"$0\" man made/man").code(0);
    let pages = pages(&lab);
    let mut named: Vec<String> =
        help::verbs(&lab).into_keys().map(|verb| format!("postseal-{}", verb.replace(' ', "-"))).collect();
    named.extend(["postseal", "postseal-key", "postseal-config"].map(str::to_owned));
    for name in named {
        let section = if name == "postseal-serve" { 8 } else { 1 };
        let page = pages.get(&format!("{name}.{section}")).unwrap_or_else(|| panic!("{name}({section}) is missing"));
        let footer = format!(" {section} 1970-01-02 \"postseal {}\" ", env!("CARGO_PKG_VERSION"));
        assert!(page.lines().any(|line| line.starts_with(".TH ") && line.contains(&footer)), "{name}: the footer");
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "EXIT STATUS",
            "ENVIRONMENT",
            "FILES",
            "EXAMPLES",
            "SEE ALSO",
        ] {
            // A verb without examples has no entry in src/cli/cmd/manual/examples.
            assert!(
                page.contains(&format!(".SH \"{section}\"\n")) || page.contains(&format!(".SH {section}\n")),
                "{name}: {section}"
            );
        }
    }
    let settings = &pages["postseal.toml.5"];
    for words in
        [".SH \"TOP LEVEL\"", "\\fBhostname\\fR\n", ".SH [[rule]]", "\\fBmin\\-trust\\fR\n", "action = \"clear\""]
    {
        assert!(settings.contains(words), "{words} is not in postseal.toml(5)");
    }
    for page in ["postseal.1", "postseal-serve.8"] {
        assert!(pages[page].contains("\\fI~/.local/share/postseal\\fR"), "{page}");
    }
    assert!(pages["postseal-serve.8"].contains(".SH SIGNALS"));
    assert!(
        pages["postseal-verify.1"].contains("[\\fB\\-\\-require\\fR \\fIREQUIRE\\fR]\n"),
        "an option without its value"
    );
    lab.shell("SOURCE_DATE_EPOCH=yesterday \"$0\" man other").refused(64, "SOURCE_DATE_EPOCH");
}

#[test]
fn the_pages_are_sound_for_man() {
    if !present(&["man", "lexgrog"]) {
        return;
    }
    let lab = Lab::new();
    lab.shell("\"$0\" man made/man").code(0);
    let said = lab.shell("for page in made/man/*; do LC_ALL=C.UTF-8 MANROFFSEQ= MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z $page 2>&1 > /dev/null; done").code(0);
    assert_eq!(said.text(), "", "warnings of groff");
    let names = lab.shell("lexgrog made/man/*").code(0);
    assert!(names.text().contains("\"postseal-key-generate - generate a key"), "{names:?}");
}

/// The section of docs/manual/install.md, as it is printed.
#[test]
fn pages_and_completions_go_where_shells_and_man_look() {
    let install = include_str!("../../../docs/manual/install.md");
    let section = install.split("## Manual pages and completions").nth(1).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let typed: String =
        section.lines().filter_map(|line| line.strip_prefix("    ")).map(|line| format!("{line}\n")).collect();
    let lab = Lab::new();
    let folder = Path::new(POSTSEAL).parent().expect("a folder").display().to_string();
    lab.shell(&format!("set -e; export HOME=$PWD PATH={folder}:$PATH\n{typed}")).code(0);
    for place in [
        "man/man1/postseal-sign.1",
        "man/man5/postseal.toml.5",
        "man/man8/postseal-serve.8",
        "bash-completion/completions/postseal",
    ] {
        assert!(!lab.read(&format!(".local/share/{place}")).is_empty(), "{place}");
    }
    assert!(!lab.read(".zfunc/_postseal").is_empty() && !lab.read(".config/fish/completions/postseal.fish").is_empty());
}

#[test]
fn the_examples_work_as_they_are_printed() {
    let lab = sample_home::furnished();
    lab.shell("\"$0\" man made/man").code(0);
    let mut typed = 0;
    for (name, page) in pages(&lab) {
        for example in examples(&page) {
            let code = match EXCEPTIONS.iter().find(|(lines, _)| example.starts_with(lines)) {
                Some((_, Done::Ends(code))) => *code,
                Some((_, Done::Left(why))) => {
                    println!("{name}: {example:?} is not typed: {why}");
                    continue;
                }
                None => 0,
            };
            let place = sample_home::copy(&lab);
            let done = place.shell(&format!("{SETTING}\n{example}"));
            assert_eq!(done.code, code, "{name}: {example}: {}", done.stderr);
            typed += 1;
        }
    }
    assert!(typed > 60, "only {typed} examples were found");
}

/// packaging/postseal.toml is the example of postseal.toml(5) too.
#[test]
fn the_configuration_of_the_packages_is_sound_and_changes_nothing() {
    let lab = Lab::new();
    let installed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/postseal.toml")).unwrap();
    lab.write("postseal.toml", installed.replace("/var/lib/postseal", "missing"));
    lab.run(&["config", "check", "postseal.toml"]).code(0);
    for (from, to) in [("bob@example.org", "x@example.net"), ("x@example.net", "bob@example.org")] {
        let explained = lab.run(&["config", "explain", "-c", "postseal.toml", from, to]).code(0);
        assert!(explained.text().contains("pass everything unchanged"), "{explained:?}");
    }
}

/// What becomes of an example that does not simply succeed.
enum Done {
    /// It ends with this exit code.
    Ends(i32),
    /// It is not typed, for this reason.
    Left(&'static str),
}

const EXCEPTIONS: &[(&str, Done)] = &[
    // No name server answers.
    ("postseal key find", Done::Ends(75)),
    ("postseal key refresh", Done::Ends(75)),
    // No key is pending.
    ("postseal key pending accept", Done::Ends(77)),
    ("postseal key pending reject", Done::Ends(77)),
    // There is no marker.
    ("postseal list post", Done::Ends(78)),
    ("postseal cert acme", Done::Left("it needs an authority: tests/service/acme has one")),
    ("postseal key publish vks", Done::Left("it would ask a key server")),
    ("postseal store migrate", Done::Left("tests/store/contract/postgres/moving.rs does, with a server")),
    ("postseal store connect", Done::Left("tests/service/postgres.rs does, with a server")),
    ("postseal store upgrade", Done::Left("tests/store/contract/postgres/machines.rs does, with a server")),
    ("postseal import gpg", Done::Left("tests/interop/import.rs does, with gpg")),
    ("postseal fetch", Done::Left("tests/service/fetch.rs does, with a Dovecot")),
    ("postseal watch", Done::Left("tests/service/fetch.rs does, with a Dovecot")),
    ("postseal serve", Done::Left("it runs until it is ended; `every_verb_takes_every_option` ends it")),
    ("runuser", Done::Left("packaging/try-package does, as root")),
    ("journalctl", Done::Left("the line before it does the same with a file")),
    ("postseal man pages", Done::Left("`the_pages_are_sound_for_man` does, where there is man")),
];

/// The program has its name, and the fingerprints that a user would have looked up are in variables.
const SETTING: &str = "postseal() { \"$0\" \"$@\"; }\n\
    export HOME=$PWD POSTSEAL_CONFIG=postseal.toml CREDENTIALS_DIRECTORY=credentials FINGERPRINT=$(cat colleague-id) KEY=$(cat id)\nset -e";

/// The examples of a page, each with its lines.
fn examples(page: &str) -> Vec<String> {
    let section = page.split(".SH ").find(|section| section.starts_with("EXAMPLES\n")).unwrap_or_default();
    let blocks = section.split(".nf\n").skip(1).filter_map(|block| block.split_once("\n.fi")).map(|(block, _)| block);
    // Only commands: the example of postseal.toml(5) is a file.
    let commands = blocks.filter(|block| block.contains("postseal ") && !block.starts_with('#'));
    commands
        .map(|block| block.replace("\\*(Aq", "'").replace("\\-", "-").replace("\\&", "").replace("\\\\", "\\"))
        .collect()
}

fn pages(lab: &Lab) -> BTreeMap<String, String> {
    let entries = fs::read_dir(lab.path("made/man")).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())).collect()
}
