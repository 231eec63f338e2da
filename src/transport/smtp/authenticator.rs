//! Logins that are checked here, a bounded number at once.

use std::{num::NonZero, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::timeout};

use super::{Reply, login_limits::Client};
use crate::{base::Secret, mail::Login, report::Limit};

/// The accounts that may log in.
pub trait Accounts: Send + Sync {
    /// Whether there is an account with this name and this password.
    ///
    /// It takes as long for an unknown name. It may be slow and use much memory: [`Authenticator`] bounds the number of calls at once.
    fn has(&self, name: &Login, password: &Secret) -> bool;
}

/// Why a client is not logged in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The password was not checked, because of a limit.
    Limited(Limit),
    /// The reply to the client.
    Reply(Reply),
}

impl From<Reply> for Refusal {
    fn from(reply: Reply) -> Refusal {
        Refusal::Reply(reply)
    }
}

/// Checks passwords with [`Accounts`], for as many clients at once as there are permits.
#[derive(Clone)]
pub struct Authenticator {
    accounts: Arc<dyn Accounts>,
    permits: CheckPermits,
}

/// How many passwords are checked at once. Several listeners may share it.
#[derive(Clone)]
pub struct CheckPermits {
    /// For clients whose address logged in with the same name before.
    known: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl CheckPermits {
    /// For a machine with so many cores: half of them for strangers, so that users do not wait in line with those who guess.
    pub fn new(cores: NonZero<usize>) -> CheckPermits {
        let semaphore = |count| Arc::new(Semaphore::new(count));
        CheckPermits { known: semaphore(cores.get()), others: semaphore(cores.get().div_ceil(2)) }
    }
}

impl Authenticator {
    /// Checks passwords with `accounts`.
    pub fn new(accounts: Arc<dyn Accounts>, permits: CheckPermits) -> Authenticator {
        Authenticator { accounts, permits }
    }

    /// The name if the password is right.
    pub(super) async fn authenticate(&self, client: Client, name: Login, password: Secret) -> Result<Login, Refusal> {
        let busy = || Refusal::Limited(Limit::Logins);
        let permits = match client {
            Client::Known => &self.permits.known,
            Client::Other => &self.permits.others,
        };
        let permit = timeout(WAIT, Arc::clone(permits).acquire_owned()).await.map_err(|_| busy())?;
        let permit = permit.map_err(|_| busy())?;
        let accounts = Arc::clone(&self.accounts);
        let work = tokio::task::spawn_blocking(move || {
            let _held = permit;
            accounts.has(&name, &password).then_some(name)
        });
        match work.await {
            Ok(name) => name.ok_or_else(|| authentication_failed().into()),
            Err(_) => Err(Reply::new(454, "4.3.0", "Temporary authentication failure").into()),
        }
    }
}

/// The reply to a wrong name or password.
pub(super) fn authentication_failed() -> Reply {
    Reply::new(535, "5.7.8", "Error: authentication failed")
}

/// How long a client waits for a permit. Source: far below the 5 minutes that clients wait for a reply (RFC 5321, section 4.5.3.2).
const WAIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::*;

    /// Has alice's account, and counts the calls at once.
    #[derive(Default)]
    struct Counting {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    impl Accounts for Counting {
        fn has(&self, name: &Login, password: &Secret) -> bool {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            self.now.fetch_sub(1, Ordering::SeqCst);
            name.as_str() == "alice" && password.expose() == b"secret"
        }
    }

    #[tokio::test]
    async fn passwords_are_checked_with_as_many_permits_at_once() {
        let accounts = Arc::new(Counting::default());
        let permits = CheckPermits::new(NonZero::new(4).unwrap());
        let authenticator = Authenticator::new(Arc::clone(&accounts) as Arc<dyn Accounts>, permits);
        let asking: Vec<_> = (0..8)
            .map(|number| {
                let authenticator = authenticator.clone();
                let name = if number % 2 == 0 { "Alice" } else { "eve" };
                tokio::spawn(async move {
                    authenticator.authenticate(Client::Other, Login::new(name).unwrap(), Secret::from("secret")).await
                })
            })
            .collect();
        for (number, asked) in asking.into_iter().enumerate() {
            let told = asked.await.unwrap();
            let expected = Err(authentication_failed().into());
            assert_eq!(told, if number % 2 == 0 { Ok(Login::new("alice").unwrap()) } else { expected });
        }
        assert_eq!(accounts.most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_client_without_a_permit_is_limited() {
        let permits = CheckPermits::new(NonZero::new(1).unwrap());
        permits.others.close();
        let authenticator = Authenticator::new(Arc::new(Counting::default()), permits);
        let told = |client| authenticator.authenticate(client, Login::new("alice").unwrap(), Secret::from("secret"));
        assert_eq!(told(Client::Other).await, Err(Refusal::Limited(Limit::Logins)));
        assert!(told(Client::Known).await.is_ok(), "strangers do not use these permits");
    }
}
