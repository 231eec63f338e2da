//! Events on standard error, one line each: logfmt or JSON. docs/manual/logging.md lists them.

use std::{env, fmt, io};

use postseal::config::{Level, Log, LogForm};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::RecordFields,
    filter::LevelFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// Starts logging. A failure means that the process logs already.
pub(crate) fn start(log: Log) {
    let level = match log.level {
        Level::Debug => LevelFilter::DEBUG,
        Level::Error => LevelFilter::ERROR,
        Level::Info => LevelFilter::INFO,
        Level::Warning => LevelFilter::WARN,
    };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_target(false);
    let _ = match log.form {
        LogForm::Json => builder.json().flatten_event(true).with_span_list(false).try_init(),
        LogForm::Text => {
            // systemd's journal adds the time itself.
            let is_journal = env::var_os("JOURNAL_STREAM").is_some();
            let form = if is_journal { Logfmt::WithoutTime } else { Logfmt::WithTime };
            builder.fmt_fields(form).event_format(form).try_init()
        }
    };
}

/// Writes `time=... level=info event=NAME key=value ...`. Values with spaces, quotes or control characters are quoted.
#[derive(Clone, Copy)]
enum Logfmt {
    WithTime,
    WithoutTime,
}

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if let Logfmt::WithTime = self {
            out.write_str("time=")?;
            SystemTime.format_time(&mut out)?;
            out.write_char(' ')?;
        }
        write!(out, "level={} ", event.metadata().level().as_str().to_ascii_lowercase())?;
        context.field_format().format_fields(out.by_ref(), event)?;
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<N>>().filter(|fields| !fields.is_empty()) {
                write!(out, " {fields}")?;
            }
        }
        writeln!(out)
    }
}

impl<'w> FormatFields<'w> for Logfmt {
    fn format_fields<R: RecordFields>(&self, out: Writer<'w>, fields: R) -> fmt::Result {
        let mut pairs = Pairs { out, is_first: true, result: Ok(()) };
        fields.record(&mut pairs);
        pairs.result
    }
}

/// Writes fields as `key=value`, separated by spaces.
struct Pairs<'w> {
    out: Writer<'w>,
    is_first: bool,
    result: fmt::Result,
}

impl Pairs<'_> {
    fn write(&mut self, key: &str, value: &str) -> fmt::Result {
        if !std::mem::replace(&mut self.is_first, false) {
            self.out.write_char(' ')?;
        }
        write!(self.out, "{key}={}", quoted(value))
    }
}

impl Visit for Pairs<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.result = self.result.and_then(|()| self.write(field.name(), value));
    }
}

/// A value that is one word stays as it is. Others are quoted, with the escapes of JSON for quotes, backslashes and everything that is not
/// printable, so that no value can end its line or reach a terminal as a control sequence.
fn quoted(value: &str) -> String {
    let is_word = |c: char| !c.is_whitespace() && !matches!(c, '"' | '=' | '\\') && is_printable(c);
    if !value.is_empty() && value.chars().all(is_word) {
        return value.to_owned();
    }
    let mut text = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            _ if is_printable(c) => text.push(c),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    text + "\""
}

fn is_printable(c: char) -> bool {
    matches!(c, '"' | '\\' | '\'') || c.escape_debug().count() == 1
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn values_that_are_not_one_word_are_quoted() {
        for (value, text) in [
            ("relay", "relay"),
            ("550", "550"),
            ("bob@example.net:", "bob@example.net:"),
            ("", "\"\""),
            ("two words", "\"two words\""),
            ("a=b", "\"a=b\""),
            ("a \"b\" \\c", r#""a \"b\" \\c""#),
            ("x\r\nlevel=info event=forged", r#""x\u000d\u000alevel=info event=forged""#),
            ("\u{1b}[2J\u{9b}\u{202e}", r#""\u001b[2J\u009b\u202e""#),
            ("Müller", "Müller"),
        ] {
            assert_eq!(quoted(value), text);
        }
    }
}
