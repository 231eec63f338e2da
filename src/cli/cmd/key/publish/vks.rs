//! Uploads keys to a key server that verifies addresses (VKS, the interface of keys.openpgp.org).

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use postseal::{
    base::{Error, Network, Result},
    discover::{
        Addresses, Resolver,
        http::{Bounds, Client, Plain},
    },
};
use serde::Deserialize;

use super::choice::Published;

/// A key server.
pub(super) struct Server {
    client: Client,
    url: String,
}

/// The answer to an upload and to a request for verification.
#[derive(Deserialize)]
struct Answer {
    token: String,
    status: BTreeMap<String, String>,
}

impl Server {
    /// The server at `url`, whose certificate leads to a root certificate in `roots`, or of this machine. The owner names it, so that it may be in the own network.
    pub(super) fn new(url: &str, roots: Option<&Path>) -> Result<Server> {
        let everywhere = ["0.0.0.0/0", "::/0"].map(Network::parse).into_iter().collect::<Result<Vec<_>>>()?;
        let resolver = Arc::new(Resolver::new(&[])?);
        let client = Client::new(resolver, Addresses::public_and(everywhere), roots)?;
        let url = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
        Ok(Server { client, url: url.trim_end_matches('/').to_owned() })
    }

    /// Uploads a key, and asks the server to send mail to its address, unless the server knows already that the owner wants it published. Returns the line that
    /// says what became of it.
    pub(super) fn publish(&self, published: &Published) -> Result<String> {
        let Published { address, record, key } = published;
        let text = serde_json::json!({ "keytext": key.armored()? });
        let uploaded = self.ask("upload", &text)?;
        let is_this = |named: &&String| postseal::mail::Address::parse(named).is_ok_and(|named| named == *address);
        let status = uploaded.status.iter().find(|(named, _)| is_this(named)).map(|(_, status)| status.as_str());
        let state = match status {
            Some("published") => "published".to_owned(),
            Some("revoked") => "published as revoked".to_owned(),
            Some("unpublished" | "pending") => {
                let verify = serde_json::json!({ "token": uploaded.token, "addresses": [address.to_string()] });
                self.ask("request-verify", &verify)?;
                "uploaded; the server sends mail to the address, with a link that publishes the key".to_owned()
            }
            _ => return Err(Error::unavailable(format!("{}: does not name {address} in its answer", self.url))),
        };
        Ok(format!("{address}  {}  {state}\n", record.fingerprint()))
    }

    fn ask(&self, verb: &str, what: &serde_json::Value) -> Result<Answer> {
        let url = format!("{}/vks/v1/{verb}", self.url);
        let bounds = Bounds { octets: MAX_ANSWER, deadline: Instant::now() + TIMEOUT, plain: Plain::Refuse };
        let answer = self.client.post(&url, "application/json", what.to_string().as_bytes(), &bounds);
        let answer = answer.map_err(|failure| failure.error(&url))?;
        serde_json::from_slice(&answer)
            .map_err(|_| Error::unavailable(format!("{url}: not the answer of a key server")))
    }
}

/// Octets. Source: an answer has a token and a line for each user ID.
const MAX_ANSWER: usize = 64 * 1024;
/// For one request. Source: keys.openpgp.org answers in two seconds.
const TIMEOUT: Duration = Duration::from_secs(30);
