//! The pages of the command line: one for the program, and one for each verb. Names and options are those of clap; examples stand in `examples`.

use clap::{Arg, Command, CommandFactory, builder::StyledStr};
use roff::{Inline, bold, italic, roman};

use super::{
    examples::{self, Entry},
    page::Page,
    service,
};
use crate::cli::args::{Arguments, COMMON_HEADING};

/// The pages of the program and of all its verbs.
pub(super) fn pages(date: &str) -> Vec<Page> {
    let mut whole = Arguments::command();
    whole.build();
    let mut pages = Vec::new();
    describe(&whole, &[], date, &mut pages);
    pages
}

/// Adds the page of the command, and those of its verbs. `above` has the names of the commands that it belongs to.
fn describe(command: &Command, above: &[&str], date: &str, pages: &mut Vec<Page>) {
    let words = [above, &[command.get_name()]].concat();
    let verb = words[1..].join(" ");
    let entry = examples::of(&verb);
    let about = text(command.get_about());
    let mut page = Page::new(&words.join("-"), section(&verb), &lower(about.trim_end_matches('.')), date);
    synopsis(&mut page, command, &words);
    description(&mut page, command, &verb, entry);
    options(&mut page, command, &verb);
    verbs(&mut page, command, &words);
    if verb == "serve" {
        service::about(&mut page);
    }
    exit_status(&mut page, &verb);
    environment(&mut page, entry);
    files(&mut page);
    show_examples(&mut page, entry);
    see_also(&mut page, command, &words, entry);
    pages.push(page);
    below(command).for_each(|verb| describe(verb, &words, date, pages));
}

/// `serve` is the service: section 8. Everything else is a command.
fn section(verb: &str) -> u8 {
    if verb == "serve" { 8 } else { 1 }
}

fn synopsis(page: &mut Page, command: &Command, words: &[&str]) {
    page.section("SYNOPSIS");
    let name = words.join(" ");
    let options = own(command).filter(|arg| !is_help(arg)).map(|arg| bracketed(arg, option(arg, Names::One)));
    let given: Vec<_> = options.chain(positionals(command).map(|arg| bracketed(arg, value(arg)))).collect();
    let common = vec![roman("["), italic("OPTION"), roman("]...")];
    if below(command).next().is_some() {
        let verb = vec![italic("COMMAND"), roman(" ["), italic("ARGUMENT"), roman("]...")];
        page.synopsis(&name, [common.clone(), verb]);
        if command.is_subcommand_required_set() {
            return;
        }
    }
    page.synopsis(&name, std::iter::once(common).chain(given));
}

/// In brackets unless it is required; with dots if it may be repeated.
fn bracketed(arg: &Arg, mut inner: Vec<Inline>) -> Vec<Inline> {
    if !arg.is_required_set() {
        inner.insert(0, roman("["));
        inner.push(roman("]"));
    }
    if is_repeated(arg) {
        inner.push(roman("..."));
    }
    inner
}

fn is_repeated(arg: &Arg) -> bool {
    let many = arg.get_num_args().is_some_and(|range| range.max_values() > 1);
    many || matches!(arg.get_action(), clap::ArgAction::Append)
}

fn description(page: &mut Page, command: &Command, verb: &str, entry: Option<&Entry>) {
    page.section("DESCRIPTION");
    let about =
        if verb.is_empty() { text(command.get_long_about()) } else { format!("{}.", text(command.get_about())) };
    let mut paragraphs = about.split("\n\n").chain(entry.map(|entry| entry.text).filter(|text| !text.is_empty()));
    page.text_of_section(paragraphs.next().unwrap_or_default());
    paragraphs.for_each(|paragraph| {
        page.paragraph(paragraph);
    });
}

/// Its own options; in the page of the program those of every verb.
fn options(page: &mut Page, command: &Command, verb: &str) {
    page.section("OPTIONS");
    for arg in positionals(command) {
        page.entry(value(arg), &explained(arg));
    }
    let (common, own): (Vec<_>, Vec<_>) = named(command).partition(|arg| is_common(arg));
    for arg in own {
        page.entry(option(arg, Names::All), &explained(arg));
    }
    if verb.is_empty() {
        page.part("Options of every verb");
        for arg in common {
            page.entry(option(arg, Names::All), &explained(arg));
        }
    } else {
        page.paragraph("The options of every verb are described in `postseal`(1).");
    }
}

fn verbs(page: &mut Page, command: &Command, words: &[&str]) {
    if below(command).next().is_none() {
        return;
    }
    page.section("COMMANDS");
    for verb in below(command) {
        let name = [words, &[verb.get_name()]].concat();
        let section = section(&name[1..].join(" "));
        let aliases: Vec<_> = verb.get_visible_aliases().collect();
        let mut about = format!("{}.", text(verb.get_about()));
        if !aliases.is_empty() {
            about.push_str(&format!(" Also `{}`.", aliases.join("`, `")));
        }
        page.entry([bold(name.join("-")), roman(format!("({section})"))], &[about]);
    }
}

fn exit_status(page: &mut Page, verb: &str) {
    page.section("EXIT STATUS");
    let judges = ["", "verify", "scan"].contains(&verb);
    for (code, meaning) in EXIT_STATUS.iter().filter(|(code, _)| *code != "1" || judges) {
        page.entry([bold(*code)], &[(*meaning).to_owned()]);
    }
}

fn environment(page: &mut Page, entry: Option<&Entry>) {
    page.section("ENVIRONMENT");
    for (name, meaning) in ENVIRONMENT.iter().chain(entry.map_or(&[][..], |entry| entry.environment)) {
        page.entry([bold(*name)], &[(*meaning).to_owned()]);
    }
}

