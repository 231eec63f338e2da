//! `inspect`, `canon` and `digest`, which need no key.

use std::{io::Write, path::PathBuf, process::ExitCode};

use postseal::{
    base::{Error, Result, hex},
    crypto::Hash,
    mail::{
        Message,
        canonical::{Carried, write_signable},
        header::Edit,
    },
    protocol::pem,
    report,
    sandbox::Sandbox,
};

use crate::cli::{
    args::{Canon, Digest, Files, Form, Inspect},
    input,
    output::{Output, Privacy, written_in},
    session::Session,
    show::{
        self,
        progress::{self, Progress},
    },
};

/// Keeps the message and the place of the output, and gives up the rest.
fn contain(files: &Files) -> Result<()> {
    let sandbox = written_in(files.output.as_deref()).into_iter().fold(Sandbox::new(), Sandbox::writes);
    files.input.iter().fold(sandbox, Sandbox::reads).enter().map(drop)
}

/// Prints the tree.
pub(crate) fn inspect(what: &Inspect, session: &Session) -> Result<ExitCode> {
    contain(&what.files)?;
    let _progress = reading(&what.files);
    let mut budget = session.budget();
    let message = input::message(what.files.input.as_deref(), &mut budget)?;
    let tree = session.engine_without_keys().inspect(&message);
    if what.json {
        let mut json = serde_json::to_string(&tree).map_err(|e| Error::usage(e.to_string()))?;
        json.push('\n');
        write(&what.files, |out| out.write_all(json.as_bytes()))?;
    } else if what.files.output.is_some() {
        let plain = anstream::adapter::strip_str(&report::tree(&tree)).to_string();
        write(&what.files, |out| out.write_all(plain.as_bytes()))?;
    } else {
        show::data(&report::tree(&tree))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the octets that a signature covers.
pub(crate) fn canon(what: &Canon, session: &Session) -> Result<ExitCode> {
    contain(&what.files)?;
    let _progress = reading(&what.files);
    let message = input::message(what.files.input.as_deref(), &mut session.budget())?;
    let mut output = create(&what.files)?;
    write_form(what.form, &message, &mut output)?;
    output.commit()?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a digest as `sha256sum` does.
pub(crate) fn digest(what: &Digest, session: &Session) -> Result<ExitCode> {
    let hash = Hash::parse(&what.algorithm)?;
    contain(&what.files)?;
    let mut digester = hash.digester();
    let _progress = reading(&what.files);
    let name = what.files.input.as_deref();
    match what.form {
        None => digester.update(&input::octets(name, &session.budget())?),
        Some(form) => write_form(form, &input::message(name, &mut session.budget())?, &mut digester)?,
    }
    let hexadecimal = hex(&digester.finish());
    let label = input::label(what.files.input.as_ref());
    write(&what.files, |out| writeln!(out, "{hexadecimal}  {label}"))?;
    Ok(ExitCode::SUCCESS)
}

fn write_form(form: Form, message: &Message, to: &mut dyn Write) -> Result<()> {
    match form {
        Form::Pem => {
            let text = pem::signable(message.root())?;
            to.write_all(&text).map_err(|e| Error::io("output", &e))
        }
        Form::Pgp | Form::Smime => {
            let root = message.root();
            let mut header = Edit::new(root);
            header.retain(|field| field.name.to_ascii_lowercase().starts_with("content-"));
            write_signable(root, &header, Carried::InClear, to)
        }
    }
}

fn reading(files: &Files) -> Progress {
    progress::begin(&format!("reading {}", input::label(files.input.as_ref())))
}

fn create(files: &Files) -> Result<Output> {
    let inputs: Vec<PathBuf> = files.input.iter().cloned().collect();
    Output::create(files.output.as_deref(), &inputs, Privacy::Umask)
}

fn write(files: &Files, what: impl FnOnce(&mut Output) -> std::io::Result<()>) -> Result<()> {
    let mut output = create(files)?;
    what(&mut output).map_err(|e| Error::io("output", &e))?;
    output.commit()
}
