//! Events on standard error, one line each: logfmt or JSON. docs/manual/logging.md lists them.

use std::{
    borrow::Cow,
    cell::RefCell,
    env, fmt, io,
    os::unix::net::UnixDatagram,
    process,
    sync::{Arc, OnceLock},
};

use postseal::config::{Level, Log, LogForm};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Registry,
    field::RecordFields,
    filter::LevelFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// Starts logging to standard error. A failure means that the process logs already.
pub(crate) fn start(log: &Log) {
    // systemd's journal adds the time itself.
    let time = if env::var_os("JOURNAL_STREAM").is_some() { Time::Omitted } else { Time::Written };
    start_with(log, time, io::stderr);
}

/// Starts logging to the system log, for a program that runs for one message: its standard error goes to the user or into a bounce. Without a
/// system log nothing is logged.
pub(crate) fn start_for_message(log: &Log) {
    let Ok(socket) = UnixDatagram::unbound() else { return };
    if socket.connect(&log.syslog).is_ok() {
        // A system log that is stuck does not hold up mail.
        let _ = socket.set_nonblocking(true);
        start_with(log, Time::Omitted, Syslog(Arc::new(socket)));
    }
}

/// What the log has of the current connection and message, as it stands behind each line about them.
pub(super) fn context() -> String {
    let fields = tracing::Span::current().with_subscriber(|(id, dispatch)| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        let form = FORM.get()?;
        let mut fields = Vec::new();
        for span in registry.span(id)?.scope().from_root() {
            let extensions = span.extensions();
            fields.extend(extensions.get::<FormattedFields<Form>>().map(|fields| fields.fields.clone()));
        }
        fields.retain(|fields| !fields.is_empty());
        Some(fields.join(&form.separator().to_string()))
    });
    let mut fields = fields.flatten().unwrap_or_default();
    CONTEXT.with_borrow(|context| {
        if !context.is_empty() {
            let separator = FORM.get().filter(|_| !fields.is_empty()).map(|form| form.separator());
            fields.extend(separator);
            fields.push_str(context);
        }
    });
    fields
}

/// Writes this behind each line of this thread from now on: what another process has of a message.
pub(super) fn within(context: String) {
    CONTEXT.set(context);
}

/// The form of this process's log.
static FORM: OnceLock<Form> = OnceLock::new();
thread_local! {
    /// What stands behind each line.
    static CONTEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

fn start_with(log: &Log, time: Time, to: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) {
    let level = match log.level {
        Level::Debug => LevelFilter::DEBUG,
        Level::Error => LevelFilter::ERROR,
        Level::Info => LevelFilter::INFO,
        Level::Warning => LevelFilter::WARN,
    };
    let form = match log.form {
        LogForm::Json => Form::Json,
        LogForm::Text => Form::Logfmt(time),
    };
    let _ = FORM.set(form);
    // The subscriber builds a line in memory, and writes it at once.
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(to);
    let _ = builder.fmt_fields(form).event_format(form).try_init();
}

/// The system log: a datagram for each line, as syslog(3) writes it, without the time.
struct Syslog(Arc<UnixDatagram>);

impl MakeWriter<'_> for Syslog {
    type Writer = SyslogLine;

    fn make_writer(&self) -> SyslogLine {
        SyslogLine { socket: Arc::clone(&self.0), severity: 6 }
    }

    fn make_writer_for(&self, metadata: &Metadata<'_>) -> SyslogLine {
        let severity = match *metadata.level() {
            tracing::Level::ERROR => 3,
            tracing::Level::WARN => 4,
            tracing::Level::INFO => 6,
            _ => 7,
        };
        SyslogLine { socket: Arc::clone(&self.0), severity }
    }
}

/// Writes one line of this severity.
struct SyslogLine {
    socket: Arc<UnixDatagram>,
    severity: u8,
}

