//! The page about a mailbox: its messages by month, its senders, keys that end, and what failed.

use super::{
    chart::{Bar, chart},
    frame::{Refresh, page},
    markup::Markup,
};

/// What is shown of a mailbox. Counts are in the order of `groups`.
#[derive(Clone, Debug, Default)]
pub struct MailboxPage {
    /// The names of the groups that messages are counted in: `authentic`, `signed`, `unknown`, `bad`, `unsigned`, `closed`, `unreadable`.
    pub groups: Vec<&'static str>,
    /// The mailboxes that were read.
    pub mailboxes: Vec<String>,
    /// All messages.
    pub total: Row,
    /// The months, without gaps, the last one last.
    pub months: Vec<Month>,
    /// Messages that are in none of `months`: older, or without a date that can be.
    pub outside_months: u64,
    /// The senders with the most messages.
    pub senders: Vec<Row>,
    /// Senders that are not in `senders`.
    pub more_senders: u64,
    /// Keys and certificates in the messages that ended lately or end soon.
    pub endings: Vec<Ending>,
    /// Those that are not in `endings`.
    pub more_endings: u64,
    /// Messages with a signature that does not hold or cannot be checked, and those that cannot be read, the most first.
    pub failures: Vec<Failure>,
    /// The messages that are not in `failures`.
    pub more_failures: u64,
}

/// The messages of one sender.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The sender.
    pub name: String,
    /// All messages.
    pub messages: u64,
    /// By group.
    pub counts: Vec<u64>,
    /// Those that came encrypted; they are in a group too.
    pub encrypted: u64,
    /// Keys that signed them; a few.
    pub keys: Vec<String>,
}

/// The messages of one month.
#[derive(Clone, Debug)]
pub struct Month {
    /// `2026-11`.
    pub label: String,
    /// By group.
    pub counts: Vec<u64>,
}

/// A key or certificate with an end.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Its fingerprint.
    pub key: String,
    /// `pgp` or `smime`.
    pub protocol: &'static str,
    /// Whose it says it is.
    pub owner: String,
    /// `2026-12-24`.
    pub day: String,
    /// Whether that is over.
    pub is_over: bool,
}

/// Messages of one sender that failed for one reason.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How many.
    pub messages: u64,
    /// Who they say they are from.
    pub sender: String,
    /// The group that they are in.
    pub group: &'static str,
    /// Why.
    pub reason: String,
    /// Mailbox and message of the first.
    pub first: String,
}

impl MailboxPage {
    /// The page. Everything in it may come from messages.
    pub fn finish(&self) -> String {
        let mut out = Markup::new(MAX_PAGE);
        out.raw("<h1>Report on a mailbox</h1>\n<p class=file>");
        for (index, name) in self.mailboxes.iter().take(MAX_MAILBOXES).enumerate() {
            out.raw(if index > 0 { ", " } else { "" }).text(name);
        }
        more(&mut out, self.mailboxes.len().saturating_sub(MAX_MAILBOXES) as u64, " more mailboxes");
        out.raw("</p>\n");
        self.figures(&mut out);
        self.over_time(&mut out);
        self.by_sender(&mut out);
        self.failed(&mut out);
        self.ending(&mut out);
        out.raw("<footer><p>A sender is who the message says it is from. Only an authentic message is shown to be of its sender. ");
        out.raw("This page has no script and loads nothing. Made by postseal ")
            .raw(env!("CARGO_PKG_VERSION"))
            .raw(".</p></footer>\n");
        page("Report on a mailbox", Refresh::Never, out)
    }

