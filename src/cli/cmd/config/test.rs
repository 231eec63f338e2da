//! `config test`.

use std::{path::PathBuf, process::ExitCode};

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueHint};
use postseal::{
    base::{Error, Kind, Result},
    config,
    engine::Engine,
    report::printable,
};

use crate::cli::{input, session::Session, show};

/// Test.
#[derive(Args, Debug)]
pub(crate) struct Test {
    /// The cases: TOML, a [[case]] each
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// The configuration [default: $POSTSEAL_CONFIG, or /etc/postseal/postseal.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Print one line of JSON for each case
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub(super) fn run(what: &Test, session: &Session) -> Result<ExitCode> {
    let config = config::load(&super::path(what.config.as_deref()))?;
    let cases = config::cases(&what.file)?;
    let session = session.configured(&config)?;
    // Cases without a message need no key.
    let engine = match cases.iter().any(|case| case.file.is_some()) {
        true => Some(Engine::new(session.context()?, config.bounds.message.clone())),
        false => None,
    };
    let (mut text, mut failed) = (String::new(), 0);
    for case in &cases {
        let message = match (&case.file, &engine) {
            (Some(file), Some(engine)) => Some((engine, input::message(Some(file), &mut session.budget())?)),
            _ => None,
        };
        let result = case.run(&config, message)?;
        failed += usize::from(!result.passed);
        if what.json {
            let json = serde_json::to_string(&result);
            text += &json.map_err(|error| Error::new(Kind::Io, format!("result: {error}")))?;
            text.push('\n');
            continue;
        }
        let name = printable(&result.name);
        if result.passed {
            text += &format!("{GREEN}passed{GREEN:#}  {name}\n");
        } else {
            text += &format!("{RED}failed{RED:#}  {name} ({}:{})\n", what.file.display(), result.line);
            text.extend(result.failures.iter().map(|why| format!("        {}\n", printable(why))));
        }
    }
    if !what.json {
        text += &format!("{} cases, {failed} failed\n", cases.len());
    }
    show::data(&text)?;
    Ok(ExitCode::from(u8::from(failed > 0)))
}

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default().bold();
