//! Both ends of the connection to the process that asks the network.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serde_bytes::ByteBuf;

use super::{Script, octets};
use crate::{
    discover::{
        Method, NetworkAccess, NetworkSettings, SignedKeys,
        http::{Failure, Plain},
    },
    isolation::{
        asked::{Asked, Call, Found, Reply, Values},
        bounds::Sizes,
        channel::Channel,
        network_link::bounded,
        network_process, network_role,
    },
    mail::Address,
    sandbox::Enforced,
};

/// What the service takes of an answer.
#[derive(Debug)]
pub enum Taken {
    /// Those of a server.
    Octets(Vec<u8>),
    /// Those of signed DNS.
    Signed(SignedKeys),
    /// Those of a directory.
    Values(Vec<Vec<u8>>),
    /// Why there are none.
    Failed(Failure),
    /// Nothing: the process is ended.
    Nothing,
}

/// What the service takes of a process that says these octets, where each answer may have `most`: what a server, DNS and a directory would be asked for.
pub fn taken(said: &[u8], most: usize) -> Vec<Taken> {
    let mut channel = Channel::new(Script::of(said));
    let mut all = Vec::new();
    while let Ok(Some(reply)) = channel.receive_next::<Reply>() {
        let Reply::Answer { answer, .. } = reply else { continue };
        let found = match bounded(answer, most) {
            Some(Ok(found)) => found,
            Some(Err(failure)) => {
                all.push(Taken::Failed(failure));
                continue;
            }
            None => {
                all.push(Taken::Nothing);
                continue;
            }
        };
        all.push(
            match &found {
                Found::Octets(_) => network_process::octets(found).map(Taken::Octets),
                Found::Signed(_) => network_process::signed(found).map(Taken::Signed),
                Found::Values(_) => network_process::values(found).map(Taken::Values),
            }
            .unwrap_or(Taken::Nothing),
        );
    }
    all
}

/// What a process says that is told these octets, and asks `access`; the settings that it is told are read.
pub fn answered(said: &[u8], access: &dyn NetworkAccess) -> Vec<u8> {
    let mut channel = Channel::new(Script::of(said)).with(Sizes::default());
    let mut known: HashMap<u64, NetworkSettings> = HashMap::new();
    while let Ok(Some(call)) = channel.receive_next::<Call>() {
        match call {
            Call::Ask { number, settings, question, left } => {
                if !known.contains_key(&settings) {
                    break;
                }
                let deadline = Instant::now() + left.min(Duration::from_secs(600));
                let answer = network_role::found(access, question, deadline);
                if let Err(error) = channel.send(&Reply::Answer { number, answer }) {
                    assert!(error.is_over_budget(), "{error}");
                }
            }
            Call::Forget(settings) => drop(known.remove(&settings)),
            Call::Settings { number, settings } => {
                let _ = settings.ports();
                known.insert(number, *settings);
            }
            Call::Start { .. } => {}
        }
    }
    channel.stream().heard.clone()
}

/// An answer of each kind.
pub fn replies() -> Vec<Vec<u8>> {
    let answers = [
        Ok(Found::Octets(ByteBuf::from(vec![7; 300]))),
        Ok(Found::Signed(SignedKeys::Found(vec![7; 300]))),
        Ok(Found::Signed(SignedKeys::Missing("no record".to_owned()))),
        Ok(Found::Values(Values::of(&[vec![7; 300], vec![8; 20]]))),
        Err(Failure::NotFound),
        Err(Failure::NoHost),
        Err(Failure::Unfit("a redirect".to_owned())),
        Err(Failure::Failed("no answer".to_owned())),
    ];
    let answers = answers.into_iter().map(|answer| octets(&Reply::Answer { number: 0, answer }));
    answers.chain([octets(&Reply::Ready(Enforced::Fully))]).collect()
}

/// A call of each kind, by these settings.
pub fn calls(settings: &NetworkSettings, address: &Address) -> Vec<Vec<u8>> {
    let (url, most, address) = ("https://keys.example.org/x".to_owned(), 1 << 20, || address.clone());
    let post = Asked::Post {
        url: url.clone(),
        media_type: "application/ocsp-request".to_owned(),
        octets: ByteBuf::from(vec![7; 100]),
        most,
        plain: Plain::Refuse,
    };
    let questions = [
        Asked::Get { url, most, plain: Plain::Refuse },
        post,
        Asked::SignedKeys { method: Method::Openpgpkey, address: address() },
        Asked::DirectoryKeys { method: Method::LdapPgp, address: address() },
    ];
    let ask = |question| Call::Ask { number: 1, settings: 0, question, left: Duration::from_secs(1) };
    let settings = Box::new(settings.clone());
    let told = [Call::Settings { number: 0, settings }, Call::Forget(0)];
    let start = Call::Start { version: crate::isolation::setup::VERSION.to_owned(), ports: None };
    told.into_iter().chain(questions.map(ask)).chain([start]).map(|call| octets(&call)).collect()
}
