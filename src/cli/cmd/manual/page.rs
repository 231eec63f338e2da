//! One manual page: its sections as roff, for man(1).

use roff::{Inline, Roff, bold, roman};

/// A page under construction.
pub(super) struct Page {
    name: String,
    section: u8,
    roff: Roff,
}

impl Page {
    /// Begins a page with its title and its NAME section. The footer has the version and the date (YYYY-MM-DD).
    pub(super) fn new(name: &str, section: u8, about: &str, date: &str) -> Self {
        let mut roff = Roff::new();
        let version = concat!("postseal ", env!("CARGO_PKG_VERSION"));
        let volume = match section {
            5 => "File formats",
            8 => "System administration",
            _ => "User commands",
        };
        roff.control("TH", [name.to_uppercase().as_str(), &section.to_string(), date, version, volume]);
        let mut page = Page { name: name.to_owned(), section, roff };
        page.section("NAME").line([roman(format!("{name} - {}", plain(about)))]);
        page
    }

    /// The name of its file: `postseal.1`.
    pub(super) fn file_name(&self) -> String {
        format!("{}.{}", self.name, self.section)
    }

    /// The page as roff.
    pub(super) fn text(&self) -> String {
        self.roff.render()
    }

    /// Begins a section.
    pub(super) fn section(&mut self, title: &str) -> &mut Self {
        self.roff.control("SH", [title]);
        self
    }

    /// Begins a part of a section.
    pub(super) fn part(&mut self, title: &str) -> &mut Self {
        self.roff.control("SS", [title]);
        self
    }

    /// Writes one line of text as it is.
    pub(super) fn line(&mut self, text: impl Into<Vec<Inline>>) -> &mut Self {
        self.roff.text(text);
        self
    }

    /// Writes a command line, which is broken between its words only.
    pub(super) fn synopsis(&mut self, name: &str, words: impl IntoIterator<Item = Vec<Inline>>) -> &mut Self {
        self.roff.control("SY", [name.replace('-', "\\-").as_str()]);
        for word in words {
            self.roff.text(word);
        }
        self.roff.control("YS", []);
        self
    }

    /// Writes the first paragraph of a section. What is between backquotes is bold.
    pub(super) fn text_of_section(&mut self, text: &str) -> &mut Self {
        self.line(marked(text))
    }

    /// Writes another paragraph.
    pub(super) fn paragraph(&mut self, text: &str) -> &mut Self {
        self.roff.control("PP", []);
        self.line(marked(text))
    }

    /// Writes an entry of a list: what it is about, and indented paragraphs about it.
    pub(super) fn entry(&mut self, head: impl Into<Vec<Inline>>, paragraphs: &[String]) -> &mut Self {
        self.roff.control("TP", []).text(head);
        for (at, text) in paragraphs.iter().enumerate() {
            if at > 0 {
                self.roff.control("IP", []);
            }
            self.line(marked(text));
        }
        self
    }

    /// Writes lines as they are, indented.
    pub(super) fn example(&mut self, lines: &str) -> &mut Self {
        self.roff.control("PP", []).control("RS", ["4"]).control("nf", []);
        for line in lines.lines() {
            // An empty line in roff is a paragraph.
            match line.is_empty() {
                true => self.roff.control("sp", []),
                false => self.roff.text([roman(line)]),
            };
        }
        self.roff.control("fi", []).control("RE", []);
        self
    }
}

/// Bold where backquotes stand around it.
fn marked(text: &str) -> Vec<Inline> {
    let spans = text.split('`').enumerate().filter(|(_, span)| !span.is_empty());
    spans.map(|(at, span)| if at % 2 == 1 { bold(span) } else { roman(span) }).collect()
}

/// Without backquotes.
fn plain(text: &str) -> String {
    text.replace('`', "")
}
