//! Legacy Display Elements: hidden header fields repeated in the text, for readers that do not know RFC 9788 (sections 4.5.3 and 5.2.2 to 5.2.5).

use std::borrow::Cow;

use encoding_rs::Encoding;

use super::{
    super::{
        Message, Part, Span,
        encoding::{base64_encode, quoted_printable_encode},
        header::{ContentType, Edit},
        html,
    },
    confidentiality::{Confidentiality, Outside},
    scheme::{with_parameter, without_parameters},
};

/// The message with each user-facing field that `policy` hides repeated in its main texts; `None` when there is none of either.
pub fn with_legacy_display(message: &Message, policy: Confidentiality) -> Option<Vec<u8>> {
    let root = message.root();
    let hidden = root.fields().filter(|field| USER_FACING.iter().any(|name| field.is(name)));
    let hidden = hidden.filter(|field| policy.outside(field) != Outside::Same);
    let lines: Vec<String> = hidden.map(|field| format!("{}: {}", field.name, one_line(&field.decoded()))).collect();
    if lines.is_empty() {
        return None;
    }
    let mut texts = Vec::new();
    main_texts(root, &mut texts);
    let replaced = texts.into_iter().filter_map(|text| Some((text.span(), displayed(text, &lines)?)));
    let replaced: Vec<(Span, Vec<u8>)> = replaced.collect();
    (!replaced.is_empty()).then(|| spliced(root, root.span(), replaced))
}

/// The body of `payload` without the Legacy Display Elements that its texts are marked to have.
pub(super) fn body_without_display(payload: Part<'_>) -> Cow<'_, [u8]> {
    if is_marked(payload) {
        return cut(payload).map_or(Cow::Borrowed(payload.body()), Cow::Owned);
    }
    let mut texts = Vec::new();
    marked(payload, &mut texts);
    let replaced = texts.into_iter().filter_map(|text| Some((text.span(), undisplayed(text)?)));
    let replaced: Vec<(Span, Vec<u8>)> = replaced.collect();
    if replaced.is_empty() {
        return Cow::Borrowed(payload.body());
    }
    Cow::Owned(spliced(payload, payload.body_span(), replaced))
}

/// The text of a part that was encrypted, in Unicode, without a Legacy Display Element.
pub fn text_without_display(part: Part<'_>) -> String {
    let text = part.text();
    match after_display(text.as_bytes()).filter(|_| is_marked(part)) {
        Some(rest) => String::from_utf8_lossy(rest).into_owned(),
        None => text,
    }
}

/// The Main Body Parts (RFC 9787, section 7.1; RFC 9788, section 5.2.4) that are text/plain or text/html.
fn main_texts<'a>(part: Part<'a>, found: &mut Vec<Part<'a>>) {
    let kind = part.content_type();
    let disposition = part.header("Content-Disposition").map(|value| ContentType::disposition(&value));
    if disposition.is_some_and(|disposition| disposition.kind == "attachment") {
        return;
    }
    if kind.is("multipart", "mixed") || kind.is("multipart", "related") {
        part.children().take(1).for_each(|child| main_texts(child, found));
    } else if kind.is("multipart", "alternative") {
        part.children().for_each(|child| main_texts(child, found));
    } else if is_text(part) {
        found.push(part);
    }
}

/// A text with a Legacy Display Element; `None` when its charset cannot hold one.
fn displayed(part: Part<'_>, lines: &[String]) -> Option<Vec<u8>> {
    let mut kind = part.content_type().clone();
    let encoding = part.transfer_encoding();
    let mut header = Edit::new(part);
    let line_break = if encoding == "base64" { "\r\n" } else { std::str::from_utf8(header.line_break()).ok()? };
    let mut is_same_charset = true;
    let (text, is_ascii) = if kind.subtype == "html" {
        (html::with_first_in_body(&part.decoded(), element(lines, line_break).as_bytes()), true)
    } else {
        let display = lines.iter().map(|line| format!("{line}{line_break}")).collect::<String>() + line_break;
        let charset = kind.parameter("charset").unwrap_or("us-ascii").to_ascii_lowercase();
        let (display, is_ascii) = (of_charset(&display, &charset)?, display.is_ascii());
        if charset == "us-ascii" && !is_ascii {
            kind.parameters.retain(|(name, _)| name != "charset");
            kind.parameters.push(("charset".to_owned(), "utf-8".to_owned()));
            is_same_charset = false;
        }
        ([&display, part.decoded().as_ref()].concat(), is_ascii)
    };
    let body = match encoding.as_str() {
        "base64" => base64_encode(&text),
        "quoted-printable" => quoted_printable_encode(&text),
        _ => text,
    };
    if encoding == "7bit" && !is_ascii {
        header.delete("Content-Transfer-Encoding");
        header.insert("Content-Transfer-Encoding: 8bit");
    }
    let written = part.fields().find(|field| field.is("Content-Type")).filter(|_| is_same_charset);
    header.delete("Content-Type");
    header.insert(with_parameter(written, &kind, PARAMETER, "1"));
    Some([header.octets().as_slice(), header.line_break(), &body].concat())
}

