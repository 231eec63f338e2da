//! What is sealed: the message as it is read, and whom it is for.

use postseal::{
    base::{Error, Result, SystemRandom},
    mail::{
        Address, Message,
        address::{self, mailbox},
        compose::Draft,
        form,
    },
};

use crate::cli::{
    args::{Encrypt, Shaping},
    cmd::many::Place,
    input,
    output::{Output, Privacy},
    session::Session,
    show::{
        self,
        progress::{self, Progress},
    },
};

/// What becomes of a message that may be encrypted already.
pub(super) enum Encrypted {
    /// It was, and went on as it is.
    PassedOn,
    /// It is encrypted now.
    Now,
}

/// Passes a message on that is encrypted already, or refuses it, as the options say.
pub(super) fn passed_on(what: &Encrypt, message: &Message, place: &Place, session: &Session) -> Result<Encrypted> {
    if what.again || !session.engine_without_keys().is_encrypted(message) {
        return Ok(Encrypted::Now);
    }
    if what.keep {
        show::warning("already encrypted; passed on as it is, and its recipients are not known here");
        return pass_on(message, place).map(|()| Encrypted::PassedOn);
    }
    Err(Error::malformed(place.label(), "already encrypted, perhaps to others")
        .with_hint("--keep passes it on as it is, --again encrypts once more"))
}

/// The recipients that the header names (RFC 5322, section 3.6.3). One copy for those in Bcc too would show the others that they got it.
pub(super) fn addressees(message: &Message) -> Result<Vec<Address>> {
    let mut to = Vec::new();
    for field in message.root().fields().filter(|field| ["To", "Cc", "Bcc"].iter().any(|name| field.is(name))) {
        let value = field.unfolded();
        let named = if value.trim().is_empty() { Vec::new() } else { address::list(&value)? };
        if field.is("Bcc") && !named.is_empty() {
            return Err(Error::usage("Bcc names recipients, who need a copy of their own")
                .with_hint("--to ADDRESS... names the recipients of this copy"));
        }
        to.extend(
            named
                .into_iter()
                .map(|mailbox| mailbox.address)
                .filter(|address| !to.contains(address))
                .collect::<Vec<_>>(),
        );
    }
    if to.is_empty() {
        return Err(Error::usage("no recipient: To and Cc name none").with_hint("--to ADDRESS, or --password"));
    }
    Ok(to)
}

pub(super) fn reading(place: &Place) -> Progress {
    progress::begin(&format!("reading {}", place.label()))
}

/// The input message, or the message that `--text` makes for `to`.
pub(super) fn read(shaping: &Shaping, place: &Place, to: &[Address], session: &Session) -> Result<Message> {
    let (name, mut budget) = (place.input.as_deref(), session.budget());
    let Some(from) = &shaping.draft.from else { return input::message(name, &mut budget) };
    let from = mailbox(from).map_err(|error| Error::usage(error.to_string()))?;
    let draft = Draft { from, to: to.to_vec(), subject: shaping.draft.subject.clone() };
    let message = draft.message(&input::octets(name, &budget)?, session.clock(), &SystemRandom)?;
    Message::parse(message, &mut budget)
}

/// The header stays readable, so the input must have one: otherwise text would leak.
pub(super) fn require_message(message: &Message, place: &Place) -> Result<()> {
    let hint = "--text makes a message of a text, with --from, --to and --subject";
    form::require_message(message).map_err(|error| error.of(&place.label()).with_hint(hint))
}

fn pass_on(message: &Message, place: &Place) -> Result<()> {
    use std::io::Write;
    let mut output = Output::create(place.output.as_deref(), place.inputs(), Privacy::Umask)?;
    output.write_all(message.octets()).map_err(|e| Error::io("output", &e))?;
    output.commit()
}