impl io::Write for SyslogLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let head = format!("<{}>postseal[{}]: ", MAIL_FACILITY * 8 + self.severity, process::id());
        let datagram = [head.as_bytes(), line.strip_suffix(b"\n").unwrap_or(line)].concat();
        self.socket.send(&datagram).map(|_| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// LOG_MAIL of syslog(3).
const MAIL_FACILITY: u8 = 2;

/// How a line is written. The fields of the event come first, then those of the spans around it: the session and the message.
#[derive(Clone, Copy)]
enum Form {
    /// `{"timestamp":"...","level":"INFO","event":"NAME","key":value,...}`.
    Json,
    /// `time=... level=info event=NAME key=value ...`. Values with spaces, quotes or control characters are quoted.
    Logfmt(Time),
}

#[derive(Clone, Copy)]
enum Time {
    Omitted,
    Written,
}

impl Form {
    fn separator(self) -> char {
        match self {
            Form::Json => ',',
            Form::Logfmt(_) => ' ',
        }
    }

    fn begin(self, out: &mut Writer<'_>, level: &str) -> fmt::Result {
        match self {
            Form::Json => {
                out.write_str("{\"timestamp\":\"")?;
                SystemTime.format_time(out)?;
                write!(out, "\",\"level\":\"{level}\",")
            }
            Form::Logfmt(time) => {
                if let Time::Written = time {
                    out.write_str("time=")?;
                    SystemTime.format_time(out)?;
                    out.write_char(' ')?;
                }
                write!(out, "level={} ", level.to_ascii_lowercase())
            }
        }
    }
}

impl<S, N> FormatEvent<S, N> for Form
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        self.begin(&mut out, event.metadata().level().as_str())?;
        context.field_format().format_fields(out.by_ref(), event)?;
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<N>>().filter(|fields| !fields.is_empty()) {
                write!(out, "{}{fields}", self.separator())?;
            }
        }
        CONTEXT.with_borrow(|context| match context.as_str() {
            "" => Ok(()),
            context => write!(out, "{}{context}", self.separator()),
        })?;
        match self {
            Form::Json => writeln!(out, "}}"),
            Form::Logfmt(_) => writeln!(out),
        }
    }
}

impl<'w> FormatFields<'w> for Form {
    fn format_fields<R: RecordFields>(&self, out: Writer<'w>, fields: R) -> fmt::Result {
        let mut pairs = Pairs { out, form: *self, is_first: true, result: Ok(()) };
        fields.record(&mut pairs);
        pairs.result
    }
}

/// Writes fields as `key=value` or `"key":value`.
struct Pairs<'w> {
    out: Writer<'w>,
    form: Form,
    is_first: bool,
    result: fmt::Result,
}

impl Pairs<'_> {
    /// Writes one field; `value` is in its final form.
    fn write(&mut self, field: &Field, value: &str) {
        let is_first = std::mem::replace(&mut self.is_first, false);
        let written = if is_first { Ok(()) } else { self.out.write_char(self.form.separator()) };
        let written = written.and_then(|()| match self.form {
            Form::Json => write!(self.out, "\"{}\":{value}", field.name()),
            Form::Logfmt(_) => write!(self.out, "{}={value}", field.name()),
        });
        self.result = self.result.and(written);
    }
}

impl Visit for Pairs<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, &value.to_string());
    }

    /// A value that is logged as it is displayed (`%`) comes here too.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, &value.to_string());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let value = shortened(value);
        let text = match self.form {
            Form::Logfmt(_) if is_word(&value) => value.into_owned(),
            Form::Json | Form::Logfmt(_) => quoted(&value),
        };
        self.write(field, &text);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, &value.to_string());
    }
}

/// Servers and senders choose the length of some values: a reply, a Message-ID.
fn shortened(value: &str) -> Cow<'_, str> {
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => Cow::Owned(format!("{}...", value.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(value),
    }
}

/// Characters of a value. Source: with the other fields below the 8 KiB that rsyslog takes by default.
const LONGEST: usize = 2_000;

/// Whether a value needs no quotes.
fn is_word(value: &str) -> bool {
    let fits = |c: char| !c.is_whitespace() && !matches!(c, '"' | '=' | '\\') && is_printable(c);
    !value.is_empty() && value.chars().all(fits)
}

/// In quotes, with the escapes of JSON for quotes, backslashes and everything that is not printable, so that no value can end its line or reach
/// a terminal as a control sequence.
fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            _ if is_printable(c) => text.push(c),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    text.push('"');
    text
}

fn is_printable(c: char) -> bool {
    matches!(c, '"' | '\\' | '\'') || c.escape_debug().count() == 1
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, is_word, quoted, shortened};

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
            assert_eq!(if is_word(value) { value.to_owned() } else { quoted(value) }, text);
        }
    }

    #[test]
    fn long_values_are_cut() {
        let (fits, long) = ("é".repeat(LONGEST), "é".repeat(LONGEST + 1));
        assert_eq!(shortened(&fits), fits);
        assert_eq!(shortened(&long), format!("{fits}..."));
    }
}
