//! From arguments to settings of the floors below: which go where, and which exclude each other.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backend::memory;
#[cfg(feature = "redis")]
use crate::backend::redis;
#[cfg(feature = "sqlite")]
use crate::backend::sqlite;
use crate::chat;
use crate::chat::rules::Rules;
use crate::engine::DeflateSettings;
use crate::proto::Limits;
use crate::server::listener::Address;
use crate::server::operators::Operators;
use crate::server::pages::Pages;
use crate::server::reactor::Bounds;
use crate::server::settings::ProxyProtocol;
use crate::server::{self, admission};

use super::args::ServeArgs;
use super::listener::Places;
#[cfg(feature = "redis")]
use super::small_file;
#[cfg(feature = "sqlite")]
use super::values::DurabilityArg;
use super::values::{Auth, CreateRooms, HistoryAgeArg, HistoryArg, RateArg, StoreArg, fits_a_socket};
use super::{admin_key, descriptors, keys, listener, rooms};

/// Checks that the admin port is beyond loopback only with a key.
///
/// # Errors
/// One sentence: it is there without one.
pub fn admin_is_guarded(address: SocketAddr, operators: &Operators) -> Result<(), String> {
    if address.ip().is_loopback() || !operators.is_empty() {
        return Ok(());
    }
    Err(format!(
        "--admin {address}: everybody who reaches that address could rule the chat; ask for a key with --admin-key, or \
         use a loopback address or off"
    ))
}

/// Checks that no two listeners are to have one place. Sockets that were handed over are in place already: nothing else
/// can listen there.
///
/// # Errors
/// One sentence: which of them have.
fn distinct(
    listen: &listener::Listeners,
    admin: &[Address],
    hand_over: &[Address],
    handed: &Places,
) -> Result<(), String> {
    let kinds = [
        ("--listen", &listen.plain[..], &handed.public),
        ("--tls-listen", &listen.secure, &handed.tls),
        ("--redirect-http", &listen.redirect, &handed.redirect),
        ("--admin", admin, &handed.admin),
        ("--hand-over", hand_over, &Vec::new()),
    ];
    let of_systemd = [
        ("the socket of systemd", &handed.public),
        ("the socket tls of systemd", &handed.tls),
        ("the socket redirect of systemd", &handed.redirect),
        ("the socket admin of systemd", &handed.admin),
    ];
    let of_systemd: Vec<_> = of_systemd
        .into_iter()
        .flat_map(|(name, places)| places.iter().flatten().map(move |at| (name, Address::Tcp(*at))))
        .collect();
    let own = kinds.into_iter().filter(|(_, _, handed)| handed.is_empty());
    let places: Vec<_> =
        own.flat_map(|(option, addresses, _)| addresses.iter().map(move |address| (option, address))).collect();
    for (option, address) in &places {
        if let Some((other, taken)) = of_systemd.iter().find(|(_, taken)| overlap(address, taken)) {
            return Err(format!("{option} {address}: expected another place than that of {other}, found {taken}"));
        }
    }
    for (at, (option, address)) in places.iter().enumerate() {
        if let Some((other, taken)) = places[..at].iter().find(|(_, other)| overlap(address, other)) {
            let twice = if address == taken && option == other { "; it is named twice" } else { "" };
            let both = if has_both_kinds(address, taken) { "; [::] has the addresses of IPv4 too" } else { twice };
            return Err(format!(
                "{option} {address}: expected another place than that of {other}, found {taken}{both}"
            ));
        }
    }
    Ok(())
}

/// Whether two sockets cannot listen on both addresses: one of all addresses has those of its kind too.
fn overlap(one: &Address, other: &Address) -> bool {
    let (one, other) = match (one, other) {
        (Address::Tcp(one), Address::Tcp(other)) => (one, other),
        (Address::Unix { path: one, .. }, Address::Unix { path: other, .. }) => {
            return absolute(one) == absolute(other);
        }
        _ => return false,
    };
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    let covers = |all: IpAddr, one: IpAddr| all.is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    one.port() == other.port() && one.port() != 0 && (a == b || covers(a, b) || covers(b, a))
}

