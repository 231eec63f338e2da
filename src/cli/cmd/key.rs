//! Stub until the room delivers.
use std::process::ExitCode;
use crate::cli::session::Session;
/// Keys.
#[derive(Debug, clap::Args)]
pub(crate) struct Key {}
/// Nothing.
pub(crate) fn run(_: &Key, _: &Session) -> postseal::base::Result<ExitCode> { Ok(ExitCode::SUCCESS) }
