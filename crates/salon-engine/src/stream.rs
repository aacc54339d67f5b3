//! The interface that the engine needs of a connection, and the meaning of a count of bytes.
//!
//! Streams never wait. The engine asks a stream when a poller has reported it
//! ([`Engine::readable`](crate::Engine::readable), [`Engine::writable`](crate::Engine::writable)), when something is to
//! be sent, and when the stream itself has answered that there may be more ([`Got::More`]). It never asks at any other
//! time: a stream that answers [`Got::Drained`] or [`Wrote::Full`] promises that the poller will report it.
//!
//! So any non-blocking `Read + Write` is a right stream with [`Stream::shut_down`] alone: by default `WouldBlock` is
//! the only end of reading and writing, whatever a count is. A stream that knows more, such as a socket under an
//! edge-triggered poller, saves a system call with [`receive_short`] and [`send_short`].

use std::io::{self, ErrorKind, IoSlice, Read, Write};

/// What a connection is to the engine: bytes both ways, without waiting.
///
/// Between calls the poller may be edge-triggered, level-triggered or one-shot, as
/// [`Settings::poller`](crate::Settings::poller) says:
///
/// | poller | what is to be watched |
/// |---|---|
/// | edge-triggered | both directions, always |
/// | level-triggered, one-shot | what [`Engine::next_interest`](crate::Engine::next_interest) says |
///
/// ```
/// use std::io::{self, Read, Write};
/// use std::net::{Shutdown, TcpStream};
///
/// use salon_engine::Stream;
///
/// /// Set to non-blocking when it is accepted.
/// struct Socket(TcpStream);
///
/// impl Read for Socket {
///     fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
///         self.0.read(into)
///     }
/// }
///
/// impl Write for Socket {
///     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
///         self.0.write(bytes)
///     }
///     fn flush(&mut self) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// impl Stream for Socket {
///     fn shut_down(&mut self) -> io::Result<()> {
///         self.0.shutdown(Shutdown::Write)
///     }
/// }
/// ```
pub trait Stream: Read + Write {
    /// Reads into `into`, which is not empty, and says whether there is more.
    ///
    /// `to_end`: the poller has reported that the peer has ended its stream
    /// ([`Engine::readable`](crate::Engine::readable)), and may not report it again. A stream that takes a short read
    /// for a sign of being drained must not do so then: the end lies behind the bytes.
    ///
    /// # Errors
    /// Those of the stream except `WouldBlock` and `Interrupted`; the engine then ends the connection. Bytes that came
    /// before the error must be returned first.
    fn receive(&mut self, into: &mut [u8], _to_end: bool) -> io::Result<Got> {
        match uninterrupted(|| self.read(into)) {
            Ok(0) => Ok(Got::Ended),
            Ok(len) => Ok(Got::More(len)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Got::Drained(0)),
            Err(error) => Err(error),
        }
    }

    /// The [steps](crate::Engine::spend) that the next [`Stream::receive`] may cost beside the bytes it brings: for a
    /// handshake, for example.
    fn receive_steps(&self) -> usize {
        0
    }

    /// Writes the slices, one behind the other, until all are written or the stream is full. There is at least one byte
    /// in them. The content of `slices` afterwards has no meaning.
    ///
    /// # Errors
    /// Those of the stream except `WouldBlock` and `Interrupted`; the engine then ends the connection.
    fn send(&mut self, slices: &mut [IoSlice<'_>]) -> io::Result<Wrote> {
        write_until_full(self, slices, false)
    }

    /// Whether the stream has taken bytes that it could not write yet, because it has a buffer of its own, as TLS has:
    /// then the poller is to report room, and [`Write::flush`] writes them. Not asked under an edge-triggered poller.
    fn holds_output(&self) -> bool {
        false
    }

    /// Ends our side: the peer will read the end of the stream after what was written (`shutdown(SHUT_WR)`).
    ///
    /// # Errors
    /// Those of the system; the engine then ends the connection. `WouldBlock`: [`Write::flush`] will do it, when the
    /// poller reports room.
    fn shut_down(&mut self) -> io::Result<()>;
}

/// The result of a [`Stream::receive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what it says about more must not be lost"]
pub enum Got {
    /// So many bytes, or none; there may be more, which no poller will report.
    More(usize),
    /// So many bytes, or none; the poller will report when there is more, or the end.
    Drained(usize),
    /// No bytes: the peer has ended its stream.
    Ended,
}

/// The result of a [`Stream::send`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what was not taken is to be kept"]
pub enum Wrote {
    /// The stream has taken all of it.
    All,
    /// It has taken so many bytes, or none, and is full; the poller will report when it takes more.
    Full(usize),
}

impl Wrote {
    /// How many of the bytes that were `offered` it has taken. Less than all: it is full.
    pub(super) fn len(self, offered: usize) -> usize {
        match self {
            Self::All => offered,
            Self::Full(len) => len.min(offered),
        }
    }
}

/// [`Stream::receive`] of a socket under an edge-triggered poller: a read that brings less than there was room for has
/// emptied it, and later bytes are another edge. If the end came in the same edge, it reads on.
///
/// # Errors
/// Those of [`Stream::receive`].
pub fn receive_short(stream: &mut (impl Read + ?Sized), into: &mut [u8], to_end: bool) -> io::Result<Got> {
    match uninterrupted(|| stream.read(into)) {
        Ok(0) => Ok(Got::Ended),
        Ok(len) if len == into.len() || to_end => Ok(Got::More(len)),
        Ok(len) => Ok(Got::Drained(len)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Got::Drained(0)),
        Err(error) => Err(error),
    }
}

/// [`Stream::send`] of a socket under an edge-triggered poller that takes all slices of a
/// [`write_vectored`](Write::write_vectored), up to 16: a write that takes less than it was offered has filled it, and
/// room is another edge.
///
/// # Errors
/// Those of [`Stream::send`].
pub fn send_short(stream: &mut (impl Write + ?Sized), slices: &mut [IoSlice<'_>]) -> io::Result<Wrote> {
    write_until_full(stream, slices, true)
}

fn write_until_full(
    stream: &mut (impl Write + ?Sized),
    mut slices: &mut [IoSlice<'_>],
    short_is_full: bool,
) -> io::Result<Wrote> {
    let mut written = 0;
    loop {
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let result = uninterrupted(|| match slices {
            [only] => stream.write(only),
            _ => stream.write_vectored(slices),
        });
        match result {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(len) if len == offered => return Ok(Wrote::All),
            Ok(len) => {
                written += len;
                if short_is_full {
                    return Ok(Wrote::Full(written));
                }
                IoSlice::advance_slices(&mut slices, len);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Wrote::Full(written)),
            Err(error) => return Err(error),
        }
    }
}

fn uninterrupted<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match work() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
