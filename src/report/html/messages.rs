//! The page about messages: the verdict first, then what it rests on.

use super::{
    super::Report,
    covered::numbered,
    exhibit::Exhibit,
    frame::{Refresh, page},
    keys, layers,
    markup::Markup,
    octets, reading, signatures,
    verdict::{banner, headline},
};
use crate::base::Error;

/// A page about one message or several.
#[derive(Debug)]
pub struct MessagePage {
    /// A row for each message.
    contents: Markup,
    /// The messages, each in full.
    articles: Markup,
    count: u64,
}

impl Default for MessagePage {
    fn default() -> Self {
        MessagePage { contents: Markup::new(MAX_CONTENTS), articles: Markup::new(MAX_LISTED), count: 0 }
    }
}

impl MessagePage {
    /// Adds a message. After the first hundred, a message has a row with its verdict and nothing else.
    pub fn add(&mut self, exhibit: &Exhibit<'_>) {
        let (tone, mark, word) = headline(&exhibit.report);
        let is_whole = self.begin(exhibit.report.file);
        self.contents
            .raw("</td><td>")
            .raw("<span class=\"tag")
            .raw(tone.class())
            .raw(mark)
            .raw(" ")
            .raw(word)
            .raw("</span></td><td>");
        if let Some(reason) = exhibit.report.reason() {
            self.contents.text(&reason);
        }
        self.contents.raw("</td></tr>\n");
        if is_whole {
            let article = article(exhibit);
            self.articles.raw("<article id=m").number(self.count).raw(">\n").append(article).raw("</article>\n");
        }
    }

    /// Adds a message that could not be read.
    pub fn add_error(&mut self, file: &str, error: &Error) {
        let is_whole = self.begin(file);
        let reason = error.to_string();
        self.contents.element("</td><td><span class=\"tag bad\">✘ Not read</span></td><td>", &reason, "</td></tr>\n");
        if is_whole {
            let articles = &mut self.articles;
            articles.raw("<article id=m").number(self.count).raw(">\n<header class=\"card banner bad\">\n");
            articles.element("<p class=file>", file, "</p>\n<h2><span aria-hidden=true>✘</span> Not read</h2>\n");
            articles.element("<p>Reason: ", &reason, ".</p>\n</header>\n</article>\n");
        }
    }

    /// The page.
    pub fn finish(self) -> String {
        let mut content = Markup::new(0);
        content.raw("<h1>Report on mail</h1>\n");
        if self.count > 1 {
            content.raw(
                "<div class=\"card scroll\">\n<table>\n<tr><th>Message</th><th>Verdict</th><th>Reason</th></tr>\n",
            );
            content.append(self.contents).raw("</table>\n</div>\n");
        }
        content.append(self.articles);
        content.raw("<footer>\n<p>A signature covers the header fields marked “signed” and the parts that name it. Colours repeat what the words say. ");
        content.raw(
            "Characters like <span class=odd>U+202E</span> stand for one that is not seen or that reorders text.</p>\n",
        );
        content.raw(
            "<p>This page has no script and loads nothing. HTML of a message is shown as source. Made by postseal ",
        );
        content.raw(env!("CARGO_PKG_VERSION")).raw(".</p>\n</footer>\n");
        page("Report on mail", Refresh::Never, content)
    }

    /// Begins the row of a message. Whether the message is shown in full.
    fn begin(&mut self, file: &str) -> bool {
        self.count += 1;
        let is_whole = self.count <= MAX_WHOLE;
        self.contents.raw("<tr><td>");
        match is_whole {
            true => self.contents.raw("<a href=#m").number(self.count).raw(">").text(file).raw("</a>"),
            false => self.contents.text(file),
        };
        is_whole
    }
}

/// Each of its pieces has its own bound, so that a long text does not crowd out what is said of it.
fn article(exhibit: &Exhibit<'_>) -> Markup {
    let [mut judged, mut read, mut deeper, mut raw] = [(); 4].map(|()| Markup::new(MAX_PIECE));
    banner(&mut judged, &exhibit.report, exhibit.next);
    reading::section(&mut read, exhibit);
    layers::drawing(&mut deeper, exhibit);
    signatures::cards(&mut deeper, &numbered(exhibit.report.verdict));
    keys::section(&mut deeper, exhibit.keys);
    within(&mut deeper, exhibit.report.within);
    octets::section(&mut raw, exhibit);
    judged.append(read).append(deeper).append(raw);
    judged
}

/// The messages in this one.
fn within(out: &mut Markup, reports: &[Report<'_>]) {
    if reports.is_empty() {
        return;
    }
    out.raw("<section>\n<h3>Messages in this message</h3>\n<p>Each is judged by itself. They say nothing about the message around them.</p>\n");
    for report in reports.iter().take(MAX_WITHIN) {
        banner(out, report, None);
        reading::fields(out, report);
        signatures::cards(out, &numbered(report.verdict));
    }
    if reports.len() > MAX_WITHIN {
        out.raw("<p class=cut>… ").number((reports.len() - MAX_WITHIN) as u64).raw(" more messages</p>\n");
    }
    out.raw("</section>\n");
}

/// Messages that are shown in full.
const MAX_WHOLE: u64 = 100;
/// Messages within one.
const MAX_WITHIN: usize = 10;
/// Octets of escaped text in one piece of one message: a page with a hundred of them stays one that a browser can show.
const MAX_PIECE: usize = 256 * 1024;
/// Octets of escaped text in the list of messages.
const MAX_CONTENTS: usize = 16 * 1024 * 1024;
/// Octets of escaped text about messages that could not be read.
const MAX_LISTED: usize = 1024 * 1024;
