//! `config diff`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueHint};
use postseal::{
    base::{Error, Kind, Result},
    config,
    policy::{Change, Comparison, Effect, Policy, Record},
    report::printable,
};
use serde_json::{Value, json};

use crate::cli::{
    cmd::log::{Line, each_event},
    show,
};

/// Diff.
#[derive(Args, Debug)]
pub(crate) struct Diff {
    /// The configuration with which the log was written
    #[arg(value_name = "OLD", value_hint = ValueHint::FilePath)]
    old: PathBuf,
    /// The other configuration
    #[arg(value_name = "NEW", value_hint = ValueHint::FilePath)]
    new: PathBuf,
    /// The log: text or JSON, also as journalctl prints it [default: standard input]
    #[arg(value_name = "LOG", value_hint = ValueHint::FilePath)]
    log: Option<PathBuf>,
    /// Only what this tenant decided
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub(super) fn run(what: &Diff) -> Result<ExitCode> {
    let (old, new) = (Policies::of(&what.old)?, Policies::of(&what.new)?);
    if let Some(name) = &what.tenant {
        old.service.of_tenant(name)?;
        new.service.of_tenant(name)?;
    }
    let mut sums = Sums::default();
    let place = each_event("decided", what.log.as_deref(), |line| {
        let tenant = line.get("tenant");
        if what.tenant.is_some() && what.tenant.as_deref() != tenant {
            return;
        }
        match (old.by(tenant), new.by(tenant)) {
            (Some(old), Some(new)) => sums.add(&line, old, new),
            _ => sums.untenanted += 1,
        }
    })?;
    if sums.untenanted == 0 && sums.mails.is_empty() && sums.unread == 0 {
        let none = Error::new(Kind::NoInput, format!("{place}: no decision in it"));
        return Err(none.with_hint("the service writes a line with event=decided for each mail, at level info"));
    }
    show::data(&if what.json { sums.json() } else { sums.text() })?;
    Ok(ExitCode::from(u8::from(
        !sums.changed.is_empty() || !sums.unknown.is_empty() || sums.unread > 0 || sums.untenanted > 0,
    )))
}

/// A configuration, by whose rules who decides.
struct Policies {
    service: config::Config,
}

impl Policies {
    fn of(path: &Path) -> Result<Policies> {
        Ok(Policies { service: config::load(path)? })
    }

    /// The rules of a tenant, if it is there and can be used.
    fn by(&self, tenant: Option<&str>) -> Option<&Policy> {
        let config = tenant.map_or(Ok(&self.service), |name| self.service.of_tenant(name));
        config.ok().map(|config| &config.policy)
    }
}

/// The differences so far.
#[derive(Default)]
struct Sums {
    mails: BTreeSet<String>,
    recipients: usize,
    changed: BTreeMap<(Effect, Effect), Kin>,
    renamed: BTreeMap<(String, String), usize>,
    unknown: BTreeMap<(Effect, String), Kin>,
    /// Lines that cannot be read.
    unread: usize,
    /// Lines of tenants that one of the configurations does not have.
    untenanted: usize,
    /// Recipients for whom the first configuration decides otherwise than the log says.
    mismatched: usize,
}

/// What has the same difference.
#[derive(Default)]
struct Kin {
    mails: BTreeSet<String>,
    recipients: usize,
    /// Mail, sender and recipient of the first.
    examples: Vec<[String; 3]>,
}

impl Kin {
    fn add(&mut self, mail: &str, from: &str, to: String) {
        if self.mails.insert(mail.to_owned()) && self.examples.len() < EXAMPLES {
            self.examples.push([mail.to_owned(), from.to_owned(), to]);
        }
        self.recipients += 1;
    }

    fn json(&self) -> Value {
        let example = |[mail, from, to]: &[String; 3]| json!({ "mail": mail, "from": from, "to": to });
        let examples: Vec<Value> = self.examples.iter().map(example).collect();
        json!({ "mails": self.mails.len(), "recipients": self.recipients, "examples": examples })
    }

