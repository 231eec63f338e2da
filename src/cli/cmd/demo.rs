//! `postseal demo`: the verbs at work in a temporary home.

use std::{
    env, fs,
    path::Path,
    process::{Command, ExitCode},
};

use anstyle::{AnsiColor, Style};
use postseal::base::{Error, Kind, Result};

use crate::cli::show::data;

/// Runs this program as a reader would type it, and shows each command before what it prints.
pub(crate) fn run() -> Result<ExitCode> {
    let folder = tempfile::tempdir().map_err(|error| Error::io("temporary folder", &error))?;
    let program = env::current_exe().map_err(|error| Error::io("postseal", &error))?;
    let demo = Demo { program: &program, folder: folder.path() };
    demo.write("message.eml", MESSAGE)?;

    say("Two keys, in a temporary home.")?;
    demo.type_in(&["key", "generate", "--no-passphrase", "--name", "Alice", "alice@example.org"], 0)?;
    demo.type_in(&["key", "generate", "--no-passphrase", "--name", "Bob", "bob@example.net"], 0)?;

    say("\nAlice signs a message. Everyone who trusts her key sees that she wrote it.")?;
    demo.type_in(&["sign", "-o", "signed.eml", "message.eml"], 0)?;
    demo.type_in(&["verify", "signed.eml"], 0)?;

    say("\nSomebody changes the address in From. The signature is valid, but it covers another From.")?;
    let signed = demo.read("signed.eml")?;
    demo.write("forged.eml", &signed.replacen("alice@example.org", "mallory@example.org", 1))?;
    demo.type_in(&["verify", "forged.eml"], 1)?;

    say("\nSomebody changes the text. Now there is no valid signature.")?;
    demo.write("changed.eml", &signed.replacen("At noon.", "At nine.", 1))?;
    demo.type_in(&["verify", "changed.eml"], 1)?;

    say("\nAlice signs and encrypts it for Bob.")?;
    demo.type_in(&["encrypt", "--to", "bob@example.net", "--sign", "-o", "sealed.eml", "message.eml"], 0)?;
    demo.type_in(&["decrypt", "sealed.eml"], 0)?;

    say("\nYour own key: postseal key generate --name NAME ADDRESS")?;
    say(&format!("This program: {}", program.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Where the demonstration runs.
struct Demo<'a> {
    program: &'a Path,
    folder: &'a Path,
}

impl Demo<'_> {
    /// Shows the command and runs it; an error when it ends with another exit code than `expected`.
    fn type_in(&self, arguments: &[&str], expected: i32) -> Result<()> {
        data(&format!("{PROMPT}$ postseal {}{PROMPT:#}\n", arguments.join(" ")))?;
        let mut command = Command::new(self.program);
        command.args(arguments).current_dir(self.folder).env("POSTSEAL_HOME", self.folder.join("home"));
        let status = command.status().map_err(|error| Error::io(self.program.display(), &error))?;
        match status.code() {
            Some(0) if expected == 0 => Ok(()),
            Some(code) if code == expected => data(&format!("{FAINT}(exit code {code}){FAINT:#}\n")),
            _ => Err(Error::new(Kind::Unavailable, format!("postseal {}: {status}", arguments.join(" ")))),
        }
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        fs::write(self.folder.join(name), text).map_err(|error| Error::io(name, &error))
    }

    fn read(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.folder.join(name)).map_err(|error| Error::io(name, &error))
    }
}

fn say(line: &str) -> Result<()> {
    data(&format!("{line}\n"))
}

const MESSAGE: &str = "From: Alice <alice@example.org>\nTo: Bob <bob@example.net>\nSubject: Lunch?\n\nAt noon.\n";
const PROMPT: Style = AnsiColor::Cyan.on_default().bold();
const FAINT: Style = Style::new().dimmed();