/// Whether one of two addresses is that of all of IPv6, and the other is one of IPv4.
fn has_both_kinds(one: &Address, other: &Address) -> bool {
    let is_all = |address: &Address| matches!(address, Address::Tcp(at) if at.is_ipv6() && at.ip().is_unspecified());
    let is_v4 = |address: &Address| matches!(address, Address::Tcp(at) if at.is_ipv4());
    is_all(one) && is_v4(other) || is_all(other) && is_v4(one)
}

/// Whether programs on this machine alone come in there, by the permissions of a file: no browser does.
fn is_by_file_alone(addresses: &[Address]) -> bool {
    !addresses.is_empty() && addresses.iter().all(|address| matches!(address, Address::Unix { .. }))
}

/// A path as it is from any folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The settings of `serve`, where sockets were handed over at the addresses of `handed`.
///
/// # Errors
/// One sentence: a setting that cannot be, or not beside another; a key that cannot be read.
pub fn of(args: &ServeArgs, handed: &Places) -> Result<server::settings::Settings, String> {
    let listen = listener::of(args)?;
    for (name, places) in [("tls", &handed.tls), ("redirect", &handed.redirect)] {
        if !places.is_empty() && listen.tls.is_none() {
            return Err(format!("a socket of systemd is called {name}: expected --tls-cert and --tls-key, found none"));
        }
    }
    if let Some((option, address)) = listen.beyond_loopback(handed)
        && !is_open(args)
        && args.auth == Auth::Open
    {
        return Err(format!(
            "{option} {address}: everybody who reaches that address could take any name; say --open if that is meant, \
             ask for tokens with --auth jwt, or listen on 127.0.0.1 behind a proxy that knows its users"
        ));
    }
    let operators = admin_key::operators(args.admin_key.as_deref(), &args.operator)?;
    for address in handed.admin.iter().flatten() {
        admin_is_guarded(*address, &operators)?;
    }
    let admin = listener::of_operator(args)?;
    for address in &admin {
        if let Address::Tcp(address) = address {
            admin_is_guarded(*address, &operators)?;
        }
    }
    let fine = &args.fine;
    if fine.content_bytes > fine.message_bytes {
        return Err(format!(
            "--content-bytes {}: expected no more than --message-bytes, which is {}",
            fine.content_bytes, fine.message_bytes
        ));
    }
    if let Some(path) = &args.hand_over {
        fits_a_socket(path).map_err(|error| format!("--hand-over {}: {error}", path.display()))?;
    }
    let hand_over = listener::of_hand_over(args);
    if args.takeover && hand_over.is_none() {
        return Err("--takeover: expected --hand-over PATH, where the Salon that runs hands over, found none".into());
    }
    distinct(&listen, &admin, hand_over.as_slice(), handed)?;
    let keys = keys::read(args)?;
    if keys.is_none() && args.create_rooms == CreateRooms::Role {
        return Err("--create-rooms role: nobody has a role without --auth jwt".into());
    }
    if keys.is_none() && args.topics.0 == chat::Who::Moderators {
        return Err("--topics role: nobody has a role without --auth jwt".into());
    }
    rooms::check(&args.rooms, keys.is_some())?;
    let chat = chat::Settings {
        rooms: args.rooms.clone(),
        content_bytes: fine.content_bytes,
        rooms_per_session: fine.rooms_per_session,
        sessions_per_user: fine.sessions_per_user,
        rate: match args.rate {
            RateArg::Off => None,
            RateArg::On { per_second, burst } => Some(chat::Rate { per_second, burst }),
        },
        full_speed_per_address: args.full_speed_per_address,
        empty_room_age: empty_room_age(args),
        replay_bytes: slice_of(fine.outbox_bytes),
        page_bytes: chat::Settings::default().page_bytes.min(fine.outbox_bytes / 8),
        edit_within: fine.edit_within,
        leave_grace: fine.leave_grace,
        big_room: fine.big_room,
        big_room_every: fine.big_room_every,
        room_members: fine.room_members,
        max_rooms: fine.max_rooms,
        max_users: fine.max_users,
        memory: fine.memory.0,
        anybody_may_announce: keys.is_none(),
        anybody_may_create: args.create_rooms == CreateRooms::Everybody,
        topics: args.topics.0,
        token_grace: args.auth_grace,
        ..chat::Settings::default()
    };
    let mut engine = server::settings::usual_engine();
    engine.limits = Limits::new().message_bytes(fine.message_bytes as u32);
    engine.ping_after = Some(fine.ping_after);
    engine.deflate = args.deflate.then(DeflateSettings::default);
    engine.outbox_bytes = fine.outbox_bytes;
    engine.behind_bytes = slice_of(fine.outbox_bytes);
    engine.blocked_within = fine.blocked_within;
    engine.head_within = fine.head_within;
    engine.idle_within = fine.idle_within;
    engine.close_within = fine.close_within;
    engine.message_within = fine.message_within;
    engine.pong_within = fine.pong_within;
    engine.flush_delay = fine.flush_delay;
    engine.flush_delay_members = fine.flush_delay_sessions;
    let bounds = Bounds {
        max_connections: descriptors::fit(args.max_connections)?,
        addresses: Some(admission::Limits {
            open: args.max_connections_per_address,
            per_second: args.new_connections_per_address,
            requests_per_second: args.requests_per_address,
            count_loopback: args.count_loopback,
        }),
        proxies: listen.proxies,
        memory: fine.memory.0,
        stop_after: fine.stop_after,
        stop_within: fine.stop_within,
    };
    // Otherwise only this machine is meant, and a name from elsewhere that leads here is somebody's trick.
    let by_any_name = is_open(args)
        || keys.is_some()
        || listen.proxy_protocol != ProxyProtocol::default()
        || is_by_file_alone(&listen.plain);
    Ok(server::settings::Settings {
        listen: listen.plain,
        tls_listen: listen.secure,
        tls: listen.tls,
        redirect: listen.redirect,
        hand_over,
        takes_over: args.takeover,
        https_port: args.https_port,
        hsts: args.hsts,
        acme: args.acme_thumbprint.clone(),
        proxy_protocol: listen.proxy_protocol,
        admin,
        admin_tls: listener::of_admin(args)?,
        operators,
        pages: Pages { origins: args.origin.clone(), by_any_name },
        keys,
        bounds,
        chat,
        engine,
    })
}