/// The element for text/html (RFC 9788, section 5.2.3), in ASCII.
fn element(lines: &[String], line_break: &str) -> String {
    let lines: Vec<String> = lines.iter().map(|line| html::escaped(line)).collect();
    format!("<div class=\"{CLASS}\">{line_break}<pre>{}</pre></div>", lines.join(line_break))
}

fn of_charset(text: &str, charset: &str) -> Option<Vec<u8>> {
    let encoding = match charset {
        // Becomes UTF-8 if it has to.
        "us-ascii" => encoding_rs::UTF_8,
        _ => Encoding::for_label(charset.as_bytes())?,
    };
    let (octets, _, has_unmappable) = encoding.encode(text);
    (encoding.is_ascii_compatible() && !has_unmappable).then(|| octets.into_owned())
}

fn one_line(value: &str) -> String {
    value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The marked texts at or below `part`.
fn marked<'a>(part: Part<'a>, found: &mut Vec<Part<'a>>) {
    if is_marked(part) {
        found.push(part);
    } else {
        part.children().for_each(|child| marked(child, found));
    }
}

/// RFC 9788, section 4.5.3.1.
fn is_marked(part: Part<'_>) -> bool {
    is_text(part) && part.content_type().parameter(PARAMETER) == Some("1")
}

fn is_text(part: Part<'_>) -> bool {
    let kind = part.content_type();
    (kind.is("text", "plain") || kind.is("text", "html")) && part.children().len() == 0
}

/// A marked part without its mark and its element; `None` when it has no element.
fn undisplayed(part: Part<'_>) -> Option<Vec<u8>> {
    let body = cut(part)?;
    let mut octets = Vec::with_capacity(part.octets().len());
    for field in part.fields() {
        match field.is("Content-Type") {
            true => octets.extend(without_parameters(field.raw, &[PARAMETER])),
            false => octets.extend_from_slice(field.raw),
        }
        if !octets.ends_with(b"\n") {
            octets.extend_from_slice(b"\r\n");
        }
    }
    octets.extend_from_slice(Edit::new(part).line_break());
    octets.extend(body);
    Some(octets)
}

/// The body of a marked part without its element, in the same transfer encoding; `None` when it has no element.
fn cut(part: Part<'_>) -> Option<Vec<u8>> {
    let decoded = part.decoded();
    let rest = if part.content_type().subtype == "html" {
        html::without_divisions(&decoded, CLASS)?
    } else {
        after_display(&decoded)?.to_vec()
    };
    Some(match part.transfer_encoding().as_str() {
        "base64" => base64_encode(&rest),
        "quoted-printable" => quoted_printable_encode(&rest),
        _ => rest,
    })
}

/// What follows the first blank line (RFC 9788, section 4.5.3.2); `None` when there is none.
fn after_display(text: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    for line in text.split_inclusive(|octet| *octet == b'\n') {
        at += line.len();
        if matches!(line, b"\n" | b"\r\n") {
            return text.get(at..);
        }
    }
    None
}

/// What lies at `whole` in the octets of `part`, with other octets in some places, which are in order.
fn spliced(part: Part<'_>, whole: Span, replaced: Vec<(Span, Vec<u8>)>) -> Vec<u8> {
    let mut octets = Vec::with_capacity(whole.end - whole.start + 1024);
    let mut at = whole.start;
    for (place, other) in replaced {
        octets.extend_from_slice(part.whole(Span { start: at, end: place.start }));
        octets.extend(other);
        at = place.end;
    }
    octets.extend_from_slice(part.whole(Span { start: at, end: whole.end }));
    octets
}

