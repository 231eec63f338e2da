//! The steps from an address to its certificate (RFC 8555, section 7; RFC 8823, section 3).

use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde_json::json;

use super::{
    Challenge, Order, Settings,
    account::Account,
    object::{Authorization, ChallengeObject, OrderObject, Problem, Status},
    order::{Asked, NewOrder, Writing},
    server::{Refusal, Server},
};
use crate::{
    base::{Error, Kind, Result, Secret, hex},
    crypto::Hash,
    keys::{Keys as _, Record},
    mail::{Address, Mail},
    protocol::smime::export::request_der,
    store::Keystore,
};

/// The account of a home at one authority.
pub struct Enrolment<'a> {
    settings: &'a Settings,
    home: &'a Keystore,
    server: Server,
    now: SystemTime,
}

/// How far an order is.
#[derive(Clone, Debug)]
pub enum Progress {
    /// The authority failed to validate the address, or gave up the order; the reason. It is of no use any more.
    Failed(String),
    /// The certificate and its issuers, in PEM.
    Issued(Vec<u8>),
    /// The authority is not done; how long it asks to wait.
    Waiting(Option<Duration>),
}

impl<'a> Enrolment<'a> {
    /// Asks the authority for its directory. `timeout` is that of one request.
    ///
    /// # Errors
    ///
    /// `Config`: the URL or the root certificates. `Unavailable`: there is no answer.
    pub fn open(
        settings: &'a Settings,
        home: &'a Keystore,
        now: SystemTime,
        timeout: Duration,
    ) -> Result<Self, Refusal> {
        Ok(Enrolment { settings, home, server: Server::open(settings, now, timeout)?, now })
    }

    /// Orders a certificate for `address` and the key of `record`. The authority sends its challenge then, unless it knows the address already.
    /// The order is kept in the home.
    ///
    /// # Errors
    ///
    /// [`Refusal`]
    pub fn order(&self, address: &Address, record: &Record) -> Result<Order, Refusal> {
        if address.to_string().contains('*') {
            return Err(Error::usage(format!("{address}: an address with a * cannot be ordered")).into());
        }
        let account = self.account()?;
        let payload = json!({ "identifiers": [{ "type": "email", "value": address.to_string() }] });
        let (url, reply) = self.server.create(&account, self.server.new_order(), &payload)?;
        let object: OrderObject = reply.object()?;
        let [authorization] = object.authorizations.as_slice() else {
            return Err(Error::malformed(&url, "not an order with one authorization").into());
        };
        let authorization = self.server.url(Some(authorization.clone()), "authorization")?;
        let found: Authorization = self.server.post(&account, &authorization, None)?.object()?;
        let is_it = |address: &Address| Address::parse(&found.identifier.value).is_ok_and(|other| other == *address);
        if found.identifier.kind != "email" || !is_it(address) {
            return Err(Error::malformed(&authorization, format!("an authorization of another than {address}")).into());
        }
        let asked = match found.status {
            Status::Valid => None,
            _ => Some(self.asked(&authorization, &found.challenges)?),
        };
        let finalize = self.server.url(object.finalize, "place for the request")?;
        let (directory, key) = (&*self.settings.directory, record.fingerprint());
        let new = NewOrder { directory, address, key, url, authorization: Some(authorization), finalize, asked };
        let order = Order::new(new, self.now);
        order.keep(self.home)?;
        Ok(order)
    }

    fn asked(&self, authorization: &str, challenges: &[ChallengeObject]) -> Result<Asked> {
        let challenge = challenges.iter().find(|challenge| challenge.kind == "email-reply-00");
        let refused = |why| Error::new(Kind::NoKey, format!("{authorization}: {why}"));
        let challenge = challenge.ok_or_else(|| refused("the server offers no challenge by mail (email-reply-00)"))?;
        let from = challenge.from.as_deref().and_then(|from| Address::parse(from).ok());
        let from = from.ok_or_else(|| refused("the challenge does not say whom its mail is from"))?;
        let token = challenge.token.clone().filter(|token| is_token(token));
        let token = token.ok_or_else(|| refused("the challenge has no token"))?;
        let url = self.server.url(Some(challenge.url.clone()), "challenge")?;
        Ok(Asked { url, from: from.to_string(), token, answered: Vec::new(), is_told: false })
    }

