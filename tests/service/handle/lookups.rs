//! How often the keys are asked for one mail.

use std::sync::{Arc, Mutex};

use postseal::{
    base::{Result, Secret},
    crypto::SecretKey,
    engine::{Handler, HandlerConfig, ReloadableHandler},
    keys::{Handle, Keys, Memory, ProtocolName, Purpose, Query, Record, Want},
    mail::Submitter,
};

use crate::support::handler::{LETTER, alice, hook, keys, mail};

/// Writes down what is asked.
struct Asked {
    keys: Memory,
    finds: Mutex<Vec<String>>,
    others: Mutex<Vec<&'static str>>,
}

impl Keys for Asked {
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        let shown = match query.want {
            Want::All => "all".to_owned(),
            Want::Secrets => "secrets".to_owned(),
            Want::Address(address) => address.to_string(),
            Want::Certificate(handle) | Want::Handle(handle) => handle.to_string(),
        };
        // Only to encrypt may a source ask other hosts, and then not for ever.
        assert_eq!(query.deadline.is_some(), query.purpose == Purpose::Encrypt, "{query:?}");
        self.finds.lock().unwrap().push(format!("{:?} {} {shown}", query.purpose, protocol.name()));
        self.keys.find(protocol, query)
    }

    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        self.keys.secret(record, key)
    }

    fn anchors(&self) -> Result<Vec<Arc<Record>>> {
        self.others.lock().unwrap().push("anchors");
        Ok(Vec::new())
    }

    fn revocations(&self) -> Result<Vec<Arc<[u8]>>> {
        self.others.lock().unwrap().push("revocations");
        self.keys.revocations()
    }

    fn passwords(&self) -> Result<Vec<Secret>> {
        self.keys.passwords()
    }
}

fn asked(submitter: Submitter, recipients: &[&str], message: &[u8]) -> (Vec<String>, Vec<&'static str>) {
    let keys = Arc::new(Asked { keys: keys(), finds: Mutex::default(), others: Mutex::default() });
    let setup = HandlerConfig { keys: Arc::clone(&keys) as Arc<dyn Keys>, ..HandlerConfig::clone(&hook().config()) };
    ReloadableHandler::new(setup).handle(mail(submitter, recipients, message)).unwrap();
    let (mut finds, mut others) = (keys.finds.lock().unwrap().clone(), keys.others.lock().unwrap().clone());
    finds.sort();
    others.sort();
    (finds, others)
}

#[test]
fn each_recipient_and_the_author_are_looked_up_once() {
    // ben is hidden, and sealed for alone.
    let recipients = ["bob@example.net", "ben@example.net", "carol@bank.example", "carl@bank.example"];
    let (finds, others) = asked(alice(), &recipients, LETTER.as_bytes());
    // Each certificate of S/MIME that is found is looked up by its fingerprint too, once: the owner may have declared it revoked.
    let (declared, finds): (Vec<String>, Vec<String>) = finds.into_iter().partition(|find| find.starts_with("Verify"));
    assert_eq!((declared.len(), finds.len()), (3, 6), "{declared:?}");
    assert_eq!(
        finds,
        [
            "Encrypt pgp ben@example.net",
            "Encrypt pgp bob@example.net",
            "Encrypt smime carl@bank.example",
            "Encrypt smime carol@bank.example",
            "Sign pgp alice@example.org",
            "Sign smime alice@example.org",
        ]
    );
    assert_eq!(others, ["anchors", "revocations"]);
}

#[test]
fn a_recipient_whose_rule_needs_no_key_is_not_looked_up() {
    let (finds, _) = asked(alice(), &["plain@example.net"], LETTER.as_bytes());
    // The rule for the domain could have decided.
    assert_eq!(finds, ["Encrypt pgp plain@example.net", "Sign pgp alice@example.org"]);
    let (finds, others) = asked(alice(), &["someone@elsewhere.example"], LETTER.as_bytes());
    assert_eq!((finds.len(), others.len()), (0, 0), "{finds:?}");
}
