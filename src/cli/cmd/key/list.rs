//! `postseal key list` and `postseal key show`.

use std::{sync::Arc, time::Duration};

use clap::Args;
use postseal::{
    base::Result,
    keys::{Record, Want},
    store::Keystore,
};

use super::{
    choose::{find, select},
    selection::{self, Selection},
    show,
    validity::span,
};
use crate::cli::{session::Session, show::data, values::Format};

#[derive(Args, Debug)]
pub(super) struct List {
    /// Keys of this protocol alone
    #[arg(short, long, value_enum)]
    format: Option<Format>,
    /// Only keys whose secret part is here
    #[arg(long)]
    secret: bool,
    /// Only trust anchors (or --anchors)
    #[arg(long)]
    anchor: bool,
    /// Only keys that end within this time: 30d, 6m
    #[arg(long, value_name = "TIME", value_parser = span)]
    expiring: Option<Duration>,
    /// Print one line of JSON for each (docs/schema/keys.schema.json)
    #[arg(long)]
    json: bool,
    /// A part of an address, a name or a fingerprint [default: all keys]
    filter: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct Show {
    /// Print one line of JSON for each (docs/schema/keys.schema.json)
    #[arg(long)]
    json: bool,
    /// An address, a fingerprint or a key ID
    #[arg(value_name = "ADDRESS|ID")]
    which: String,
}

/// Lists keys, a line each.
pub(super) fn list(what: &List, home: &Keystore, session: &Session) -> Result<()> {
    let records = find(home, what.format, Want::All)?;
    let selection =
        Selection { text: what.filter.clone(), secret: what.secret, anchors: what.anchor, expiring: what.expiring };
    let found = selection.of(&records, session.clock().now(), home)?;
    data(&if what.json { selection::objects(&found)? } else { show::rows(&found) })
}

/// Shows everything that is known of keys.
pub(super) fn show(what: &Show, home: &Keystore, session: &Session) -> Result<()> {
    let (records, at) = (select(home, None, &what.which)?, session.clock().now());
    data(&if what.json {
        selection::objects(&Selection::default().of(&records, at, home)?)?
    } else {
        show::certificates(&records, at, home)?
    })
}

/// The line of one key.
pub(in crate::cli::cmd) fn line(record: &Arc<Record>, home: &Keystore, session: &Session) -> Result<()> {
    let found = Selection::default().of(std::slice::from_ref(record), session.clock().now(), home)?;
    data(&show::rows(&found))
}
