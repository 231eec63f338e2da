//! HTML that is written piece by piece. Markup is a constant of this program; whatever else is written is escaped.

use std::fmt::Write;

/// A piece of HTML. Text from a message can only enter it escaped, with everything visible that could hide or reorder text, and bounded.
#[derive(Debug)]
pub(super) struct Markup {
    html: String,
    /// Octets of escaped text that may still be written.
    room: usize,
}

/// Several lines of text that were cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) struct LeftOut(pub(super) usize);

impl Markup {
    /// Nothing yet; at most `room` octets of escaped text will be in it.
    pub(super) fn new(room: usize) -> Markup {
        Markup { html: String::new(), room }
    }

    /// Markup. It is a constant, so that nothing of a message can be markup.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.html.push_str(markup);
        self
    }

    /// A number, in text or as the value of an attribute.
    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        // Writing to a string cannot fail.
        let _ = write!(self.html, "{number}");
        self
    }

    /// Text on one line; a line break in it is shown as a character. A long text is cut.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        let mut left = text.chars();
        for c in left.by_ref().take(MAX_LINE) {
            self.character(c);
        }
        match left.count() {
            0 => self,
            more => self.raw("<i class=cut> … ").number(more as u64).raw(" more characters</i>"),
        }
    }

    /// An element around text on one line.
    pub(super) fn element(&mut self, begin: &'static str, text: &str, end: &'static str) -> &mut Self {
        self.raw(begin).text(text).raw(end)
    }

    /// Text with its lines, for an element that keeps white space. At most `most` characters are written.
    pub(super) fn lines(&mut self, text: &str, most: usize) -> LeftOut {
        let mut left = text.chars().peekable();
        for _ in 0..most {
            match left.next() {
                None => break,
                Some('\r') if left.peek() == Some(&'\n') => {}
                Some(c @ ('\n' | '\t')) => self.plain(c),
                Some(c) => self.character(c),
            }
        }
        LeftOut(left.count())
    }

    /// Octets of a message, for an element that keeps white space: ASCII as it is, every other octet by its number.
    pub(super) fn octets(&mut self, octets: &[u8]) {
        let mut left = octets.iter().peekable();
        while let Some(octet) = left.next() {
            match octet {
                b'\r' if left.peek() == Some(&&b'\n') => {}
                b'\n' | b'\t' | b' '..=b'~' => match char::from(*octet) {
                    c @ ('\n' | '\t') => self.plain(c),
                    c => self.character(c),
                },
                _ => self.marked(&format!("{octet:02X}")),
            }
        }
    }

    /// Another piece, which has had its own bound.
    pub(super) fn append(&mut self, other: Markup) -> &mut Self {
        self.html.push_str(&other.html);
        self
    }

    /// Whether there is no room for text.
    pub(super) fn is_full(&self) -> bool {
        self.room == 0
    }

    /// The HTML.
    pub(super) fn into_html(self) -> String {
        self.html
    }

    fn character(&mut self, c: char) {
        match c {
            '&' => self.escaped("&amp;"),
            '<' => self.escaped("&lt;"),
            '>' => self.escaped("&gt;"),
            '"' => self.escaped("&quot;"),
            '\'' => self.escaped("&#39;"),
            c if is_hidden(c) => self.marked(&format!("U+{:04X}", u32::from(c))),
            c => self.plain(c),
        }
    }

    fn plain(&mut self, c: char) {
        self.escaped(c.encode_utf8(&mut [0; 4]));
    }

    /// The name of a character or an octet, in ASCII.
    fn marked(&mut self, name: &str) {
        self.escaped(&format!("<span class=odd>{name}</span>"));
    }

    /// Text that is escaped already, as far as there is room.
    fn escaped(&mut self, text: &str) {
        match self.room.checked_sub(text.len()) {
            Some(room) => {
                self.html.push_str(text);
                self.room = room;
            }
            None => {
                if !self.is_full() {
                    self.room = 0;
                    self.html.push_str("<i class=cut> … the rest is left out</i>");
                }
            }
        }
    }
}

/// Whether a character is not seen, or changes how others are shown: controls, directions, spaces without width, separators of lines, and the
/// characters of Unicode that have no shape (Unicode 16, Default_Ignorable_Code_Point), private ones and noncharacters.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}')
}

/// Characters of a text on one line. Source: RFC 5322, section 2.1.1: a line of mail has 998 octets.
const MAX_LINE: usize = 998;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let mut markup = Markup::new(4_000);
        markup.text(text);
        markup.into_html()
    }

    #[test]
    fn text_is_never_markup() {
        assert_eq!(of("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    }

    #[test]
    fn what_hides_text_is_named() {
        let odd = |name: &str| format!("a<span class=odd>{name}</span>b");
        for (text, name) in [
            ("a\0b", "U+0000"),
            ("a\nb", "U+000A"),
            ("a\u{202e}b", "U+202E"),
            ("a\u{2066}b", "U+2066"),
            ("a\u{200d}b", "U+200D"),
            ("a\u{e0041}b", "U+E0041"),
        ] {
            assert_eq!(of(text), odd(name));
        }
        assert_eq!(of("ä日🙂"), "ä日🙂");
    }

    #[test]
    fn octets_keep_their_lines_and_name_the_rest() {
        let mut markup = Markup::new(200);
        markup.octets(b"a\r\nb\r\xe9<");
        assert_eq!(markup.into_html(), "a\nb<span class=odd>0D</span><span class=odd>E9</span>&lt;");
    }

    #[test]
    fn text_is_bounded() {
        let mut markup = Markup::new(6);
        markup.text("&&&&").text("never");
        assert_eq!(markup.into_html(), "&amp;<i class=cut> … the rest is left out</i>");
        assert!(of(&"x".repeat(2_000)).ends_with("<i class=cut> … 1002 more characters</i>"));
        let mut markup = Markup::new(100);
        assert_eq!(markup.lines("a\r\nbc\nd", 4), LeftOut(3));
        assert_eq!(markup.into_html(), "a\nb");
    }
}
