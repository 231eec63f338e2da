//! HTML as text, for readers who are shown no HTML. The result is text and nothing else, whatever the HTML is.

/// The text of HTML: without elements, comments, scripts and styles; a line for each block; the common character references (HTML, section 13.5) decoded.
pub(super) fn text_of_html(html: &str) -> String {
    let mut text = Text::default();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        text.push(before);
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        if !after.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
            text.push("<");
            rest = after;
            continue;
        }
        let (tag, after) = after.split_once('>').unwrap_or((after, ""));
        rest = after;
        let name: String = tag.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '/').collect();
        let name = name.trim_end_matches('/').to_ascii_lowercase();
        if ["script", "style", "head", "title", "template"].contains(&name.as_str()) {
            rest = past_end(rest, &name);
        }
        match name.trim_start_matches('/') {
            "br" => text.line(1),
            "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "blockquote" | "pre" | "table" | "ul" | "ol" => {
                text.line(2)
            }
            "div" | "tr" | "hr" | "dt" | "dd" | "section" | "article" => text.line(1),
            "li" if name == "li" => {
                text.line(1);
                text.push("- ");
            }
            "td" | "th" => text.push(" "),
            _ => {}
        }
    }
    text.push(rest);
    text.written.trim().to_owned()
}

/// What follows the end tag of an element whose content is no text.
fn past_end<'h>(html: &'h str, name: &str) -> &'h str {
    let mut rest = html;
    while let Some((_, after)) = rest.split_once("</") {
        let is_end = after.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
        if is_end {
            return after.split_once('>').map_or("", |(_, after)| after);
        }
        rest = after;
    }
    ""
}

#[derive(Default)]
struct Text {
    written: String,
}

impl Text {
    /// Text with its character references; white space is one space.
    fn push(&mut self, html: &str) {
        let mut rest = html;
        while let Some((before, after)) = rest.split_once('&') {
            self.plain(before);
            let name = after.split_once(';').map(|(name, _)| name).filter(|name| name.len() <= LONGEST_REFERENCE);
            match name.and_then(|name| Some((name, character(name)?))) {
                Some((name, c)) => {
                    self.written.push(c);
                    rest = after.get(name.len() + 1..).unwrap_or_default();
                }
                None => {
                    self.written.push('&');
                    rest = after;
                }
            }
        }
        self.plain(rest);
    }

    fn plain(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                ' ' | '\t' | '\r' | '\n' => {
                    let is_needed = !self.written.is_empty() && !self.written.ends_with([' ', '\n']);
                    self.written.extend(is_needed.then_some(' '));
                }
                c => self.written.push(c),
            }
        }
    }

    /// Ends the line, with `count` line breaks at least.
    fn line(&mut self, count: usize) {
        let kept = self.written.trim_end_matches(' ').len();
        self.written.truncate(kept);
        let present = self.written.len() - self.written.trim_end_matches('\n').len();
        if !self.written.is_empty() {
            self.written.extend(std::iter::repeat_n('\n', count.saturating_sub(present)));
        }
    }
}

fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|c| !c.is_control() || *c == '\n');
    }
    let known = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", ' '),
        ("ndash", '\u{2013}'),
        ("mdash", '\u{2014}'),
        ("lsquo", '\u{2018}'),
        ("rsquo", '\u{2019}'),
        ("ldquo", '\u{201c}'),
        ("rdquo", '\u{201d}'),
        ("hellip", '\u{2026}'),
        ("euro", '\u{20ac}'),
        ("auml", '\u{e4}'),
        ("ouml", '\u{f6}'),
        ("uuml", '\u{fc}'),
        ("Auml", '\u{c4}'),
        ("Ouml", '\u{d6}'),
        ("Uuml", '\u{dc}'),
        ("szlig", '\u{df}'),
        ("eacute", '\u{e9}'),
        ("egrave", '\u{e8}'),
        ("agrave", '\u{e0}'),
        ("ccedil", '\u{e7}'),
    ];
    known.iter().find(|(own, _)| *own == name).map(|(_, c)| *c)
}

/// Characters between `&` and `;`.
const LONGEST_REFERENCE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_read_as_text() {
        for (html, text) in [
            ("<html><head><title>t</title></head><body>Hello\r\n  you</body></html>", "Hello you"),
            ("<p>one</p><p>two<br>three</p>", "one\n\ntwo\nthree"),
            ("<div>a</div><div>b</div><ul><li>c<li>d</ul>", "a\nb\n\n- c\n- d"),
            ("a<style>p { }</style>b<SCRIPT>alert('</p>')</SCRIPT>c", "abc"),
            ("a<!-- <b> -->b", "ab"),
            ("&lt;script&gt; &amp;amp; &#8364;&#x41;&uuml; &unknown; &", "<script> &amp; \u{20ac}A\u{fc} &unknown; &"),
            ("1 < 2 and <b>bold", "1 < 2 and bold"),
            ("a<script>never ends", "a"),
            ("<a href='x", ""),
            ("\u{e4}</\u{e4}script>\u{e4}", "\u{e4}\u{e4}"),
            ("<style>x</\u{e4}\u{e4}\u{e4}</style>y", "y"),
        ] {
            assert_eq!(text_of_html(html), text, "{html}");
        }
    }
}
