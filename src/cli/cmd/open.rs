//! `verify` and `decrypt`.

mod html;
mod next;

use std::{io::Write, path::Path, process::ExitCode};

use postseal::{
    base::{Error, Result},
    engine::{Opening, Within, page},
    mail::Message,
    report::{self, Report},
    sandbox::Sandbox,
    verdict::Standing,
};

use self::html::Page;
use super::{key, many, pieces::wholes};
use crate::cli::{
    args::{Decrypt, ManyFiles, Require, Verify},
    output::{Output, Privacy, written_in},
    prompt,
    session::Session,
    show::{self, progress},
};

/// Reports on every message. The exit code is that of the first message that could not be opened, else 1 when a verdict is below --require.
pub(crate) fn verify(what: &Verify, session: &Session) -> Result<ExitCode> {
    what.fetching.run(session, |session| verify_each(what, session))
}

fn verify_each(what: &Verify, session: &Session) -> Result<ExitCode> {
    let required = match what.require {
        Require::Authentic => Standing::Authentic,
        Require::Signed => Standing::Signed,
    };
    contain(what, session)?;
    let mut page = what.html.as_deref().map(|name| Page::create(name, &what.input)).transpose()?;
    let is_shown = match &page {
        Some(page) if page.is_on_standard_output() && what.json => {
            return Err(Error::usage("--json and --html - would both be written to standard output"));
        }
        Some(page) if page.is_on_standard_output() => false,
        _ => what.json || !show::quiet::is_on(),
    };
    let mut failed: Option<Error> = None;
    let mut reached = true;
    let _progress = progress::begin("reading");
    let count = what.input.len();
    for (index, (label, message)) in wholes(&what.input, session).enumerate() {
        let place = if count > 1 { format!(" (message {} of {count})", index + 1) } else { String::new() };
        progress::now(&format!("verifying {label}{place}"));
        // A message is kept while it is opened only where its octets are shown.
        let kept = page.as_ref().and(message.as_ref().ok().cloned());
        let opened = message.and_then(|message| session.open(message));
        let problem = match opened {
            Ok(opening) => {
                let within = if is_shown || page.is_some() { session.within(&opening)? } else { Vec::new() };
                if is_shown {
                    show::data(&rendered(&opening, &within, opening.error(), &label, what.json))?;
                }
                if let Some(page) = &mut page {
                    page.add(&label, kept.as_ref(), (&opening, &within), session)?;
                }
                if count <= 1 && !what.json {
                    next::step(&opening, session)?.iter().for_each(|next| show::hint(&next::words(next)));
                }
                if opening.payload().is_some_and(page::is_page) {
                    show::hint(
                        "message.html opens in a browser, with a passphrase that the sender tells the recipient; a page is not signed",
                    );
                }
                if what.save_key {
                    show::aside(&key::mail::save_signers(&opening, &label, session)?);
                }
                reached &= opening.verdict().standing() >= required;
                opening.error().cloned()
            }
            Err(error) => {
                if what.json {
                    show::data(&(report::json_of_error(&label, None, &error) + "\n"))?;
                }
                if let Some(page) = &mut page {
                    page.add_error(&label, &error);
                }
                Some(error)
            }
        };
        if let Some(error) = problem {
            let error = if what.input.len() > 1 { error.of(&label) } else { error };
            show::error(&error);
            failed.get_or_insert(error);
        }
    }
    page.map(Page::commit).transpose()?;
    Ok(match failed {
        Some(error) => ExitCode::from(show::exit_code(error.kind())),
        None if reached => ExitCode::SUCCESS,
        None => ExitCode::from(1),
    })
}

/// Gives up what a verdict does not need, before a message is read. Where the network is asked, that is not known.
fn contain(what: &Verify, session: &Session) -> Result<()> {
    let Some(sandbox) = session.sandbox()?.filter(|_| !what.fetching.is_on()) else { return Ok(()) };
    let pages = what.html.iter().flat_map(|page| written_in(Some(page)));
    let sandbox = pages.fold(sandbox, Sandbox::writes);
    what.input.iter().fold(sandbox, Sandbox::reads).enter().map(drop)
}

