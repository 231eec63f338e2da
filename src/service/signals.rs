//! Signals of the process as events.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::transport::serve::Event;

/// SIGHUP, SIGTERM and SIGINT, as long as the receiver exists. Must be called within a runtime.
pub(super) fn events() -> io::Result<mpsc::Receiver<Event>> {
    let (sender, receiver) = mpsc::channel(1);
    let kinds = [
        (SignalKind::hangup(), Event::Reload),
        (SignalKind::terminate(), Event::Stop),
        (SignalKind::interrupt(), Event::Stop),
    ];
    for (kind, event) in kinds {
        let (mut signals, sender) = (signal(kind)?, sender.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if sender.send(event).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(receiver)
}
