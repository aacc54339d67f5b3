//! The operator's settings, and the program that gives them.

use std::path::Path;
use std::time::Duration;

use crate::chat;
use crate::engine;

use super::acme::Thumbprint;
use super::jwt::Keys;
use super::listener::Address;
use super::operators::Operators;
use super::pages::Pages;
use super::reactor::Bounds;
use super::tls::{Certificates, Identities};

/// The engine's usual settings under the chat, whose close codes it says and counts.
pub fn usual_engine() -> engine::Settings {
    let mut settings = engine::Settings::default();
    (settings.no_pong_code, settings.counted_codes) = (chat::NO_PONG, chat::CLOSE_CODES);
    settings
}

/// The operator's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The public addresses; none: only TLS.
    pub listen: Vec<Address>,
    /// The public addresses with TLS.
    pub tls_listen: Vec<Address>,
    /// What is shown at those; `None`: no TLS.
    pub tls: Option<Identities>,
    /// The public addresses that only send to those with TLS.
    pub redirect: Vec<Address>,
    /// The port to which it sends; `None`: that of the first listener with TLS.
    pub https_port: Option<u16>,
    /// For how long browsers that came by TLS are to come by nothing else.
    pub hsts: Option<Duration>,
    /// What a certificate authority is answered that asks for a challenge; `None`: it is not there.
    pub acme: Option<Thumbprint>,
    /// Where what comes in begins with a header of the PROXY protocol.
    pub proxy_protocol: ProxyProtocol,
    /// The Unix socket at which another Salon can take over; `None`: nowhere.
    pub hand_over: Option<Address>,
    /// Takes over from the one that hands over there, if one does.
    pub takes_over: bool,
    /// The operator's addresses.
    pub admin: Vec<Address>,
    /// What the operator is shown there, by TCP; `None`: no TLS.
    pub admin_tls: Option<Identities>,
    /// Those who may use the admin port; none: every program on this machine.
    pub operators: Operators,
    /// The pages that may connect.
    pub pages: Pages,
    /// The keys that tokens are signed with; `None`: anybody may come in under any name.
    pub keys: Option<Keys>,
    /// The bounds of the loop.
    pub bounds: Bounds,
    /// The settings of the chat.
    pub chat: chat::Settings,
    /// The settings of the engine.
    pub engine: engine::Settings,
}

impl Settings {
    /// The permissions of the Unix socket that a setting has at this path.
    pub fn mode_of(&self, path: &Path) -> Option<u32> {
        let all = [&self.listen, &self.tls_listen, &self.redirect, &self.admin].into_iter().flatten();
        all.chain(&self.hand_over).find_map(|address| match address {
            Address::Unix { path: own, mode } if own == path => Some(*mode),
            _ => None,
        })
    }

    /// What is shown where TLS is spoken.
    pub fn certificates(&self) -> Certificates {
        Certificates { public: self.tls.clone(), admin: self.admin_tls.clone() }
    }
}

/// Where what comes in begins with a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// At [`Settings::listen`].
    pub listen: bool,
    /// At [`Settings::tls_listen`].
    pub tls: bool,
}

/// The program that started the server: it gives settings, and gets the state of the server.
pub trait Starter {
    /// The settings of now (SIGHUP). Listeners, the engine and the store go on with those of the start.
    ///
    /// # Errors
    /// What is wrong with them, in one sentence.
    fn reload(&mut self) -> Result<Reading, String>;

    /// The settings in force, as a file of settings. No key and no password is in it.
    fn in_force(&self) -> String;

    /// The server is in this state now.
    fn note(&mut self, state: State<'_>);

    /// How often it wants to hear [`State::Alive`], if at all.
    fn wants_to_hear_every(&self) -> Option<Duration>;
}

/// Settings that were read again.
#[derive(Clone, Debug)]
pub struct Reading {
    /// All of them.
    pub settings: Settings,
    /// What has changed, in words.
    pub changed: Vec<String>,
    /// The keys of what changes only at the next start.
    pub at_the_next_start: Vec<String>,
}

/// A state of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State<'a> {
    /// Clients can come.
    Ready,
    /// The loop turns.
    Alive,
    /// The server reads its settings again.
    Reloading,
    /// It has.
    Reloaded {
        /// Why they stay as they were, if they do.
        error: Option<&'a str>,
    },
    /// The server stops.
    Stopping {
        /// How long that may take.
        within: Duration,
    },
}
