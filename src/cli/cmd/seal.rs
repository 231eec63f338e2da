//! `sign` and `encrypt`.

mod message;
mod page;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use postseal::{
    base::{Error, Result, Secret},
    crypto::Hash,
    keys::{Handle, Keys, ProtocolName, Purpose, Query, Reach, Want},
    mail::{Address, Message, address, header},
    protocol::{Aead, Headers, LegacyDisplay, Padding, Recipient, Seal, Sealed, Shape, Signer},
};

use message::{Encrypted, addressees, passed_on, read, reading, require_message};

use super::{
    config, ending,
    many::{self, Place},
    pieces,
};
use crate::cli::{
    args::{Encrypt, Shaping, Sign},
    hint::words,
    input,
    output::{Output, Privacy},
    passphrase, prompt,
    session::Session,
    show::{self, progress},
    values::{self, Format, ProtectHeaders},
};

/// Signs.
pub(crate) fn sign(what: &Sign, session: &Session) -> Result<ExitCode> {
    let shape = shape(&what.shaping)?;
    let how = with_headers(Seal { sign: signers(&what.shaping)?, shape, ..shaped(&what.shaping)? }, &what.shaping);
    let to = recipients(&what.to)?;
    many::each(&many::places(&what.shaping.files)?, |place| {
        let _progress = reading(place);
        let message = read(&what.shaping, place, &to, session)?;
        require_message(&message, place)?;
        seal(&what.shaping, &how, &message, place, session)
    })
}

/// Encrypts, and signs on request.
pub(crate) fn encrypt(what: Encrypt, session: &Session) -> Result<ExitCode> {
    match what.discover {
        true => encrypt_with(what, &session.discovering(config::given(None)?.as_ref())?),
        false => encrypt_with(what, session),
    }
}

fn encrypt_with(mut what: Encrypt, session: &Session) -> Result<ExitCode> {
    if what.shaping.files.input.is_empty() {
        what.shaping.files.input = [trailing_files(&mut what.to), trailing_files(&mut what.hidden_to)].concat();
    }
    let addressed = recipients(&what.to)?;
    let named = addressed.iter().cloned().map(Recipient::Named);
    let to: Vec<Recipient> = named.chain(recipients(&what.hidden_to)?.into_iter().map(Recipient::Hidden)).collect();
    if what.aead && what.shaping.format == Format::Pem {
        return Err(Error::usage("--aead: PEM has no authenticated encryption").with_hint("-f smime"));
    }
    if what.aead && what.shaping.format == Format::Pgp {
        return Err(Error::usage("--aead: in OpenPGP the recipients' certificates decide").with_hint("-f smime"));
    }
    if what.page {
        return page::encrypt(&what, &addressed, session);
    }
    let shape = match (what.nested, what.triple) {
        (_, true) => Shape::Triple,
        (true, false) => Shape::Nested,
        (false, false) => shape(&what.shaping)?,
    };
    let shaping = &what.shaping;
    let names_signer = shaping.signer.is_some() || !shaping.key.is_empty() || !shaping.also_sign.is_empty();
    // RFC 1421, section 4.6.1.1.1: an ENCRYPTED message is signed too, by the author unless a signer is named.
    let is_signed = what.sign || what.shaping.format == Format::Pem && names_signer;
    if names_signer && !is_signed {
        return Err(Error::usage("a signer is named, but nothing is signed").with_hint("add --sign"));
    }
    let how = Seal {
        sign: if is_signed { signers(&what.shaping)? } else { Vec::new() },
        to,
        passwords: if what.password { passwords(session)? } else { Vec::new() },
        shape,
        cipher: what.cipher.clone(),
        aead: if what.aead { Aead::Always } else { Aead::Announced },
        reach: if what.discover { Reach::Network } else { Reach::Local },
        legacy_display: if what.legacy_display { LegacyDisplay::Write } else { LegacyDisplay::Omit },
        ..shaped(&what.shaping)?
    };
    many::each(&many::places(&what.shaping.files)?, |place| {
        let _progress = reading(place);
        let message = read(&what.shaping, place, &addressed, session)?;
        encrypt_one(&what, how.clone(), &message, place, session)
    })
}

