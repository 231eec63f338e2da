//! PostgreSQL's errors as ours.

use std::error::Error as _;

use crate::base::{Error, Kind};

/// An error of the client: what the server said, or how the connection failed.
pub(super) fn failed(place: &str, error: &tokio_postgres::Error) -> Error {
    let Some(said) = error.as_db_error() else {
        return Error::new(Kind::TryAgain, format!("{place}: {}", reasons(error)));
    };
    let message = format!("{place}: {}", said.message().to_lowercase());
    let code = said.code().code();
    match code {
        // A missing table or column, a value of the wrong type, a damaged page.
        "42P01" | "42703" | "42804" | "42883" | "3F000" | "XX001" | "XX002" => Error::new(Kind::Damaged, message)
            .with_hint("restore the database from a backup, or make the tables with `postseal store upgrade`"),
        "3D000" => Error::new(Kind::Config, message).with_hint("create the database: docs/manual/postgresql.md"),
        "42501" => Error::new(Kind::Inaccessible, message)
            .with_hint("grant this role what `postseal store roles` prints, or use the URL of another role"),
        "25006" => Error::new(Kind::CannotCreate, message)
            .with_hint("the URL names a replica, or the database is set to read-only"),
        _ if code.starts_with("28") => Error::new(Kind::Inaccessible, message),
        // Locked, deadlocked, cancelled, shutting down, too many connections, connection lost.
        "40001" | "40P01" | "55P03" | "57014" => Error::new(Kind::TryAgain, message),
        _ if ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => Error::new(Kind::TryAgain, message),
        _ => Error::new(Kind::Io, message),
    }
}

/// Whether the connection is of no more use after `error`.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    let code = error.code().map(|code| code.code());
    code.is_none_or(|code| code.starts_with("08") || code.starts_with("57P"))
}

/// The error and what it came from, in lower case.
fn reasons(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    let text = text.to_lowercase();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
