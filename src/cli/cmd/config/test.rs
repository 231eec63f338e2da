//! `config test`.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::PathBuf,
    process::ExitCode,
};

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueHint};
use postseal::{
    base::{Error, Kind, Result},
    config::{self, Tenancy},
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
    /// As this tenant decides [default: the tenant of each case's addresses]
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Print one line of JSON for each case
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub(super) fn run(what: &Test, session: &Session) -> Result<ExitCode> {
    let service = config::load(&super::path(what.config.as_deref()))?;
    let cases = config::cases(&what.file)?;
    let tenancy = Tenancy::of(&service);
    let mut sessions: BTreeMap<Option<String>, Session> = BTreeMap::new();
    let (mut text, mut failed) = (String::new(), 0);
    for case in &cases {
        let config = match &what.tenant {
            Some(name) => service.of_tenant(name)?,
            None => service.of_owner(case.owner(&service, &tenancy)?)?,
        };
        let result = match &case.file {
            // It needs no key.
            None => case.run(config, None)?,
            Some(file) => {
                let session = match sessions.entry(config.tenant.clone()) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(vacant) => vacant.insert(session.configured(config)?),
                };
                let engine = Engine::new(session.context()?, config.bounds.message.clone());
                case.run(config, Some((&engine, input::message(Some(file), &mut session.budget())?)))?
            }
        };
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
