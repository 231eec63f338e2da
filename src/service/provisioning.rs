//! Keys for local users who have none, made when they first send mail.

use std::{
    collections::HashSet,
    fs::{DirBuilder, OpenOptions},
    ops::Range,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    base::{Clock, Error, Result},
    config::{Config, KeySource},
    engine::{Handler, Outcome, Posting},
    keys::{Binding, Keys, Memory, ProtocolName, Query, Source, Want},
    mail::{Address, Mail, Message, Submitter, header},
    protocol::pgp::generate::{Request, generate},
    store::{Intake, Keystore, Origin},
};

/// Makes keys.
pub(super) struct Provisioner {
    config: Config,
    /// Every source: a key in any of them is a key.
    keys: Arc<dyn Keys>,
    home: Arc<Keystore>,
    folder: PathBuf,
    validity: Duration,
    clock: Arc<dyn Clock>,
    /// Addresses that have a key. One process makes one key at a time.
    known: Mutex<HashSet<Address>>,
}

impl Provisioner {
    /// What `[provisioning]` says, if it says anything and there is a home.
    pub(super) fn of(
        config: &Config,
        keys: &Arc<dyn Keys>,
        home: Option<&Arc<Keystore>>,
        clock: &Arc<dyn Clock>,
    ) -> Option<Provisioner> {
        let folder = config.keys.iter().find_map(|source| match source {
            KeySource::Home(folder, _) => Some(folder.clone()),
            KeySource::File(_) => None,
        });
        Some(Provisioner {
            config: config.clone(),
            keys: Arc::clone(keys),
            home: Arc::clone(home?),
            folder: folder?,
            validity: config.provisioning?,
            clock: Arc::clone(clock),
            known: Mutex::default(),
        })
    }

    /// Makes an OpenPGP key for the author of `mail`, if the author is the user who logged in, or an address that is listed for that user, and has no
    /// key. A user who had a key that ended or was revoked gets no other: that is for the administrator to decide.
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
        if !self.has_key(&mailbox)? {
            self.make(&mailbox)?;
        }
        known.insert(mailbox);
        drop(lock);
        Ok(())
    }

    fn has_key(&self, address: &Address) -> Result<bool> {
        let found = self.keys.find(ProtocolName::Pgp, &Query::manage(Want::Address(address)))?;
        Ok(found.iter().any(|record| !record.secrets().is_empty() || record.source(address) == Source::Owner))
    }

    fn make(&self, address: &Address) -> Result<()> {
        let mut request = Request::new(address.clone());
        request.validity = Some(self.validity);
        let generated = generate(&request, &*self.clock)?;
        let fingerprint = generated.described.record.fingerprint().clone();
        let intake = Intake {
            certificates: &[generated.described],
            beliefs: &[(fingerprint.clone(), Binding::UserIds, Origin::Generated)],
            revocation: Some((&fingerprint, &generated.revocation)),
            ..Intake::default()
        };
        self.home.take_in(&intake, &Memory::new(), self.clock.now())?;
        tracing::info!(event = "key-generated", %address, key = %fingerprint);
        Ok(())
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
}
