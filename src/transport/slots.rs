//! The connections at one endpoint: how many are open, how many strangers may have, and whether it fills.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::sleep};

use crate::report::{Limit, Metrics};

/// Counts the connections at one endpoint.
pub(super) struct Slots {
    listener: &'static str,
    metrics: Arc<Metrics>,
    most: usize,
    open: AtomicUsize,
    is_filling: watch::Sender<bool>,
}

/// One connection. It is open until this is dropped.
pub(super) struct Slot(Arc<Slots>);

/// Whether an endpoint fills.
#[derive(Clone)]
pub struct Load(watch::Receiver<bool>);

impl Slots {
    /// `most` connections at once. The last tenth is a reserve.
    pub(super) fn new(listener: &'static str, most: usize, metrics: Arc<Metrics>) -> Arc<Slots> {
        Arc::new(Slots { listener, metrics, most, open: AtomicUsize::new(0), is_filling: watch::Sender::new(false) })
    }

    /// A slot for a client that may use the reserve.
    pub(super) fn take(self: &Arc<Self>) -> Slot {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.update();
        Slot(Arc::clone(self))
    }

    /// A slot for any other client; `None` if only the reserve is left.
    pub(super) fn take_unreserved(self: &Arc<Self>) -> Option<Slot> {
        let has_room = self.open.load(Ordering::Relaxed) < self.most.saturating_sub(self.most / RESERVE).max(1);
        has_room.then(|| self.take())
    }

    pub(super) fn load(&self) -> Load {
        Load(self.is_filling.subscribe())
    }

    /// It fills from four fifths on, until fewer than three fifths are open.
    fn update(&self) {
        let open = self.open.load(Ordering::Relaxed);
        let fifths = |count: usize| self.most.div_ceil(5).saturating_mul(count);
        let is_changed = self.is_filling.send_if_modified(|is_filling| {
            let before = *is_filling;
            *is_filling = open >= fifths(if before { 3 } else { 4 });
            *is_filling != before
        });
        if is_changed && *self.is_filling.borrow() {
            self.metrics.limit_reached(self.listener, Limit::ConnectionsFilling);
            tracing::warn!(event = "connections-filling", listener = self.listener, open, most = self.most);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.update();
    }
}

impl Load {
    /// An endpoint that never fills.
    pub fn none() -> Load {
        Load(watch::channel(false).1)
    }

    /// Waits until the endpoint has been filling for `limit`.
    pub async fn wait_high(&self, limit: Duration) {
        let mut is_filling = self.0.clone();
        loop {
            if is_filling.wait_for(|is_filling| *is_filling).await.is_err() {
                return std::future::pending().await;
            }
            sleep(limit).await;
            if *is_filling.borrow() {
                return;
            }
        }
    }
}

/// The part of the connections that is the reserve.
const RESERVE: usize = 10;

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn the_last_tenth_is_for_known_clients() {
        let slots = Slots::new("relay", 20, Arc::default());
        let mut held: Vec<Slot> = std::iter::from_fn(|| slots.take_unreserved()).collect();
        assert_eq!(held.len(), 18);
        held.push(slots.take());
        drop(held.remove(0));
        assert!(slots.take_unreserved().is_none());
        drop(held.remove(0));
        assert!(slots.take_unreserved().is_some());
        assert!(Slots::new("relay", 1, Arc::default()).take_unreserved().is_some());
    }

    #[tokio::test]
    async fn silence_is_short_while_it_fills() {
        let metrics = Arc::new(Metrics::default());
        let slots = Slots::new("relay", 10, Arc::clone(&metrics));
        let mut held: Vec<Slot> = (0..7).map(|_| slots.take()).collect();
        let load = slots.load();
        let short = Duration::from_millis(20);
        assert!(timeout(short * 5, load.wait_high(short)).await.is_err());
        held.push(slots.take());
        assert!(timeout(short * 100, load.wait_high(short)).await.is_ok());
        held.truncate(6);
        assert!(timeout(short * 100, load.wait_high(short)).await.is_ok(), "it still fills");
        held.truncate(5);
        assert!(timeout(short * 5, load.wait_high(short)).await.is_err());
        assert!(timeout(short, Load::none().wait_high(Duration::ZERO)).await.is_err());
        assert!(
            metrics
                .page()
                .contains("postseal_limits_reached_total{listener=\"relay\",limit=\"connections-filling\"} 1\n")
        );
    }
}
