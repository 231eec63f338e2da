//! What a mail brings a judge to ask, as far as its envelope and its author say: a question that is answered before takes no change of process.

use std::collections::BTreeSet;

use super::questions::{QueryForm, Question};
use crate::{
    keys::{ProtocolName, Purpose, Query, Want},
    mail::{Mail, header},
    policy::Policy,
};

/// The keys to encrypt to, and those to sign with, of each protocol that `policy` may seal the mail with.
pub(super) fn of_mail(mail: &Mail, policy: &Policy) -> Vec<Question> {
    let find = |protocol: ProtocolName, purpose, address| {
        let query = QueryForm::of(&Query::new(purpose, Want::Address(address)));
        Question::Find { protocol, query }
    };
    let sender = mail.envelope.sender.address.as_ref();
    let (mut questions, mut all) = (Vec::new(), BTreeSet::new());
    for path in mail.envelope.recipients.iter().take(MOST) {
        let protocols = policy.protocols_for(&mail.submitter, sender, &path.address);
        questions.extend(protocols.iter().map(|protocol| find(*protocol, Purpose::Encrypt, &path.address)));
        all.extend(protocols);
    }
    if let (false, Ok(author)) = (all.is_empty(), header::author(mail.message.root())) {
        questions.extend(all.into_iter().map(|protocol| find(protocol, Purpose::Sign, &author)));
    }
    questions
}

