//! `salon serve`: the start of a server with an operator's [`Settings`].
//!
//! It binds, prints where it listens, and turns the loop for `chat_service`. It reads no arguments or files.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::Level;

use crate::backend::{Backend, Waker};
use crate::random::Random;

use super::chat_service::ChatService;
use super::kernel::{Bound, Found, Handed, Kernel, Predecessor, Settled};
use super::listener::{Address, Listener};
use super::logging::{self, Field};
use super::reactor::{JUST_COME, Reactor};
use super::responder::HTTPS;
use super::settings::{Settings, Starter, State};
use super::{Error, Port, addresses};

/// Sockets that the program that started the server listens on already. Where there are any of a kind, they take the
/// place of that setting.
#[derive(Debug, Default)]
pub struct HandedOver {
    /// Instead of [`Settings::listen`].
    pub public: Vec<Handed>,
    /// Instead of [`Settings::tls_listen`].
    pub tls: Vec<Handed>,
    /// Instead of [`Settings::redirect`].
    pub redirect: Vec<Handed>,
    /// Instead of [`Settings::admin`].
    pub admin: Vec<Handed>,
}

/// Binds the sockets that are not handed over, prints where it listens (on standard error), and runs until a signal
/// comes, or another Salon has taken over.
///
/// `store` makes the backend, which numbers and keeps the messages; it is given the waker by which the backend wakes
/// the loop when it has answered. If it cannot, it returns the reason in one sentence. It is called again where another
/// Salon was to take over and did not.
///
/// # Errors
/// An address that cannot be listened on, sockets that cannot be taken over, a backend that cannot be made, or a loop
/// that fails.
pub fn run(
    mut settings: Settings,
    sockets: HandedOver,
    starter: impl Starter + 'static,
    mut store: impl FnMut(Waker) -> Result<Box<dyn Backend>, String>,
) -> Result<(), Error> {
    let mut starter: Box<dyn Starter> = Box::new(starter);
    let mut kernel = Kernel::new().map_err(Error::Loop)?;
    let (mut predecessor, mut rests) = predecessor(&settings, &mut kernel)?;
    let mut listeners = Vec::new();
    let mut bound = |handed, addresses: &[Address], option| {
        bound(handed, addresses, option, predecessor.as_mut(), |bind| {
            tried_again(rests, is_held, why(rests), || kernel.rest(REST), bind)
        })
    };
    let public = bound(sockets.public, &settings.listen, "--listen")?;
    let tls = match settings.tls {
        Some(_) => bound(sockets.tls, &settings.tls_listen, "--tls-listen")?,
        None => Vec::new(),
    };
    let redirect = bound(sockets.redirect, &settings.redirect, "--redirect-http")?;
    let admin = bound(sockets.admin, &settings.admin, "--admin")?;
    for door in bound(Vec::new(), settings.hand_over.as_slice(), "--hand-over")? {
        let within = JUST_COME.saturating_add(settings.bounds.stop_within).saturating_add(TO_LET_GO);
        kernel.hand_over_at(door, within).map_err(Error::Loop)?;
    }
    let mut listen = |sockets: Vec<Bound>, port, tls, proxy_protocol| {
        let mut places = Vec::new();
        for socket in sockets {
            let place = match (socket.local_address().map_err(Error::Loop)?, socket.path()) {
                (Some(address), _) => Place::Tcp(address),
                (None, path) => Place::Unix(path.map(Path::to_owned).unwrap_or_default()),
            };
            // The operator's Unix socket does not leave the machine, nor this user.
            let tls = tls && (port != Port::Admin || matches!(place, Place::Tcp(_)));
            places.push(place);
            let number = kernel.listen(socket).map_err(Error::Loop)?;
            let mut listener = Listener::new(number, port);
            (listener.tls, listener.proxy_protocol) = (tls, proxy_protocol);
            listeners.push(listener);
        }
        Ok::<_, Error>(places)
    };
    let said = Said {
        public: listen(public, Port::Public, false, settings.proxy_protocol.listen)?,
        tls: listen(tls, Port::Public, true, settings.proxy_protocol.tls)?,
        redirect: listen(redirect, Port::Redirect, false, false)?,
        admin: listen(admin, Port::Admin, settings.admin_tls.is_some(), false)?,
    };
    let of_tls = said.tls.iter().find_map(|place| match place {
        Place::Tcp(address) => Some(address.port()),
        Place::Unix(_) => None,
    });
    settings.https_port = settings.https_port.or(of_tls);
    // From here on the other one lets go, and goes on only if this one ends before it serves.
    if let Some(before) = &mut predecessor {
        before.free_the_store(&mut || kernel.is_told_to_stop()).map_err(Error::TakeOver)?;
        rests = if before.has_ended() { RESTS } else { 0 };
    }
    let waker = kernel.waker();
    let made = tried_again(rests, |_| true, why(rests), || kernel.rest(REST), || store(waker.clone()));
    let mut made = made.map_err(Error::Store)?;
    if let Some(before) = &mut predecessor {
        let pid = before.pid();
        match before.serves(&mut || kernel.is_told_to_stop()) {
            Ok(true) => log::info!("taken over from process {pid}"),
            Ok(false) => log::warn!("taken over from process {pid}, which has ended or does not answer"),
            Err(sentence) => {
                // Before the predecessor is: that one opens the store as soon as this one is gone.
                drop(made);
                return Err(Error::TakeOver(sentence));
            }
        }
        kernel.own_files(|path| settings.mode_of(path));
    }
    drop(predecessor);
    greet(&said, &settings, &*made);
    loop {
        let random = Random::secret();
        let (engine, bounds) = (settings.engine.clone(), settings.bounds.clone());
        let certificates = settings.certificates();
        let reactor = Reactor::new(kernel, listeners.clone(), engine, bounds, certificates, &random.keyed());
        starter.note(State::Ready);
        let mut service = ChatService::new(settings, made, starter, random);
        kernel = reactor.run(&mut service)?;
        // With the service the store goes, for which the other one waits.
        (settings, starter) = service.into_parts();
        match kernel.settle() {
            Settled::Stopped => return Ok(()),
            Settled::HandedOver => {
                log::info!("the other Salon has taken over");
                return Ok(());
            }
            Settled::GoesOn => {
                log::error!("the other Salon has not taken over: this one goes on");
                let pause = || kernel.pause(BETWEEN_TRIES);
                made = match tried_again(TRIES, |_| true, "", pause, || store(waker.clone())) {
                    Ok(again) => again,
                    Err(_) if kernel.pause(Duration::ZERO) => return Ok(()),
                    Err(sentence) => return Err(Error::Store(sentence)),
                };
                kernel.begin_anew().map_err(Error::Loop)?;
            }
        }
    }
}

