//! `sign` and `encrypt`.

use std::{path::PathBuf, process::ExitCode};

use postseal::{
    base::{Error, Result, SystemRandom},
    crypto::Hash,
    keys::{Handle, Keys, ProtocolName, Purpose, Query, Want},
    mail::{Address, Message, address::mailbox, compose::Draft, form, header},
    protocol::{Aead, Headers, LegacyDisplay, Padding, Recipient, Seal, Sealed, Shape, Signer},
};

use super::pieces;
use crate::cli::{
    args::{Encrypt, Shaping, Sign},
    hint::words,
    input,
    output::{Output, Privacy},
    session::Session,
    show::{
        self,
        progress::{self, Progress},
    },
    values::{self, Format, ProtectHeaders},
};

/// Signs.
pub(crate) fn sign(what: &Sign, session: &Session) -> Result<ExitCode> {
    let shape = shape(&what.shaping)?;
    let how = with_headers(Seal { sign: signers(&what.shaping)?, shape, ..shaped(&what.shaping)? }, &what.shaping);
    let to: Vec<Address> = what.to.iter().map(|address| input::address(address)).collect::<Result<_>>()?;
    let _progress = reading(&what.shaping);
    let message = read(&what.shaping, to, session)?;
    require_message(&message, &what.shaping)?;
    seal(&what.shaping, &how, &message, session)
}

