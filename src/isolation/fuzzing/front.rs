//! Both ends of the connections of a front.

use std::{
    io::Write,
    net::Shutdown,
    ops::Range,
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use super::{Script, octets};
use crate::{
    base::Limits,
    engine::{Outcome, Posting},
    isolation::{
        Backend, FrontLink, HealthAnswer, HealthQuestion, Remote,
        bounds::Sizes,
        channel::Channel,
        forms::{MailForm, OutcomeForm, PostingForm},
        passing,
        requests::{Request, Response, Said},
    },
    mail::Mail,
    policy::Lists,
    report::{Counts, Metrics},
};

/// What a front is answered that says these octets. Each request has its answer, of its kind.
pub fn answered(backend: &Backend, said: &[u8]) -> Vec<u8> {
    let sizes = Sizes::of(&backend.limits, backend.recipients);
    let mut channel = Channel::new(Script::of(said)).with(sizes);
    while let Ok(Some(request)) = channel.receive_next::<Request>() {
        let asked = kind(&request);
        let said = backend.answer(request);
        assert!(asked == kind(&said), "{said:?}");
        let response = Response { said, counts: backend.counts.next_counts() };
        if let Err(error) = channel.send(&response) {
            assert!(error.is_over_budget(), "{error}");
        }
    }
    channel.stream().heard.clone()
}

/// The front is told of the posts of this outcome.
pub fn tell(backend: &Backend, outcome: &Outcome) {
    backend.tell(outcome);
}

/// The number of a variant. Requests and answers have the same order.
fn kind(value: &impl serde::Serialize) -> u8 {
    octets(value).first().copied().unwrap_or_default()
}

/// A request of each kind, as a front makes it.
pub fn requests(listener: &str, mail: &Mail, posting: &Posting, numbers: Range<usize>) -> Vec<Vec<u8>> {
    let (listener, context) = (listener.to_owned(), "conn=1 id=2".to_owned());
    let form = || MailForm::of(mail);
    let copies = Request::Copies {
        listener: listener.clone(),
        posting: PostingForm::of(posting),
        numbers,
        context: context.clone(),
    };
    let all = [
        Request::Handle { listener: listener.clone(), mail: form(), context: context.clone() },
        copies,
        Request::Mark { listener, mail: form(), context: context.clone() },
        Request::Send { mail: form(), context },
        Request::Health(HealthQuestion::ClockSkew),
        Request::Health(HealthQuestion::Endings),
        Request::Health(HealthQuestion::Keys),
        Request::Health(HealthQuestion::Ready),
    ];
    all.iter().map(octets).collect()
}

/// Answers to them, with these counts.
pub fn responses(mail: &Mail, outcome: &Outcome, copies: &[Mail], counts: &Counts) -> Vec<Vec<u8>> {
    let all = [
        Said::Handled(Ok(Box::new(OutcomeForm::of(outcome, &mail.message)))),
        Said::Copies(Ok(copies.iter().map(MailForm::of).collect())),
        Said::Marked(Ok(serde_bytes::ByteBuf::from(mail.message.octets().to_vec()))),
        Said::Sent(Ok(())),
        Said::Health(HealthAnswer::Ready(Ok(()))),
    ];
    all.into_iter().map(|said| octets(&Response { said, counts: counts.clone() })).collect()
}

/// The process with the keys, as a front has it: it says what it was given, whatever it is asked.
pub struct Keys {
    link: FrontLink,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Default for Keys {
    fn default() -> Self {
        let (reports, mut heard) = UnixStream::pair().expect("a connection");
        let (passing, connections) = UnixStream::pair().expect("a connection");
        thread::spawn(move || std::io::copy(&mut heard, &mut std::io::sink()));
        let said: Arc<Mutex<Vec<u8>>> = Arc::default();
        let script = Arc::clone(&said);
        thread::spawn(move || {
            // A connection that is dropped takes no request any more.
            let mut before = None;
            while let Ok(Some(connection)) = passing::take_one(&connections) {
                let mut connection = UnixStream::from(connection);
                let script = script.lock().unwrap_or_else(PoisonError::into_inner);
                // The front may have gone away.
                let _ = connection.write_all(&script).and_then(|()| connection.shutdown(Shutdown::Write));
                drop(before.replace(connection));
            }
        });
        Keys { link: FrontLink::new(reports, passing), said }
    }
}

impl Keys {
    /// One that says these octets at the next connection: of them as many as a kernel holds without a reader.
    pub fn saying(&self, said: &[u8], lists: &[Lists], limits: &Limits, metrics: &Arc<Metrics>) -> Arc<Remote> {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = said[..said.len().min(64 << 10)].to_vec();
        self.link.remote(1, lists.to_vec(), (limits.clone(), 10), Arc::clone(metrics), String::new)
    }
}