/// Whether everybody is meant to be let in who reaches it, if no tokens are asked for.
fn is_open(args: &ServeArgs) -> bool {
    args.open || args.lan
}

/// Whether messages are kept on disk. That is so if nothing is said, but for a Salon that was built without it.
pub fn is_on_disk(args: &ServeArgs) -> bool {
    match &args.store {
        Some(StoreArg::File(_)) => true,
        Some(StoreArg::Memory) => false,
        #[cfg(feature = "redis")]
        Some(StoreArg::Redis(_)) => false,
        None => cfg!(feature = "sqlite"),
    }
}

/// Whether the store can keep what rules for rooms ask of it, which is for the start: of a server that runs, these are
/// the settings of the next one.
///
/// # Errors
/// One sentence.
pub fn check_kept(args: &ServeArgs, rules: &Rules) -> Result<(), String> {
    rooms::check_store(rules, messages(args), is_on_redis(args))
}

/// Whether a store can be asked for like this: where it is, and with which password. It is not looked at.
///
/// # Errors
/// One sentence.
pub fn check_store(args: &ServeArgs) -> Result<(), String> {
    #[cfg(feature = "redis")]
    redis(args)?;
    #[cfg(feature = "sqlite")]
    file(args)?;
    let _ = args;
    Ok(())
}

/// Whether messages are kept on a Redis.
fn is_on_redis(args: &ServeArgs) -> bool {
    match &args.store {
        #[cfg(feature = "redis")]
        Some(StoreArg::Redis(_)) => true,
        _ => false,
    }
}

