//! A limit on the memory for messages, at all listeners together.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::base::Limits;

/// The memory for messages while they are received, handled and sent. Clones share it.
#[derive(Clone)]
pub struct MemoryLimit {
    receiving: Arc<Semaphore>,
    working: Arc<Semaphore>,
    /// Units of `working` when no message is handled.
    total: u32,
    octets: usize,
    limits: Limits,
}

/// A share of the memory, returned on drop.
#[derive(Debug, Default)]
pub(super) struct Held(Option<OwnedSemaphorePermit>);

impl MemoryLimit {
    /// `octets` for all messages together: a quarter for those being received, the rest for those being handled. `limits` are those of one
    /// message.
    pub fn new(octets: usize, limits: &Limits) -> MemoryLimit {
        let receiving = units(octets / 4);
        let most = units(octets - octets / 4);
        let pool = |units: u32| Arc::new(Semaphore::new(usize::try_from(units).unwrap_or(Semaphore::MAX_PERMITS)));
        MemoryLimit { receiving: pool(receiving), working: pool(most), total: most, octets, limits: limits.clone() }
    }

    /// Whether it was made with these arguments. If so, it is kept over a reload, and so are its shares.
    pub fn is_of(&self, octets: usize, limits: &Limits) -> bool {
        self.octets == octets && self.limits == *limits
    }

    /// The minimum for messages of `octets`. The dots that SMTP adds may double a message (RFC 5321, section 4.5.2).
    pub fn least(octets: usize) -> usize {
        octets.saturating_mul(8)
    }

    /// Grows `held` for a message of which `octets` were received. False if there is not enough memory now.
    pub(super) fn receive(&self, held: &mut Held, octets: usize) -> bool {
        let have = held.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(need) = usize::try_from(units(octets)).ok().and_then(|need| need.checked_sub(have)) else {
            return true;
        };
        let Ok(more) = Arc::clone(&self.receiving).try_acquire_many_owned(u32::try_from(need).unwrap_or(u32::MAX))
        else {
            return false;
        };
        match &mut held.0 {
            Some(held) => held.merge(more),
            None => held.0 = Some(more),
        }
        true
    }

    /// Waits for the memory to handle a message of `octets`; `None` if that takes too long. The share covers what the message may grow to, which is
    /// unknown before it is opened. A message that may need more than the total waits until it is alone.
    pub(super) async fn work(&self, octets: usize) -> Option<Held> {
        let Limits { message, expansion, ratio, .. } = self.limits;
        let grown = octets.saturating_mul(ratio).clamp(MIN_GROWTH, message.saturating_mul(expansion).max(MIN_GROWTH));
        let need = units(octets.saturating_mul(2).saturating_add(grown)).min(self.total);
        let share = timeout(TIMEOUT, Arc::clone(&self.working).acquire_many_owned(need)).await;
        share.ok()?.ok().map(|share| Held(Some(share)))
    }
}

impl Held {
    /// Returns what `octets` do not need.
    pub(super) fn shrink(&mut self, octets: usize) {
        let Some(held) = &mut self.0 else { return };
        let keep = usize::try_from(units(octets)).unwrap_or(usize::MAX);
        drop(held.split(held.num_permits().saturating_sub(keep)));
    }
}

fn units(octets: usize) -> u32 {
    u32::try_from(octets.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

/// Octets per permit.
const UNIT: usize = 64 * 1024;
/// Octets that any message may grow by, as in `base::Budget::expanded`.
const MIN_GROWTH: usize = 1024 * 1024;
/// How long a message waits for memory. Source: clients wait 10 minutes for the reply to their data (RFC 5321, section 4.5.3.2.6), and Postfix 300 s for
/// that of a milter.
const TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn received_octets_are_counted_and_returned() {
        let memory = MemoryLimit::new(8 * MIB, &Limits::default());
        let (mut first, mut second) = (Held::default(), Held::default());
        assert!(memory.receive(&mut first, MIB) && memory.receive(&mut first, MIB + 1));
        assert!(!memory.receive(&mut second, MIB));
        assert!(memory.receive(&mut second, MIB / 2));
        drop(first);
        assert!(memory.receive(&mut second, 2 * MIB));
        assert!(!memory.receive(&mut second, 2 * MIB + 1));
    }

    #[test]
    fn a_message_without_memory_waits() {
        let memory = MemoryLimit::new(512 * MIB, &Limits::default());
        runtime().block_on(async {
            // Each may grow by 64 MiB.
            let mut held = Vec::new();
            for _ in 0..5 {
                held.push(memory.work(4 * MIB).await.unwrap());
            }
            assert!(timeout(Duration::from_millis(50), memory.work(4 * MIB)).await.is_err(), "384 MiB are for work");
            held.iter_mut().for_each(|one| one.shrink(4 * MIB));
            assert!(memory.work(64 * MIB).await.is_some());
            drop(held);
            let alone = MemoryLimit::new(4 * MIB, &Limits::default());
            assert!(alone.work(64 * MIB).await.is_some());
        });
    }
}