/// Recipients. Source: there are rarely more, and keys to encrypt to that no copy needs cost a look-up each.
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{self, Read, Write},
        os::{fd::OwnedFd, unix::net::UnixStream},
        sync::{Arc, Mutex},
        thread,
        time::{Duration, SystemTime},
    };

    use serde_bytes::ByteBuf;

    use super::*;
    use crate::{
        base::{Budget, Limits, Result, Secret},
        crypto::{KeyAlgorithm, Scheme, SecretKey, Unwrap},
        isolation::{
            RemoteKeys,
            acceptance::Acceptance,
            answers::{Answers, Told},
            bounds::Sizes,
            channel::Channel,
            forms::MailForm,
            orders::{Order, Said, Task},
            questions::Fetching,
            remote_keys::Link,
        },
        keys::{Binding, Handle, Keys, Memory, Reach, Record, RevocationReason, Snapshot, UseClient, Withdrawal},
        mail::{Address, Envelope, ForwardPath, Message, ReversePath, Submitter},
        policy::{self, Lists, Rule},
    };

    /// The keys of the service.
    #[derive(Default)]
    struct Home(Mutex<Memory>);

    impl Home {
        fn withdraw(&self) {
            let withdrawal = Withdrawal::new(RevocationReason::Compromised, SystemTime::UNIX_EPOCH);
            self.0.lock().unwrap().bind(&own(), &Binding::Revoked(withdrawal));
        }
    }

    impl Keys for Home {
        /// The network says that the own certificate is revoked.
        fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
            if query.reach == Reach::Network {
                self.withdraw();
            }
            self.0.lock().unwrap().find(protocol, query)
        }

        fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
            self.0.lock().unwrap().secret(record, key)
        }
    }

    #[derive(Debug)]
    struct Signing;

    impl SecretKey for Signing {
        fn algorithm(&self) -> KeyAlgorithm {
            KeyAlgorithm::Ed25519
        }

        fn sign(&self, _: Scheme, digest: &[u8]) -> Result<Vec<u8>> {
            Ok(digest.to_vec())
        }

        fn decrypt(&self, _: Unwrap<'_>, _: &[u8]) -> Result<Secret> {
            Err(self.algorithm().refuses("decrypt"))
        }

        fn agree(&self, _: &[u8]) -> Result<Secret> {
            Err(self.algorithm().refuses("agree"))
        }
    }

    /// A connection that counts what comes.
    struct Counted {
        stream: UnixStream,
        values: usize,
    }

    impl Read for Counted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.values += 1;
            self.stream.read(buffer)
        }
    }

    impl Write for Counted {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.stream.write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.stream.flush()
        }
    }

    fn own() -> Handle {
        Handle::from_octets(&[1; 32])
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn home(protocol: ProtocolName) -> Home {
        let mut memory = Memory::new();
        memory.add(Record::new(protocol, own(), vec![1], [own()]).with_claimed([address("alice@example.org")]));
        memory.add_secret(own(), Arc::new(Signing));
        Home(Mutex::new(memory))
    }

    fn mail() -> Mail {
        let octets = b"From: Alice <alice@example.org>\r\n\r\nx\r\n".to_vec();
        let recipients = vec![ForwardPath { address: address("bob@example.net"), parameters: Vec::new() }];
        Mail {
            envelope: Envelope { sender: ReversePath::default(), recipients },
            submitter: Submitter::Trusted,
            client: None,
            message: Message::received(octets, &mut Budget::new(Limits::default())).unwrap(),
        }
    }

    fn policy(protocol: ProtocolName) -> Policy {
        let rule = Rule { orders: [policy::Order::Sign].into(), protocols: vec![protocol], ..Rule::default() };
        Policy { rules: vec![rule], ..Policy::default() }
    }

    /// How many questions a judge asks that does `work` for one mail.
    fn questions(home: Home, foreseen: &dyn Fn() -> Vec<Question>, work: impl Fn(&RemoteKeys, &Home)) -> usize {
        let home = Arc::new(home);
        // On a busy machine what was told may be too old when it is asked for.
        (0..10).map(|_| questions_of_one(&home, foreseen(), &work)).min().unwrap()
    }

    fn questions_of_one(home: &Arc<Home>, foreseen: Vec<Question>, work: &impl Fn(&RemoteKeys, &Home)) -> usize {
        let (stream, other) = UnixStream::pair().unwrap();
        let answers = Answers::new(Arc::clone(home) as Arc<dyn Keys>, Lists::default());
        let serve = move || {
            let (mut told, acceptance) = (Told::default(), Acceptance::default());
            let memory = told.next_message(UseClient::Known("trusted".to_owned()), SystemTime::UNIX_EPOCH);
            let ahead = answers.foretold(foreseen, &mut told, &acceptance);
            let task = Task { now: SystemTime::UNIX_EPOCH, context: String::new(), memory, ahead };
            let order = Order::Mark { mail: MailForm::of(&mail()), task };
            let mut channel = Channel::new(Counted { stream, values: 0 }).with(Sizes::of(&Limits::default(), 1));
            let said = answers.attend(&mut channel, &order, &mut told, &acceptance).unwrap();
            assert!(matches!(said, Said::Marked(Ok(_))));
            channel.stream().values - 1
        };
        let service = thread::spawn(serve);
        let link =
            Arc::new(Link::new(Channel::new(File::from(OwnedFd::from(other))).with(Sizes::of(&Limits::default(), 1))));
        let Order::Mark { task, .. } = link.order().unwrap() else { panic!("another order") };
        link.next_message(task.memory, task.ahead).unwrap();
        work(&RemoteKeys::new(Arc::clone(&link), Fetching::No), home);
        link.say(&Said::Marked(Ok(ByteBuf::new()))).unwrap();
        service.join().unwrap()
    }

    fn find(keys: &dyn Keys, protocol: ProtocolName, purpose: Purpose, want: Want<'_>) -> Vec<Arc<Record>> {
        keys.find(protocol, &Query::new(purpose, want)).unwrap()
    }

    /// The author of a stranger's mail is who the stranger says.
    #[test]
    fn no_secret_part_is_opened_for_a_stranger() {
        let protocol = ProtocolName::Pgp;
        let opened = |client| {
            let answers = Answers::new(Arc::new(home(protocol)) as Arc<dyn Keys>, Lists::default());
            let (mut told, acceptance) = (Told::default(), Acceptance::default());
            told.next_message(client, SystemTime::UNIX_EPOCH);
            let ahead = answers.foretold(of_mail(&mail(), &policy(protocol)), &mut told, &acceptance);
            ahead.iter().filter(|one| matches!(one.question, Question::Secret { .. })).count()
        };
        assert_eq!(opened(UseClient::Known("trusted".to_owned())), 1);
        assert_eq!(opened(UseClient::stranger(None)), 0);
    }

    /// What the engine asks for a mail that is signed.
    fn sign(protocol: ProtocolName) -> impl Fn(&RemoteKeys, &Home) {
        move |keys, _| {
            let keys = Snapshot::new(keys, Duration::from_secs(10));
            if protocol == ProtocolName::Smime {
                assert!(keys.revocations().unwrap().is_empty() && keys.anchors().unwrap().is_empty());
            }
            assert!(find(&keys, protocol, Purpose::Encrypt, Want::Address(&address("bob@example.net"))).is_empty());
            let found = find(&keys, protocol, Purpose::Sign, Want::Address(&address("alice@example.org")));
            if protocol == ProtocolName::Smime {
                assert_eq!(find(&keys, protocol, Purpose::Verify, Want::Certificate(&own())).len(), 1);
            }
            let secret = keys.secret(&found[0], &own()).unwrap().unwrap();
            assert_eq!(secret.sign(Scheme::EdDsa, b"digest").unwrap(), b"digest");
        }
    }

    #[test]
    fn a_mail_that_is_signed_asks_for_the_signature_alone() {
        for (protocol, unforeseen) in [(ProtocolName::Smime, 5), (ProtocolName::Pgp, 3)] {
            let foreseen = || of_mail(&mail(), &policy(protocol));
            assert_eq!(foreseen().len(), 2);
            assert_eq!(questions(home(protocol), &foreseen, sign(protocol)), 1);
            assert_eq!(questions(home(protocol), &Vec::new, sign(protocol)), unforeseen);
        }
        assert!(of_mail(&mail(), &Policy::default()).is_empty(), "no rule needs keys");
    }

    #[test]
    fn a_signature_is_verified_with_one_question() {
        let verify = |keys: &RemoteKeys, _: &Home| {
            let keys = Snapshot::new(keys, Duration::from_secs(10));
            let issuer = Handle::from_octets(&[2; 32]);
            let wants = [Want::Handle(&own()), Want::Certificate(&own()), Want::Handle(&issuer)];
            keys.expect(ProtocolName::Smime, &wants.map(|want| Query::new(Purpose::Verify, want)));
            assert!(keys.anchors().unwrap().is_empty() && keys.revocations().unwrap().is_empty());
            let found = wants.map(|want| find(&keys, ProtocolName::Smime, Purpose::Verify, want).len());
            assert_eq!(found, [1, 1, 0]);
        };
        assert_eq!(questions(home(ProtocolName::Smime), &Vec::new, verify), 1);
    }

    #[test]
    fn what_is_more_than_a_look_is_not_foretold() {
        let answers = Answers::new(Arc::new(home(ProtocolName::Pgp)), Lists::default());
        let bob = address("bob@example.net");
        let query = Query { reach: Reach::Network, ..Query::new(Purpose::Encrypt, Want::Address(&bob)) };
        let (key, scheme, digest) = (0, Scheme::EdDsa, ByteBuf::from(vec![7; 32]));
        let mut told = Told::default();
        told.next_message(UseClient::Known("trusted".to_owned()), SystemTime::UNIX_EPOCH);
        let mut foretold = |questions| answers.foretold(questions, &mut told, &Acceptance::default()).len();
        // Two look-ups, and the secret key of what was found.
        assert_eq!(foretold(of_mail(&mail(), &policy(ProtocolName::Pgp))), 3);
        let all = vec![
            Question::Sign { key, scheme, digest },
            Question::Passwords,
            Question::Find { protocol: ProtocolName::Pgp, query: QueryForm::of(&query) },
        ];
        assert_eq!(foretold(all), 0);
    }

    fn is_withdrawn(keys: &RemoteKeys) -> bool {
        let found = find(keys, ProtocolName::Smime, Purpose::Verify, Want::Certificate(&own()));
        found[0].withdrawal().is_some()
    }

    fn foreseen() -> Vec<Question> {
        of_mail(&mail(), &policy(ProtocolName::Smime))
    }

    #[test]
    fn what_is_fetched_is_not_hidden_by_what_was_told_before() {
        let fetch = |keys: &RemoteKeys, _: &Home| {
            let bob = address("bob@example.net");
            let query = Query { reach: Reach::Network, ..Query::new(Purpose::Encrypt, Want::Address(&bob)) };
            keys.find(ProtocolName::Smime, &query).unwrap();
            assert!(is_withdrawn(keys));
        };
        let home = Arc::new(home(ProtocolName::Smime));
        assert_eq!(questions_of_one(&home, foreseen(), &fetch), 2);
    }

    #[test]
    fn what_was_told_before_counts_once() {
        let twice = |keys: &RemoteKeys, home: &Home| {
            is_withdrawn(keys);
            home.withdraw();
            assert!(is_withdrawn(keys));
        };
        assert_eq!(questions(home(ProtocolName::Smime), &foreseen, twice), 1);
    }

    #[test]
    fn what_was_told_before_counts_for_a_short_time() {
        let late = |keys: &RemoteKeys, home: &Home| {
            home.withdraw();
            thread::sleep(Duration::from_millis(150));
            assert!(is_withdrawn(keys));
        };
        let home = Arc::new(home(ProtocolName::Smime));
        assert_eq!(questions_of_one(&home, foreseen(), &late), 1);
    }
}
