//! Splits messages into message/partial (RFC 2046, section 5.2.2) and joins them.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{
    Message, Part,
    build::unique,
    header::{Edit, Field, author, parameter},
};
use crate::base::{Budget, Error, Kind, Random, Result};

/// Splits a finished message at line breaks into parts of at most `size` octets each. A message that fits is returned
/// unchanged as one part.
///
/// # Errors
///
/// `Usage` if `size` leaves no room after the header; `Malformed` if the message is not 7-bit, because a part must not
/// be encoded (RFC 2046, section 5.2.2); errors of `random`.
pub fn split(message: &Message, size: usize, random: &dyn Random) -> Result<Vec<Vec<u8>>> {
    let root = message.root();
    if message.octets().len() <= size {
        return Ok(vec![message.octets().to_vec()]);
    }
    if !message.octets().is_ascii() {
        let field = root.fields().find(|field| !field.raw.is_ascii());
        return Err(match field {
            Some(field) => Error::malformed(
                format_args!("header field {:?}", field.name),
                "not ASCII, so that the message cannot be split",
            )
            .with_hint("encoded words (RFC 2047) are ASCII"),
            None => Error::malformed("message", "cannot be split because it is not 7-bit")
                .with_hint("sign or encrypt it first"),
        });
    }
    let identity = Identity::new(root, random)?;
    let mut enclosing = Edit::new(root);
    enclosing.retain(|field| !is_enclosed(field) || field.is("Subject"));
    let mut enclosed = Edit::new(root);
    enclosed.retain(is_enclosed);
    let line_break = enclosing.line_break();

    // The enclosed header is not split: not every reader looks for its rest in the second part.
    let mut content = enclosed.octets();
    content.extend_from_slice(line_break);
    let header = content.len();
    content.extend_from_slice(root.body());
    let mut bodies: Vec<&[u8]> = Vec::new();
    let largest = content.len();
    let room = size
        .checked_sub(identity.enclose(&enclosing, largest, largest).len())
        .filter(|room| *room >= header)
        .ok_or_else(|| too_small(size))?;
    let mut rest = content.as_slice();
    while !rest.is_empty() {
        let length = match rest.get(..room) {
            Some(window) => memchr::memrchr(b'\n', window).ok_or_else(|| too_small(size))? + 1,
            None => rest.len(),
        };
        let (body, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        bodies.push(body);
        rest = after;
    }
    let total = bodies.len();
    Ok(bodies
        .into_iter()
        .enumerate()
        .map(|(index, body)| [&identity.enclose(&enclosing, index + 1, total), body].concat())
        .collect())
}

/// Joins the parts of one message, given in any order.
///
/// # Errors
///
/// `Malformed` if they are of different messages, if one is missing or occurs twice with different content, if they
/// disagree on the total, or if the message exceeds `budget`.
pub fn join(pieces: &[Message], budget: &mut Budget) -> Result<Message> {
    let refused = |reason: String| Error::malformed("message/partial", reason);
    let mut by_number: BTreeMap<usize, Piece<'_>> = BTreeMap::new();
    let mut total = None;
    for (index, piece) in pieces.iter().enumerate() {
        let piece = Piece::read(piece.root())
            .ok_or_else(|| refused(format!("input {} is not a piece of a message", index + 1)))?;
        if by_number
            .values()
            .next()
            .is_some_and(|first| first.id != piece.id || first.root_author() != piece.root_author())
        {
            return Err(refused("pieces of different messages".into()));
        }
        // Only the last part must have the total (RFC 2046, section 5.2.2).
        if let Some(given) = piece.total {
            if total.is_some_and(|total| total != given) {
                return Err(refused("pieces disagree on the total".into()));
            }
            total = Some(given);
        }
        match by_number.entry(piece.number) {
            Entry::Vacant(place) => _ = place.insert(piece),
            Entry::Occupied(same) if same.get().root.body() == piece.root.body() => {}
            Entry::Occupied(_) => {
                return Err(refused(format!("piece {} occurs twice with different content", piece.number)));
            }
        }
    }
    let total = total.ok_or_else(|| refused("no piece gives the total".into()))?;
    if let Some(number) = by_number.keys().next_back().filter(|number| **number > total) {
        return Err(refused(format!("piece {number} of {total}")));
    }
    if let Some(missing) = (1..=total).find(|number| !by_number.contains_key(number)) {
        return Err(refused(format!("piece {missing} of {total} is missing")).with_hint("name the files of all pieces"));
    }
    let first = by_number.values().next().ok_or_else(|| refused("no pieces".into()))?;

    let length = by_number.values().map(|piece| piece.root.octets().len()).sum();
    budget.message(length)?;
    // The header consists of fields of the first part and of the enclosed header (RFC 2046, section 5.2.2.1), which may
    // continue in later parts.
    let bodies: Vec<&[u8]> = by_number.values().map(|piece| piece.root.body()).collect();
    let content = Message::parse(bodies.concat(), &mut Budget::new(budget.limits().clone()))?;
    let mut enclosing = Edit::new(first.root);
    enclosing.retain(|field| !is_enclosed(field));
    let mut enclosed = Edit::new(content.root());
    enclosed.retain(is_enclosed);
    let mut octets = Vec::with_capacity(length);
    octets.extend(enclosing.octets());
    octets.extend(enclosed.octets());
    octets.extend_from_slice(enclosing.line_break());
    octets.extend_from_slice(content.root().body());
    Message::parse(octets, budget)
}

/// The values that all parts of a message share.
struct Identity {
    unique: String,
    domain: String,
}

impl Identity {
    fn new(root: Part<'_>, random: &dyn Random) -> Result<Self> {
        let domain = author(root).map_or_else(|_| "localhost".into(), |author| author.domain().to_owned());
        Ok(Identity { unique: unique(random)?, domain })
    }

    /// The header of one part with its empty line. Larger numbers never make it shorter.
    fn enclose(&self, header: &Edit<'_>, number: usize, total: usize) -> Vec<u8> {
        let mut header = header.clone();
        let id = parameter("id", &format!("{}@{}", self.unique, self.domain));
        header.insert(format!("Content-Type: message/partial;{id};\r\n number={number}; total={total}"));
        header.insert("MIME-Version: 1.0");
        header.insert(format!("Message-ID: <{}.{number}@{}>", self.unique, self.domain));
        [&header.octets(), header.line_break()].concat()
    }
}

struct Piece<'a> {
    root: Part<'a>,
    id: &'a str,
    number: usize,
    total: Option<usize>,
}