    fn figures(&self, out: &mut Markup) {
        out.raw("<div class=figures>\n");
        let mut card = |label: &'static str, figure: u64| {
            out.raw("<div class=card><div class=figure>").number(figure).raw("</div>").raw(label).raw("</div>\n");
        };
        card("messages", self.total.messages);
        self.groups
            .iter()
            .zip(&self.total.counts)
            .filter(|(_, count)| **count > 0)
            .for_each(|(group, count)| card(group, *count));
        card("came encrypted", self.total.encrypted);
        out.raw("</div>\n");
    }

    fn over_time(&self, out: &mut Markup) {
        let bars: Vec<Bar> =
            self.months.iter().map(|month| Bar { label: month.label.clone(), counts: month.counts.clone() }).collect();
        if !bars.is_empty() {
            out.raw("<section>\n<h3>Messages over time</h3>\n<div class=card>\n");
            chart(out, "month", &self.groups, &bars);
            out.raw("</div>\n<p class=dim>By the Date field of each message, which its sender wrote.");
            more(out, self.outside_months, " messages are older than this, or have no date that can be read");
            out.raw("</p>\n</section>\n");
        }
    }

    fn by_sender(&self, out: &mut Markup) {
        let shown: Vec<usize> =
            (0..self.groups.len()).filter(|at| self.total.counts.get(*at).is_some_and(|count| *count > 0)).collect();
        out.raw("<section>\n<h3>Senders</h3>\n<div class=\"card scroll\"><table>\n<tr><th>Sender</th><th class=n>messages</th>");
        for group in shown.iter().filter_map(|at| self.groups.get(*at)) {
            out.raw("<th class=n>").raw(group).raw("</th>");
        }
        out.raw("<th class=n>encrypted</th><th>signed with</th></tr>\n");
        for row in &self.senders {
            out.raw("<tr><td>").text(named(&row.name)).raw("</td>");
            count(out, row.messages);
            shown.iter().for_each(|at| count(out, row.counts.get(*at).copied().unwrap_or_default()));
            count(out, row.encrypted);
            out.raw("<td>");
            for key in &row.keys {
                out.element("<code>", key, "</code><br>");
            }
            out.raw("</td></tr>\n");
        }
        out.raw("</table></div>\n");
        left_out(out, self.more_senders, " more senders with fewer messages");
        out.raw("</section>\n");
    }

    fn failed(&self, out: &mut Markup) {
        if self.failures.is_empty() {
            return;
        }
        out.raw("<section>\n<h3>What failed</h3>\n<div class=\"card scroll\"><table>\n<tr><th>Says it is from</th>");
        out.raw("<th class=n>messages</th><th>Group</th><th>Reason</th><th>First one</th></tr>\n");
        for Failure { messages, sender, group, reason, first } in &self.failures {
            out.raw("<tr><td>").text(named(sender)).raw("</td>");
            count(out, *messages);
            out.raw("<td class=short>")
                .raw(group)
                .element("</td><td>", reason, "</td><td>")
                .text(first)
                .raw("</td></tr>\n");
        }
        out.raw("</table></div>\n");
        left_out(out, self.more_failures, " more messages");
        out.raw("</section>\n");
    }

    fn ending(&self, out: &mut Markup) {
        if self.endings.is_empty() {
            return;
        }
        out.raw("<section>\n<h3>Keys that end</h3>\n<p>Keys and certificates found in the messages. Nothing was checked of them.</p>\n");
        out.raw("<div class=\"card scroll\"><table>\n<tr><th>Ends</th><th>Says it is of</th><th>Kind</th><th>Fingerprint</th></tr>\n");
        for Ending { key, protocol, owner, day, is_over } in &self.endings {
            out.element("<tr><td>", day, if *is_over { " (over)</td><td>" } else { "</td><td>" });
            out.text(owner).raw("</td><td>").raw(protocol).element("</td><td><code>", key, "</code></td></tr>\n");
        }
        out.raw("</table></div>\n");
        left_out(out, self.more_endings, " more");
        out.raw("</section>\n");
    }
}

fn named(sender: &str) -> &str {
    if sender.is_empty() { "(none)" } else { sender }
}

fn count(out: &mut Markup, count: u64) {
    match count {
        0 => out.raw("<td class=n>–</td>"),
        count => out.raw("<td class=n>").number(count).raw("</td>"),
    };
}

fn more(out: &mut Markup, count: u64, what: &'static str) {
    if count > 0 {
        out.raw(" ").number(count).raw(what).raw(".");
    }
}

fn left_out(out: &mut Markup, count: u64, what: &'static str) {
    if count > 0 {
        out.raw("<p class=cut>… ").number(count).raw(what).raw("</p>\n");
    }
}

/// Mailboxes that are named.
const MAX_MAILBOXES: usize = 5;
/// Octets of escaped text on the page.
const MAX_PAGE: usize = 8 * 1024 * 1024;