/// The Salon to take over from, if that is asked for and there is one; and how often it is to be tried again for what
/// one that has ended may hold.
fn predecessor(settings: &Settings, kernel: &mut Kernel) -> Result<(Option<Predecessor>, u32), Error> {
    let Some(Address::Unix { path, .. }) = settings.hand_over.as_ref().filter(|_| settings.takes_over) else {
        return Ok((None, 0));
    };
    let rests = match Predecessor::find(path, &mut || kernel.is_told_to_stop()).map_err(Error::TakeOver)? {
        Found::Running(before) => return Ok((Some(before), 0)),
        Found::Ended => RESTS,
        Found::Left => RESTS_IF_LEFT,
        Found::Nobody => 0,
    };
    log::warn!("no Salon hands over at {}: there is nothing to take over", path.display());
    Ok((None, rests))
}

/// What this makes. Where that fails for something that `is_held` by another Salon for a moment still, it is tried
/// again so many times, each behind a `rest`, which says whether a signal asks for the end: then it is not.
fn tried_again<T, E: fmt::Display>(
    times: u32,
    is_held: fn(&E) -> bool,
    why: &str,
    mut rest: impl FnMut() -> bool,
    mut make: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    for tried in 0..times {
        match make() {
            Err(error) if is_held(&error) => {
                match tried {
                    0 => log::warn!("{error}; it is tried again{why}"),
                    _ => log::debug!("{error}"),
                }
                if rest() {
                    return Err(error);
                }
            }
            made => return made,
        }
    }
    make()
}

/// Why it is tried again so many times.
fn why(rests: u32) -> &'static str {
    if rests == RESTS_IF_LEFT { WAS_KILLED } else { HAS_ENDED }
}

/// Whether an address is another's.
fn is_held(error: &Error) -> bool {
    matches!(error, Error::Listen { error, .. } if error.kind() == io::ErrorKind::AddrInUse)
}

/// How often, and how far apart, a Salon tries for what one that has ended may hold, but for once: for ten seconds.
const RESTS: u32 = 100;
const REST: Duration = Duration::from_millis(100);
const HAS_ENDED: &str = ", for a Salon has ended in this moment";

/// The same where all that is left of one is its file: for one second. It may have been killed long ago, and another
/// program have the address for good; if it was killed in this moment, the kernel takes all from it at once.
const RESTS_IF_LEFT: u32 = 10;
const WAS_KILLED: &str = ", for a Salon may have been killed in this moment";