/// The store on disk, if that is what is asked for.
///
/// # Errors
/// One sentence: nobody has said where it is, and there is no place for it.
#[cfg(feature = "sqlite")]
pub fn file(args: &ServeArgs) -> Result<Option<sqlite::Options>, String> {
    let path = match &args.store {
        Some(StoreArg::File(path)) => path.clone(),
        Some(StoreArg::Memory) => return Ok(None),
        #[cfg(feature = "redis")]
        Some(StoreArg::Redis(_)) => return Ok(None),
        None => super::state::file()?,
    };
    Ok(Some(sqlite::Options {
        path,
        durability: match args.durability {
            DurabilityArg::Process => sqlite::Durability::Process,
            DurabilityArg::Power => sqlite::Durability::Power,
        },
        messages: messages(args),
        age: age(args),
        rooms: rooms::limits(&args.rooms),
        size: args.fine.store_size.0.map_or(u64::MAX, |bytes| bytes as u64),
        people: args.fine.max_users,
        memory: args.fine.memory.0,
        boot: sqlite::boot_id(),
    }))
}

/// The store on a Redis, if that is what is asked for.
///
/// # Errors
/// One sentence: more is to be kept than can be, or the password cannot be read.
#[cfg(feature = "redis")]
pub fn redis(args: &ServeArgs) -> Result<Option<redis::Options>, String> {
    let Some(StoreArg::Redis(server)) = &args.store else { return Ok(None) };
    let mut server = server.clone();
    if let Some(file) = &args.store_key_file {
        let key = small_file::read_text(file);
        let key = key.map_err(|error| format!("--store-key-file {}: it cannot be read: {error}", file.display()))?;
        server.password = Some(key.trim_end_matches(['\r', '\n']).into());
    }
    let messages = messages(args);
    if messages > MAX_ON_REDIS {
        return Err(format!(
            "--history: expected at most {MAX_ON_REDIS} with a store on Redis, because each node has a copy of what is \
             read, found {}",
            if messages == usize::MAX { "unlimited".into() } else { messages.to_string() }
        ));
    }
    let prefix = args.store_prefix.0.clone();
    Ok(Some(redis::Options { server, prefix, messages, age: age(args), people: args.fine.max_users }))
}

/// Messages that are kept of a conversation.
pub fn messages(args: &ServeArgs) -> usize {
    let unsaid = if is_on_disk(args) { None } else { Some(memory::Limits::default().messages) };
    args.history.map_or(unsaid, |HistoryArg(messages)| messages).unwrap_or(usize::MAX)
}

/// How long they are kept.
pub fn age(args: &ServeArgs) -> Duration {
    let unsaid = if is_on_disk(args) { None } else { Some(memory::Limits::default().age) };
    args.fine.history_age.map_or(unsaid, |HistoryAgeArg(age)| age).unwrap_or(Duration::MAX)
}

/// How long a room that somebody created is kept while it has no history and nobody is in it.
fn empty_room_age(args: &ServeArgs) -> Duration {
    // A file keeps messages for ever, but not the names of rooms in which there are none.
    let most = if is_on_disk(args) { chat::Settings::default().empty_room_age } else { Duration::MAX };
    age(args).min(most)
}

/// How much is kept in memory.
pub fn history(args: &ServeArgs) -> memory::Limits {
    memory::Limits {
        messages: messages(args),
        age: age(args),
        bytes: args.fine.history_bytes,
        rooms: rooms::limits(&args.rooms),
        ..memory::Limits::default()
    }
}

/// What may be on the way to a client that hears what it has missed, or what is said, in bytes.
fn slice_of(outbox_bytes: usize) -> usize {
    chat::Settings::default().replay_bytes.min(outbox_bytes / 4)
}