    /// The answer to a challenge, which is sent before [`Enrolment::answered`] tells the authority. The order is kept before the answer is returned: the same
    /// challenge is never answered twice.
    ///
    /// # Errors
    ///
    /// `Malformed`: it is not from where the authority said. `Usage`: it was answered before, or there were too many. Those of the home.
    pub fn reply(&self, order: &mut Order, challenge: &Challenge, writing: &Writing<'_>) -> Result<Mail> {
        let mail = order.reply(challenge, &self.known_account()?.key, writing)?;
        order.keep(self.home)?;
        Ok(mail)
    }

    /// Tells the authority that the answer was sent, if one was and the authority does not know.
    ///
    /// # Errors
    ///
    /// [`Refusal`]
    pub fn answered(&self, order: &mut Order) -> Result<(), Refusal> {
        let account = self.known_account()?;
        let Some(asked) = order.asked.as_mut().filter(|asked| !asked.answered.is_empty() && !asked.is_told) else {
            return Ok(());
        };
        self.server.post(&account, &asked.url, Some(&json!({})))?;
        asked.is_told = true;
        Ok(order.keep(self.home)?)
    }

    /// Takes the next step: asks how far the order is, requests the certificate, or fetches it.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; `NoKey` when the key of the order cannot be used.
    pub fn advance(&self, order: &Order) -> Result<Progress, Refusal> {
        let account = self.known_account()?;
        let reply = self.server.post(&account, &order.url, None)?;
        let mut object: OrderObject = reply.object()?;
        let mut wait = reply.wait;
        if object.status == Status::Ready {
            let (record, address) = (order.record(self.home)?, order.address()?);
            let secret = self.home.secret(&record, record.fingerprint())?;
            let gone = || Error::no_key(format!("key {}: its secret is gone", record.fingerprint()));
            let request = request_der(&record, secret.ok_or_else(gone)?.as_ref(), &[address])?;
            let payload = json!({ "csr": BASE64.encode(request) });
            let reply = self.server.post(&account, &order.finalize, Some(&payload))?;
            (object, wait) = (reply.object()?, reply.wait);
        }
        match object.status {
            Status::Pending => self.pending(&account, order, wait),
            Status::Ready | Status::Processing => Ok(Progress::Waiting(wait)),
            Status::Valid => {
                let url = self.server.url(object.certificate, "certificate")?;
                Ok(Progress::Issued(self.server.certificates(&account, &url)?.octets().to_vec()))
            }
            Status::Invalid => {
                let why = object.error.as_ref().map(Problem::line);
                match why {
                    Some(why) => Ok(Progress::Failed(why)),
                    None => self.pending(&account, order, wait).map(|found| match found {
                        Progress::Failed(why) => Progress::Failed(why),
                        _ => Progress::Failed("the order is invalid".to_owned()),
                    }),
                }
            }
        }
    }

    /// How far the authorization is.
    fn pending(&self, account: &Account, order: &Order, wait: Option<Duration>) -> Result<Progress, Refusal> {
        let Some(url) = &order.authorization else { return Ok(Progress::Waiting(wait)) };
        let reply = self.server.post(account, url, None)?;
        let found: Authorization = reply.object()?;
        Ok(match found.status {
            Status::Invalid => {
                let why = found.challenges.iter().find_map(|challenge| challenge.error.as_ref()).map(Problem::line);
                Progress::Failed(why.unwrap_or_else(|| "the authorization is invalid".to_owned()))
            }
            _ => Progress::Waiting(wait.max(reply.wait)),
        })
    }

    /// The account, which is made if there is none. Its key is kept before the authority hears of it.
    fn account(&self) -> Result<Account, Refusal> {
        let directory = &self.settings.directory;
        let kept = self.home.sealed_file(&self.file())?;
        let mut account = kept.map_or_else(Account::generate, |kept| Account::read(&kept, directory))?;
        if account.url.is_none() {
            self.home.seal_file(&self.file(), &account.kept(directory))?;
            account.url = Some(self.server.register(&account.key, self.settings)?);
            self.home.seal_file(&self.file(), &account.kept(directory))?;
        }
        Ok(account)
    }

    fn known_account(&self) -> Result<Account> {
        let directory = &self.settings.directory;
        let kept: Option<Secret> = self.home.sealed_file(&self.file())?;
        let gone = || Error::no_key(format!("acme account at {directory}: is gone"));
        Account::read(&kept.ok_or_else(gone)?, directory)
    }

    /// The name of the file of the account.
    fn file(&self) -> String {
        let digest = hex(&Hash::Sha256.digest(self.settings.directory.as_bytes()));
        format!("account-{}", digest.get(..32).unwrap_or_default())
    }
}

/// Whether the second part of a token is in base64url.
fn is_token(token: &str) -> bool {
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'=');
    (1..=512).contains(&token.len()) && token.bytes().all(is_plain)
}
