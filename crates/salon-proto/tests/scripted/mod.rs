//! A stream that takes, holds back and brings bytes as a test says, for both adapters, and tasks that are polled when
//! they are woken, and only then.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a stream does when it is asked.
#[derive(Debug)]
pub struct Wire {
    /// What a read brings; behind it nothing for now, or the end.
    pub came: VecDeque<u8>,
    pub ended: bool,
    /// The error of a read when nothing is left.
    pub read_error: Option<io::ErrorKind>,
    /// So many bytes are taken, and then no more for now.
    pub room: usize,
    /// The error of a write when there is no room; in blocking streams `WouldBlock` without one.
    pub write_error: Option<io::ErrorKind>,
    /// So many flushes are not done at once.
    pub slow_flushes: usize,
    /// What was taken and has not been flushed.
    pub buffered: Vec<u8>,
    /// What has gone to the peer.
    pub sent: Vec<u8>,
    /// It takes several slices at once.
    pub vectored: bool,
    /// How often the stream was shut down.
    pub shut: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The near end of a [`Wire`].
#[derive(Clone, Debug)]
pub struct Near(Rc<RefCell<Wire>>);

impl Near {
    /// One that takes everything and brings these bytes.
    pub fn new(came: &[u8]) -> Self {
        Self(Rc::new(RefCell::new(Wire {
            came: came.iter().copied().collect(),
            ended: false,
            read_error: None,
            room: usize::MAX,
            write_error: None,
            slow_flushes: 0,
            buffered: Vec::new(),
            sent: Vec::new(),
            vectored: false,
            shut: 0,
            reader: None,
            writer: None,
        })))
    }

    pub fn wire(&self) -> RefMut<'_, Wire> {
        self.0.borrow_mut()
    }

    /// From now on all is taken, and whoever waits for that is told.
    pub fn open(&self) {
        let writer = {
            let mut wire = self.wire();
            (wire.room, wire.slow_flushes) = (usize::MAX, 0);
            wire.writer.take()
        };
        writer.into_iter().for_each(Waker::wake);
    }

    /// Has whoever waits to write try again.
    pub fn wake_writer(&self) {
        let writer = self.wire().writer.take();
        writer.into_iter().for_each(Waker::wake);
    }

    /// Brings these bytes, and tells whoever waits for them.
    pub fn bring(&self, bytes: &[u8]) {
        let reader = {
            let mut wire = self.wire();
            wire.came.extend(bytes);
            wire.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }
}

impl Wire {
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let len = bytes.len().min(self.room);
        if len == 0 && !bytes.is_empty() {
            return None;
        }
        self.room -= if self.room == usize::MAX { 0 } else { len };
        self.buffered.extend_from_slice(&bytes[..len]);
        Some(len)
    }

    fn flush(&mut self) -> bool {
        if self.slow_flushes > 0 {
            self.slow_flushes -= 1;
            return false;
        }
        self.sent.append(&mut self.buffered);
        true
    }
}

impl Read for Near {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.wire();
        match (wire.came.is_empty(), wire.ended, wire.read_error) {
            (true, false, error) => Err(error.unwrap_or(io::ErrorKind::WouldBlock).into()),
            _ => wire.came.read(into),
        }
    }
}

impl Write for Near {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.wire();
        match wire.take(bytes) {
            Some(len) => Ok(len),
            None => Err(wire.write_error.unwrap_or(io::ErrorKind::WouldBlock).into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.wire().flush() {
            true => Ok(()),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl AsyncRead for Near {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.wire();
        if wire.came.is_empty() && !wire.ended {
            if let Some(error) = wire.read_error {
                return Poll::Ready(Err(error.into()));
            }
            wire.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let len = wire.came.len().min(into.remaining());
        let bytes: Vec<u8> = wire.came.drain(..len).collect();
        into.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

/// As of a socket of tokio, there is one waker for writing: that of the last call.
impl AsyncWrite for Near {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.wire();
        match (wire.take(bytes), wire.write_error) {
            (Some(len), _) => Poll::Ready(Ok(len)),
            (None, Some(error)) => Poll::Ready(Err(error.into())),
            (None, None) => {
                wire.writer = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        assert!(self.wire().vectored);
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        self.poll_write(context, &bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire().vectored
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.wire();
        if wire.flush() {
            return Poll::Ready(Ok(()));
        }
        wire.writer = Some(context.waker().clone());
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().shut += 1;
        Poll::Ready(Ok(()))
    }
}

/// One end of a non-blocking stream whose other end is a second of these: each way holds 64 KiB.
#[derive(Debug)]
pub struct End {
    comes: Rc<RefCell<VecDeque<u8>>>,
    goes: Rc<RefCell<VecDeque<u8>>>,
}

impl End {
    pub fn pair() -> [Self; 2] {
        let ways = [Rc::default(), Rc::default()];
        let [there, back] = ways.clone();
        let [near, far] = ways;
        [Self { comes: near, goes: far }, Self { comes: back, goes: there }]
    }
}

impl Read for End {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.comes.borrow_mut().read(into)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl Write for End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut goes = self.goes.borrow_mut();
        match bytes.len().min((64 << 10) - goes.len()) {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            len => {
                goes.extend(&bytes[..len]);
                Ok(len)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A future, and whether it has been woken since it was polled.
pub struct Task<'a> {
    future: Option<Pin<Box<dyn Future<Output = ()> + 'a>>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<'a> Task<'a> {
    pub fn new(future: impl Future<Output = ()> + 'a) -> Self {
        Self { future: Some(Box::pin(future)), woken: Arc::new(Woken(AtomicBool::new(true))) }
    }

    /// Has it polled once more, for whatever reason.
    pub fn wake(&self) {
        self.woken.0.store(true, Ordering::Relaxed);
    }

    pub fn is_done(&self) -> bool {
        self.future.is_none()
    }
}

/// Polls the tasks that are woken, in their order, until none is.
pub fn settle(tasks: &mut [Task<'_>]) {
    for _ in 0..1000 {
        let mut still = true;
        for task in &mut *tasks {
            let woken = task.woken.0.swap(false, Ordering::Relaxed);
            if let Some(future) = task.future.as_mut().filter(|_| woken) {
                still = false;
                if future.as_mut().poll(&mut Context::from_waker(&Waker::from(task.woken.clone()))).is_ready() {
                    task.future = None;
                }
            }
        }
        if still {
            return;
        }
    }
    panic!("expected tasks that come to rest, found some that wake each other for ever");
}