fn encrypt_one(what: &Encrypt, mut how: Seal, message: &Message, place: &Place, session: &Session) -> Result<()> {
    if let Encrypted::PassedOn = passed_on(what, message, place, session)? {
        return Ok(());
    }
    require_message(message, place)?;
    if how.to.is_empty() && how.passwords.is_empty() {
        how.to = addressees(message)?.into_iter().map(Recipient::Named).collect();
    }
    let mut how = with_headers(how, &what.shaping);
    if what.legacy_display && how.headers <= Headers::Clear {
        return Err(
            Error::usage("--legacy-display: nothing of the header is hidden").with_hint("--protect-headers baseline")
        );
    }
    if !what.no_self && !how.to.is_empty() {
        how.also.extend(own_reader(message, &how, protocol(&what.shaping), session)?);
    }
    seal(&what.shaping, &how, message, place, session)
}

/// The author, where a usable key of the author is here with its secret part: who sends a message can read the copy that is kept.
fn own_reader(message: &Message, how: &Seal, protocol: ProtocolName, session: &Session) -> Result<Option<Recipient>> {
    let Ok(author) = header::author(message.root()) else { return Ok(None) };
    let is_author = |one: &Recipient| matches!(one, Recipient::Named(to) | Recipient::Hidden(to) if *to == author);
    let own = session.keys()?.find(protocol, &Query::new(Purpose::Decrypt, Want::Address(&author)))?;
    let is_own = own.iter().any(|record| !record.secrets().is_empty());
    if !is_own || how.to.iter().any(is_author) || !session.can_encrypt_to(&author, protocol)? {
        return Ok(None);
    }
    // Where no recipient is named, no reader is.
    let has_named = how.to.iter().any(|one| matches!(one, Recipient::Named(_)));
    Ok(Some(if has_named { Recipient::Named(author) } else { Recipient::Hidden(author) }))
}

/// `--to ADDRESS... FILE...`: the last words after `--to` are messages when they are no addresses, or files have these names.
fn trailing_files(addresses: &mut Vec<String>) -> Vec<PathBuf> {
    let is_file = |word: &String| address::list(word).is_err() || Path::new(word).is_file();
    let count = addresses.iter().skip(1).rev().take_while(|word| is_file(word)).count();
    addresses.split_off(addresses.len() - count).into_iter().map(PathBuf::from).collect()
}

fn signers(shaping: &Shaping) -> Result<Vec<Signer>> {
    let named = |keys: &[String]| keys.iter().map(|key| Ok(Signer::Key(Handle::parse(key)?))).collect::<Result<_>>();
    let mut signers: Vec<Signer> = match (&shaping.signer, shaping.key.as_slice()) {
        (Some(address), _) => vec![Signer::Address(input::address(address)?)],
        (None, []) => vec![Signer::Author],
        (None, keys) => named(keys)?,
    };
    signers.extend(named(&shaping.also_sign)?);
    Ok(signers)
}

/// Addresses as people write them: `bob@example.org`, `Bob <bob@example.org>`, several separated by commas.
fn recipients(typed: &[String]) -> Result<Vec<Address>> {
    let mut to = Vec::new();
    for typed in typed {
        // clap gives `--to` every word that follows it, the name of the message too.
        let list = address::list(typed).ok().filter(|list| !list.is_empty()).ok_or_else(|| {
            let wrong = Error::usage(format!("address {typed:?}: not in the form local@domain"));
            match Handle::parse(typed) {
                Ok(_) if !Path::new(typed).exists() => wrong.with_hint(format!(
                    "--to takes addresses; `postseal key show {typed}` lists those of a key, and `postseal key trust` says which key is meant"
                )),
                _ => wrong.with_hint("the message's name after --to needs another option or -- before it"),
            }
        })?;
        to.extend(list.into_iter().map(|mailbox| mailbox.address));
    }
    Ok(to)
}

