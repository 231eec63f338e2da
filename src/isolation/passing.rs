//! Open files on their way from one process to another (SCM_RIGHTS of unix(7)).

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use super::{channel::gone, requests::Family};
use crate::base::Result;

/// Sends open files with an octet. The other process gets descriptors of its own.
pub(super) fn pass<F: AsFd>(over: &UnixStream, octet: u8, files: &[F]) -> io::Result<()> {
    let files: Vec<BorrowedFd<'_>> = files.iter().take(MOST_FILES).map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(over, &[IoSlice::new(&[octet])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next octet with its files; `None`: the other process is gone.
///
/// # Errors
///
/// `InvalidData`: the other process sends no file, or more than it may.
pub(super) fn take(over: &UnixStream) -> io::Result<Option<(u8, Vec<OwnedFd>)>> {
    let mut octet = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match recvmsg(over, &mut [IoSliceMut::new(&mut octet)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received?,
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    let files = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    let files: Vec<OwnedFd> = files.flatten().collect();
    let is_whole = !files.is_empty() && !received.flags.contains(ReturnFlags::CTRUNC);
    is_whole.then_some(Some((octet[0], files))).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// The only file that comes with the next octet; `None`: the other process is gone.
///
/// # Errors
///
/// As [`take`].
pub(super) fn take_one(over: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let Some((_, files)) = take(over)? else { return Ok(None) };
    files.into_iter().last().map(Some).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// A listening socket that this process was given.
pub type GivenSocket = (String, Family, OwnedFd);

/// The sockets with these names, which come one after the other.
///
/// # Errors
///
/// `TryAgain`: the other process sends something else, or is gone.
pub(super) fn take_sockets(over: &UnixStream, names: Vec<(String, Family)>) -> Result<Vec<GivenSocket>> {
    let taken = names.into_iter().map(|(name, family)| {
        let socket = take_one(over).map_err(|error| gone(&error))?;
        Ok((name, family, socket.ok_or_else(|| gone(&"it ended"))?))
    });
    taken.collect()
}

/// Files that go with one octet. Source: a process is started with its connection, its two other ends, and no more.
const MOST_FILES: usize = 3;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_file_arrives_open() {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut kept, passed) = UnixStream::pair().unwrap();
        pass(&one, 7, &[&passed, &kept]).unwrap();
        drop(passed);
        let (octet, files) = take(&other).unwrap().unwrap();
        assert_eq!((octet, files.len()), (7, 2));
        let mut taken = UnixStream::from(files.into_iter().next().unwrap());
        kept.write_all(b"words").unwrap();
        drop(kept);
        let mut read = String::new();
        taken.read_to_string(&mut read).unwrap();
        assert_eq!(read, "words");
        drop(one);
        assert!(take(&other).unwrap().is_none());
    }

    #[test]
    fn an_octet_alone_is_no_file() {
        let (mut one, other) = UnixStream::pair().unwrap();
        one.write_all(b"x").unwrap();
        assert_eq!(take(&other).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
