//! Any octets from an MTA that speaks the milter protocol: no panic, and answers that are packets.
#![no_main]

mod wire;

use std::{sync::Arc, time::Duration};

use libfuzzer_sys::fuzz_target;
use postseal::{
    base::{Limits, SystemRandom},
    transport::{
        MemoryLimit, SessionId,
        milter::{Copying, Milter, Settings},
    },
};
use tokio::sync::{Semaphore, watch};

fuzz_target!(|octets: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    // Pairs of a command and the length of its data, in the place of four octets of length that a fuzzer seldom gets right.
    let mut said = Vec::new();
    let mut rest = octets;
    while let [command, length, after @ ..] = rest {
        let (data, after) = after.split_at(usize::from(*length).min(after.len()));
        said.extend(u32::try_from(data.len() + 1).unwrap().to_be_bytes());
        said.push(*command);
        said.extend(data);
        rest = after;
    }
    said.extend(rest);
    let peer = wire::Peer::new(&said);
    let heard = Arc::clone(&peer.heard);
    let settings = Settings {
        bounces: None,
        trusted: Vec::new(),
        limits: Limits { message: 64 * 1024, ..Limits::default() },
        recipients: 10,
        rate_limits: Default::default(),
        memory: MemoryLimit::new(64 * 1024 * 1024, &Limits::default()),
        copying: Copying::Tempfail(Arc::default()),
        progress: Duration::from_secs(1),
        idle: Duration::from_secs(1),
        metrics: Arc::default(),
    };
    let milter = Milter::new(Arc::new(wire::Counting::default()), Arc::new(Semaphore::new(4)), settings);
    runtime.block_on(async {
        let (_stop, stopping) = watch::channel(false);
        _ = milter.converse(peer, SessionId::new(&SystemRandom).unwrap(), stopping).await;
    });
    let heard = heard.lock().unwrap();
    let mut rest = heard.as_slice();
    while !rest.is_empty() {
        let (length, after) = rest.split_at_checked(4).expect("a length");
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        assert!(length > 0, "an empty packet");
        rest = after.split_at_checked(length).expect("a whole packet").1;
    }
});