    fn lines(&self, before: &str, after: &str) -> String {
        let (mails, recipients) = (count(self.mails.len(), "mail"), count(self.recipients, "recipient"));
        let mut text = format!("\n{recipients} of {mails}\n  from  {before}\n  to    {after}\n");
        for [mail, from, to] in &self.examples {
            text += &format!("        {} {} to <{}>\n", printable(mail), printable(from), printable(to));
        }
        text
    }
}

impl Sums {
    fn add(&mut self, line: &Line, old: &Policy, new: &Policy) {
        let Some(record) = Record::read(|name| line.get(name)) else {
            self.unread += 1;
            return;
        };
        let (mail, from) = (line.get("mail").unwrap_or_default(), line.get("from").unwrap_or_default());
        if !self.mails.contains(mail) {
            self.mails.insert(mail.to_owned());
        }
        for Comparison { to, decided_by, change } in old.compare(new, &record) {
            self.recipients += 1;
            self.mismatched += usize::from(line.get("rule") != Some(&decided_by));
            match change {
                Change::None => {}
                Change::Rule(before, after) => *self.renamed.entry((before.rule, after.rule)).or_default() += 1,
                Change::Effect(before, after) => {
                    self.changed.entry((before, after)).or_default().add(mail, from, to.to_string());
                }
                Change::Unknown(before, rule) => {
                    self.unknown.entry((before, rule)).or_default().add(mail, from, to.to_string());
                }
            }
        }
    }

    fn text(&self) -> String {
        let changed: BTreeSet<&String> = self.changed.values().flat_map(|kin| &kin.mails).collect();
        let recipients: usize = self.changed.values().map(|kin| kin.recipients).sum();
        let all = (count(self.mails.len(), "mail"), count(self.recipients, "recipient"));
        let mut text =
            format!("{} of {} would be decided otherwise ({recipients} of {})\n", changed.len(), all.0, all.1);
        let mut by_size: Vec<_> = self.changed.iter().collect();
        by_size.sort_by_key(|(_, kin)| std::cmp::Reverse(kin.recipients));
        for ((before, after), kin) in by_size {
            text += &kin.lines(&words(before), &words(after));
        }
        for ((before, rule), kin) in &self.unknown {
            text += &kin
                .lines(&words(before), &format!("not known: rule {:?} asks what is not in the log", printable(rule)));
        }
        if !self.renamed.is_empty() {
            text += "\nthe same by another rule\n";
        }
        for ((before, after), recipients) in &self.renamed {
            let recipients = count(*recipients, "recipient");
            text += &format!("  {} to {}: {recipients}\n", printable(before), printable(after));
        }
        if self.mismatched > 0 {
            let recipients = count(self.mismatched, "recipient");
            text += &format!(
                "\ndecided by another rule than OLD says: {recipients}; the log is of another configuration\n"
            );
        }
        if self.untenanted > 0 {
            text += &format!("\nof tenants that OLD or NEW does not have: {}\n", count(self.untenanted, "line"));
        }
        if self.unread > 0 {
            text += &format!("\nnot readable: {}\n", count(self.unread, "line"));
        }
        text
    }

    fn json(&self) -> String {
        let with = |kin: &Kin, more: Value| {
            let mut object = kin.json();
            if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
                object.extend(more);
            }
            object
        };
        let changed: Vec<Value> = self
            .changed
            .iter()
            .map(|((before, after), kin)| with(kin, json!({ "before": effect(before), "after": effect(after) })))
            .collect();
        let unknown: Vec<Value> = self
            .unknown
            .iter()
            .map(|((before, rule), kin)| with(kin, json!({ "before": effect(before), "rule": rule })))
            .collect();
        let renamed: Vec<Value> = self
            .renamed
            .iter()
            .map(|((before, after), recipients)| json!({ "before": before, "after": after, "recipients": recipients }))
            .collect();
        let all = json!({
            "mails": self.mails.len(),
            "recipients": self.recipients,
            "changed": changed,
            "unknown": unknown,
            "same_by_another_rule": renamed,
            "not_of_old": self.mismatched,
            "unread_lines": self.unread,
            "lines_of_other_tenants": self.untenanted,
        });
        format!("{all}\n")
    }
}

fn effect(effect: &Effect) -> Value {
    let Effect { rule, obstacle, outcome, actions, text, note } = effect;
    json!({ "rule": rule, "obstacle": obstacle, "outcome": outcome, "actions": actions, "text": text, "note": note })
}

/// `to partners: relay, sign-and-encrypt:pgp`.
fn words(effect: &Effect) -> String {
    let Effect { rule, obstacle, outcome, actions, text, note } = effect;
    let obstacle = obstacle.map(|name| format!(" ({name})")).unwrap_or_default();
    let actions: String = actions.iter().map(|action| format!(", {action}")).collect();
    let text: String = text.iter().map(|text| format!(": {text}")).collect();
    let note: String = note.iter().map(|note| format!(" ({note})")).collect();
    format!("{}{obstacle}: {outcome}{actions}{}{note}", printable(rule), printable(&text))
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Of each difference.
const EXAMPLES: usize = 3;
