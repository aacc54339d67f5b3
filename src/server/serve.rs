//! `salon serve`: the start of a server with an operator's [`Settings`].
//!
//! It binds, prints where it listens, and turns the loop for `chat_service`. It reads no arguments or files.

use std::fmt;
use std::net::{SocketAddr, TcpListener};

use log::Level;

use crate::backend::{Backend, Waker};
use crate::random::Random;

use super::chat_service::ChatService;
use super::kernel::{Bound, Kernel};
use super::listener::{Address, Listener};
use super::logging::{self, Field};
use super::reactor::Reactor;
use super::settings::{Settings, Starter, State};
use super::{Error, Port, addresses};

/// Sockets that the program that started the server listens on already.
#[derive(Debug, Default)]
pub struct HandedOver {
    /// Instead of [`Settings::listen`].
    pub public: Option<TcpListener>,
    /// Instead of the address of [`Settings::tls`].
    pub tls: Option<TcpListener>,
    /// Instead of [`Settings::admin`].
    pub admin: Option<TcpListener>,
}

/// Binds the sockets that are not handed over, prints where it listens (on standard error), and runs until a signal
/// comes.
///
/// `store` makes the backend, which numbers and keeps the messages; it is given the waker by which the backend wakes
/// the loop when it has answered. If it cannot, it returns the reason in one sentence.
///
/// # Errors
/// An address that cannot be listened on, a backend that cannot be made, or a loop that fails.
pub fn run(
    settings: Settings,
    sockets: HandedOver,
    starter: impl Starter + 'static,
    store: impl FnOnce(Waker) -> Result<Box<dyn Backend>, String>,
) -> Result<(), Error> {
    let mut starter = starter;
    let mut kernel = Kernel::new().map_err(Error::Loop)?;
    let (mut listeners, mut said) = (Vec::new(), Said::default());
    let adopt = |socket| Bound::adopt(socket).map_err(Error::Loop);
    let mut listen = |socket: Bound, port| {
        let place = socket.local_address().map_err(Error::Loop)?;
        let number = kernel.listen(socket).map_err(Error::Loop)?;
        Ok::<_, Error>((Listener::new(number, port), place))
    };
    let public = match (sockets.public, &settings.listen) {
        (Some(socket), _) => Some(adopt(socket)?),
        (None, Some(address)) => Some(Bound::bind(address, "--listen")?),
        (None, None) => None,
    };
    if let Some(socket) = public {
        let (mut listener, place) = listen(socket, Port::Public)?;
        listener.proxy_protocol = settings.proxy_protocol.listen;
        said.public = place;
        said.unix = settings.listen.clone().filter(|_| said.public.is_none());
        listeners.push(listener);
    }
    if let Some((address, _)) = &settings.tls {
        let socket = match sockets.tls {
            Some(socket) => adopt(socket)?,
            None => Bound::bind(&Address::Tcp(*address), "--tls-listen")?,
        };
        let (mut listener, place) = listen(socket, Port::Public)?;
        (listener.tls, listener.proxy_protocol) = (true, settings.proxy_protocol.tls);
        said.tls = place;
        listeners.push(listener);
    }
    let admin = match (sockets.admin, settings.admin) {
        (Some(socket), _) => Some(adopt(socket)?),
        (None, Some(address)) => Some(Bound::bind(&Address::Tcp(address), "--admin")?),
        (None, None) => None,
    };
    if let Some(socket) = admin {
        let (listener, place) = listen(socket, Port::Admin)?;
        said.admin = place;
        listeners.push(listener);
    }
    let identity = settings.tls.as_ref().map(|(_, identity)| identity.clone());
    let store = store(kernel.waker()).map_err(Error::Store)?;
    let reactor = Reactor::new(kernel, listeners, settings.engine.clone(), settings.bounds.clone(), identity);
    greet(&said, &settings, &*store);
    starter.note(State::Ready);
    reactor.run(&mut ChatService::new(settings, store, Box::new(starter), Random::secret()))
}

/// The places of the listeners, to be printed.
#[derive(Debug, Default)]
struct Said {
    public: Option<SocketAddr>,
    unix: Option<Address>,
    tls: Option<SocketAddr>,
    admin: Option<SocketAddr>,
}

fn greet(said: &Said, settings: &Settings, store: &dyn Backend) {
    let admin = match said.admin {
        Some(admin) => {
            let who = match &settings.admin_key {
                Some(_) => "for who shows the key",
                None => "without a key: for every program on this machine",
            };
            format!("http://{admin}/  /health /metrics /connections, POST /api/CALL; {who}")
        }
        None => "off".into(),
    };
    let rate = match settings.chat.rate {
        Some(rate) => format!("{} messages/s a person, {} at once", rate.per_second, rate.burst),
        None => "no rate limit".into(),
    };
    let (access, user, username) = match &settings.keys {
        Some(keys) => (format!("signed tokens: {keys}"), "token=TOKEN", "token=TOKEN"),
        None => ("open: anybody, under any name".into(), "user=NAME", "username=NAME"),
    };
    let mut words = format!("Salon {}\n", env!("CARGO_PKG_VERSION"));
    let mut line = |text: fmt::Arguments<'_>| words.extend(["\n", &text.to_string()]);
    let mut fields: Vec<Field> = vec![("version", env!("CARGO_PKG_VERSION").into()), ("pid", std::process::id().into())];
    let mut picture = None;
    for (address, s, field) in [(said.public, "", "page"), (said.tls, "s", "page_tls")] {
        if let Some(address) = address {
            let addresses = addresses::to_send(address);
            let first = addresses[0];
            for (at, address) in addresses.iter().enumerate() {
                line(format_args!("  {:10} http{s}://{address}/", if at == 0 { "page" } else { "" }));
            }
            line(format_args!(
                "  WebSocket  ws{s}://{first}/ws?{user:22}JSON messages (docs/wire.md)\
                 \n             ws{s}://{first}/ws/ROOM?{username:17}plain text"
            ));
            picture = picture.or_else(|| addresses::picture(&format!("http{s}://{first}/"), first));
            fields.push((field, format!("http{s}://{address}/").into()));
        }
    }
    if let Some(address @ Address::Unix { mode, .. }) = &said.unix {
        line(format_args!("  for proxy  {address}, permissions {mode:o}"));
        fields.push(("for_proxy", address.to_string().into()));
    }
    if let Some(admin) = said.admin {
        fields.push(("admin", format!("http://{admin}/").into()));
    }
    let max = settings.bounds.max_connections;
    fields.extend([
        ("access", if settings.keys.is_some() { "tokens" } else { "open" }.into()),
        ("max_connections", max.into()),
        ("history", store.about().into()),
    ]);
    line(format_args!(
        "  access     {access}\
         \n  admin      {admin}\
         \n  limits     {max} connections, {rate}\
         \n  history    {history}{otherwise}\
         \n\nCtrl-C stops it.",
        history = store.about(),
        otherwise = if store.durability() == IN_MEMORY { "" } else { OTHERWISE },
    ));
    if let Some(picture) = picture {
        line(format_args!("\n{picture}"));
    }
    logging::say(Level::Info, words, "started", fields);
}

/// [`Backend::durability`] of what is gone when Salon stops.
const IN_MEMORY: &str = "memory";

/// How to have it in another way than in the file that was named.
const OTHERWISE: &str = "\n             (--store PATH for another file; --store memory for none)";