impl<'a> Piece<'a> {
    fn read(root: Part<'a>) -> Option<Piece<'a>> {
        let content_type = root.content_type();
        let number = |name: &str| content_type.parameter(name)?.parse::<usize>().ok().filter(|number| *number > 0);
        let is_piece = content_type.is("message", "partial")
            && matches!(root.transfer_encoding().as_str(), "7bit" | "8bit" | "binary");
        let piece =
            Piece { root, id: content_type.parameter("id")?, number: number("number")?, total: number("total") };
        // An unreadable total differs from an absent one.
        (is_piece && (piece.total.is_some() || content_type.parameter("total").is_none())).then_some(piece)
    }

    /// The author, so that a part by another author with the same identifier is not accepted.
    fn root_author(&self) -> Option<super::Address> {
        author(self.root).ok()
    }
}

/// Fields taken from the enclosed header (RFC 2046, section 5.2.2.1, rule 2).
fn is_enclosed(field: &Field<'_>) -> bool {
    field.name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"))
        || ["Encrypted", "Message-ID", "MIME-Version", "Subject"].iter().any(|name| field.is(name))
}

fn too_small(size: usize) -> Error {
    Error::new(Kind::Usage, format!("split: {size} octets are not enough for the header and one line"))
        .with_hint("choose a larger size")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Limits, SystemRandom};

    fn parse(octets: impl Into<Vec<u8>>) -> Message {
        Message::parse(octets.into(), &mut Budget::new(Limits::default())).unwrap()
    }

    fn sample() -> Message {
        let body: String = (0..100).map(|n| format!("line {n}\r\n")).collect();
        parse(format!(
            "From: a@x.org\r\nTo: b@x.org\r\nMessage-ID: <1@x.org>\r\nSubject: long\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n{body}"
        ))
    }

    fn joined(pieces: &[Message]) -> Result<Message> {
        join(pieces, &mut Budget::new(Limits::default()))
    }

    fn refusal(pieces: &[Message]) -> String {
        joined(pieces).unwrap_err().to_string()
    }

    #[test]
    fn in_pieces_and_back_in_any_order() {
        let message = sample();
        let pieces = split(&message, 500, &SystemRandom).unwrap();
        assert!(pieces.len() > 2 && pieces.iter().all(|piece| piece.len() <= 500 && piece.ends_with(b"\n")));
        let mut pieces: Vec<_> = pieces.into_iter().map(parse).collect();
        assert_eq!(pieces[0].root().header("subject").as_deref(), Some("long"));
        pieces.reverse();
        pieces.push(pieces[0].clone());
        assert_eq!(joined(&pieces).unwrap().octets(), message.octets());
    }

