//! `postseal key password`.

use clap::Args;
use postseal::{
    base::{Error, Result},
    store::Keystore,
};

use crate::cli::{
    input, passphrase,
    session::Session,
    show::{self, aside},
};

#[derive(Args, Debug)]
pub(super) struct Password {
    /// Make the passphrase, and print it [default: the first line of --passphrase-file, or a prompt]
    #[arg(long, requires = "recipient")]
    generate: bool,
    /// Remove the stored passphrase
    #[arg(long, requires = "recipient", conflicts_with = "generate")]
    remove: bool,
    /// The recipient [default: list all that have a passphrase]
    #[arg(value_name = "ADDRESS")]
    recipient: Option<String>,
}

/// Stores, makes or removes the passphrase that is shared with a recipient.
pub(super) fn change(what: &Password, home: &Keystore, session: &Session) -> Result<()> {
    let Some(recipient) = &what.recipient else {
        let all: String = home.shared_with()?.iter().map(|address| format!("{address}\n")).collect();
        return show::data(&all);
    };
    let recipient = input::address(recipient)?;
    if what.remove {
        if !home.set_shared_passphrase(&recipient, None)? {
            return Err(Error::no_key(format!("{recipient}: no passphrase is stored")));
        }
        aside(&format!("{recipient} has no passphrase any more\n"));
        return Ok(());
    }
    let whom = recipient.to_string();
    let chosen = match what.generate {
        true => {
            let (made, text) = passphrase::generated(&whom)?;
            show::data(&text)?;
            made
        }
        false => passphrase::shared("key password", &whom, session)?,
    };
    let is_new = !home.set_shared_passphrase(&recipient, Some(&chosen))?;
    aside(&format!("{recipient} has a {} passphrase\n", if is_new { "stored" } else { "new" }));
    Ok(())
}
