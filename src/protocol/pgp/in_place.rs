//! Octets that are read and written in the same memory: what is written takes the place of what was read.
//!
//! A message of 100 MiB is in memory once this way while its packets are taken out of armor, containers and partial lengths, each of which only makes it
//! shorter.

use std::{
    io,
    mem::take,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::base::{Error, Result};

/// The writing end.
pub(super) struct InPlace(Arc<Mutex<State>>);

/// The reading end.
pub(super) struct Source(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    octets: Vec<u8>,
    /// Octets that were read.
    read: usize,
    /// Octets that were written, at most as many.
    written: usize,
}

impl InPlace {
    /// Octets of which none is read yet.
    pub(super) fn new(octets: Vec<u8>) -> Self {
        InPlace(Arc::new(Mutex::new(State { octets, ..State::default() })))
    }

    /// What reads the octets.
    pub(super) fn source(&self) -> Source {
        Source(Arc::clone(&self.0))
    }

    /// Writes `more` in the place of octets that were read.
    ///
    /// # Errors
    ///
    /// `Malformed`: more would be written than was read, over what is still to be read. That is encrypted data which was packed.
    pub(super) fn write(&self, more: &[u8]) -> Result<()> {
        let mut state = lock(&self.0);
        let (start, end) = (state.written, state.written + more.len());
        let room = if end <= state.read { state.octets.get_mut(start..end) } else { None };
        let longer = || Error::malformed("openpgp message", "its encrypted data is longer than the message");
        room.ok_or_else(longer)?.copy_from_slice(more);
        state.written = end;
        Ok(())
    }

    /// What was written since the last call. The octets that are not read yet get memory of their own.
    pub(super) fn written(&self) -> Vec<u8> {
        let mut state = lock(&self.0);
        let State { mut octets, read, written } = take(&mut *state);
        state.octets = octets.get(read..).unwrap_or_default().to_vec();
        octets.truncate(written);
        octets
    }
}

impl io::Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = lock(&self.0);
        let rest = state.octets.get(state.read..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        state.read += count;
        Ok(count)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_written_takes_the_place_of_what_was_read() {
        let octets: Vec<u8> = (0..100).collect();
        let memory = octets.as_ptr();
        let place = InPlace::new(octets);
        let mut source = place.source();
        let mut buffer = [0; 30];
        source.read_exact(&mut buffer).unwrap();
        place.write(&buffer[10..]).unwrap();
        place.write(&buffer[..10]).unwrap();
        // Nothing that is still to be read is written over.
        assert!(place.write(&[0]).is_err());
        source.read_exact(&mut buffer).unwrap();
        place.write(&buffer[..1]).unwrap();
        let written = place.written();
        assert_eq!(written.as_ptr(), memory);
        assert_eq!(written, [(10..30).collect::<Vec<u8>>(), (0..10).collect(), vec![30]].concat());
        let mut rest = Vec::new();
        source.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, (60..100).collect::<Vec<u8>>());
        place.write(&rest).unwrap();
        assert_eq!(place.written(), rest);
        assert!(place.written().is_empty());
    }
}
