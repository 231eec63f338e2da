//! The requests to an authority: nonces, signatures, retries, and what a refusal says (RFC 8555, sections 6 and 7).

use std::{
    cell::RefCell,
    fmt,
    time::{Duration, Instant, SystemTime},
};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    Settings, Terms,
    account::{Account, AccountKey},
    object::{Directory, Problem},
    origin::Origin,
};
use crate::{
    base::{Error, Hint, Kind, Result},
    discover::http::{Answer, Ask, Bounds, Client},
};

/// Why the authority did not do what it was asked for.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The reason.
    pub error: Error,
    /// How long it asks to wait (RFC 8555, section 6.6).
    pub wait: Option<Duration>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal { error, wait: None }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        refusal.error
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// What an authority answered.
#[derive(Debug)]
pub(super) struct Reply {
    answer: Answer,
    /// How long it asks to wait until the object is asked for again.
    pub(super) wait: Option<Duration>,
    place: String,
}

impl Reply {
    /// The object that it is.
    pub(super) fn object<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.answer.octets)
            .map_err(|_| Error::malformed(&self.place, "the answer is not the object that was asked for"))
    }

    /// The content.
    pub(super) fn octets(&self) -> &[u8] {
        &self.answer.octets
    }
}

/// An authority.
pub(super) struct Server {
    directory: Directory,
    origin: Origin,
    client: Client,
    /// One to be used (section 6.5).
    nonce: RefCell<Option<String>>,
    now: SystemTime,
    timeout: Duration,
}

impl Server {
    /// The authority with this directory. `timeout` is that of one request.
    pub(super) fn open(settings: &Settings, now: SystemTime, timeout: Duration) -> Result<Server, Refusal> {
        let origin = Origin::of(&settings.directory)?;
        let client = Client::of_named_server(settings.roots.as_deref())?;
        let nonce = RefCell::default();
        let bounds = Bounds { octets: MAX_OBJECT, deadline: Instant::now() + timeout, plain: origin.plain() };
        let answer = client.ask(&settings.directory, Ask::Get, &bounds);
        let answer = answer.map_err(|failure| failure.error(&settings.directory))?;
        let wrong = |why: &str| Error::unavailable(format!("{}: {why}", settings.directory));
        if answer.status != 200 {
            return Err(wrong(&format!("the server answers {}", answer.status)).into());
        }
        let directory: Directory =
            serde_json::from_slice(&answer.octets).map_err(|_| wrong("not a directory of ACME"))?;
        Ok(Server { directory, origin, client, nonce, now, timeout })
    }

    /// Where orders are made.
    pub(super) fn new_order(&self) -> &str {
        &self.directory.new_order
    }

    /// A URL that the server named, if it is at the host of the directory.
    pub(super) fn url(&self, url: Option<String>, what: &str) -> Result<String> {
        let url = url.ok_or_else(|| Error::malformed("acme server", format!("names no {what}")))?;
        self.origin.url(url)
    }

    /// Makes the account known (section 7.3); returns its URL. An account that is known already stays as it is.
    pub(super) fn register(&self, key: &AccountKey, settings: &Settings) -> Result<String, Refusal> {
        let meta = &self.directory.meta;
        if let (Some(terms), Terms::NotAgreed) = (&meta.terms_of_service, settings.terms) {
            let error = Error::new(Kind::NoKey, format!("acme server: its terms of service are at {terms}"));
            return Err(error.with_hint(Hint::AgreeToTerms).into());
        }
        if meta.external_account_required && settings.binding.is_none() {
            let error = Error::new(Kind::NoKey, "acme server: gives accounts to its customers alone");
            return Err(error.with_hint(Hint::BindAccount).into());
        }
        let url = &self.directory.new_account;
        let mut payload = json!({});
        if settings.terms == Terms::Agreed {
            payload["termsOfServiceAgreed"] = true.into();
        }
        if let Some(contact) = &settings.contact {
            payload["contact"] = json!([format!("mailto:{contact}")]);
        }
        if let Some(binding) = &settings.binding {
            payload["externalAccountBinding"] = key.bound(binding, url)?;
        }
        let reply = self.post_as(key, None, url, Some(&payload), MAX_OBJECT)?;
        Ok(self.url(reply.answer.header("location").map(str::to_owned), "account")?)
    }

