//! The opening handshake as both adapters do it: bytes in, an answer out, and what was agreed to. It reads and writes
//! nothing itself.

use std::format;
use std::io;
use std::string::String;
use std::vec::Vec;

use crate::client_handshake::{ClientRequest, Refused, Response, ResponseError, ResponseScanner};
use crate::connection::Connection;
use crate::handshake::{HeadLimits, HeadScanner, Request, RequestError, Upgrade};
use crate::input::Input;
use crate::mask::MaskingKey;
use crate::refusal::Refusal;

/// What has come of a handshake: the connection, and the sub-protocol that was chosen.
pub(crate) type Opened = (Connection, Option<String>);

/// The server's side.
#[derive(Debug)]
pub(crate) struct ServerOpening(HeadScanner);

impl ServerOpening {
    /// One that takes heads up to these limits.
    pub(crate) fn within(limits: HeadLimits) -> Self {
        Self(HeadScanner::within(limits))
    }

    /// The length of the head in front of `input`, or what is wrong with it. `None`: there is more to be read.
    pub(crate) fn head(&mut self, input: &Input) -> Option<Result<usize, RequestError>> {
        self.0.scan(input.rest()).transpose()
    }

    /// Takes the head. The answer is appended to `out`, and to be written whatever comes of it: an error is a
    /// [`RequestError`], or a [`Refusal`]'s status.
    pub(crate) fn answer<F>(
        self,
        head: Result<usize, RequestError>,
        input: &mut Input,
        out: &mut Vec<u8>,
        decide: F,
    ) -> io::Result<Opened>
    where
        F: for<'a> FnOnce(&Request<'a>, Upgrade<'a>) -> Result<Upgrade<'a>, Refusal>,
    {
        let decided = head.and_then(|len| {
            let request = Request::parse(&input.rest()[..len])?;
            let upgrade = request.upgrade()?;
            Ok((
                len,
                decide(&request, usual(upgrade)).map(|upgrade| {
                    let agreed = upgrade.encode(out);
                    (Connection::server(&agreed), agreed.protocol().map(String::from))
                }),
            ))
        });
        match decided {
            Ok((len, Ok(opened))) => {
                input.take(len);
                Ok(opened)
            }
            Ok((_, Err(refusal))) => {
                refusal.encode(out);
                Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("refused: {}", refusal.status())))
            }
            Err(error) => {
                Refusal::from(error).encode(out);
                Err(invalid(error))
            }
        }
    }
}

/// What a server that decides nothing else agrees to: permessage-deflate, without context between the client's
/// messages.
fn usual(upgrade: Upgrade<'_>) -> Upgrade<'_> {
    #[cfg(feature = "deflate")]
    let upgrade = upgrade.deflate(crate::extension::ClientContext::Reset);
    upgrade
}

/// The client's side.
#[derive(Debug)]
pub(crate) struct ClientOpening {
    limits: HeadLimits,
    scanner: ResponseScanner,
    interim: u32,
}

impl ClientOpening {
    /// One that takes heads up to these limits.
    pub(crate) fn within(limits: HeadLimits) -> Self {
        Self { limits, scanner: ResponseScanner::within(limits), interim: 0 }
    }

    /// Appends the request to `out`.
    pub(crate) fn ask(request: &ClientRequest<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        request.encode(out).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }

    /// Takes the head of the response, behind interim ones such as 103 (Early Hints), and returns the length of the
    /// head, which is still there for [`ClientOpening::judge`]. `None`: there is more to be read.
    pub(crate) fn head(&mut self, input: &mut Input) -> io::Result<Option<usize>> {
        while let Some(len) = self.scanner.scan(input.rest()).map_err(invalid)? {
            if self.interim == MAX_INTERIM || !Response::parse(&input.rest()[..len]).map_err(invalid)?.is_interim() {
                return Ok(Some(len));
            }
            input.take(len);
            *self = Self { interim: self.interim + 1, ..Self::within(self.limits) };
        }
        Ok(None)
    }

    /// Takes the response of that many bytes. A refusal has a body perhaps, which is to be read:
    /// [`ClientOpening::wants_body`].
    pub(crate) fn judge(
        self,
        len: usize,
        input: &mut Input,
        request: &ClientRequest<'_>,
        keys: impl FnMut() -> MaskingKey + Send + Sync + 'static,
    ) -> io::Result<Result<Opened, Refused>> {
        let response = Response::parse(&input.rest()[..len]).map_err(invalid)?;
        let judged = match response.accept(request) {
            Ok(agreed) => Ok((Connection::client(keys, &agreed), agreed.protocol().map(String::from))),
            Err(ResponseError::NotSwitched(_)) => Err(response.refused()),
            Err(error) => return Err(invalid(error)),
        };
        input.take(len);
        Ok(judged)
    }

    /// Takes what has come of a refusal's body; whether more is to be read.
    pub(crate) fn wants_body(refused: &mut Refused, input: &mut Input) -> bool {
        let len = refused.take(input.rest());
        input.take(len);
        refused.wants_more()
    }
}

impl Refused {
    /// The refusal in an error of an adapter's `connect`.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// The error that a refusal is.
pub(crate) fn refusal(refused: Refused) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, refused)
}

fn invalid(error: impl Into<std::boxed::Box<dyn core::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Responses such as 103 (Early Hints) that are skipped.
const MAX_INTERIM: u32 = 16;

/// Room for a read of a head, in bytes.
pub(crate) const READ_HEAD: usize = 4 << 10;
