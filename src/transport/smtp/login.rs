//! AUTH (RFC 4954), by PLAIN (RFC 4616) and LOGIN: the upstream says whether it is they, or a [`Keeper`](super::Keeper) here.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Login, Reply,
    session::{Next, Session},
    wire::Fault,
};
use crate::{base::Secret, mail, transport::Door};

impl Session<'_> {
    /// Whether AUTH is offered now.
    pub(super) fn may_log_in(&self) -> bool {
        !matches!(self.server.settings.login, Login::None) && self.is_private && self.client.login.is_none()
    }

    /// Where the upstream said that it is they, what they send goes over the connection on which it did.
    pub(super) async fn log_in(&mut self, mechanism: &str, initial: Option<String>) -> Result<Next, Fault> {
        let refusal = match () {
            () if matches!(self.server.settings.login, Login::None) => {
                Some(Reply::new(502, "5.5.1", "nobody logs in here"))
            }
            () if !self.is_private => Some(Reply::new(538, "5.7.11", "not without TLS")),
            () if self.hello.is_none() || self.transaction.is_some() || self.client.login.is_some() => {
                Some(Reply::new(503, "5.5.1", "not now"))
            }
            () if !matches!(mechanism, "PLAIN" | "LOGIN") => Some(Reply::new(504, "5.5.4", "PLAIN or LOGIN")),
            () => None,
        };
        if let Some(refusal) = refusal {
            self.refuse(&refusal);
            return Ok(Next::GoOn);
        }
        let credentials = match mechanism {
            "PLAIN" => match initial {
                Some(initial) => decode(&initial),
                None => self.ask("").await?,
            }
            .and_then(|response| plain(&response)),
            _ => {
                let name = match initial {
                    Some(initial) => decode(&initial),
                    None => self.ask("VXNlcm5hbWU6").await?,
                };
                match name {
                    Ok(name) => self.ask("UGFzc3dvcmQ6").await?.map(|password| (name, password)),
                    Err(reply) => Err(reply),
                }
            }
        };
        let logged_in = match credentials {
            Ok((name, password)) => self.prove(name, Secret::new(password)).await,
            Err(reply) => Err(reply),
        };
        let door = self.server.name();
        match logged_in {
            Ok(name) => {
                self.server.settings.metrics.logged_in(door);
                self.client.login = Some(name);
                self.reply(&Reply::new(235, "2.7.0", "welcome"));
            }
            Err(reply) if reply.is_temporary() => self.refuse(&reply),
            Err(reply) => {
                self.server.settings.metrics.login_refused(door);
                // Not the name: some type their password there.
                tracing::warn!(door, client = ?self.client.address, "login refused");
                self.refuse(&reply);
                self.failed_logins += 1;
                if self.failed_logins >= MOST_FAILED {
                    self.part("4.7.0", "too many failed logins").await?;
                    return Ok(Next::Close);
                }
            }
        }
        Ok(Next::GoOn)
    }

    async fn prove(&mut self, name: Vec<u8>, password: Secret) -> Result<mail::Login, Reply> {
        let name = String::from_utf8(name).ok().filter(|name| !name.is_empty() && !name.contains(char::is_control));
        let login = name.and_then(|name| Some((mail::Login::new(&name)?, name)));
        let (login, name) = login.ok_or_else(|| Reply::new(535, "5.7.8", "no such name"))?;
        match &self.server.settings.login {
            Login::Here(keeper) => keeper.who(login, password).await,
            Login::None => Err(Reply::new(502, "5.5.1", "nobody logs in here")),
            // The next server has its own way to compare names.
            Login::Relayed => self.relay_login(&name, &password).await.map(|()| login),
        }
    }

    async fn ask(&mut self, prompt: &str) -> Result<Result<Vec<u8>, Reply>, Fault> {
        self.reply(&Reply::plain(334, [prompt.to_owned()]));
        self.flush().await?;
        // Source: RFC 4954, section 4.
        let line = self.wire.line(12_288, self.server.settings.patience.command).await?;
        Ok(decode(&String::from_utf8_lossy(&line)))
    }

    async fn relay_login(&mut self, name: &str, password: &Secret) -> Result<(), Reply> {
        if !self.server.relay.is_private() {
            return Err(Reply::new(454, "4.7.0", "the next server is not known well enough for passwords"));
        }
        let mut client = self.server.relay.connect().await?;
        let reply = client.log_in(name, password).await?;
        if reply.code != 235 {
            client.quit().await;
            return Err(match reply.code {
                // That is about the connection with us (RFC 5321, section 3.8).
                421 => Reply { code: 454, ..reply },
                400..600 => reply,
                _ => Reply::new(535, "5.7.8", "refused"),
            });
        }
        self.upstream = Some(client);
        Ok(())
    }
}

/// RFC 4616: an authorization identity, which has to be none or the same, the authentication identity, the password.
fn plain(response: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Reply> {
    let mut pieces = response.split(|octet| *octet == 0);
    match (pieces.next(), pieces.next(), pieces.next(), pieces.next()) {
        (Some(as_whom), Some(name), Some(password), None) if as_whom.is_empty() || as_whom == name => {
            Ok((name.to_vec(), password.to_vec()))
        }
        _ => Err(Reply::new(501, "5.5.2", "not a response of PLAIN")),
    }
}

fn decode(response: &str) -> Result<Vec<u8>, Reply> {
    let words = if response == "*" { "given up" } else { "not base64" };
    match response {
        "=" => Ok(Vec::new()),
        response => STANDARD.decode(response).map_err(|_| Reply::new(501, "5.5.2", words)),
    }
}

/// Source: fewer than the 6 of OpenSSH's `MaxAuthTries`; a person who mistypes connects again.
const MOST_FAILED: usize = 3;