    /// Posts to a URL, or with no payload asks for what is there.
    pub(super) fn post(&self, account: &Account, url: &str, payload: Option<&Value>) -> Result<Reply, Refusal> {
        self.post_as(&account.key, account.url.as_deref(), url, payload, MAX_OBJECT)
    }

    /// Posts to a URL that makes an object; returns the URL of that too.
    pub(super) fn create(&self, account: &Account, url: &str, payload: &Value) -> Result<(String, Reply), Refusal> {
        let reply = self.post(account, url, Some(payload))?;
        let location = self.url(reply.answer.header("location").map(str::to_owned), "object")?;
        Ok((location, reply))
    }

    /// Asks for the certificates at a URL.
    pub(super) fn certificates(&self, account: &Account, url: &str) -> Result<Reply, Refusal> {
        self.post_as(&account.key, account.url.as_deref(), url, None, MAX_CERTIFICATES)
    }

    fn post_as(
        &self,
        key: &AccountKey,
        account: Option<&str>,
        url: &str,
        payload: Option<&Value>,
        octets: usize,
    ) -> Result<Reply, Refusal> {
        let url = self.origin.url(url.to_owned())?;
        let mut tries = 0;
        loop {
            tries += 1;
            let request = key.request(account, &self.nonce()?, &url, payload)?;
            let answer = self.ask(&url, Ask::Post("application/jose+json", &request), octets)?;
            let wait = answer.header("retry-after").and_then(|text| self.wait(text));
            if (200..300).contains(&answer.status) {
                return Ok(Reply { answer, wait, place: url });
            }
            let problem: Problem = serde_json::from_slice(&answer.octets).unwrap_or_default();
            if problem.name() != "badNonce" || tries >= MAX_TRIES {
                return Err(Refusal { error: refused(&url, answer.status, &problem), wait });
            }
        }
    }

    fn nonce(&self) -> Result<String> {
        if let Some(nonce) = self.nonce.take() {
            return Ok(nonce);
        }
        let url = self.origin.url(self.directory.new_nonce.clone())?;
        self.ask(&url, Ask::Head, MAX_OBJECT)?;
        self.nonce.take().ok_or_else(|| Error::unavailable(format!("{url}: gives no nonce")))
    }

    fn ask(&self, url: &str, ask: Ask<'_>, octets: usize) -> Result<Answer> {
        let bounds = Bounds { octets, deadline: Instant::now() + self.timeout, plain: self.origin.plain() };
        let answer = self.client.ask(url, ask, &bounds).map_err(|failure| failure.error(url))?;
        let is_nonce = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        let nonce = answer.header("replay-nonce").filter(|nonce| nonce.bytes().all(is_nonce));
        *self.nonce.borrow_mut() = nonce.map(str::to_owned);
        Ok(answer)
    }

    /// The value of Retry-After (RFC 9110, section 10.2.3): seconds, or a date.
    fn wait(&self, text: &str) -> Option<Duration> {
        let wait = match text.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_second();
                let date = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(date).ok()?))?;
                date.duration_since(self.now).ok()?
            }
        };
        Some(wait.min(MAX_WAIT))
    }
}

/// What a refusal means for this machine: most are for good.
fn refused(url: &str, status: u16, problem: &Problem) -> Error {
    let is_temporary = status >= 500
        || status == 429
        || matches!(problem.name(), "badNonce" | "rateLimited" | "serverInternal" | "orderNotReady");
    let kind = if is_temporary { Kind::TryAgain } else { Kind::NoKey };
    let error = Error::new(kind, format!("{url}: the server answers {status}: {}", problem.line()));
    match problem.name() {
        "externalAccountRequired" => error.with_hint(Hint::BindAccount),
        "userActionRequired" => {
            error.with_hint("the server wants its subscriber to do something at the address that it names")
        }
        _ => error,
    }
}

/// Octets of a JSON object. Source: an order of one address has less than 2 KiB.
const MAX_OBJECT: usize = 64 * 1024;
/// Octets of a certificate with its issuers.
const MAX_CERTIFICATES: usize = 256 * 1024;
/// Requests for one answer, when the server refuses nonces.
const MAX_TRIES: usize = 4;
/// The longest wait that a server may ask for.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
