//! An order in progress, as it is kept in the home.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde::{Deserialize, Serialize};

use super::{Challenge, account::AccountKey};
use crate::{
    audit::Event,
    base::{Budget, Clock, Error, Limits, Random, Result, Secret, hex},
    crypto::Hash,
    keys::{Handle, Keys, Memory, ProtocolName, Query, Record, Want},
    mail::{Address, Envelope, ForwardPath, Mail, Message, ReversePath, Submitter, address::Mailbox, compose::Draft},
    protocol::{Described, smime::keyfile},
    store::{Intake, Keystore},
};

/// An order of a certificate for one address. One address has one order at a time.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Order {
    /// The URL of the authority's directory.
    pub directory: String,
    address: String,
    /// The fingerprint of the certificate whose key gets the new one.
    key: String,
    pub(super) url: String,
    pub(super) authorization: Option<String>,
    pub(super) finalize: String,
    pub(super) asked: Option<Asked>,
    /// Seconds since 1970.
    begun: u64,
    /// Whether the authority was not yet asked what it waits for. Its mail may come meanwhile.
    #[serde(default)]
    opening: bool,
}

/// What the authority waits for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Asked {
    /// The URL of the challenge.
    pub(super) url: String,
    /// Whom the challenge mail is from.
    pub(super) from: String,
    /// The second part of the token.
    pub(super) token: String,
    /// The first parts of the tokens that were answered.
    #[serde(default)]
    pub(super) answered: Vec<String>,
    /// Whether the authority was told that an answer was sent.
    #[serde(default)]
    pub(super) is_told: bool,
}

/// What a new order is made of.
pub(super) struct NewOrder<'a> {
    pub(super) directory: &'a str,
    pub(super) address: &'a Address,
    pub(super) key: &'a Handle,
    pub(super) url: String,
    pub(super) authorization: Option<String>,
    pub(super) finalize: String,
    pub(super) asked: Option<Asked>,
}

impl Order {
    pub(super) fn new(new: NewOrder<'_>, now: SystemTime) -> Order {
        Order {
            directory: new.directory.to_owned(),
            address: new.address.to_string(),
            key: new.key.as_str().to_owned(),
            url: new.url,
            authorization: new.authorization,
            finalize: new.finalize,
            asked: new.asked,
            opening: false,
            begun: now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs(),
        }
    }

    /// The order for an address, if there is one in `home`.
    ///
    /// # Errors
    ///
    /// Those of the home; `Damaged` when it cannot be read.
    pub fn of(address: &Address, home: &Keystore) -> Result<Option<Order>> {
        let Some(octets) = home.sealed_file(&file(address))? else { return Ok(None) };
        read(&octets).map(Some)
    }

    /// All orders in `home`.
    ///
    /// # Errors
    ///
    /// Those of the home; `Damaged` when one cannot be read.
    pub fn all(home: &Keystore) -> Result<Vec<Order>> {
        let mut orders = Vec::new();
        for name in home.sealed_files()?.iter().filter(|name| name.starts_with(ORDER)) {
            orders.extend(home.sealed_file(name)?.map(|octets| read(&octets)).transpose()?);
        }
        Ok(orders)
    }

    /// Whether it was interrupted before the authority said what it waits for: it is of no use then, unless another process is at it.
    pub fn is_opening(&self) -> bool {
        self.opening
    }

    /// The order before the authority said what it waits for.
    pub(super) fn opening(self) -> Order {
        Order { opening: true, ..self }
    }

    /// Stores it as it is now.
    ///
    /// # Errors
    ///
    /// Those of the home.
    pub fn keep(&self, home: &Keystore) -> Result<()> {
        // Strings and numbers always serialize.
        let octets = Secret::new(serde_json::to_vec(self).unwrap_or_default());
        home.seal_file(&file(&self.address()?), &octets)
    }

    /// Removes it: it is done, or has failed.
    ///
    /// # Errors
    ///
    /// Those of the home.
    pub fn forget(&self, home: &Keystore) -> Result<()> {
        for name in self.files_of_noted(home)? {
            home.remove_sealed_file(&name)?;
        }
        home.remove_sealed_file(&file(&self.address()?))
    }

