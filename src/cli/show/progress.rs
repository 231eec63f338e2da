//! Progress of long work: one line on standard error, if that is a terminal and the work takes long.

use std::{
    io::{self, IsTerminal, Read},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use postseal::report::printable;

/// Work in progress, until this is dropped.
pub(crate) struct Progress {
    ticker: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

/// Shows `what` (`signing big.eml`) if it takes long.
pub(crate) fn begin(what: &str) -> Progress {
    if super::quiet::is_on() || !io::stderr().is_terminal() {
        return Progress { ticker: None };
    }
    now(what);
    let (stop, stopped) = mpsc::channel();
    let ticker = thread::Builder::new().spawn(move || tick_until(&stopped));
    // Without a thread the work goes on, and no progress is shown.
    Progress { ticker: ticker.ok().map(|ticker| (stop, ticker)) }
}

/// Shows `what` from here on.
pub(crate) fn now(what: &str) {
    line().what = printable(what);
}

/// Runs `f`, which prompts or prints, while the progress line is cleared.
pub(crate) fn quietly<T>(act: impl FnOnce() -> T) -> T {
    match &line().bar {
        Some(bar) => bar.suspend(act),
        None => act(),
    }
}

/// Counts octets that were written.
pub(crate) fn written(octets: usize) {
    WRITTEN.fetch_add(octets as u64, Relaxed);
}

/// Counts what is read.
pub(crate) struct Counted<R>(pub(crate) R);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        READ.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, ticker)) = self.ticker.take() {
            drop(stop);
            // If the ticker panicked, there is no line to clear.
            let _ = ticker.join();
        }
    }
}

fn tick_until(stopped: &Receiver<()>) {
    let goes_on = |time| stopped.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
    if !goes_on(PATIENCE) {
        return;
    }
    loop {
        {
            let mut line = line();
            let said = [&line.what[..], &counted("read", &READ), &counted("written", &WRITTEN)].concat();
            let bar = line.bar.get_or_insert_with(bar);
            bar.set_message(said);
            bar.tick();
        }
        if !goes_on(BEAT) {
            break;
        }
    }
    if let Some(bar) = line().bar.take() {
        bar.finish_and_clear();
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        .with_elapsed(PATIENCE)
}

fn counted(what: &str, count: &AtomicU64) -> String {
    match count.load(Relaxed) {
        0 => String::new(),
        octets => format!(", {} {what}", HumanBytes(octets)),
    }
}

/// The progress line.
struct Line {
    what: String,
    /// Present while it is shown.
    bar: Option<ProgressBar>,
}

fn line() -> MutexGuard<'static, Line> {
    LINE.lock().unwrap_or_else(PoisonError::into_inner)
}

static LINE: Mutex<Line> = Mutex::new(Line { what: String::new(), bar: None });
static READ: AtomicU64 = AtomicU64::new(0);
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// No progress is shown before this. Source: people wait one second without losing their train of thought (Nielsen 1993); half of it.
const PATIENCE: Duration = Duration::from_millis(500);

/// The time between two updates of the line.
const BEAT: Duration = Duration::from_millis(100);
