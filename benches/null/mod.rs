//! A socket that costs nothing, so that benches measure user space alone.

use std::hint::black_box;
use std::io::{self, Read, Write};

use salon::engine::Stream;

/// Gives a handshake once, takes everything.
pub struct Null {
    /// What of the request head has not been read.
    pub handshake: &'static [u8],
}

impl Read for Null {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.handshake.read(bytes)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl Write for Null {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        black_box(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Null {
    fn shut_down(&mut self) -> io::Result<()> {
        Ok(())
    }
}
