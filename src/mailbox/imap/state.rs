//! Flags and dates as IMAP writes them.

use crate::mailbox::{Flags, State};

/// What FETCH says of flags and date.
pub(super) fn read(flags: &[String], date: Option<&str>) -> State {
    let mut state = State { received: date.and_then(read_date), ..State::default() };
    for flag in flags {
        match FLAGS.iter().find(|(name, _)| flag.eq_ignore_ascii_case(name)) {
            Some((_, field)) => *field(&mut state.flags) = true,
            None if flag.starts_with('\\') => {}
            None => state.keywords.push(flag.clone()),
        }
    }
    state
}

/// The same for APPEND: `(\Seen $Forwarded) "01-Jan-2024 00:00:00 +0000" `.
pub(super) fn write(state: &State) -> String {
    let mut flags = state.flags;
    let set = FLAGS.iter().filter(|(_, field)| *field(&mut flags)).map(|(name, _)| *name);
    let keywords = state.keywords.iter().map(String::as_str).filter(|keyword| is_atom(keyword));
    let names: Vec<&str> = set.chain(keywords).collect();
    let date = state.received.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let date = date.map(|date| date.strftime("\"%d-%b-%Y %H:%M:%S +0000\" ").to_string()).unwrap_or_default();
    format!("({}) {date}", names.join(" "))
}

/// `17-Jul-1996 02:44:25 -0700` (RFC 9051, section 9: date-time), in seconds since 1970.
fn read_date(date: &str) -> Option<i64> {
    let time = jiff::fmt::strtime::parse("%d-%b-%Y %H:%M:%S %z", date.trim()).ok()?;
    Some(time.to_timestamp().ok()?.as_second())
}

fn is_atom(keyword: &str) -> bool {
    let is_plain = |octet: u8| octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet);
    !keyword.is_empty() && keyword.bytes().all(is_plain)
}

type Field = fn(&mut Flags) -> &mut bool;

const FLAGS: [(&str, Field); 5] = [
    ("\\Seen", |flags| &mut flags.seen),
    ("\\Answered", |flags| &mut flags.answered),
    ("\\Flagged", |flags| &mut flags.flagged),
    ("\\Deleted", |flags| &mut flags.deleted),
    ("\\Draft", |flags| &mut flags.draft),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_dates_come_back() {
        let flags = ["\\seen", "\\Flagged", "\\Recent", "$Forwarded"].map(ToOwned::to_owned);
        let state = read(&flags, Some("17-Jul-1996 02:44:25 -0700"));
        assert_eq!(state.received, Some(837_596_665));
        assert_eq!(write(&state), "(\\Seen \\Flagged $Forwarded) \"17-Jul-1996 09:44:25 +0000\" ");
        assert_eq!(read(&[], Some(" 1-Jan-1970 00:00:09 +0000")).received, Some(9));
        assert_eq!(read(&[], Some("yesterday")), State::default());
        let odd = State { keywords: vec!["a b".into(), "x)".into(), "ok".into(), String::new()], ..State::default() };
        assert_eq!(write(&odd), "(ok) ");
    }
}
