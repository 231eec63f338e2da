//! One end of a connection between two processes of the service: values of known types, each as its length and its octets.

use std::io::{self, Read, Write};

use postcard::{Deserializer, de_flavors, ser_flavors::Flavor, serialize_with_flavor};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::bounds::{Bounded, LONG, STRUCTURE, Sizes};
use crate::base::{Error, Kind, Result};

/// Sends and receives values over a stream.
#[derive(Debug)]
pub(super) struct Channel<S> {
    stream: S,
    /// Of values with messages.
    sizes: Sizes,
    /// What was read is at the beginning of it.
    ahead: Zeroizing<Vec<u8>>,
    /// Octets that were read, and belong to the next value.
    filled: usize,
    /// What waits for the next write, while a value is sent.
    held: Zeroizing<Vec<u8>>,
}

impl<S> Channel<S> {
    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    /// From here on there are values with messages.
    #[must_use]
    pub(super) fn with(self, sizes: Sizes) -> Self {
        Channel { sizes, ..self }
    }
}

impl<S: Read + Write> Channel<S> {
    /// One without messages.
    pub(super) fn new(stream: S) -> Self {
        Channel { stream, sizes: Sizes::default(), ahead: Zeroizing::default(), filled: 0, held: Zeroizing::default() }
    }

    /// # Errors
    ///
    /// `TryAgain`: the other process is gone. Over the Budget: the value has more octets than its kind may have, and nothing was sent.
    pub(super) fn send<T: Bounded + Serialize>(&mut self, value: &T) -> Result<()> {
        let measured = serialize_with_flavor(value, Measuring::default()).map_err(|error| gone(&error))?;
        let most = T::most(measured.kind.unwrap_or_default(), &self.sizes);
        let length = u32::try_from(measured.octets).ok().filter(|length| *length <= most);
        let length = length.filter(|_| measured.structure <= STRUCTURE).ok_or_else(|| {
            let over = format!("more than {most} octets, or {STRUCTURE} without long texts, for another process");
            Error::over_budget("message", over).with_hint("send it to fewer at a time")
        })?;
        let mut sending = Sending { stream: &mut self.stream, held: &mut self.held, failed: None };
        let sent = sending.send(&length.to_le_bytes()).and_then(|()| serialize_with_flavor(value, &mut sending));
        let failed = sending.failed.take();
        wipe(&mut self.held);
        match failed {
            Some(error) => Err(gone(&error)),
            None => sent.map_err(|error| gone(&error)),
        }
    }

    /// Waits for a value.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the other process is gone, or what it says is no such value.
    pub(super) fn receive<T: Bounded + DeserializeOwned>(&mut self) -> Result<T> {
        self.receive_next()?.ok_or_else(|| gone(&"it ended"))
    }

    /// Waits for a value; `None`: the other process is gone.
    ///
    /// # Errors
    ///
    /// `TryAgain`: what it says is no such value.
    pub(super) fn receive_next<T: Bounded + DeserializeOwned>(&mut self) -> Result<Option<T>> {
        if self.read_to(HEAD).is_err() {
            return Ok(None);
        }
        let length = self.ahead.first_chunk::<HEAD>().copied().map_or(0, u32::from_le_bytes);
        let end = HEAD + usize::try_from(length).unwrap_or(usize::MAX - HEAD);
        self.read_to(end.min(HEAD + 1))?;
        let kind = self.ahead.get(HEAD).filter(|_| length > 0).copied().unwrap_or_default();
        if length > T::most(kind, &self.sizes) {
            return Err(gone(&"it says more than it may"));
        }
        self.read_to(end)?;
        let mut reader = Deserializer::from_flavor(Reading::of(self.ahead.get(HEAD..end).unwrap_or_default()));
        let value = T::deserialize(&mut reader).and_then(|value| Ok((value, reader.finalize()?)));
        let value = match value {
            Ok((value, [])) => Ok(Some(value)),
            Ok(_) => Err(gone(&"octets after a value")),
            Err(error) => Err(gone(&error)),
        };
        self.forget(end);
        value
    }

