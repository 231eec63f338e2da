//! Logins that are checked here: by whom, and how many at once.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::timeout};

use super::Reply;
use crate::{base::Secret, mail::Login};

/// Who may log in.
pub trait Accounts: Send + Sync {
    /// Whether somebody has this name and this password.
    ///
    /// It takes as long for a name that nobody has, and may take a while and much memory: a [`Keeper`] bounds how often at once.
    fn has(&self, name: &Login, password: &Secret) -> bool;
}

/// Asks [`Accounts`], for as many clients at once as there are places.
#[derive(Clone)]
pub struct Keeper {
    accounts: Arc<dyn Accounts>,
    places: Arc<Semaphore>,
}

impl Keeper {
    /// Several listeners may share the places.
    pub fn new(accounts: Arc<dyn Accounts>, places: Arc<Semaphore>) -> Keeper {
        Keeper { accounts, places }
    }

    /// The name, or the reply to somebody who does not have it.
    pub(super) async fn who(&self, name: Login, password: Secret) -> Result<Login, Reply> {
        let busy = || Reply::new(454, "4.7.0", "too many log in at once");
        let place = timeout(WAIT, Arc::clone(&self.places).acquire_owned()).await.map_err(|_| busy())?;
        let place = place.map_err(|_| busy())?;
        let accounts = Arc::clone(&self.accounts);
        let work = tokio::task::spawn_blocking(move || {
            let _held = place;
            accounts.has(&name, &password).then_some(name)
        });
        match work.await {
            Ok(who) => who.ok_or_else(|| Reply::new(535, "5.7.8", "no such name and password")),
            Err(_) => Err(Reply::new(454, "4.3.0", "internal error")),
        }
    }
}

/// How long somebody waits for a place. Source: far below the 5 minutes that clients wait (RFC 5321, section 4.5.3.2).
const WAIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::*;

    /// Knows alice, and how many asked at once.
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
    async fn as_many_at_once_as_there_are_places() {
        let accounts = Arc::new(Counting::default());
        let keeper = Keeper::new(Arc::clone(&accounts) as Arc<dyn Accounts>, Arc::new(Semaphore::new(2)));
        let asking: Vec<_> = (0..8)
            .map(|number| {
                let keeper = keeper.clone();
                let name = if number % 2 == 0 { "Alice" } else { "eve" };
                tokio::spawn(async move { keeper.who(Login::new(name).unwrap(), Secret::from("secret")).await })
            })
            .collect();
        for (number, asked) in asking.into_iter().enumerate() {
            let told = asked.await.unwrap();
            let expected = Err(Reply::new(535, "5.7.8", "no such name and password"));
            assert_eq!(told, if number % 2 == 0 { Ok(Login::new("alice").unwrap()) } else { expected });
        }
        assert_eq!(accounts.most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn whoever_finds_no_place_is_told_to_come_later() {
        let places = Arc::new(Semaphore::new(2));
        places.close();
        let keeper = Keeper::new(Arc::new(Counting::default()), places);
        let told = keeper.who(Login::new("alice").unwrap(), Secret::from("secret")).await;
        assert_eq!(told, Err(Reply::new(454, "4.7.0", "too many log in at once")));
    }
}
