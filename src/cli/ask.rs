//! Questions at the terminal. Ctrl-C ends the program as it does elsewhere, and leaves the terminal as it was.

use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write},
};

use postseal::base::{Error, Result, Secret};
use rustix::{
    process::{Signal, getpid, kill_process},
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr},
};

use super::show::progress;

/// Whether somebody can be asked.
pub(crate) fn is_possible() -> bool {
    io::stderr().is_terminal() && File::open(TERMINAL).is_ok()
}

/// What is typed, unseen. `None` for an empty line and for Ctrl-D.
pub(crate) fn secret(prompt: &str) -> Result<Option<Secret>> {
    let typed = progress::quietly(|| {
        let mut terminal = Unseen::open()?;
        terminal.write(prompt)?;
        let typed = terminal.line();
        terminal.write("\n")?;
        drop(terminal);
        match typed? {
            Typed::Line(line) => Ok(Some(line).filter(|line| !line.expose().is_empty())),
            Typed::Interrupted => {
                kill_process(getpid(), Signal::INT)?;
                // Where the signal is ignored, as under nohup, what was typed is Ctrl-C all the same.
                std::process::exit(128 + Signal::INT.as_raw())
            }
        }
    });
    typed.map_err(|error| Error::io("terminal", &error))
}

/// Whether the answer to a question is yes; no where nobody can be asked.
pub(crate) fn yes(question: &str) -> Result<bool> {
    if !is_possible() {
        return Ok(false);
    }
    let answer = progress::quietly(|| {
        let mut terminal = open()?;
        write!(terminal, "{question} [y/N] ")?;
        shown_line(&mut terminal)
    });
    let answer: Vec<u8> = answer.map_err(|error: io::Error| Error::io("terminal", &error))?;
    Ok(matches!(answer.trim_ascii().to_ascii_lowercase().as_slice(), b"y" | b"yes"))
}

/// The answer to a question, or what is usual for an empty line; `None` where nobody can be asked.
pub(crate) fn line(question: &str, usual: Option<&str>) -> Result<Option<String>> {
    if !is_possible() {
        return Ok(None);
    }
    let usual_shown = usual.map(|usual| format!(" [{usual}]")).unwrap_or_default();
    let answer = progress::quietly(|| {
        let mut terminal = open()?;
        write!(terminal, "{question}{usual_shown}: ")?;
        shown_line(&mut terminal)
    });
    let answer = answer.map_err(|error: io::Error| Error::io("terminal", &error))?;
    let answer = String::from_utf8_lossy(answer.trim_ascii()).into_owned();
    Ok(Some(answer).filter(|answer| !answer.is_empty()).or_else(|| usual.map(str::to_owned)))
}

/// A line that the terminal shows while it is typed.
fn shown_line(terminal: &mut File) -> io::Result<Vec<u8>> {
    let (mut line, mut octet) = (Vec::new(), [0]);
    while terminal.read(&mut octet)? == 1 && octet != *b"\n" && line.len() < MAX_LINE {
        line.extend(octet);
    }
    Ok(line)
}

/// What was typed.
enum Typed {
    /// Up to the end of the line, or of the input.
    Line(Secret),
    /// Ctrl-C.
    Interrupted,
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Unseen {
    terminal: File,
    before: Termios,
}

impl Unseen {
    fn open() -> io::Result<Unseen> {
        let terminal = open()?;
        let before = tcgetattr(&terminal)?;
        let mut unseen = before.clone();
        // Without ISIG, Ctrl-C is an octet: the signal would end the program before the terminal is as it was.
        unseen.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        unseen.special_codes[SpecialCodeIndex::VMIN] = 1;
        unseen.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&terminal, OptionalActions::Now, &unseen)?;
        Ok(Unseen { terminal, before })
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.terminal.write_all(text.as_bytes())?;
        self.terminal.flush()
    }

    fn line(&mut self) -> io::Result<Typed> {
        // Its buffer never moves, which would leave a copy behind.
        let (mut line, mut octet) = (Vec::with_capacity(MAX_LINE), [0]);
        while self.terminal.read(&mut octet)? == 1 {
            match octet[0] {
                b'\n' | b'\r' | END_OF_INPUT => break,
                INTERRUPT => return Ok(Typed::Interrupted),
                BACKSPACE | DELETE => while line.pop().is_some_and(|octet| octet & 0xc0 == 0x80) {},
                KILL => line.clear(),
                octet if line.len() < MAX_LINE => line.push(octet),
                _ => {}
            }
        }
        Ok(Typed::Line(Secret::new(line)))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

fn open() -> io::Result<File> {
    File::options().read(true).write(true).open(TERMINAL)
}

const TERMINAL: &str = "/dev/tty";
/// Octets of a line; what is typed beyond them is not taken.
const MAX_LINE: usize = 4096;
const INTERRUPT: u8 = 0x03;
const END_OF_INPUT: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const KILL: u8 = 0x15;
const DELETE: u8 = 0x7f;
