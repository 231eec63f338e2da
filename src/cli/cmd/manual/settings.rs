//! postseal.toml(5): the tables of docs/manual/settings.md, which a test keeps equal to the schema and to what the program knows.

use roff::{bold, roman};

use super::page::Page;

/// The page of the configuration file.
pub(super) fn page(date: &str) -> Page {
    let mut page = Page::new("postseal.toml", 5, "configuration of postseal", date);
    page.section("DESCRIPTION").text_of_section(
        "The file configures the service (`postseal serve`), and the verbs that apply its rules: `sendmail`, `filter` and `fetch`. It is written in TOML. \
         An unknown key or word is an error. `postseal config check` lists all problems, and `postseal config explain` shows what the rules do with a message.",
    );
    page.paragraph(
        "The first rule whose conditions all hold decides about a message. Nothing goes out in clear unless a rule says `clear`. \
         Where no rule applies, outbound mail is refused, and inbound mail is annotated.",
    );
    for section in SETTINGS.split("\n## ").skip(1) {
        let (title, text) = section.split_once('\n').unwrap_or((section, ""));
        describe(&mut page, title, text);
    }
    page.section("FILES");
    page.entry(
        [roff::italic("/etc/postseal/postseal.toml")],
        &["The configuration, unless another is named.".to_owned()],
    );
    page.section("ENVIRONMENT");
    page.entry([bold("POSTSEAL_CONFIG")], &["The configuration, unless `--config` is given.".to_owned()]);
    page.section("EXAMPLES").text_of_section("The file that the packages install, which changes no mail:");
    page.example(INSTALLED);
    page.section("SEE ALSO").line([
        bold("postseal"),
        roman("(1), "),
        bold("postseal-config"),
        roman("(1), "),
        bold("postseal-serve"),
        roman("(8)"),
    ]);
    page
}

/// A section of the manual with a table: its text, and an entry for each row. A section without one is about something else.
fn describe(page: &mut Page, title: &str, text: &str) {
    let rows: Vec<Vec<&str>> = text.lines().filter_map(cells).skip(2).collect();
    if rows.is_empty() {
        return;
    }
    match title.strip_prefix('`').and_then(|table| table.strip_suffix('`')) {
        Some(table) => page.section(table),
        None => page.section(&title.to_uppercase()),
    };
    let paragraphs = text
        .split("\n\n")
        .map(|part| part.trim().replace('\n', " "))
        .filter(|part| !part.is_empty() && !part.starts_with('|'));
    for (at, paragraph) in paragraphs.enumerate() {
        match at {
            0 => page.text_of_section(&paragraph),
            _ => page.paragraph(&paragraph),
        };
    }
    for row in rows {
        match row.as_slice() {
            [key, kind, default, meaning] => {
                let facts = match *default {
                    "required" | "none" => {
                        format!("{kind}; {default}", default = default.replace("none", "no default"))
                    }
                    default => format!("{kind}; default: {default}"),
                };
                page.entry([bold(key.replace('`', ""))], &[format!("({facts})"), (*meaning).to_owned()])
            }
            [name, meaning] => page.entry([bold(*name)], &[(*meaning).to_owned()]),
            _ => page,
        };
    }
}

/// The cells of a row of a table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix("| ").or_else(|| line.strip_prefix('|'))?.strip_suffix('|')?;
    Some(inner.split(" | ").map(str::trim).collect())
}

const SETTINGS: &str = include_str!("../../../../docs/manual/settings.md");
const INSTALLED: &str = include_str!("../../../../packaging/postseal.toml");
