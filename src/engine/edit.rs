//! Changes of a header that leave every other octet as it was.

use super::lines::uses_crlf;
use crate::mail::{Message, encoding::encode_words, header::Field};

/// Changes that are yet to be made.
#[derive(Debug, Default)]
pub(super) struct Edits {
    /// Fields that go on top, the topmost last; complete, without the last line break.
    top: Vec<String>,
    /// Names of fields that go.
    removed: Vec<String>,
    /// What goes before the subject.
    tags: Vec<String>,
}

impl Edits {
    /// A field above all others; what its value must not hold (RFC 5322, section 2.2) is written in encoded words.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.top.push(format!("{name}: {}", encode_words(value)));
    }

    /// A field above all others, as it is.
    pub(super) fn add_raw(&mut self, field: String) {
        self.top.push(field);
    }

    /// Every field of that name goes.
    pub(super) fn remove(&mut self, name: &str) {
        let is_of = |field: &str| field.split(':').next().is_some_and(|own| own.eq_ignore_ascii_case(name));
        self.top.retain(|field| !is_of(field));
        self.removed.push(name.to_owned());
    }

    /// Words before the subject, unless they stand in it already.
    pub(super) fn tag(&mut self, words: &str) {
        self.tags.push(words.to_owned());
    }

    /// The message with the changes, and without those fields of its header that are `unwanted`; `None` when nothing changes.
    pub(super) fn apply(&self, message: &Message, unwanted: impl Fn(&Field<'_>) -> bool) -> Option<Vec<u8>> {
        let root = message.root();
        let goes = |field: &Field<'_>| self.removed.iter().any(|name| field.is(name)) || unwanted(field);
        let is_untouched = self.top.is_empty() && self.tags.is_empty() && !root.fields().any(|field| goes(&field));
        if is_untouched {
            return None;
        }
        let line_break = if uses_crlf(root) || root.octets().starts_with(b"\r\n") { "\r\n" } else { "\n" };
        let octets = message.octets();
        let mut edited = Vec::with_capacity(octets.len() + 1024);
        let mut fields = root.fields().peekable();
        // An mbox `From ` line stays above everything.
        if let Some(mbox) = fields.next_if(|first| first.name.is_empty() && first.raw.starts_with(b"From ")) {
            edited.extend_from_slice(mbox.raw);
        }
        for field in self.top.iter().rev() {
            edited.extend_from_slice(broken(field, line_break).as_bytes());
        }
        let mut is_tagged = self.tags.is_empty();
        if !is_tagged && !root.fields().any(|field| field.is("Subject")) {
            edited.extend_from_slice(
                broken(&format!("Subject: {}", encode_words(&self.tags.join(" "))), line_break).as_bytes(),
            );
            is_tagged = true;
        }
        for field in fields.filter(|field| !goes(field)) {
            let before = edited.len();
            if field.is("Subject") && !is_tagged {
                edited.extend_from_slice(&self.tagged(&field, line_break));
                is_tagged = true;
            } else {
                edited.extend_from_slice(field.raw);
            }
            if edited.len() > before && !edited.ends_with(b"\n") {
                edited.extend_from_slice(line_break.as_bytes());
            }
        }
        let rest = octets.strip_prefix(root.header_octets()).unwrap_or_default();
        // A message that had no header has one now.
        if root.header_octets().is_empty() && !rest.starts_with(b"\n") && !rest.starts_with(b"\r\n") {
            edited.extend_from_slice(line_break.as_bytes());
        }
        edited.extend_from_slice(rest);
        Some(edited)
    }

    /// The field with those tags before its value that are not in it.
    fn tagged(&self, field: &Field<'_>, line_break: &str) -> Vec<u8> {
        let shown = field.decoded();
        let missing: Vec<&str> = self.tags.iter().map(String::as_str).filter(|tag| !shown.contains(tag)).collect();
        if missing.is_empty() {
            return field.raw.to_vec();
        }
        // The space is within the encoded word, if it is one: between two of them it would not be shown (RFC 2047, section 6.2).
        let words = encode_words(&format!("{} ", missing.join(" "))).replace("\r\n", line_break);
        let separator = if words.ends_with(' ') { "" } else { " " };
        let mut raw = format!("{}: {words}{separator}", field.name).into_bytes();
        raw.extend_from_slice(field.value.trim_ascii_start());
        raw.extend_from_slice(line_break.as_bytes());
        raw
    }
}

/// With its line breaks and one at the end.
fn broken(field: &str, line_break: &str) -> String {
    let mut broken = field.replace("\r\n", "\n").replace('\n', line_break);
    broken.push_str(line_break);
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Budget, Limits};

    fn edited(message: &str, change: impl FnOnce(&mut Edits)) -> Option<String> {
        let message = Message::parse(message.into(), &mut Budget::new(Limits::default())).unwrap();
        let mut edits = Edits::default();
        change(&mut edits);
        edits.apply(&message, |_| false).map(|octets| String::from_utf8(octets).unwrap())
    }

    #[test]
    fn what_is_not_changed_keeps_its_octets() {
        let message = "From x Mon\nA: 1\r\n 2\nno field\nB:3 \n\nbody\r\n\n";
        let changed = edited(message, |edits| edits.add("X", "y")).unwrap();
        assert_eq!(changed, "From x Mon\nX: y\r\nA: 1\r\n 2\nno field\nB:3 \n\nbody\r\n\n");
        assert_eq!(edited(message, |edits| edits.remove("Z")), None);
        assert_eq!(edited(message, |_| ()), None);
    }

    #[test]
    fn later_fields_stand_above_and_removed_ones_are_gone() {
        let changed = edited("a: 1\r\nB: 2\r\nA: 3\r\n\r\n", |edits| {
            edits.add("A", "gone too");
            edits.remove("A");
            edits.add("C", "4");
            edits.add_raw("D: 5;\n\t6".to_owned());
        });
        assert_eq!(changed.unwrap(), "D: 5;\r\n\t6\r\nC: 4\r\nB: 2\r\n\r\n");
    }

    #[test]
    fn a_subject_is_tagged_once() {
        let tag = |message: &str, words: &str| edited(message, |edits| edits.tag(words)).unwrap();
        assert_eq!(tag("subject: hi\n there\n\nx", "[ok]"), "subject: [ok] hi\n there\n\nx");
        assert_eq!(tag("Subject: Re: [ok] hi\n\n", "[ok]"), "Subject: Re: [ok] hi\n\n");
        assert_eq!(tag("A: 1\n\n", "[ok]"), "Subject: [ok]\nA: 1\n\n");
        let both = tag("Subject: =?utf-8?q?=C3=A4?=\n\n", "[\u{fc}]");
        let message = Message::parse(both.into(), &mut Budget::new(Limits::default())).unwrap();
        assert_eq!(message.root().fields().next().unwrap().decoded(), "[\u{fc}] \u{e4}");
    }

    #[test]
    fn a_value_cannot_end_its_field() {
        assert_eq!(
            edited("\nx", |edits| edits.add("X", "a\r\nBcc: b")).unwrap(),
            "X: =?utf-8?q?a=0D=0ABcc=3A_b?=\n\nx"
        );
    }
}