    /// Notes a challenge that came, for the process that answers it.
    ///
    /// # Errors
    ///
    /// `Malformed`: it is not from where the authority said. `Usage`: it was answered before, or as many are noted as are answered. Those of the home.
    pub fn note(&self, challenge: &Challenge, home: &Keystore) -> Result<()> {
        let answered = self.asked.as_ref().map(|asked| asked.answered.as_slice()).unwrap_or_default();
        let refused = |why: &str| Error::usage(format!("acme order for {}: {why}", self.address));
        if answered.contains(&challenge.token) {
            return Err(refused("this challenge was answered before"));
        }
        if !self.opening {
            self.check(challenge)?;
        }
        if self.files_of_noted(home)?.len() + answered.len() >= MAX_ANSWERS {
            return Err(refused("several challenges came already"));
        }
        // Strings always serialize.
        let octets = Secret::new(serde_json::to_vec(challenge).unwrap_or_default());
        home.seal_file(&self.file_of(challenge)?, &octets)
    }

    /// The challenges that were noted. What cannot be read is none.
    pub(super) fn noted(&self, home: &Keystore) -> Result<Vec<Challenge>> {
        let mut noted = Vec::new();
        for name in self.files_of_noted(home)? {
            let octets = home.sealed_file(&name)?;
            noted.extend(octets.and_then(|octets| serde_json::from_slice(octets.expose()).ok()));
        }
        Ok(noted)
    }

    /// A noted challenge is done with.
    pub(super) fn answered_noted(&self, challenge: &Challenge, home: &Keystore) -> Result<()> {
        home.remove_sealed_file(&self.file_of(challenge)?)
    }

    fn files_of_noted(&self, home: &Keystore) -> Result<Vec<String>> {
        let prefix = format!("{CHALLENGE}{}-", digest(&self.address()?));
        Ok(home.sealed_files()?.into_iter().filter(|name| name.starts_with(&prefix)).collect())
    }

    fn file_of(&self, challenge: &Challenge) -> Result<String> {
        let token = hex(&Hash::Sha256.digest(challenge.token.as_bytes()));
        Ok(format!("{CHALLENGE}{}-{}", digest(&self.address()?), token.get(..16).unwrap_or_default()))
    }

    /// Whose certificate it is.
    ///
    /// # Errors
    ///
    /// `Malformed` when what is kept is none.
    pub fn address(&self) -> Result<Address> {
        Address::parse(&self.address)
    }

    /// Whom the challenge mail is from.
    ///
    /// # Errors
    ///
    /// `Malformed` when the authority waits for no answer, or named no address.
    pub fn from(&self) -> Result<Address> {
        let waits = || Error::malformed(format!("acme order for {}", self.address), "waits for no mail");
        Address::parse(&self.asked.as_ref().ok_or_else(waits)?.from)
    }