/// RFC 9788, section 2.1.2.
pub(super) const PARAMETER: &str = "hp-legacy-display";
/// RFC 9788, section 5.2.3.
const CLASS: &str = "header-protection-legacy-display";
/// RFC 9787, section 1.1.2; Comments and Keywords as in the example of RFC 9788, section 1.9.
const USER_FACING: [&str; 10] =
    ["Subject", "From", "To", "Cc", "Date", "Reply-To", "Followup-To", "Sender", "Comments", "Keywords"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Budget, Limits};

    fn parse(octets: impl Into<Vec<u8>>) -> Message {
        Message::parse(octets.into(), &mut Budget::new(Limits::default())).unwrap()
    }

    fn written(message: &str) -> Message {
        parse(with_legacy_display(&parse(message), Confidentiality::Baseline).unwrap())
    }

    #[test]
    fn the_example_of_section_5_2_2() {
        let written = written("Subject: Thursday's meeting\nContent-Type: text/plain; charset=UTF-8\n\nSkip it.\n");
        assert_eq!(written.root().content_type().parameter(PARAMETER), Some("1"));
        assert_eq!(written.root().text(), "Subject: Thursday's meeting\n\nSkip it.\n");
        assert_eq!(body_without_display(written.root()).as_ref(), b"Skip it.\n");
        assert_eq!(text_without_display(written.root()), "Skip it.\n");
    }

    #[test]
    fn main_texts_alone_have_one_and_lose_it_again() {
        let message = "Subject: s=E4 & <b>\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\
            Content-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\r\nplain\r\n--i\r\n\
            Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            <html><body style=3D\"x>y\"><p>=C3=A4</p></body></html>\r\n--i--\r\n--o\r\n\
            Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nfile\r\n--o--\r\n";
        let written = written(message);
        let mixed: Vec<_> = written.root().children().collect();
        let both: Vec<_> = mixed[0].children().collect();
        assert_eq!(both[0].text(), "Subject: s=E4 & <b>\r\n\r\nplain");
        let html = both[1].text();
        assert!(
            html.starts_with("<html><body style=\"x>y\"><div class=\"header-protection-legacy-display\">"),
            "{html}"
        );
        assert!(html.contains("<pre>Subject: s=E4 &amp; &lt;b&gt;</pre></div>"), "{html}");
        assert_eq!(mixed[1].text(), "file");
        let body = body_without_display(written.root());
        let stripped = parse([b"Content-Type: multipart/mixed; boundary=o\r\n\r\n".as_slice(), &body].concat());
        let original = parse(message);
        let texts = |message: &Message| -> Vec<String> {
            let mixed: Vec<_> = message.root().children().collect();
            mixed[0].children().chain([mixed[1]]).map(|part| part.text()).collect()
        };
        assert_eq!(texts(&stripped), texts(&original));
        assert!(!String::from_utf8(body.into_owned()).unwrap().contains(PARAMETER));
    }

    #[test]
    fn charsets_and_encodings_hold_it() {
        for (kind, encoding, body, text) in [
            ("text/plain", "7bit", "hi\n", "hi\n"),
            ("text/plain; charset=iso-8859-1", "8bit", "hi\n", "hi\n"),
            ("text/plain; charset=utf-8", "base64", "aGkK\n", "hi\n"),
            ("text/plain; charset=utf-8", "quoted-printable", "h=69\n", "hi\n"),
        ] {
            let header = format!("Content-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n");
            let written = written(&format!("Subject: =?utf-8?q?=C3=A4?=\n{header}\n{body}"));
            let shown = written.root().text().replace("\r\n", "\n");
            assert_eq!(shown, format!("Subject: \u{e4}\n\n{text}"), "{kind} {encoding}");
            assert_eq!(text_without_display(written.root()).replace("\r\n", "\n"), text);
        }
        // A charset that cannot hold it, and nothing to show.
        let cyrillic = "Subject: =?utf-8?q?=C3=A4?=\nContent-Type: text/plain; charset=iso-8859-5\n\nhi\n";
        assert!(with_legacy_display(&parse(cyrillic), Confidentiality::Baseline).is_none());
        assert!(with_legacy_display(&parse("From: a@x.org\n\nhi\n"), Confidentiality::Baseline).is_none());
        assert!(with_legacy_display(&parse("Subject: s\n\nhi\n"), Confidentiality::Nothing).is_none());
    }

    #[test]
    fn nothing_is_cut_where_nothing_is_marked() {
        for text in [
            "Content-Type: text/plain\n\nSubject: s\n\nhi\n",
            "Content-Type: text/plain; hp-legacy-display=2\n\nSubject: s\n\nhi\n",
            "Content-Type: text/plain; hp-legacy-display=1\n\nno blank line\n",
            "Content-Type: text/html; hp-legacy-display=1\n\n<div class=x>hi</div>\n",
            "Content-Type: application/x; hp-legacy-display=1\n\nSubject: s\n\nhi\n",
        ] {
            let message = parse(text);
            assert_eq!(body_without_display(message.root()), message.root().body(), "{text}");
        }
    }
}
