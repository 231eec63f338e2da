//! `encrypt --page`: a message for recipients without a key.

use std::{cell::OnceCell, io::Write, process::ExitCode};

use postseal::{
    base::{Error, Result},
    engine::page::Page,
    keys::{Keys as _, SharedPassphrase},
    mail::{Address, Message, header_protection::Confidentiality},
};

use super::message::{Encrypted, addressees, passed_on, read, reading, require_message};
use crate::cli::{
    args::Encrypt,
    cmd::{
        config,
        many::{self, Place},
    },
    output::{Output, Privacy},
    passphrase,
    session::Session,
    values::{Format, ProtectHeaders},
};

pub(super) fn encrypt(what: &Encrypt, to: &[Address], session: &Session) -> Result<ExitCode> {
    let refuse =
        |option: &str| Error::usage(format!("{option}: a page is no OpenPGP and no S/MIME")).with_hint("leave it out");
    if what.shaping.format != Format::Pgp {
        return Err(refuse("--format"));
    }
    if what.shaping.signer.is_some()
        || !what.shaping.key.is_empty()
        || !what.shaping.also_sign.is_empty()
        || what.shaping.digest.is_some()
    {
        return Err(refuse("a signer or digest is named"));
    }
    let hidden = match what.shaping.protect_headers {
        None | Some(ProtectHeaders::Baseline) => Confidentiality::Baseline,
        Some(ProtectHeaders::Shy) => Confidentiality::Shy,
        Some(ProtectHeaders::None | ProtectHeaders::Clear) => {
            return Err(Error::usage("--protect-headers: a page always hides the subject").with_hint("baseline or shy"));
        }
    };
    let texts = config::given(None)?.map(|config| config.page).unwrap_or_default();
    let asked = OnceCell::new();
    many::each(&many::places(&what.shaping.files)?, |place| {
        let _progress = reading(place);
        let message = read(&what.shaping, place, to, session)?;
        if let Encrypted::PassedOn = passed_on(what, &message, place, session)? {
            return Ok(());
        }
        require_message(&message, place)?;
        let to = if to.is_empty() { addressees(&message)? } else { to.to_vec() };
        let passphrase = passphrase_for(&to, &asked, session)?;
        write(&message, &Page { passphrase: &passphrase, texts: &texts, hidden }, place, session)
    })
}

fn write(message: &Message, page: &Page<'_>, place: &Place, session: &Session) -> Result<()> {
    let octets = session.page(message, page)?;
    let mut output = Output::create(place.output.as_deref(), place.inputs(), Privacy::Umask)?;
    output.write_all(&octets).map_err(|error| Error::io("output", &error))?;
    output.commit()
}

/// The stored passphrase of the recipients, or the one that is given or typed, which is asked for once.
fn passphrase_for(to: &[Address], asked: &OnceCell<SharedPassphrase>, session: &Session) -> Result<SharedPassphrase> {
    if let Some(stored) = stored(to, session)? {
        return Ok(stored);
    }
    if let Some(asked) = asked.get() {
        return Ok(asked.clone());
    }
    let whom: Vec<String> = to.iter().map(Address::to_string).collect();
    let passphrase = passphrase::shared("encrypt", &whom.join(", "), session)?;
    Ok(asked.get_or_init(|| passphrase).clone())
}

/// The passphrase that is stored for all of `to`, unless one is given.
fn stored(to: &[Address], session: &Session) -> Result<Option<SharedPassphrase>> {
    if !session.given_passphrases()?.is_empty() {
        return Ok(None);
    }
    let mut all = Vec::with_capacity(to.len());
    for address in to {
        all.push(session.keys()?.shared_passphrase(address)?);
    }
    let first = all.first().cloned().flatten();
    Ok(first.filter(|first| all.iter().all(|one| one.as_ref() == Some(first))))
}
