//! A source of keys that fails for one recipient.

use std::sync::Arc;

use postseal::{
    base::{Error, Kind, Result},
    crypto::SecretKey,
    engine::{Handler, HandlerConfig, ReloadableHandler},
    keys::{Handle, Keys, Memory, ProtocolName, Query, Record, Want},
    policy::{Disposition, Obstacle},
};

use crate::support::handler::{LETTER, address, alice, hook, keys, mail};

struct Failing(Memory, &'static str);

impl Keys for Failing {
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        match query.want {
            Want::Address(sought) if *sought == address(self.1) => {
                Err(Error::new(Kind::TryAgain, "ldap.example.org: no answer"))
            }
            _ => self.0.find(protocol, query),
        }
    }

    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        self.0.secret(record, key)
    }
}

#[test]
fn it_delays_that_recipient_and_nobody_else() {
    let keys = Arc::new(Failing(keys(), "bob@example.net"));
    let hook = ReloadableHandler::new(HandlerConfig { keys, ..HandlerConfig::clone(&hook().config()) });
    let outcome = hook.handle(mail(alice(), &["bob@example.net", "carol@bank.example"], LETTER)).unwrap();
    let [bob, carol] = outcome.decision.groups.as_slice() else { panic!("{:?}", outcome.decision) };
    let why = "bob@example.net: keys cannot be looked up now: ldap.example.org: no answer";
    assert_eq!(bob.disposition, Disposition::Tempfail(why.to_owned()));
    assert_eq!(bob.obstacle, Some(Obstacle::KeysUnavailable));
    assert_eq!(carol.disposition, Disposition::Relay);
    assert_eq!(outcome.mails.len(), 1);
    assert_eq!(outcome.refusal().unwrap().kind(), Kind::TryAgain);

    // Without the author's keys nothing is signed.
    let keys = Arc::new(Failing(self::keys(), "alice@example.org"));
    let hook = ReloadableHandler::new(HandlerConfig { keys, ..HandlerConfig::clone(&self::hook().config()) });
    let outcome = hook.handle(mail(alice(), &["bob@example.net"], LETTER)).unwrap();
    assert!(outcome.mails.is_empty() && matches!(outcome.decision.groups[0].disposition, Disposition::Tempfail(_)));
}
