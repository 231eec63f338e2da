//! Open files on their way from one process to another (SCM_RIGHTS of unix(7)).

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// Sends one open file. The other process gets a descriptor of its own.
pub(super) fn pass(over: &UnixStream, file: impl AsFd) -> io::Result<()> {
    let files = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    // A file goes with an octet.
    sendmsg(over, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next file; `None`: the other process is gone.
///
/// # Errors
///
/// `InvalidData`: the other process sends something else.
pub(super) fn take(over: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut octet = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
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
    files.flatten().last().map(Some).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_file_arrives_open() {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut kept, passed) = UnixStream::pair().unwrap();
        pass(&one, &passed).unwrap();
        drop(passed);
        let mut taken = UnixStream::from(take(&other).unwrap().unwrap());
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
