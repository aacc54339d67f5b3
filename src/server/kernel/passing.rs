//! What goes between a Salon that hands its listening sockets over and the one that takes them over: words, one a line,
//! and once a message with the sockets (`SCM_RIGHTS`, unix(7)).
//!
//! ```text
//! newcomer   salon takes over 1
//! old one    salon hands over 1 PID MILLISECONDS COUNT, COUNT lines OPTION ADDRESS, end     and COUNT sockets with it
//! newcomer   take            all is ready but the store: the old one accepts no more, and lets go of the store
//! old one    free            the store can be opened
//! newcomer   serves          it is open: the old one closes its copies of the sockets
//! old one    done            the newcomer is on its own
//! ```
//!
//! In the place of its word the old one says `busy`, or `late` when it goes on itself. An end of the connection in the
//! place of a word means that the other is gone: before `serves` the old one goes on, behind it the newcomer does.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use super::bound::MAX_LISTENERS;

pub(super) const ASK: &str = "salon takes over 1";
pub(super) const OFFER: &str = "salon hands over 1";
pub(super) const END: &str = "end";
pub(super) const TAKE: &str = "take";
pub(super) const FREE: &str = "free";
pub(super) const SERVES: &str = "serves";
pub(super) const DONE: &str = "done";
pub(super) const BUSY: &str = "busy";
pub(super) const LATE: &str = "late";

/// Sockets that are handed over, at most: those that are listened on, and the one by which they go.
const MAX_SOCKETS: usize = MAX_LISTENERS + 1;

/// The bytes of an offer, at most: each address has at most 108 as a path, or a few dozen.
const MAX_OFFER: usize = 32 << 10;

/// The longest word.
const MAX_WORD: usize = 32;

/// Words that come by a stream.
#[derive(Debug, Default)]
pub(super) struct Words {
    begun: Vec<u8>,
}

impl Words {
    /// The next word; `None`: the stream has ended.
    ///
    /// # Errors
    /// Those of reading, [`WouldBlock`](io::ErrorKind::WouldBlock) and, by a signal,
    /// [`Interrupted`](io::ErrorKind::Interrupted) among them, behind which it goes on where it was;
    /// [`InvalidData`](io::ErrorKind::InvalidData) of something that is no word.
    pub fn next(&mut self, stream: &mut impl Read) -> io::Result<Option<String>> {
        loop {
            // One at a time: what is behind a word is for the next call, and they are few.
            let mut byte = [0];
            match stream.read(&mut byte)? {
                0 => return Ok(None),
                _ if byte[0] == b'\n' => {
                    let word = String::from_utf8(std::mem::take(&mut self.begun));
                    return word.map(Some).map_err(|_| io::ErrorKind::InvalidData.into());
                }
                _ if self.begun.len() == MAX_WORD => return Err(io::ErrorKind::InvalidData.into()),
                _ => self.begun.push(byte[0]),
            }
        }
    }
}

/// Says a word, in one piece. Where it cannot be said, the other one is gone, or has said something before it went:
/// that is heard next.
pub(super) fn say(stream: &mut impl Write, word: &str) {
    let _ = stream.write_all(format!("{word}\n").as_bytes());
}

/// Sends a text and sockets with it.
///
/// # Errors
/// Those of the system; or not all of the text could be sent at once.
pub(super) fn send(stream: impl AsFd, text: &str, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let sent = sendmsg(stream, &[IoSlice::new(text.as_bytes())], &mut control, SendFlags::empty())?;
    if sent == text.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Receives a text up to its last line, which is [`END`], and the sockets that come with it. What ends before, or is
/// longer than an offer, is returned as it is. By a signal it is `interrupted`, and goes on if that says so.
///
/// # Errors
/// Those of the system; [`Interrupted`](io::ErrorKind::Interrupted) where it does not go on.
pub(super) fn receive(stream: impl AsFd, mut interrupted: impl FnMut() -> bool) -> io::Result<(String, Vec<OwnedFd>)> {
    let (mut text, mut sockets) = (Vec::new(), Vec::new());
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
    let mut bytes = vec![0; MAX_OFFER];
    loop {
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let into = &mut [IoSliceMut::new(&mut bytes)];
        let received = match recvmsg(&stream, into, &mut control, CLOSED_ON_EXEC) {
            Err(rustix::io::Errno::INTR) if interrupted() => continue,
            received => received?,
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                sockets.extend(rights);
            }
        }
        text.extend_from_slice(&bytes[..received.bytes]);
        let is_whole =
            text.strip_suffix(b"\n").is_some_and(|text| text.ends_with(END.as_bytes()) || !text.contains(&b'\n'));
        if received.bytes == 0 || is_whole || text.len() > MAX_OFFER {
            return Ok((String::from_utf8_lossy(&text).into_owned(), sockets));
        }
    }
}

/// Children of the newcomer do not inherit what it receives.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOSED_ON_EXEC: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOSED_ON_EXEC: RecvFlags = RecvFlags::empty();

/// Whether the process at the other end runs as the same user as this one. Where the system does not say so, the
/// permissions of the socket's file do: nobody else can open it.
pub(super) fn is_of_same_user(stream: impl AsFd) -> io::Result<bool> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return Ok(rustix::net::sockopt::socket_peercred(stream)?.uid == rustix::process::geteuid());
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = stream;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn words_come_one_by_one_however_they_are_cut() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let mut words = Words::default();
        one.write_all(b"take\nser").unwrap();
        assert_eq!(words.next(&mut other).unwrap().as_deref(), Some(TAKE));
        other.set_nonblocking(true).unwrap();
        assert_eq!(words.next(&mut other).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        one.write_all(b"ves\n").unwrap();
        assert_eq!(words.next(&mut other).unwrap().as_deref(), Some(SERVES));
        one.write_all(&[b'x'; MAX_WORD + 1]).unwrap();
        assert_eq!(words.next(&mut other).unwrap_err().kind(), io::ErrorKind::InvalidData);
        drop(one);
        assert_eq!(Words::default().next(&mut other).unwrap(), None);
    }

    #[test]
    fn sockets_go_with_a_text() {
        let (one, other) = UnixStream::pair().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sockets = vec![listener.as_fd(); MAX_SOCKETS];
        send(&one, "first\nlast\nend\n", &sockets).unwrap();
        let (text, received) = receive(&other, || true).unwrap();
        assert_eq!((&*text, received.len()), ("first\nlast\nend\n", MAX_SOCKETS));
        for socket in received {
            assert_eq!(std::net::TcpListener::from(socket).local_addr().unwrap(), address);
        }
        assert!(is_of_same_user(&one).unwrap());
        // One word, or an end before there is one.
        send(&one, "busy\n", &[]).unwrap();
        assert_eq!(receive(&other, || true).unwrap().0, "busy\n");
        drop(one);
        assert_eq!(receive(&other, || true).unwrap().0, "");
    }
}