/// The passwords of the message: those that are given, or one that is typed.
fn passwords(session: &Session) -> Result<Vec<Secret>> {
    match session.given_passphrases()? {
        none if none.is_empty() => Ok(vec![passphrase::typed("encrypt --password", "the message", "")?]),
        given => Ok(given),
    }
}

/// The shape that the options of both verbs ask for.
fn shape(shaping: &Shaping) -> Result<Shape> {
    match (shaping.format, shaping.inline, shaping.opaque) {
        (Format::Smime, true, _) => {
            Err(Error::usage("--inline: S/MIME has no inline form").with_hint("leave it out, or take --opaque"))
        }
        (_, true, false) => Ok(Shape::Inline),
        (Format::Pgp, false, true) => {
            Err(Error::usage("--opaque: OpenPGP has no opaque MIME form").with_hint("add --inline"))
        }
        (_, _, true) => Ok(Shape::Opaque),
        (_, false, false) => Ok(Shape::Mime),
    }
}

fn shaped(shaping: &Shaping) -> Result<Seal> {
    if shaping.format != Format::Smime && shaping.padding != values::Padding::Pkcs1 {
        return Err(Error::usage("--padding: OpenPGP and PEM leave no choice").with_hint("-f smime"));
    }
    Ok(Seal {
        padding: match shaping.padding {
            values::Padding::Pkcs1 => Padding::Pkcs1,
            values::Padding::PssOaep => Padding::PssOaep,
        },
        digest: shaping.digest.as_deref().map(Hash::parse).transpose()?,
        ..Seal::default()
    })
}

fn with_headers(how: Seal, shaping: &Shaping) -> Seal {
    let usual = how.with_usual_headers(protocol(shaping));
    let headers = shaping.protect_headers.map_or(usual.headers, |asked| match asked {
        ProtectHeaders::None => Headers::Outside,
        ProtectHeaders::Clear => Headers::Clear,
        ProtectHeaders::Baseline => Headers::Baseline,
        ProtectHeaders::Shy => Headers::Shy,
    });
    Seal { headers, ..usual }
}

fn protocol(shaping: &Shaping) -> ProtocolName {
    match shaping.format {
        Format::Pem => ProtocolName::Pem,
        Format::Pgp => ProtocolName::Pgp,
        Format::Smime => ProtocolName::Smime,
    }
}

fn seal(shaping: &Shaping, how: &Seal, message: &Message, place: &Place, session: &Session) -> Result<()> {
    let protocol = protocol(shaping);
    let (inputs, output, label) = (place.inputs(), place.output.as_deref(), place.label());
    progress::now(&format!("sealing {label}"));
    prompt::is_for(&format!("to sign {}", if label == "-" { "a message" } else { &label }));
    let sealed = match (shaping.split, output) {
        (Some(size), Some(output)) => {
            let mut octets = Vec::new();
            let sealed = session.seal(protocol, message, how, &mut octets)?;
            pieces::write(octets, size, output, inputs, session)?;
            sealed
        }
        _ => {
            let mut output = Output::create(output, inputs, Privacy::Umask)?;
            let sealed = session.seal(protocol, message, how, &mut output)?;
            output.commit()?;
            sealed
        }
    };
    report(&sealed);
    ending::warn(protocol, &sealed.signers, session)
}

/// Prints warnings. Nothing is printed on success, as with `gpg` and `openssl` in scripts.
fn report(sealed: &Sealed) {
    for warning in &sealed.warnings {
        show::warning(warning);
    }
    for hint in &sealed.hints {
        show::hint(&words(hint));
    }
}