    /// Whether the authority waits for an answer to its mail, and none was sent.
    pub fn waits_for_mail(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.answered.is_empty())
    }

    /// Whether the authority said that its challenge comes from where this one does.
    ///
    /// # Errors
    ///
    /// `Malformed`: it comes from elsewhere, or the authority waits for no answer.
    pub fn check(&self, challenge: &Challenge) -> Result<()> {
        let (said, from) = (self.from()?, Address::parse(&challenge.from)?);
        let place = format!("challenge for {}", self.address);
        match said == from {
            true => Ok(()),
            false => Err(Error::malformed(place, format!("it is from {from}, and the server said {said}"))),
        }
    }

    /// When it was made.
    pub fn begun(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.begun)).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// The certificate whose key gets the new one.
    ///
    /// # Errors
    ///
    /// `NoKey` when it is not in `keys` any more.
    pub fn record(&self, keys: &dyn Keys) -> Result<Arc<Record>> {
        let key = Handle::parse(&self.key)?;
        let found = keys.find(ProtocolName::Smime, &Query::manage(Want::Certificate(&key)))?.pop();
        found.ok_or_else(|| Error::no_key(format!("key {key}: was removed after a certificate for it was ordered")))
    }

    /// The answer to `challenge` (RFC 8823, section 3.2), to be sent before the authority is told. The same challenge gets one answer only, and an
    /// order has a few at most.
    ///
    /// # Errors
    ///
    /// `Malformed`: it is not from where the authority said. `Usage`: it was answered before, or there were too many.
    pub(super) fn reply(&mut self, challenge: &Challenge, key: &AccountKey, writing: &Writing<'_>) -> Result<Mail> {
        let reply_to = Address::parse(&challenge.reply_to)?;
        let (address, waiting) = (self.address()?, format!("acme order for {}", self.address));
        self.check(challenge)?;
        let Some(asked) = &mut self.asked else { return Err(Error::malformed(waiting, "waits for no mail")) };
        if asked.answered.contains(&challenge.token) {
            return Err(Error::usage(format!("{waiting}: this challenge was answered before")));
        }
        if asked.answered.len() >= MAX_ANSWERS {
            return Err(Error::usage(format!("{waiting}: {MAX_ANSWERS} challenges were answered")));
        }
        asked.answered.push(challenge.token.clone());
        asked.is_told = false;
        let authorization = format!("{}{}.{}", challenge.token, asked.token, key.thumbprint());
        let digest = BASE64.encode(Hash::Sha256.digest(authorization.as_bytes()));
        let text = format!("-----BEGIN ACME RESPONSE-----\r\n{digest}\r\n-----END ACME RESPONSE-----\r\n");
        let draft = Draft {
            from: Mailbox { name: None, address: address.clone() },
            to: vec![reply_to.clone()],
            subject: Some(format!("Re: ACME: {}", challenge.token)),
        };
        let mut octets = Vec::new();
        if let Some(id) = &challenge.message_id {
            octets.extend(format!("In-Reply-To: {id}\r\nReferences: {id}\r\n").into_bytes());
        }
        octets.extend(draft.message(text.as_bytes(), writing.clock, writing.random)?);
        let message = Message::parse(octets, &mut Budget::new(writing.limits.clone()))?;
        let recipients = vec![ForwardPath { address: reply_to, parameters: Vec::new() }];
        let sender = ReversePath { address: Some(address), parameters: Vec::new() };
        Ok(Mail { envelope: Envelope { sender, recipients }, submitter: Submitter::Trusted, client: None, message })
    }

    /// Imports the certificate that was issued, with its issuers; returns its record. No trust anchor comes with it.
    ///
    /// # Errors
    ///
    /// `Malformed`: it is not for the key and the address of the order. Those of the home.
    pub fn install(&self, certificates: &[u8], home: &Keystore, now: SystemTime) -> Result<Arc<Record>> {
        let place = format!("certificate of {}", self.directory);
        let (old, address) = (self.record(home)?, self.address()?);
        let found = home.read(&[(&place, certificates)])?.found;
        let is_it = |one: &&Described| {
            let record = &one.record;
            record.protocol() == ProtocolName::Smime
                && keyfile::share_key(record, &old).unwrap_or_default()
                && record.claimed().contains(&address)
        };
        let issued = found.iter().find(is_it).map(|one| one.record.fingerprint().clone());
        let issued = issued.ok_or_else(|| {
            Error::malformed(&place, format!("not one for the key {} and {address}", old.fingerprint()))
        })?;
        home.take_in(&Intake { certificates: &found, event: Event::Enrol, ..Intake::default() }, &Memory::new(), now)?;
        let stored = home.find(ProtocolName::Smime, &Query::manage(Want::Certificate(&issued)))?.pop();
        stored.ok_or_else(|| Error::no_key(format!("key {issued}: was removed at once")))
    }
}

/// What a mail is written with.
#[derive(Clone, Copy)]
pub struct Writing<'a> {
    /// For Date.
    pub clock: &'a dyn Clock,
    /// For Message-ID.
    pub random: &'a dyn Random,
    /// Limits on one message.
    pub limits: &'a Limits,
}

fn read(octets: &Secret) -> Result<Order> {
    serde_json::from_slice(octets.expose()).map_err(|_| Error::damaged("acme order", "cannot be read"))
}

/// The name of the file of an address's order.
fn file(address: &Address) -> String {
    format!("{ORDER}{}", digest(address))
}

/// What stands for an address in the names of files.
pub(super) fn digest(address: &Address) -> String {
    let digest = hex(&Hash::Sha256.digest(address.to_string().to_ascii_lowercase().as_bytes()));
    digest.get(..32).unwrap_or_default().to_owned()
}

const ORDER: &str = "order-";
const CHALLENGE: &str = "challenge-";
/// Challenges of one order that are answered. Source: an authority sends one; another subscriber's order for the same address brings a second.
const MAX_ANSWERS: usize = 3;