/// Entries that can be kept of a conversation on Redis.
#[cfg(feature = "redis")]
const MAX_ON_REDIS: usize = 100_000;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::Args;
    use crate::server::admin_key::AdminKey;
    use crate::server::operators::{Operator, Rights};

    #[test]
    fn what_nobody_sets_is_as_the_floors_below_have_it() {
        let args = Args::try_parse_from(["salon", "--store", "memory"]).unwrap().serve;
        let settings = of(&args, &Places::default()).unwrap();
        assert_eq!(format!("{:?}", history(&args)), format!("{:?}", memory::Limits::default()));
        assert_eq!(format!("{:?}", settings.chat), format!("{:?}", chat::Settings::default()));
        assert_eq!(format!("{:?}", settings.engine), format!("{:?}", server::settings::usual_engine()));
        let told = chat::Connections::default();
        assert_eq!(settings.engine.limits.message_bytes as usize, told.message_bytes);
        assert_eq!(settings.engine.ping_after, Some(told.ping_after));
        assert_eq!(settings.bounds.addresses, Some(admission::Limits::default()));
    }

    /// In memory there is a limit if nothing is said, in a file there is none.
    #[test]
    fn how_much_is_kept() {
        let (week, ever) = (Duration::from_secs(7 * 86_400), Duration::MAX);
        let (many, all) = (1000, usize::MAX);
        let unsaid = if cfg!(feature = "sqlite") { (true, all, ever) } else { (false, many, week) };
        for (words, expected) in [
            (&["--store", "memory"][..], (false, many, week)),
            (&[], unsaid),
            (&["--store", "memory", "--history", "unlimited"], (false, all, week)),
            (&["--store", "memory", "--history-age", "unlimited"], (false, many, ever)),
            (&["--history", "7", "--history-age", "1h"], (unsaid.0, 7, Duration::from_secs(3600))),
        ] {
            let args = Args::try_parse_from([&["salon"], words].concat()).unwrap().serve;
            assert_eq!((is_on_disk(&args), messages(&args), age(&args)), expected, "{words:?}");
            let empty = if expected.0 { expected.2.min(week) } else { expected.2 };
            assert_eq!(of(&args, &Places::default()).unwrap().chat.empty_room_age, empty, "{words:?}");
        }
    }

    /// The rule depends on who can reach the chat, not on who has bound the socket.
    #[test]
    fn a_socket_that_was_handed_over_is_held_to_the_same_rules() {
        let far: SocketAddr = "192.0.2.1:1".parse().unwrap();
        let any: SocketAddr = "0.0.0.0:1".parse().unwrap();
        let near: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let none = Places::default;
        let public = |address| Places { public: vec![Some(address)], ..none() };
        let admin = |address| Places { admin: vec![Some(address)], ..none() };
        let tls = |address| Places { tls: vec![Some(address)], ..none() };
        for (words, handed, accepted) in [
            (&["salon"][..], none(), true),
            (&["salon"], public(near), true),
            (&["salon"], public(any), false),
            (&["salon"], public(far), false),
            (&["salon", "--open"], public(far), true),
            // It takes the place of an address that would have been refused.
            (&["salon", "--listen", "0.0.0.0:1"], none(), false),
            (&["salon", "--listen", "0.0.0.0:1"], public(near), true),
            (&["salon", "--listen", "0.0.0.0:1"], public(far), false),
            (&["salon"], admin(far), false),
            (&["salon"], admin(near), true),
            // Each of several, and none by a Unix socket, which has a file with permissions.
            (&["salon"], Places { public: vec![Some(near), None, Some(near)], ..none() }, true),
            (&["salon"], Places { public: vec![Some(near), None, Some(far)], ..none() }, false),
            (&["salon"], Places { admin: vec![None], public: vec![None], ..none() }, true),
            (&["salon"], Places { admin: vec![None, Some(far)], ..none() }, false),
            // Without a certificate there is no TLS there.
            (&["salon", "--open"], tls(near), false),
            (&["salon", "--open"], Places { redirect: vec![Some(near)], ..none() }, false),
        ] {
            let args = Args::try_parse_from(words).unwrap().serve;
            let found = of(&args, &handed).map(|_| ());
            assert_eq!(found.is_ok(), accepted, "{words:?} {handed:?}: {found:?}");
        }
    }

    #[test]
    fn no_two_listeners_have_one_place() {
        for (one, other, both) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::]:80", "[::1]:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
            ("[::ffff:127.0.0.1]:80", "0.0.0.0:80", true),
            ("[::1]:80", "127.0.0.1:80", false),
            // Any free port: two of them.
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let (one, other) = (Address::Tcp(one.parse().unwrap()), Address::Tcp(other.parse().unwrap()));
            assert_eq!((overlap(&one, &other), overlap(&other, &one)), (both, both), "{one} {other}");
        }
        let none = Places::default;
        let public = |address| Places { public: vec![Some(address)], ..none() };
        let admin = |address| Places { admin: vec![Some(address)], ..none() };
        let near: SocketAddr = "127.0.0.1:9".parse().unwrap();
        for (words, handed, accepted) in [
            (&["salon", "--listen", "127.0.0.1:8081"][..], none(), false),
            (&["salon", "--admin", "127.0.0.1:8080"], none(), false),
            (&["salon", "--listen", "127.0.0.1:8082"], none(), true),
            (&["salon", "--listen", "unix:/a", "--admin", "unix:/b"], none(), true),
            (&["salon", "--listen", "unix:/a", "--admin", "unix:/a"], none(), false),
            (&["salon", "--admin", "127.0.0.1:8080"], public(near), true),
            (&["salon", "--admin", "127.0.0.1:8080"], admin(near), true),
            // Where systemd listens nobody else can.
            (&["salon", "--admin", "127.0.0.1:9"], public(near), false),
            (&["salon", "--admin", "127.0.0.1:9"], admin(near), true),
            (&["salon", "--listen", "127.0.0.1:9"], public(near), true),
            (&["salon", "--listen", "127.0.0.1:9"], admin(near), false),
            (&["salon", "--open", "--listen", "0.0.0.0:9"], admin(near), false),
            (&["salon", "--lan", "--listen", "192.168.1.7:8080"], none(), true),
            (&["salon", "--listen", "127.0.0.1:8080,[::1]:8080,unix:/a"], none(), true),
            (&["salon", "--listen", "127.0.0.1:8080", "--listen", "[::1]:8080"], none(), true),
            (&["salon", "--listen", "127.0.0.1:8080,127.0.0.1:8080"], none(), false),
            (&["salon", "--listen", "127.0.0.1:8080,[::1]:8081", "--admin", "[::1]:8081"], none(), false),
            (&["salon", "--listen", "127.0.0.1:8080,127.0.0.1:8080"], public(near), true),
            (&["salon", "--listen", "unix:/a/b,unix:/a/./b"], none(), false),
            (&["salon", "--listen", "127.0.0.1:8080,off"], none(), false),
            (&["salon", "--admin", "off,unix:/a"], none(), false),
            (&["salon", "--admin", "unix:/a,127.0.0.1:8081,[::1]:8081"], none(), true),
            (&["salon", "--open", "--listen", "0.0.0.0:80,[::]:80"], none(), false),
            // Each is held to the rules of one.
            (&["salon", "--listen", "127.0.0.1:1,192.0.2.1:1"], none(), false),
            (&["salon", "--admin", "127.0.0.1:1,192.0.2.1:1"], none(), false),
            // On a local network the port of both is one of all addresses.
            (&["salon", "--lan", "--listen", "192.168.1.7:8080,unix:/a"], none(), true),
            (&["salon", "--lan", "--listen", "unix:/a"], none(), false),
            (&["salon", "--lan", "--listen", "off"], none(), false),
        ] {
            let args = Args::try_parse_from(words).unwrap().serve;
            let found = of(&args, &handed).map(|_| ());
            assert_eq!(found.is_ok(), accepted, "{words:?} {handed:?}: {found:?}");
        }
    }

    #[test]
    fn the_admin_port_is_beyond_loopback_only_with_a_key() {
        let key = AdminKey::read(b"0123456789abcdef").unwrap();
        let some = Operators::of(vec![Operator { name: "admin".into(), rights: Rights::ALL, key }]).unwrap();
        for (address, shown, guarded) in [
            ("127.0.0.1:1", None, true),
            ("[::1]:1", None, true),
            ("192.0.2.1:1", None, false),
            ("0.0.0.0:1", None, false),
            ("192.0.2.1:1", Some(some), true),
        ] {
            assert_eq!(
                admin_is_guarded(address.parse().unwrap(), &shown.unwrap_or_default()).is_ok(),
                guarded,
                "{address}"
            );
        }
    }
}
