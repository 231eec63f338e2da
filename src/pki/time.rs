//! UTCTime and GeneralizedTime (RFC 5280, section 4.1.2.5).

use std::time::{Duration, SystemTime};

use super::tlv::{Element, GENERALIZED_TIME, UTC_TIME};
use crate::base::Result;

/// Reads either form of Time. Seconds may be missing, and an offset may stand where RFC 5280 wants `Z`: both occur in old certificates.
pub(crate) fn read(time: Element<'_>) -> Result<SystemTime> {
    let text = std::str::from_utf8(time.value).ok();
    let parsed = match time.tag {
        UTC_TIME => text.and_then(|text| parse(text, 2)),
        GENERALIZED_TIME => text.and_then(|text| parse(text, 4)),
        _ => None,
    };
    parsed.ok_or_else(|| time.refuse("a time that is none"))
}

fn parse(text: &str, year_digits: usize) -> Option<SystemTime> {
    let mut rest = text;
    let mut number = |digits: usize| {
        let (number, after) = rest.split_at_checked(digits)?;
        rest = after;
        if number.bytes().all(|octet| octet.is_ascii_digit()) { number.parse::<i16>().ok() } else { None }
    };
    let year = match number(year_digits)? {
        year if year_digits == 4 => year,
        year if year >= 50 => 1900 + year,
        year => 2000 + year,
    };
    let mut two = || number(2).and_then(|number| i8::try_from(number).ok());
    let (month, day, hour, minute) = (two()?, two()?, two()?, two()?);
    let second = if rest.starts_with(|c: char| c.is_ascii_digit()) {
        let (digits, after) = rest.split_at_checked(2)?;
        rest = after;
        digits.parse::<i8>().ok()?
    } else {
        0
    };
    // Fractions are prohibited, and never matter.
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    let time = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    // Not by way of a timestamp: jiff's end before 9999-12-31T23:59:59Z, the time of certificates that never expire.
    let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
    let seconds = time.duration_since(epoch).as_secs() - offset(rest)?;
    match u64::try_from(seconds) {
        Ok(after) => SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(after)),
        Err(_) => SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(seconds.unsigned_abs())),
    }
}

/// Seconds east of Greenwich.
fn offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("Z", "") => return Some(0),
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = digits.split_at_checked(2)?;
    Some(sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60))
}

#[cfg(test)]
mod tests {
    use super::super::tlv::Reader;
    use super::*;
    use crate::base::rfc3339;

    fn time(tag: u8, text: &str) -> Option<String> {
        let octets = [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        read(Reader::new(&octets, "test").any().unwrap()).ok().map(rfc3339)
    }

    #[test]
    fn both_forms() {
        for (tag, text, expected) in [
            (UTC_TIME, "110414083000Z", "2011-04-14T08:30:00Z"),
            (UTC_TIME, "500101000000Z", "1950-01-01T00:00:00Z"),
            (UTC_TIME, "491231235959Z", "2049-12-31T23:59:59Z"),
            (UTC_TIME, "9901020304+0130", "1999-01-02T01:34:00Z"),
            (UTC_TIME, "990102030405-0500", "1999-01-02T08:04:05Z"),
            (GENERALIZED_TIME, "20500101120000Z", "2050-01-01T12:00:00Z"),
            (GENERALIZED_TIME, "20500101120000.5Z", "2050-01-01T12:00:00Z"),
            (GENERALIZED_TIME, "99991231235959Z", "9999-12-30T22:00:00.999999999Z"),
        ] {
            assert_eq!(time(tag, text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "110414083000",
            "111314083000Z",
            "1104140830+01",
            "11041408300Z",
            "",
            "11041408300\u{e9}Z",
            "+10414083000Z",
        ] {
            assert_eq!(time(UTC_TIME, text), None, "{text}");
        }
        assert_eq!(time(4, "110414083000Z"), None);
    }
}
