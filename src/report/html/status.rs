//! The page about a running service. It has no personal data: no address of a user and nothing of a message.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use super::{
    super::{
        day::{Counted, Overview},
        metrics::{KeyFigures, Metrics},
    },
    chart::{Bar, chart},
    frame::{Refresh, page},
    markup::Markup,
    tone::Tone,
};
use crate::base::rfc3339;

/// What the page needs besides [`Metrics`].
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Why mail is put off; `None` when it can be handled.
    pub obstacle: Option<String>,
    /// What is known of keys; `None` when they cannot be read.
    pub keys: Option<KeyFigures>,
    /// Own keys that end soon, the first one first.
    pub endings: Vec<KeyEnd>,
    /// Messages that are held; `None` without a quarantine, or where it cannot be read.
    pub held: Option<u64>,
}

/// An own key that ends, with no other in its place.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct KeyEnd {
    /// When.
    pub at: SystemTime,
    /// `pgp` or `smime`.
    pub protocol: Cow<'static, str>,
    /// Its fingerprint.
    pub key: String,
}

/// The page.
pub fn status(metrics: &Metrics, status: &Status) -> String {
    let overview = metrics.overview();
    let mut out = Markup::new(MAX_PAGE);
    out.raw("<h1>postseal ").raw(env!("CARGO_PKG_VERSION")).raw("</h1>\n");
    banner(&mut out, status, &overview);
    figures(&mut out, status, &overview);
    last_day(&mut out, &overview);
    keys(&mut out, status);
    listeners(&mut out, &overview);
    out.raw("<footer><p>Read-only; it is loaded again each minute. Figures for programs: /metrics. Whether mail can be handled: /readyz.</p></footer>\n");
    page("postseal: status", Refresh::EachMinute, out)
}

fn banner(out: &mut Markup, status: &Status, overview: &Overview) {
    let (tone, words) = match &status.obstacle {
        None => (Tone::Good, "<h2><span aria-hidden=true>✔</span> Ready</h2>\n<p class=plain>Mail can be handled."),
        Some(_) => (Tone::Bad, "<h2><span aria-hidden=true>✘</span> Not ready</h2>\n<p class=plain>Mail is put off."),
    };
    out.raw("<header class=\"card banner").raw(tone.class()).raw(words).raw("</p>\n");
    if let Some(obstacle) = &status.obstacle {
        out.element("<p>Reason: ", obstacle, ".</p>\n");
    }
    out.element("<p class=dim>Running for ", &span(overview.uptime), ".</p>\n</header>\n");
}

fn figures(out: &mut Markup, status: &Status, overview: &Overview) {
    out.raw("<div class=figures>\n");
    let mut card = |figure: Option<u64>, label: &'static str| {
        out.raw("<div class=card><div class=figure>");
        match figure {
            Some(figure) => out.number(figure),
            None => out.raw("–"),
        };
        out.raw("</div>").raw(label).raw("</div>\n");
    };
    // Those who ask for this page are none of them.
    let serving = overview.listeners.iter().filter(|one| one.name != "monitor");
    card(Some(serving.map(|one| one.open).sum()), "open connections");
    card(Some(overview.listeners.iter().map(|one| one.waiting).sum()), "messages waiting for work");
    card(status.held, "messages in quarantine");
    card(
        status.keys.map(|keys| keys.expiring.last().copied().unwrap_or_default() as u64),
        "own addresses without a key to sign with in 30 days",
    );
    out.raw("</div>\n");
}

fn last_day(out: &mut Markup, overview: &Overview) {
    out.raw("<section>\n<h3>Messages in the last 24 hours</h3>\n<div class=card>\n");
    let bars: Vec<Bar> =
        overview.hours.iter().map(|hour| Bar { label: hours(hour.ago), counts: hour.standings.to_vec() }).collect();
    let is_quiet = bars.iter().all(|bar| bar.counts.iter().all(|count| *count == 0));
    if is_quiet {
        out.raw("<p>None.</p>\n");
    }
    chart(out, "hour", &Overview::STANDINGS, &bars);
    out.raw("</div>\n<div class=figures>\n");
    for (counted, heading) in [
        (Counted::Standing, "Messages by standing"),
        (Counted::Action, "Messages by action"),
        (Counted::Fate, "Recipients by what became of them"),
    ] {
        out.raw("<div class=card><h4>").raw(heading).raw("</h4>\n<table>\n");
        let rows = overview.most(counted);
        if rows.is_empty() {
            out.raw("<tr><td>none</td></tr>\n");
        }
        for (name, count) in rows {
            out.element("<tr><td>", name, "</td><td class=n>").number(count).raw("</td></tr>\n");
        }
        out.raw("</table></div>\n");
    }
    out.raw("</div>\n</section>\n");
}

fn keys(out: &mut Markup, status: &Status) {
    out.raw("<section>\n<h3>Keys that end within 30 days</h3>\n<div class=\"card scroll\">\n");
    if status.keys.is_none() {
        out.raw("<p>The keys cannot be read.</p>\n");
    } else if status.endings.is_empty() {
        out.raw("<p>None without another in its place.</p>\n");
    } else {
        out.raw("<table>\n<tr><th>Ends</th><th>Kind</th><th>Fingerprint</th></tr>\n");
        for KeyEnd { at, protocol, key } in status.endings.iter().take(MAX_KEYS) {
            out.element("<tr><td>", &rfc3339(*at), "</td><td>").text(protocol).element(
                "</td><td><code>",
                key,
                "</code></td></tr>\n",
            );
        }
        out.raw("</table>\n");
        if status.endings.len() > MAX_KEYS {
            out.raw("<p class=cut>… ").number((status.endings.len() - MAX_KEYS) as u64).raw(" more</p>\n");
        }
    }
    if let Some(age) = status.keys.and_then(|keys| keys.age_of_oldest_crl) {
        out.element("<p class=dim>The oldest revocation list is ", &span(age), " old.</p>\n");
    }
    out.raw("</div>\n</section>\n");
}

fn listeners(out: &mut Markup, overview: &Overview) {
    out.raw("<section>\n<h3>Listeners</h3>\n<div class=\"card scroll\"><table>\n");
    out.raw("<tr><th>Listener</th><th class=n>open connections</th><th class=n>since the start</th><th class=n>messages waiting</th></tr>\n");
    for one in &overview.listeners {
        out.raw("<tr><td>")
            .text(&one.name)
            .raw("</td><td class=n>")
            .number(one.open)
            .raw("</td><td class=n>")
            .number(one.total);
        out.raw("</td><td class=n>").number(one.waiting).raw("</td></tr>\n");
    }
    out.raw("</table></div>\n</section>\n");
}

/// `3 days 4 hours`.
fn span(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    let (days, hours, minutes) = (minutes / (24 * 60), minutes / 60 % 24, minutes % 60);
    let plural = |count: u64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    match (days, hours) {
        (0, 0) => plural(minutes, "minute"),
        (0, _) => format!("{} {}", plural(hours, "hour"), plural(minutes, "minute")),
        _ => format!("{} {}", plural(days, "day"), plural(hours, "hour")),
    }
}

fn hours(ago: u64) -> String {
    if ago == 0 { "now".to_owned() } else { format!("−{ago} h") }
}

/// Keys that are listed.
const MAX_KEYS: usize = 50;
/// Octets of escaped text on the page.
const MAX_PAGE: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_two_words() {
        for (seconds, words) in [
            (59, "0 minutes"),
            (60, "1 minute"),
            (3_660, "1 hour 1 minute"),
            (90_000, "1 day 1 hour"),
            (180_000, "2 days 2 hours"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), words);
        }
    }
}
