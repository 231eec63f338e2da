//! Keys for local users who have none, made when they first send mail.

use std::{
    collections::HashSet,
    fs::{DirBuilder, OpenOptions},
    ops::Range,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::environment::Environment;
use crate::{
    audit::Event,
    base::{Clock, Error, Limits, Random, Result},
    config::{Config, Provisioning},
    engine::{Handler, Outcome, Posting},
    keys::{Keys, ProtocolName, Query, Source, Want},
    mail::{Address, Mail, Message, Submitter, header},
    protocol::{
        pgp,
        smime::{
            self,
            authority::{Authority, authorities},
        },
    },
    store::{Keystore, NewKey},
};

/// Makes keys.
pub(super) struct Provisioner {
    config: Config,
    /// Every source: a key in any of them is a key.
    keys: Arc<dyn Keys>,
    home: Arc<Keystore>,
    folder: PathBuf,
    settings: Provisioning,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// Addresses that have a key. One process makes one key at a time.
    known: Mutex<HashSet<Address>>,
}

impl Provisioner {
    /// What `[provisioning]` says, if it says anything and there is a home.
    pub(super) fn of(config: &Config, environment: &Environment) -> Option<Provisioner> {
        let folder = config.home().map(Path::to_path_buf);
        Some(Provisioner {
            config: config.clone(),
            keys: Arc::clone(&environment.keys),
            home: Arc::clone(environment.home.as_ref()?),
            folder: folder?,
            settings: config.provisioning.clone()?,
            clock: Arc::clone(&environment.clock),
            random: Arc::clone(&environment.random),
            known: Mutex::default(),
        })
    }

    /// Makes the keys for the author of `mail`, if the author is the user who logged in, or an address that is listed for that user, and has none.
    /// A user who had a key that ended or was revoked gets no other: that is for the administrator to decide.
    fn provide(&self, mail: &Mail) -> Result<()> {
        let Submitter::Authenticated(login) = &mail.submitter else { return Ok(()) };
        let Ok(author) = header::author(mail.message.root()) else { return Ok(()) };
        let Some(mailbox) = self.config.policy.own_mailbox(login, &author) else { return Ok(()) };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&mailbox) {
            return Ok(());
        }
        let place = self.folder.join("provisioning.lock");
        let io = |error| Error::io(place.display(), &error);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(io)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&place);
        let lock = lock.and_then(|lock| lock.lock().map(|()| lock)).map_err(io)?;
        for protocol in self.settings.protocols.iter().copied() {
            if !self.has_key(protocol, &mailbox)? {
                self.make(protocol, &mailbox)?;
            }
        }
        known.insert(mailbox);
        drop(lock);
        Ok(())
    }

    fn has_key(&self, protocol: ProtocolName, address: &Address) -> Result<bool> {
        let found = self.keys.find(protocol, &Query::manage(Want::Address(address)))?;
        Ok(found.iter().any(|record| !record.secrets().is_empty() || record.source(address) == Source::Owner))
    }

    fn make(&self, protocol: ProtocolName, address: &Address) -> Result<()> {
        let key = match protocol {
            ProtocolName::Smime => self.certified(address)?,
            _ => {
                let mut request = pgp::generate::Request::new(address.clone());
                request.validity = Some(self.settings.validity);
                let generated = pgp::generate::generate(&request, &*self.clock)?;
                NewKey::of_person(generated.described).with_revocation(generated.revocation)
            }
        };
        let fingerprint = key.record().fingerprint().clone();
        self.home.take_new_as(Event::Provision, vec![key], self.clock.now())?;
        tracing::info!(event = "key-generated", %address, key = %fingerprint);
        Ok(())
    }

    /// A key with a certificate that the authority of the home issued.
    fn certified(&self, address: &Address) -> Result<NewKey> {
        let mut found = authorities(&*self.home)?;
        found.retain(|record| match &self.settings.authority {
            Some(named) => record.has(named),
            None => record.withdrawal().is_none(),
        });
        let authority = match found.as_slice() {
            [authority] => authority,
            [] => {
                return Err(Error::no_key(
                    "provisioning: no certification authority with its secret key is in the home",
                ));
            }
            _ => {
                return Err(Error::no_key(
                    "provisioning: several certification authorities are in the home, and ca names none",
                ));
            }
        };
        let mut request = smime::generate::Request::new(address.clone());
        request.validity = Some(self.settings.validity);
        let authority = Authority::open(authority, &*self.home, &self.config.bounds.message)?;
        authority.generate(&request, &*self.clock, &*self.random).map(NewKey::of_person)
    }
}

/// A handler whose users get keys.
pub struct ProvisioningHandler<H> {
    handler: H,
    provisioner: Option<Provisioner>,
}

impl<H: Handler> ProvisioningHandler<H> {
    pub(super) fn new(handler: H, provisioner: Option<Provisioner>) -> Self {
        ProvisioningHandler { handler, provisioner }
    }
}

impl<H: Handler> Handler for ProvisioningHandler<H> {
    /// Without a key the rules decide, as for any author without one.
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        if let Some(provisioner) = &self.provisioner
            && let Err(error) = provisioner.provide(&mail)
        {
            tracing::warn!(event = "key-not-generated", %error);
        }
        self.handler.handle(mail)
    }

    fn copies(&self, posting: &Posting, numbers: Range<usize>) -> Result<Vec<Mail>> {
        self.handler.copies(posting, numbers)
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        self.handler.mark(mail)
    }

    fn receive(&self, octets: Vec<u8>, limits: &Limits) -> Result<Message> {
        self.handler.receive(octets, limits)
    }
}