/// Encrypts, and signs on request.
pub(crate) fn encrypt(mut what: Encrypt, session: &Session) -> Result<ExitCode> {
    if what.shaping.files.input.is_none() {
        what.shaping.files.input = trailing_file(&mut what.to).or_else(|| trailing_file(&mut what.hidden_to));
    }
    let addressed: Vec<Address> = what.to.iter().map(|address| recipient(address)).collect::<Result<_>>()?;
    let named = addressed.iter().cloned().map(|address| Ok(Recipient::Named(address)));
    let hidden = what.hidden_to.iter().map(|address| Ok(Recipient::Hidden(recipient(address)?)));
    let to: Vec<Recipient> = named.chain(hidden).collect::<Result<_>>()?;
    if to.is_empty() && !what.password {
        return Err(Error::usage("no recipient").with_hint("--to ADDRESS, or --password"));
    }
    if what.aead && what.shaping.format == Format::Pem {
        return Err(Error::usage("--aead: PEM has no authenticated encryption").with_hint("-f smime"));
    }
    if what.aead && what.shaping.format == Format::Pgp {
        return Err(Error::usage("--aead: in OpenPGP the recipients' certificates decide").with_hint("-f smime"));
    }
    let shape = match (what.nested, what.triple) {
        (_, true) => Shape::Triple,
        (true, false) => Shape::Nested,
        (false, false) => shape(&what.shaping)?,
    };
    let names_signer = what.shaping.signer.is_some() || !what.shaping.key.is_empty();
    // RFC 1421, section 4.6.1.1.1: an ENCRYPTED message is signed too, by the author unless a signer is named.
    let is_signed = what.sign || what.shaping.format == Format::Pem && names_signer;
    if names_signer && !is_signed {
        return Err(Error::usage("a signer is named, but nothing is signed").with_hint("add --sign"));
    }
    let how = Seal {
        sign: if is_signed { signers(&what.shaping)? } else { Vec::new() },
        to,
        passwords: if what.password { session.given_passphrases()? } else { Vec::new() },
        shape,
        cipher: what.cipher.clone(),
        aead: if what.aead { Aead::Always } else { Aead::Announced },
        legacy_display: if what.legacy_display { LegacyDisplay::Write } else { LegacyDisplay::Omit },
        ..shaped(&what.shaping)?
    };
    let mut how = with_headers(how, &what.shaping);
    if what.legacy_display && how.headers <= Headers::Clear {
        return Err(
            Error::usage("--legacy-display: nothing of the header is hidden").with_hint("--protect-headers baseline")
        );
    }
    let _progress = reading(&what.shaping);
    let message = read(&what.shaping, addressed, session)?;
    if !what.again && session.engine_without_keys().is_encrypted(&message) {
        if what.keep {
            show::warning("already encrypted; passed on as it is, and its recipients are not known here");
            return pass_on(&what.shaping, &message);
        }
        let label = input::label(what.shaping.files.input.as_ref());
        return Err(Error::malformed(label, "already encrypted, perhaps to others")
            .with_hint("--keep passes it on as it is, --again encrypts once more"));
    }
    require_message(&message, &what.shaping)?;
    if !what.no_self && !how.to.is_empty() {
        how.also.extend(own_reader(&message, &how, protocol(&what.shaping), session)?);
    }
    seal(&what.shaping, &how, &message, session)
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

/// `--to ADDRESS... FILE`: the last word after `--to` is the message when it is no address.
fn trailing_file(addresses: &mut Vec<String>) -> Option<PathBuf> {
    let last = addresses.last()?;
    let is_file = last.contains('/') || Address::parse(last).is_err();
    if is_file && addresses.len() > 1 { addresses.pop().map(PathBuf::from) } else { None }
}

fn signers(shaping: &Shaping) -> Result<Vec<Signer>> {
    if let Some(address) = &shaping.signer {
        return Ok(vec![Signer::Address(input::address(address)?)]);
    }
    if shaping.key.is_empty() {
        return Ok(vec![Signer::Author]);
    }
    shaping.key.iter().map(|key| Ok(Signer::Key(Handle::parse(key)?))).collect()
}

/// clap gives `--to` every word that follows it, the name of the message too.
fn recipient(address: &str) -> Result<Address> {
    input::address(address)
        .map_err(|error| error.with_hint("the message's name after --to needs another option or -- before it"))
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

fn reading(shaping: &Shaping) -> Progress {
    progress::begin(&format!("reading {}", input::label(shaping.files.input.as_ref())))
}

/// The input message, or the message that `--text` makes for `to`.
fn read(shaping: &Shaping, to: Vec<Address>, session: &Session) -> Result<Message> {
    let (name, mut budget) = (shaping.files.input.as_deref(), session.budget());
    let Some(from) = &shaping.draft.from else { return input::message(name, &mut budget) };
    let from = mailbox(from).map_err(|error| Error::usage(error.to_string()))?;
    let draft = Draft { from, to, subject: shaping.draft.subject.clone() };
    let message = draft.message(&input::octets(name, &budget)?, session.clock(), &SystemRandom)?;
    Message::parse(message, &mut budget)
}

/// The header stays readable, so the input must have one: otherwise text would leak.
fn require_message(message: &Message, shaping: &Shaping) -> Result<()> {
    let hint = "--text makes a message of a text, with --from, --to and --subject";
    form::require_message(message)
        .map_err(|error| error.of(&input::label(shaping.files.input.as_ref())).with_hint(hint))
}

fn seal(shaping: &Shaping, how: &Seal, message: &Message, session: &Session) -> Result<ExitCode> {
    let protocol = protocol(shaping);
    let inputs: Vec<PathBuf> = shaping.files.input.iter().cloned().collect();
    let output = shaping.files.output.as_deref();
    progress::now(&format!("sealing {}", input::label(shaping.files.input.as_ref())));
    let sealed = match (shaping.split, output) {
        (Some(size), Some(output)) => {
            let mut octets = Vec::new();
            let sealed = session.seal(protocol, message, how, &mut octets)?;
            pieces::write(octets, size, output, &inputs, session)?;
            sealed
        }
        _ => {
            let mut output = Output::create(output, &inputs, Privacy::Umask)?;
            let sealed = session.seal(protocol, message, how, &mut output)?;
            output.commit()?;
            sealed
        }
    };
    report(&sealed);
    Ok(ExitCode::SUCCESS)
}

fn pass_on(shaping: &Shaping, message: &Message) -> Result<ExitCode> {
    use std::io::Write;
    let inputs: Vec<PathBuf> = shaping.files.input.iter().cloned().collect();
    let mut output = Output::create(shaping.files.output.as_deref(), &inputs, Privacy::Umask)?;
    output.write_all(message.octets()).map_err(|e| Error::io("output", &e))?;
    output.commit()?;
    Ok(ExitCode::SUCCESS)
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