fn files(page: &mut Page) {
    page.section("FILES");
    for (name, meaning) in FILES {
        page.entry([italic(*name)], &[(*meaning).to_owned()]);
    }
}

fn show_examples(page: &mut Page, entry: Option<&Entry>) {
    let Some(entry) = entry else { return };
    page.section("EXAMPLES");
    for (at, (what, lines)) in entry.examples.iter().enumerate() {
        match at {
            0 => page.text_of_section(what),
            _ => page.paragraph(what),
        };
        page.example(lines);
    }
}

fn see_also(page: &mut Page, command: &Command, words: &[&str], entry: Option<&Entry>) {
    page.section("SEE ALSO");
    let above = (1..words.len()).map(|length| words[..length].to_vec());
    let verbs = below(command).map(|verb| [words, &[verb.get_name()]].concat());
    let others = entry.map_or(&[][..], |entry| entry.see).iter();
    let others = others.map(|verb| std::iter::once("postseal").chain(verb.split(' ')).collect());
    let mut line = Vec::new();
    for name in above.chain(verbs).chain(others) {
        line.extend([bold(name.join("-")), roman(format!("({}), ", section(&name[1..].join(" "))))]);
    }
    line.extend([bold("postseal.toml"), roman("(5)")]);
    page.line(line);
}

/// Whether all names of an option are shown.
#[derive(Clone, Copy, PartialEq)]
enum Names {
    /// The short one, or else the long one.
    One,
    All,
}

/// `-o, --output OUT`.
fn option(arg: &Arg, names: Names) -> Vec<Inline> {
    let short = arg.get_short().map(|name| format!("-{name}"));
    let long = arg.get_long().map(|name| format!("--{name}"));
    let mut shown: Vec<_> = short.into_iter().chain(long).map(|name| vec![bold(name)]).collect();
    if names == Names::One {
        shown.truncate(1);
    }
    let mut line = shown.join(&roman(", "));
    if arg.get_action().takes_values() {
        line.push(roman(" "));
        line.extend(value(arg));
    }
    line
}

/// `FILE`.
fn value(arg: &Arg) -> Vec<Inline> {
    let names = arg.get_value_names().unwrap_or_default();
    match names.is_empty() {
        true => vec![italic(arg.get_id().as_str().to_uppercase())],
        false => names.iter().map(|name| vec![italic(name.as_str())]).collect::<Vec<_>>().join(&roman(" ")),
    }
}

/// The help of an option, the values that are possible, and the default.
fn explained(arg: &Arg) -> Vec<String> {
    let mut help = text(arg.get_long_help().or(arg.get_help()));
    if let Some(aliases) = arg.get_visible_aliases() {
        help.push_str(&format!(". Also `--{}`", aliases.join("`, `--")));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().filter_map(|value| value.to_str()).collect();
    if !defaults.is_empty() && defaults != [""] && arg.get_action().takes_values() {
        help.push_str(&format!(" [default: {}]", defaults.join(", ")));
    }
    let values = arg.get_possible_values();
    let values = values.iter().filter(|_| arg.get_action().takes_values()).map(|value| match value.get_help() {
        Some(help) => format!("`{}`: {help}", value.get_name()),
        None => format!("`{}`", value.get_name()),
    });
    std::iter::once(help).chain(values).collect()
}

fn named(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set())
}

fn own(command: &Command) -> impl Iterator<Item = &Arg> {
    named(command).filter(|arg| !is_common(arg))
}

fn positionals(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| arg.is_positional())
}

fn is_common(arg: &Arg) -> bool {
    arg.get_help_heading() == Some(COMMON_HEADING)
}

fn is_help(arg: &Arg) -> bool {
    ["help", "version"].contains(&arg.get_id().as_str())
}

/// The verbs of a command, but for clap's own.
fn below(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| verb.get_name() != "help")
}

fn text(styled: Option<&StyledStr>) -> String {
    styled.map(ToString::to_string).unwrap_or_default()
}

/// With a small first letter: `sign a message`.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Done. `verify`: the verdict is at least that of `--require`."),
    ("1", "The verdict is below it. `scan`: a message is as `--fail-on` says."),
    ("64", "The command line is wrong."),
    ("65", "The input is malformed, or cannot be decrypted."),
    ("66", "There is no such input."),
    ("69", "A server or program is unavailable."),
    ("73", "The output cannot be created."),
    ("74", "Reading or writing failed."),
    ("75", "Failed for now: try again later."),
    ("77", "There is no usable key, or something is not permitted."),
    ("78", "The configuration is wrong."),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("POSTSEAL_HOME", "The folder of the keys, unless `--home` is given."),
    ("POSTSEAL_CONFIG", "The configuration, unless `--config` or a file is given."),
    ("POSTSEAL_PASSPHRASE_FILE", "A file of passphrases, one on each line, unless an option names another."),
    (
        "XDG_DATA_HOME",
        "The folder that `postseal`, the folder of the keys, is in otherwise. Without it, `~/.local/share` is.",
    ),
    ("NO_COLOR", "When set, nothing is coloured, unless `--color always` is given."),
];

const FILES: &[(&str, &str)] = &[
    ("~/.local/share/postseal", "The home: the folder of the keys."),
    ("/var/lib/postseal", "The home of the service, where a package or the unit set it up."),
    (
        "/etc/postseal/postseal.toml",
        "The configuration of the service and of the verbs with `--config`; see `postseal.toml`(5).",
    ),
];