/// Writes the decrypted message; the verdict goes to standard error.
pub(crate) fn decrypt(what: &Decrypt, session: &Session) -> Result<ExitCode> {
    let ManyFiles { output, output_dir, input } = &what.files;
    let _progress = progress::begin("reading");
    let mut messages = wholes(input, session);
    let Some(folder) = output_dir else {
        // Before a message is read: it may come from a person at a terminal.
        let output = Output::create(output.as_deref(), input, Privacy::Owner)?;
        let Some(first) = messages.next() else { return Err(Error::usage("no message")) };
        if messages.next().is_some() {
            return Err(Error::usage("more than one message").with_hint("--output-dir DIR takes the results"));
        }
        return decrypt_one(first, output, what, session).map(|()| ExitCode::SUCCESS);
    };
    many::outputs(folder, input)?;
    let mut failed = None;
    for (label, message) in messages {
        let name = Path::new(&label).file_name().map(|name| folder.join(name));
        let done = Output::create(name.as_deref(), input, Privacy::Owner)
            .and_then(|output| decrypt_one((label.clone(), message), output, what, session));
        if let Err(error) = done {
            failed.get_or_insert(show::exit_code(error.kind()));
            show::error(&error.of(&label));
        }
    }
    Ok(failed.map_or(ExitCode::SUCCESS, ExitCode::from))
}

fn decrypt_one(
    (label, message): (String, Result<Message>),
    mut output: Output,
    what: &Decrypt,
    session: &Session,
) -> Result<()> {
    progress::now(&format!("decrypting {label}"));
    prompt::is_for(&format!("to decrypt {}", if label == "-" { "a message" } else { &label }));
    session.ask_for_password()?;
    let opening = message.and_then(|message| opened(message, session)).inspect_err(|error| {
        if what.json {
            show::always(&(report::json_of_error(&label, None, error) + "\n"));
        }
    })?;
    let written = write(&opening, &label, what, session, &mut output).and_then(|()| output.commit());
    if written.is_ok() || what.json {
        let shown = rendered(&opening, &[], written.as_ref().err(), &label, what.json);
        if what.json { show::always(&shown) } else { show::aside(&shown) }
    }
    written
}

/// Opens a message. A password that is typed may be wrong twice.
fn opened(message: Message, session: &Session) -> Result<Opening> {
    if !session.asks_for_password() {
        // Without a copy it is decrypted in its own memory.
        return session.open(message);
    }
    for left in (1..PASSWORD_TRIES).rev() {
        let opening = session.open(message.clone());
        let error = opening.as_ref().map_or_else(Some, |opening| opening.error());
        if error.is_none() || !session.forget_password() {
            return opening;
        }
        show::always(&prompt::refusal(left));
    }
    session.open(message)
}

/// As often as a passphrase is asked for.
const PASSWORD_TRIES: usize = 3;

/// Writes the decrypted content.
fn write(opening: &Opening, label: &str, what: &Decrypt, session: &Session, output: &mut Output) -> Result<()> {
    if let Some(error) = opening.error() {
        return Err(error.clone());
    }
    if what.parts {
        return write_parts(opening, label, session, output);
    }
    if !opening.verdict().layers().is_empty() {
        return opening.write(output);
    }
    let error = nothing(opening, label, "nothing in it is encrypted or signed as a whole");
    let hint = "--parts opens what stands beside other text";
    Err(if opening.verdict().errant().is_empty() { error } else { error.with_hint(hint) })
}

/// The error when there is nothing to write: it names what the message holds instead, or gives `reason`.
fn nothing(opening: &Opening, label: &str, reason: &str) -> Error {
    match opening.notes() {
        [] => Error::malformed(label, reason),
        notes => Error::malformed(label, notes.join("; ")),
    }
}

/// Writes the message with its encrypted parts decrypted. Nothing is written when nothing was encrypted.
fn write_parts(opening: &Opening, label: &str, session: &Session, output: &mut Output) -> Result<()> {
    let mut octets = Vec::new();
    opening.write(&mut octets)?;
    let opened = session.open_parts(octets)?;
    if opened.count == 0 && opening.verdict().layers().is_empty() {
        return Err(match opened.closed.as_slice() {
            [] => nothing(opening, label, "nothing in it could be opened"),
            closed => Error::malformed(label, format!("nothing in it could be opened: {}", closed.join("; "))),
        });
    }
    opened.closed.iter().for_each(|closed| show::warning(closed));
    output.write_all(&opened.octets).map_err(|error| Error::io("output", &error))
}

fn rendered(opening: &Opening, within: &[Within], error: Option<&Error>, label: &str, json: bool) -> String {
    let within: Vec<Report<'_>> = within.iter().map(Within::report).collect();
    let report = Report { error, within: &within, ..opening.report(label) };
    if json { report::json(&report) + "\n" } else { report::text(&report) }
}