    /// Reads until so many octets are there. Memory is taken as they arrive: a length alone costs nothing.
    fn read_to(&mut self, end: usize) -> Result<()> {
        while self.filled < end {
            let have = self.filled;
            let room = (have + (end - have).min(MOST_ROOM)).max(LEAST_ROOM);
            if self.ahead.len() < room {
                // Twice what there is, and no more than this value takes: what a vector outgrows stays beside it until it was copied.
                let wanted = (2 * have).min(end).max(room);
                let more = wanted - self.ahead.len();
                self.ahead.reserve_exact(more);
                self.ahead.resize(wanted, 0);
            }
            match self.stream.read(self.ahead.get_mut(have..).unwrap_or_default()) {
                Ok(0) => return Err(gone(&io::Error::from(io::ErrorKind::UnexpectedEof))),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(gone(&error)),
            }
        }
        Ok(())
    }

    /// Wipes a value that ends there. The room for short ones stays, so that it is taken and wiped once.
    fn forget(&mut self, end: usize) {
        // One value at a time is on its way, so that next to nothing is moved here.
        self.ahead.copy_within(end..self.filled, 0);
        let rest = self.filled - end;
        self.ahead.get_mut(rest..self.filled).unwrap_or_default().fill(0);
        self.filled = rest;
        if self.ahead.len() > LEAST_ROOM {
            let mut kept = vec![0; rest.max(LEAST_ROOM)];
            kept.iter_mut().zip(self.ahead.iter()).for_each(|(to, from)| *to = *from);
            self.ahead = Zeroizing::new(kept);
        }
    }
}

/// A value on its way out. Length and value are one write, because each wakes the other process; a message is sent from where it lies.
struct Sending<'s, S> {
    stream: &'s mut S,
    held: &'s mut Vec<u8>,
    /// Why nothing more can be sent.
    failed: Option<io::Error>,
}

impl<S: Write> Sending<'_, S> {
    fn send(&mut self, octets: &[u8]) -> postcard::Result<()> {
        if octets.len() < LEAST_ROOM && self.held.len() + octets.len() <= LEAST_ROOM {
            self.held.extend_from_slice(octets);
            return Ok(());
        }
        let written = self.stream.write_all(self.held).and_then(|()| self.stream.write_all(octets));
        wipe(self.held);
        self.noted(written)
    }

    fn noted(&mut self, written: io::Result<()>) -> postcard::Result<()> {
        written.map_err(|error| {
            self.failed.get_or_insert(error);
            postcard::Error::SerializeBufferFull
        })
    }
}

impl<S: Write> Flavor for &mut Sending<'_, S> {
    type Output = ();

    fn try_push(&mut self, octet: u8) -> postcard::Result<()> {
        self.send(&[octet])
    }

    fn try_extend(&mut self, octets: &[u8]) -> postcard::Result<()> {
        self.send(octets)
    }

    fn finalize(self) -> postcard::Result<()> {
        let written = self.stream.write_all(self.held).and_then(|()| self.stream.flush());
        self.noted(written)
    }
}

/// The octets of a value.
#[derive(Default)]
struct Measuring {
    /// The first one.
    kind: Option<u8>,
    octets: usize,
    /// Those outside long strings.
    structure: usize,
}

impl Flavor for Measuring {
    type Output = Measuring;

    fn try_push(&mut self, octet: u8) -> postcard::Result<()> {
        self.try_extend(&[octet])
    }

    fn try_extend(&mut self, octets: &[u8]) -> postcard::Result<()> {
        self.kind = self.kind.or(octets.first().copied());
        self.octets = self.octets.saturating_add(octets.len());
        self.structure = self.structure.saturating_add(structure_of(octets.len()));
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Measuring> {
        Ok(self)
    }
}

/// A value on its way in. Many short parts take many times the memory of their octets, so there may be fewer of them.
struct Reading<'o> {
    octets: &'o [u8],
    /// Octets outside long strings that may come.
    structure: usize,
}

impl<'o> Reading<'o> {
    fn of(octets: &'o [u8]) -> Reading<'o> {
        Reading { octets, structure: STRUCTURE }
    }
}

impl<'o> de_flavors::Flavor<'o> for Reading<'o> {
    type Remainder = &'o [u8];
    type Source = &'o [u8];

    fn pop(&mut self) -> postcard::Result<u8> {
        self.try_take_n(1)?.first().copied().ok_or(postcard::Error::DeserializeUnexpectedEnd)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.octets.len())
    }

    fn try_take_n(&mut self, count: usize) -> postcard::Result<&'o [u8]> {
        let left = self.structure.checked_sub(structure_of(count));
        self.structure = left.ok_or(postcard::Error::DeserializeBadEncoding)?;
        let (taken, rest) = self.octets.split_at_checked(count).ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.octets = rest;
        Ok(taken)
    }

    fn finalize(self) -> postcard::Result<&'o [u8]> {
        Ok(self.octets)
    }
}

