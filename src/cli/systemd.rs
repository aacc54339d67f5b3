//! What systemd hands over at the start and wants to hear: sockets, readiness, a sign of life.
//!
//! All of it goes by environment variables (`LISTEN_FDS`, `NOTIFY_SOCKET`, `WATCHDOG_USEC`); without them this does nothing. See
//! sd_listen_fds(3) and sd_notify(3).

use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::server::serve::{self, HandedOver, Settings, State};

use super::reload::Reload;

/// The sockets that systemd listens on for us: one called `admin` is for the operator, one called `tls` for everybody by TLS, the
/// other for everybody without.
///
/// # Errors
/// What was handed over is not that: one sentence.
pub fn sockets() -> Result<HandedOver, String> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut handed = ListenFd::from_env();
    let mut sockets = HandedOver::default();
    for (index, name) in (0..handed.len()).zip(names.split(':').map(Some).chain(std::iter::repeat(None))) {
        let shown = name.unwrap_or("without a name");
        let socket =
            handed.take_tcp_listener(index).map_err(|error| format!("the socket {shown} of systemd: {error}"))?;
        let place = match name {
            Some(ADMIN) => &mut sockets.admin,
            Some(TLS) => &mut sockets.tls,
            _ => &mut sockets.public,
        };
        if place.replace(socket.ok_or("a socket of systemd was taken twice")?).is_some() {
            return Err(format!(
                "expected one socket of systemd for everybody, one with FileDescriptorName={TLS} and one with \
                 FileDescriptorName={ADMIN}, found one more: {shown}"
            ));
        }
    }
    Ok(sockets)
}

/// Hears how the server does, and passes it on.
pub struct Starter {
    reload: Reload,
    alive_every: Option<Duration>,
}

impl Starter {
    /// For a server whose settings can be read again.
    pub fn new(reload: Reload) -> Self {
        // Half the time, as sd_watchdog_enabled(3) advises.
        Self { reload, alive_every: sd_notify::watchdog_enabled().map(|within| within / 2) }
    }
}

impl serve::Starter for Starter {
    fn reload(&mut self) -> Result<Settings, String> {
        self.reload.again()
    }

    fn note(&mut self, state: State) {
        let word = match state {
            State::Ready => NotifyState::Ready,
            State::Alive => NotifyState::Watchdog,
            State::Stopping => NotifyState::Stopping,
        };
        if let Err(error) = sd_notify::notify(&[word]) {
            log::warn!("systemd cannot be told of {state:?}: {error}");
        }
    }

    fn wants_to_hear_every(&self) -> Option<Duration> {
        self.alive_every
    }
}

/// What the socket of the admin port is called.
const ADMIN: &str = "admin";

/// What the socket of the TLS port is called.
const TLS: &str = "tls";