/// How often, and how far apart, a Salon that goes on tries to open the store, but for once: for a minute. The one that
/// was to take over may hold it still, until it hears that it is too late, or the kernel has taken all from it.
const TRIES: u32 = 240;
const BETWEEN_TRIES: Duration = Duration::from_millis(250);

/// The sockets of a kind: those that were handed over, else one at each of these addresses, which the Salon `before`
/// may have already. `bind` has each other one made.
fn bound(
    handed: Vec<Handed>,
    addresses: &[Address],
    option: &'static str,
    mut before: Option<&mut Predecessor>,
    mut bind: impl FnMut(&mut dyn FnMut() -> Result<Bound, Error>) -> Result<Bound, Error>,
) -> Result<Vec<Bound>, Error> {
    if handed.is_empty() {
        let bind = |address| match before.as_mut().and_then(|before| before.take(option, address)) {
            Some(socket) => Bound::succeed(socket, address, option),
            None => bind(&mut || Bound::bind(address, option)),
        };
        return addresses.iter().map(bind).collect();
    }
    handed.into_iter().map(|socket| Bound::adopt(socket, option).map_err(Error::Loop)).collect()
}

/// How long the store may take to be closed, when another Salon waits for it.
const TO_LET_GO: Duration = Duration::from_secs(15);

/// The places of the listeners, to be printed.
#[derive(Debug)]
struct Said {
    public: Vec<Place>,
    tls: Vec<Place>,
    redirect: Vec<Place>,
    admin: Vec<Place>,
}

/// Where a socket listens.
#[derive(Debug)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Place {
    /// As a URL of that scheme; of a Unix socket as the setting says it.
    fn url(&self, scheme: &str) -> String {
        match self {
            Self::Tcp(address) => format!("{scheme}://{address}/"),
            Self::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

fn greet(said: &Said, settings: &Settings, store: &dyn Backend) {
    let who = match settings.operators.is_empty() {
        false => "for who shows the key",
        true => "without a key: for every program on this machine",
    };
    let admin_scheme = if settings.admin_tls.is_some() { "https" } else { "http" };
    let admin: Vec<String> = said.admin.iter().map(|place| place.url(admin_scheme)).collect();
    let admin = match &admin[..] {
        [] => "off".into(),
        places => format!("{}  /health /metrics /connections, POST /api/CALL; {who}", places.join(" ")),
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
    let mut fields: Vec<Field> =
        vec![("version", env!("CARGO_PKG_VERSION").into()), ("pid", std::process::id().into())];
    let mut picture = None;
    for (places, own, s) in [(&said.public, &settings.listen, ""), (&said.tls, &settings.tls_listen, "s")] {
        for place in places {
            let Place::Unix(path) = place else { continue };
            let mode = own.iter().find_map(|address| match address {
                Address::Unix { path: own, mode } if own == path => Some(format!(", permissions {mode:o}")),
                _ => None,
            });
            let tls = if s.is_empty() { "" } else { " with TLS" };
            line(format_args!("  for proxy  {}{tls}{}", place.url(""), mode.unwrap_or_default()));
        }
        // The same is served at each: how programs come in is said once.
        let mut first = None;
        for place in places {
            let Place::Tcp(address) = place else { continue };
            for address in addresses::to_send(*address) {
                line(format_args!("  {:10} http{s}://{address}/", if first.is_none() { "page" } else { "" }));
                first = first.or(Some(address));
                picture = picture.or_else(|| addresses::picture(&format!("http{s}://{address}/"), address));
            }
        }
        if let Some(first) = first {
            line(format_args!(
                "  WebSocket  ws{s}://{first}/ws?{user:22}JSON messages (docs/wire.md)\
                 \n             ws{s}://{first}/ws/ROOM?{username:17}plain text"
            ));
        }
    }
    for place in &said.redirect {
        let place = match place {
            Place::Tcp(address) => address.to_string(),
            Place::Unix(path) => format!("unix:{}", path.display()),
        };
        let port = settings.https_port.unwrap_or(HTTPS);
        line(format_args!("  redirect   {place} sends to https at port {port}"));
    }
    for (field, places, scheme) in [
        ("listen", &said.public, "http"),
        ("tls_listen", &said.tls, "https"),
        ("redirect_http", &said.redirect, "http"),
        ("admin", &said.admin, admin_scheme),
    ] {
        fields.push((field, places.iter().map(|place| place.url(scheme)).collect::<Vec<_>>().into()));
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