/// How many of so many octets in a row count as outside long strings.
fn structure_of(octets: usize) -> usize {
    if octets < LONG { octets } else { 0 }
}

/// Empties a buffer, and leaves its room.
fn wipe(buffer: &mut Vec<u8>) {
    buffer.fill(0);
    buffer.clear();
}

/// The other end cannot be talked to. The mail waits for another process.
pub(super) fn gone(why: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::TryAgain, format!("another process of the service: {why}").to_lowercase())
}

/// Octets of the length before a value.
const HEAD: usize = 4;
/// Octets for which there is room at each read: most values are shorter.
const LEAST_ROOM: usize = 16 << 10;
/// The most, so that memory is taken for what arrives.
const MOST_ROOM: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::{
        super::{
            asked::{Found, Reply},
            questions::Answer,
        },
        *,
    };

    /// What is sent here, and octets of it.
    const MOST: u32 = 8 << 20;

    impl Bounded for () {
        fn most(_: u8, _: &Sizes) -> u32 {
            0
        }
    }

    impl<A, B, C> Bounded for (A, B, C) {
        fn most(kind: u8, _: &Sizes) -> u32 {
            if kind == u8::MAX { 3 } else { MOST }
        }
    }

    impl Bounded for Result<Answer> {
        fn most(_: u8, _: &Sizes) -> u32 {
            MOST
        }
    }

    fn pair() -> (Channel<UnixStream>, Channel<UnixStream>) {
        let (one, other) = UnixStream::pair().unwrap();
        (Channel::new(one), Channel::new(other))
    }

    #[test]
    fn values_arrive_as_they_were_sent() {
        let (mut one, mut other) = pair();
        one.send(&("words", vec![1_u8, 2, 3], Some(7_u64))).unwrap();
        one.send(&()).unwrap();
        let value: (String, Vec<u8>, Option<u64>) = other.receive().unwrap();
        assert_eq!(value, ("words".to_owned(), vec![1, 2, 3], Some(7)));
        other.receive::<()>().unwrap();
        drop(one);
        assert_eq!(other.receive::<()>().unwrap_err().kind(), Kind::TryAgain);
    }

    #[test]
    fn long_values_arrive_between_short_ones() {
        let (mut one, mut other) = pair();
        for length in [LEAST_ROOM - 1, LEAST_ROOM, LEAST_ROOM + 1, 3 * MOST_ROOM + 7] {
            let long = serde_bytes::ByteBuf::from((0..=250).cycle().take(length).collect::<Vec<u8>>());
            let value = ("before".to_owned(), long, "behind".to_owned());
            let arrived = std::thread::scope(|scope| {
                scope.spawn(|| one.send(&value).unwrap());
                other.receive::<(String, serde_bytes::ByteBuf, String)>().unwrap()
            });
            assert!(arrived == value, "{length}");
        }
    }

    #[test]
    fn a_long_value_takes_little_more_memory_than_it_has_octets() {
        let (one, mut other) = pair();
        let length = 5 * MOST_ROOM;
        std::thread::scope(|scope| {
            scope.spawn(|| (&one.stream).write_all(&vec![0; length]).unwrap());
            other.read_to(length).unwrap();
        });
        assert!(other.ahead.capacity() <= length + LEAST_ROOM, "{}", other.ahead.capacity());
    }

    /// The writes of one value.
    #[derive(Default)]
    struct Writes(Vec<Vec<u8>>);

    impl Read for Writes {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
    }

    impl Write for Writes {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.push(octets.to_vec());
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_short_value_is_one_write_and_a_message_is_not_copied() {
        let mut channel = Channel::new(Writes::default());
        channel.send(&("words", 7_u64, vec!["x"; 100])).unwrap();
        assert_eq!(channel.stream.0.len(), 1);
        let mut channel = Channel::new(Writes::default());
        let message = serde_bytes::ByteBuf::from(vec![7; 2 * LEAST_ROOM]);
        channel.send(&("words", &message, 7_u64)).unwrap();
        let writes = channel.stream.0;
        assert!(writes.len() == 3 && writes[1] == message.as_slice(), "{} writes", writes.len());
    }

    #[test]
    fn a_length_alone_takes_no_memory_and_one_octet_too_many_is_refused() {
        type Three = (u8, u8, u8);
        let said = |length: u32, octets: &[u8]| {
            let (one, mut other) = pair();
            let mut raw = one.stream;
            raw.write_all(&length.to_le_bytes()).unwrap();
            raw.write_all(octets).unwrap();
            drop(raw);
            let said = other.receive_next::<Three>().map_err(|error| error.to_string());
            (said, other.ahead.capacity())
        };
        let refused = |why: &str| Err(format!("another process of the service: {why}"));
        assert_eq!(said(3, &[1, 2, 3]).0, Ok(Some((1, 2, 3))));
        assert_eq!(said(3, &[u8::MAX, 2, 3]).0, Ok(Some((u8::MAX, 2, 3))));
        // The first octet says which kind it is, and what follows is not waited for.
        assert_eq!(said(4, &[u8::MAX, 2]).0, refused("it says more than it may"));
        assert_eq!(said(MOST + 1, &[1]).0, refused("it says more than it may"));
        let (cut, memory) = said(MOST, &[1]);
        assert!(cut == refused("unexpected end of file") && memory <= 2 * MOST_ROOM, "{cut:?} {memory}");
        assert_eq!(said(4, &[1, 2, 3, 4]).0, refused("octets after a value"));
        let (one, mut other) = pair();
        drop(one);
        assert!(matches!(other.receive_next::<Three>(), Ok(None)), "it ended between two values");
    }

    #[test]
    fn what_is_too_long_is_not_sent() {
        let mut channel = Channel::new(Writes::default());
        let error = channel.send(&(u8::MAX, 2_u8, "x")).unwrap_err();
        assert!(error.is_over_budget() && channel.stream.0.is_empty(), "{error}");
        channel.send(&(u8::MAX, 2_u8, 3_u8)).unwrap();
    }

    /// A judge must not make the service allocate for millions of names, each an octet long.
    #[test]
    fn many_short_parts_are_fewer_octets_than_a_message() {
        let measured = |value: &(u8, Vec<Vec<u8>>, u8)| {
            let sent = Channel::new(Writes::default()).send(value);
            let octets = postcard::to_extend(value, Vec::new()).unwrap();
            let mut reader = Deserializer::from_flavor(Reading { structure: 1_000, octets: &octets });
            let read = <(u8, Vec<Vec<u8>>, u8)>::deserialize(&mut reader);
            assert_eq!(read.is_ok(), read.as_ref().is_ok_and(|read| read == value));
            (sent.is_ok(), read.is_ok())
        };
        assert_eq!(measured(&(0, vec![vec![7; 3]; 200], 0)), (true, true));
        assert_eq!(measured(&(0, vec![vec![7; 3]; 300], 0)), (true, false), "1,200 octets");
        assert_eq!(measured(&(0, vec![Vec::new(); 1_100], 0)), (true, false));
        let value = (0_u8, serde_bytes::ByteBuf::from(vec![7; 1 << 20]), 0_u8);
        let octets = postcard::to_extend(&value, Vec::new()).unwrap();
        let mut reader = Deserializer::from_flavor(Reading { structure: 1_000, octets: &octets });
        assert!(<(u8, serde_bytes::ByteBuf, u8)>::deserialize(&mut reader).is_ok());
    }

    proptest! {
        #[test]
        fn any_octets_are_a_value_or_an_error(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (one, mut other) = pair();
            let mut raw = one.stream;
            raw.write_all(&u32::try_from(octets.len()).unwrap().to_le_bytes()).unwrap();
            raw.write_all(&octets).unwrap();
            drop(raw);
            let _ = other.receive::<Result<Answer>>();
        }

        #[test]
        fn any_octets_are_a_reply_of_the_network_or_an_error(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (one, mut other) = pair();
            let mut raw = one.stream;
            raw.write_all(&u32::try_from(octets.len()).unwrap().to_le_bytes()).unwrap();
            raw.write_all(&octets).unwrap();
            drop(raw);
            if let Ok(Reply::Answer { answer: Ok(Found::Values(values)), .. }) = other.receive::<Reply>() {
                let octets: usize = values.values().unwrap_or_default().iter().map(Vec::len).sum();
                assert!(octets <= 200);
            }
        }
    }
}
