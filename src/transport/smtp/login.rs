//! AUTH (RFC 4954) with PLAIN (RFC 4616) and LOGIN. The next server checks the password, or the [`Authenticator`](super::Authenticator) here.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::time::sleep;

use super::{
    Login, Reply,
    authenticator::{Refusal, authentication_failed},
    login_limits::Ending,
    session::{Next, Session},
    submitter_connection::SubmitterConnection,
    wire::Fault,
};
use crate::{base::Secret, mail, transport::Listener};

impl Session<'_> {
    /// Whether AUTH is offered now.
    pub(super) fn may_log_in(&self) -> bool {
        !matches!(self.server.settings.login, Login::None | Login::Sender)
            && self.is_private
            && self.client.login.is_none()
    }

    /// AUTH. If the next server checked the password, the client's mail goes over that connection.
    pub(super) async fn log_in(&mut self, mechanism: &str, initial: Option<String>) -> Result<Next, Fault> {
        let refusal = match () {
            () if matches!(self.server.settings.login, Login::None | Login::Sender) => {
                Some(Reply::new(503, "5.5.1", "Error: authentication not enabled"))
            }
            () if !self.is_private => {
                Some(Reply::new(538, "5.7.11", "Encryption required for requested authentication mechanism"))
            }
            () if self.hello.is_none() => Some(self.hello_first()),
            () if self.transaction.is_some() => Some(Reply::new(503, "5.5.1", "Error: MAIL transaction in progress")),
            () if self.client.login.is_some() => Some(Reply::new(503, "5.5.1", "Error: already authenticated")),
            () if !matches!(mechanism, "PLAIN" | "LOGIN") => {
                Some(Reply::new(504, "5.5.4", "Unrecognized authentication type"))
            }
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
        let (tried, logged_in) = match credentials {
            Ok((name, password)) => {
                let tried = String::from_utf8_lossy(&name).into_owned();
                (Some(tried), self.check(name, Secret::new(password)).await)
            }
            Err(reply) => (None, Err(Refusal::Reply(reply))),
        };
        let (listener, client) = (self.server.name(), self.client.address.map(tracing::field::display));
        match logged_in {
            Ok(name) => {
                self.server.settings.metrics.logged_in(listener);
                tracing::info!(event = "login", name = name.as_str(), client, mechanism);
                self.client.login = Some(name);
                self.reply(&Reply::new(235, "2.7.0", "Authentication successful"));
            }
            Err(Refusal::Limited(limit)) => {
                self.server.settings.metrics.limit_reached(listener, limit);
                tracing::warn!(event = "login-limited", name = tried, client, mechanism, limit = limit.name());
                sleep(DELAY).await;
                self.refuse(&Reply::new(454, "4.7.0", "Temporary authentication failure"));
                self.failed_logins += 1;
            }
            Err(Refusal::Reply(reply)) if reply.is_temporary() => {
                tracing::warn!(event = "login-deferred", name = tried, client, mechanism, %reply);
                self.refuse(&reply);
            }
            Err(Refusal::Reply(reply)) => {
                self.server.settings.metrics.login_refused(listener);
                tracing::warn!(event = "login-failed", name = tried, client, mechanism, %reply);
                self.refuse(&reply);
                self.failed_logins += 1;
            }
        }
        if self.failed_logins >= MAX_FAILED {
            self.close("4.7.0", "Error: too many failed logins").await?;
            return Ok(Next::Close);
        }
        Ok(Next::GoOn)
    }

    async fn check(&mut self, name: Vec<u8>, password: Secret) -> Result<mail::Login, Refusal> {
        let name = String::from_utf8(name).ok().filter(|name| !name.is_empty() && !name.contains(char::is_control));
        let login = name.and_then(|name| Some((mail::Login::new(&name)?, name)));
        let (login, name) = login.ok_or_else(authentication_failed)?;
        let settings = &self.server.settings;
        let attempt = settings.login_limits.admit(self.client.address, &login).map_err(Refusal::Limited)?;
        let checked = match &settings.login {
            Login::Here(authenticator) => authenticator.authenticate(attempt.client, login, password).await,
            Login::None | Login::Sender => Err(Reply::new(503, "5.5.1", "Error: authentication not enabled").into()),
            // The next server compares names by its own rules.
            Login::Relayed => self.relay_login(&name, &password).await.map(|()| login).map_err(Refusal::Reply),
        };
        let ending = match &checked {
            Ok(_) => Ending::Succeeded,
            Err(Refusal::Reply(reply)) if !reply.is_temporary() => Ending::Failed,
            Err(_) => Ending::Undecided,
        };
        self.server.settings.login_limits.settle(attempt, ending);
        checked
    }

    async fn ask(&mut self, prompt: &str) -> Result<Result<Vec<u8>, Reply>, Fault> {
        self.reply(&Reply::plain(334, [prompt.to_owned()]));
        self.flush().await?;
        // Source: RFC 4954, section 4.
        let line = self.wire.line(12_288, self.server.settings.timeouts.command).await?;
        Ok(decode(&String::from_utf8_lossy(&line)))
    }

    async fn relay_login(&mut self, name: &str, password: &Secret) -> Result<(), Reply> {
        if !self.server.relay.is_private() {
            return Err(Reply::new(454, "4.7.0", "Temporary authentication failure: next server not verified"));
        }
        let mut client = self.server.relay.connect().await?;
        let reply = client.log_in(name, password).await?;
        if reply.code != 235 {
            client.quit().await;
            return Err(match reply.code {
                // 421 is about our connection (RFC 5321, section 3.8).
                421 => Reply { code: 454, ..reply },
                400..600 => reply,
                _ => authentication_failed(),
            });
        }
        self.upstream = Some(SubmitterConnection::new(client));
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
        _ => Err(Reply::new(501, "5.5.2", "Error: malformed PLAIN response")),
    }
}

fn decode(response: &str) -> Result<Vec<u8>, Reply> {
    match response {
        "=" => Ok(Vec::new()),
        "*" => Err(Reply::new(501, "5.7.0", "Authentication aborted")),
        response => STANDARD.decode(response).map_err(|_| Reply::new(501, "5.5.2", "Error: invalid base64 data")),
    }
}

/// Source: fewer than the 6 of OpenSSH's `MaxAuthTries`; a person who mistypes connects again.
const MAX_FAILED: usize = 3;
/// Before the reply to an attempt beyond a limit. Source: Postfix's `smtpd_error_sleep_time`.
const DELAY: Duration = Duration::from_secs(1);