    #[test]
    fn of_every_size_or_not_at_all() {
        let message = sample();
        let split = |size: usize| split(&message, size, &SystemRandom);
        let smallest = (1..).find(|size| split(*size).is_ok()).unwrap();
        for size in smallest..message.octets().len() {
            let pieces: Vec<_> = split(size).unwrap().into_iter().map(parse).collect();
            assert!(memchr::memmem::find(pieces[0].root().body(), b"\r\n\r\n").is_some(), "{size}");
            assert_eq!(joined(&pieces).unwrap().octets(), message.octets(), "{size}");
        }
    }

    #[test]
    fn a_header_that_others_cut() {
        let within =
            "Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=b\n\n--b\n\ntext\n--b--\n";
        let piece = |number: usize, body: &str| {
            parse(format!("From: a@x.org\nContent-Type: message/partial; id=i;\n number={number}; total=2\n\n{body}"))
        };
        for at in 0..within.len() {
            let (first, second) = within.split_at(at);
            let whole = joined(&[piece(1, first), piece(2, second)]).unwrap();
            assert_eq!(whole.octets(), format!("From: a@x.org\n{within}").as_bytes(), "{at}");
        }
    }

    #[test]
    fn what_fits_stays_whole() {
        let message = sample();
        assert_eq!(split(&message, message.octets().len(), &SystemRandom).unwrap(), [message.octets()]);
        assert_eq!(split(&message, 200, &SystemRandom).unwrap_err().kind(), Kind::Usage);
        assert_eq!(
            split(&parse("\n\u{e9}\n".repeat(500)), 400, &SystemRandom).unwrap_err().to_string(),
            "message: cannot be split because it is not 7-bit"
        );
        let header = format!("Subject: \u{e9}\n{}", "\nx\n".repeat(500));
        assert_eq!(
            split(&parse(header), 400, &SystemRandom).unwrap_err().to_string(),
            "header field \"Subject\": not ASCII, so that the message cannot be split"
        );
    }

    #[test]
    fn the_example_of_rfc_2046_section_5_2_2_1() {
        let enclosing = |number, rest| {
            format!(
                "From: Bill@host.com\nSubject: Audio mail (part {number} of 2)\nMessage-ID: <id{number}@host.com>\nMIME-Version: 1.0\n\
             Content-type: message/partial; id=\"ABC@host.com\";\n number={number}{rest}\n\n"
            )
        };
        let first = format!(
            "{}X-Weird: 1\nSubject: Audio mail\nMessage-ID: <anotherid@foo.com>\nMIME-Version: 1.0\nContent-type: audio/basic\n\nfirst half\n",
            enclosing(1, "; total=2")
        );
        let second = format!("{}second half\n", enclosing(2, "; total=2"));
        assert_eq!(
            joined(&[parse(second), parse(first)]).unwrap().octets(),
            b"From: Bill@host.com\nSubject: Audio mail\nMessage-ID: <anotherid@foo.com>\nMIME-Version: 1.0\nContent-type: audio/basic\n\nfirst half\nsecond half\n"
        );
    }

    #[test]
    fn mixtures_and_gaps_are_refused() {
        let pieces: Vec<_> = split(&sample(), 500, &SystemRandom).unwrap().into_iter().map(parse).collect();
        let other: Vec<_> = split(&sample(), 500, &SystemRandom).unwrap().into_iter().map(parse).collect();
        let change = |piece: &Message, from: &str, to: &str| {
            parse(String::from_utf8(piece.octets().to_vec()).unwrap().replace(from, to))
        };
        assert_eq!(refusal(&[pieces[0].clone(), other[1].clone()]), "message/partial: pieces of different messages");
        assert_eq!(
            refusal(&[pieces[0].clone(), change(&pieces[1], "From: a", "From: eve")]),
            "message/partial: pieces of different messages"
        );
        assert_eq!(refusal(&pieces[1..]), format!("message/partial: piece 1 of {} is missing", pieces.len()));
        let twice = [pieces[1].clone(), change(&pieces[1], "line", "lime")];
        assert_eq!(refusal(&twice), "message/partial: piece 2 occurs twice with different content");
        assert_eq!(
            refusal(&[pieces[0].clone(), change(&pieces[1], "total=", "total=9")]),
            "message/partial: pieces disagree on the total"
        );
        assert_eq!(refusal(&[sample()]), "message/partial: input 1 is not a piece of a message");
        assert_eq!(refusal(&[]), "message/partial: no piece gives the total");
        assert_eq!(refusal(&[change(&pieces[2], "total=", "x=")]), "message/partial: no piece gives the total");
    }
}
