//! What both wire targets share: a peer that says what it says and hears what it is told, and a handler that looks at what it is given.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use postseal::{
    base::{Error, Kind, Result},
    engine::{Handler, Outcome, Posting},
    mail::{Mail, Message},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Octets in, octets out.
pub struct Peer {
    said: Vec<u8>,
    at: usize,
    pub heard: Arc<std::sync::Mutex<Vec<u8>>>,
}

impl Peer {
    pub fn new(said: &[u8]) -> Peer {
        Peer { said: said.to_vec(), at: 0, heard: Arc::default() }
    }
}

impl AsyncRead for Peer {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        // In pieces of odd lengths, as a network has them.
        let count = (self.said.len() - self.at).min(buffer.remaining()).min(1 + self.at % 61);
        let (at, end) = (self.at, self.at + count);
        buffer.put_slice(&self.said[at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<std::io::Result<usize>> {
        self.heard.lock().unwrap().extend_from_slice(octets);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Counts, and refuses for now.
#[derive(Default)]
pub struct Counting {
    pub mails: AtomicUsize,
}

impl Handler for Counting {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        self.mails.fetch_add(1, Ordering::Relaxed);
        assert!(!mail.envelope.recipients.is_empty());
        let octets = mail.message.octets();
        for (at, octet) in octets.iter().enumerate() {
            match octet {
                b'\r' => assert_eq!(octets.get(at + 1), Some(&b'\n'), "a bare CR"),
                b'\n' => assert!(at > 0 && octets[at - 1] == b'\r', "a bare LF"),
                _ => {}
            }
        }
        Err(Error::new(Kind::TryAgain, "not now"))
    }

    fn copies(&self, _: &Posting, _: std::ops::Range<usize>) -> Result<Vec<Mail>> {
        Err(Error::new(Kind::Unavailable, "no posts"))
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        Ok(mail.message.clone())
    }
}
