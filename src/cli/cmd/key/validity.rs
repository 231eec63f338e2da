//! How long a key is valid, as it is typed.

use std::time::Duration;

/// For a time, or without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli::cmd) enum Validity {
    For(Duration),
    Never,
}

impl Validity {
    pub(in crate::cli::cmd) fn duration(self) -> Option<Duration> {
        match self {
            Validity::For(duration) => Some(duration),
            Validity::Never => None,
        }
    }
}

/// `90d`, `6m`, `3y`, `never`; months and years are the mean Gregorian ones.
pub(in crate::cli::cmd) fn validity(text: &str) -> Result<Validity, String> {
    if text == "never" {
        return Ok(Validity::Never);
    }
    span(text).map(Validity::For).map_err(|why| format!("{why}, nor never"))
}

/// `90d`, `6m`, `3y`.
pub(in crate::cli::cmd) fn span(text: &str) -> Result<Duration, String> {
    let seconds = |text: &str| {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit: u64 = match unit {
            "d" => 86_400,
            "w" => 7 * 86_400,
            "m" => 2_629_746,
            "y" => 31_556_952,
            _ => return None,
        };
        // OpenPGP counts in 32 bits (RFC 9580, section 5.2.3.13), and 0 would mean never.
        digits.parse::<u64>().ok()?.checked_mul(unit).filter(|seconds| (1..=u64::from(u32::MAX)).contains(seconds))
    };
    seconds(text).map(Duration::from_secs).ok_or_else(|| "not a time like 90d, 6m or 3y".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_is_counted_in_32_bits() {
        assert_eq!(validity("90d"), Ok(Validity::For(Duration::from_secs(90 * 86_400))));
        assert_eq!(validity("never"), Ok(Validity::Never));
        for wrong in ["", "0d", "3", "y", "-1d", "3é", "137y", "99999999999999999999d"] {
            assert_eq!(validity(wrong), Err("not a time like 90d, 6m or 3y, nor never".to_owned()), "{wrong:?}");
        }
    }
}
