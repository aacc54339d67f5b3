//! `salon check`: whether Salon can serve with these settings on this machine.
//!
//! It binds the ports for a moment and reads limits and settings of the system; it changes nothing. With `--settings`
//! it reads settings and the files that they name, and no more.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
#[cfg(feature = "sqlite")]
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(feature = "redis")]
use crate::backend::redis;
#[cfg(feature = "sqlite")]
use crate::backend::sqlite;
use crate::backend::{Backend, Memory};
use crate::server::kernel::{Bound, Found, Predecessor};
use crate::server::listener::Address;
use crate::server::tls::{self, Identities, Validity};

use super::args::{CheckArgs, ServeArgs};
use super::config_file::{self, Value};
use super::memory::{self, Available, By};
use super::named_files::{self, NamedFile};
#[cfg(feature = "sqlite")]
use super::records;
use super::running::Running;
use super::{descriptors, listener, redis_url, settings};

/// Checks, prints a line for each check, and returns whether Salon can serve.
///
/// # Errors
/// A setting is wrong: one sentence.
pub fn run(
    CheckArgs { serve: args, settings: alone, socket: sockets }: &CheckArgs,
    file: Option<&Path>,
) -> Result<bool, String> {
    settings::check_kept(args, &args.rooms)?;
    let settings = settings::of(args, &listener::Places::expected(sockets))?;
    if *alone {
        settings::check_store(args)?;
        say(format_args!("ok       settings: {}", shown(file)));
        return Ok(true);
    }
    let before = match settings.hand_over.as_ref().filter(|_| settings.takes_over) {
        Some(Address::Unix { path, .. }) => match Predecessor::find(path, &mut || false)? {
            Found::Running(before) => Some(before),
            Found::Ended | Found::Left | Found::Nobody => None,
        },
        _ => None,
    };
    let mut report = Report { args, fine: true, before, running: Running::default() };
    report.ok(&format!("settings: {}", shown(file)));
    if let Some(keys) = &settings.keys {
        report.ok(&format!("keys: {keys}"));
    }
    if settings.listen.is_empty() {
        report.ok("listen: off");
    }
    report.places("listen", &settings.listen);
    report.places("tls_listen", &settings.tls_listen);
    if let Some(identities) = &settings.tls {
        report.certificates(("tls_cert", identities), "tls_key");
    }
    report.places("redirect_http", &settings.redirect);
    report.places("admin", &settings.admin);
    report.places("hand_over", settings.hand_over.as_slice());
    if let Some(identities) = &settings.admin_tls {
        report.certificates(("admin_tls_cert", identities), "admin_tls_key");
    }
    for NamedFile { setting, what, path, .. } in named_files::of(args).iter().filter(|file| file.secret) {
        report.secret(setting, what, path);
    }
    if let Some(file) = file.filter(|file| has_password(file)) {
        report.secret("store", "the password in it", file);
    }
    report.store(args);
    report.descriptors(args.max_connections);
    report.memory(args);
    report.kernel();
    if report.running.is_known() {
        report.note("a Salon runs with these addresses: salon reload has it read its file of settings again");
    }
    say(format_args!("{}", if report.fine { "Salon can serve like this." } else { "Something is in the way." }));
    Ok(report.fine)
}

fn shown(file: Option<&Path>) -> String {
    file.map_or("no file".into(), |file| file.display().to_string())
}

/// A line on standard output, whose reader may have gone.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}

struct Report<'a> {
    args: &'a ServeArgs,
    fine: bool,
    /// The one to take over from.
    before: Option<Predecessor>,
    /// The one that serves already with these settings.
    running: Running,
}

impl Report<'_> {
    fn ok(&self, what: &str) {
        say(format_args!("ok       {what}"));
    }

    /// It is as it is because Salon runs.
    fn note(&self, what: &str) {
        say(format_args!("note     {what}"));
    }

    /// It works, and could be better.
    fn warn(&self, what: &str) {
        say(format_args!("warning  {what}"));
    }

    fn fail(&mut self, what: &str) {
        self.fine = false;
        say(format_args!("error    {what}"));
    }

    fn places(&mut self, key: &'static str, addresses: &[Address]) {
        let option = format!("--{}", key.replace('_', "-"));
        for address in addresses {
            if let Some(before) = &mut self.before
                && before.take(&option, address).is_some()
            {
                let pid = before.pid();
                self.ok(&format!("{key}: {address} is handed over by process {pid}"));
                continue;
            }
            let free = match address {
                Address::Tcp(address) => free_port(key, *address),
                Address::Unix { path, mode } => free_socket(key, address, path, *mode),
            };
            match free {
                Ok(free) => self.ok(&free),
                Err(_) if self.running.has(self.args, key, &address.to_string()) => {
                    self.note(&format!("{key}: {address} is that of the Salon that runs"));
                }
                Err(error) => self.fail(&error),
            }
        }
    }

    fn certificates(&mut self, (of_chains, identities): (&str, &Identities), of_keys: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        for (called, identity) in identities.called(of_chains) {
            let validity = identity.validity(now);
            match validity {
                Validity::Ended { .. } | Validity::NotYet { .. } => self.fail(&format!("{called}: {validity}")),
                Validity::EndsSoon { .. } => self.warn(&format!("{called}: {validity}")),
                Validity::Good { .. } => {
                    let names = identity.names().join(", ");
                    self.ok(&format!("{called}: {validity}, and the key is its own; for {names}"));
                }
            }
            for fault in identity.faults(now) {
                match fault.is_refused() {
                    true => self.fail(&format!("{called}: {fault}")),
                    false => self.warn(&format!("{called}: {fault}")),
                }
            }
        }
        identities.overlaps().iter().for_each(|overlap| self.warn(&format!("{of_chains}: {overlap}")));
        for (called, identity) in identities.called(of_keys) {
            if let Some(bits @ 3073..) = identity.rsa_bits() {
                self.warn(&format!(
                    "{called}: a handshake with RSA of {bits} bits takes about 5 ms, so all clients together can begin \
                     200 connections a second; with ECDSA P-256 it is 3,700"
                ));
            }
        }
    }

    /// A file that only Salon is to read.
    fn secret(&self, setting: &str, what: &str, file: &Path) {
        let mode = fs::metadata(file).map_or(0, |found| found.mode());
        if mode & 0o007 != 0 {
            let mode = mode & 0o777;
            self.warn(&format!(
                "{setting}: everybody on this machine may read {what} ({}, mode {mode:o}); chmod 600 if it belongs to the \
                 user that Salon runs as, else give it the group of that user, and chmod 640",
                file.display()
            ));
        }
    }

    fn store(&mut self, args: &ServeArgs) {
        #[cfg(feature = "redis")]
        match settings::redis(args).and_then(|options| options.map(|options| redis::check(&options)).transpose()) {
            Ok(Some(found)) => return self.ok(&format!("store: {found}")),
            Ok(None) => {}
            Err(sentence) => return self.fail(&format!("store: {sentence}")),
        }
        #[cfg(feature = "sqlite")]
        match settings::file(args).and_then(|options| options.map(|options| sqlite::check(&options.path)).transpose()) {
            Ok(Some(found)) => {
                self.ok(&format!("store: {found}"));
                self.settings_in_store(args);
                return self.disk(args);
            }
            Ok(None) => {}
            Err(sentence) => {
                let before = self.before.as_ref().map(Predecessor::pid);
                if let Some(pid) = before.filter(|pid| sentence.contains(&format!("another Salon, process {pid};"))) {
                    return self.ok(&format!("store: it is let go by process {pid}"));
                }
                if let Some(path) = self.kept_by_the_running_one(args, &sentence) {
                    self.note(&format!("store: {} is that of the Salon that runs", path.display()));
                    match sqlite::read_through(&path) {
                        Ok(found) => self.ok(&format!("store: {found}")),
                        Err(sentence) => self.fail(&format!("store: {sentence}")),
                    }
                    self.settings_in_store(args);
                    return self.disk(args);
                }
                return self.fail(&format!(
                    "store: {}",
                    sentence.trim_start_matches("--store").trim_start_matches([':', ' '])
                ));
            }
        }
        self.ok(&format!("store: {}", Memory::new(settings::history(args), 0).about()));
    }

    /// The file that cannot be used, for that reason, if it is because the Salon that runs uses it.
    #[cfg(feature = "sqlite")]
    fn kept_by_the_running_one(&self, args: &ServeArgs, why: &str) -> Option<PathBuf> {
        let path = settings::file(args).ok().flatten()?.path;
        (why.contains("another Salon, process ") && self.running.keeps_in(args, &path)).then_some(path)
    }

    /// What is set for rooms there.
    #[cfg(feature = "sqlite")]
    fn settings_in_store(&self, args: &ServeArgs) {
        let Ok(Some(options)) = settings::file(args) else { return };
        if options.path.exists() {
            let unread = records::unread_settings(&options.path).unwrap_or_else(|sentence| vec![sentence]);
            unread.iter().for_each(|unread| self.warn(&format!("store: {unread}")));
        }
    }

    /// Whether the disk is one for a store, and has room for it.
    #[cfg(feature = "sqlite")]
    fn disk(&mut self, args: &ServeArgs) {
        let Ok(Some(options)) = settings::file(args) else { return };
        let Ok(path) = std::path::absolute(&options.path) else { return };
        let Some(folder) = path.ancestors().skip(1).find(|folder| folder.exists()) else { return };
        #[cfg(target_os = "linux")]
        if let Ok(found) = rustix::fs::statfs(folder)
            && let Some((_, what)) = NO_DISKS.iter().find(|(kind, _)| *kind == found.f_type as u64 & 0xffff_ffff)
        {
            self.warn(&format!("store: {} is {what}", folder.display()));
        }
        let Ok(found) = rustix::fs::statvfs(folder) else { return };
        let Some(free) = free_bytes(&found, rustix::process::geteuid().is_root()) else { return };
        if free < START_BYTES {
            return self.fail(&format!(
                "store: {}: the disk is full ({} KiB are free, and {} are needed to begin); make room there, or choose \
                 another path",
                folder.display(),
                free >> 10,
                START_BYTES >> 10
            ));
        }
        let has = fs::metadata(&path).map_or(0, |file| file.len());
        if options.size != u64::MAX && free < options.size.saturating_sub(has) {
            self.warn(&format!(
                "store: {} MiB are free in {}, and the file may become {} MiB; lower store_size, or give it more room",
                free >> 20,
                folder.display(),
                options.size >> 20
            ));
        }
    }

    fn descriptors(&mut self, asked: usize) {
        let room = descriptors::room(asked);
        match room < asked {
            true => self.fail(&format!(
                "max_connections: the descriptor limit allows {room} of {asked}; raise it (ulimit -n {}, or LimitNOFILE= of \
                 the unit) or ask for fewer",
                asked + descriptors::RESERVE
            )),
            false => self.ok(&format!("max_connections: the descriptor limit allows {asked}")),
        }
    }

    fn memory(&mut self, args: &ServeArgs) {
        let (mib, connections) = (1 << 20, args.max_connections);
        let each = BYTES_PER_CONNECTION + if !args.tls_cert.is_empty() { tls::IDLE_BYTES } else { 0 };
        let idle = connections * each;
        let history = if settings::is_on_disk(args) { STORE_BYTES } else { args.fine.history_bytes };
        let sum = history + idle + BASE_BYTES;
        let parts = format!(
            "{} MiB of history, {} MiB for {connections} idle connections, {} MiB for itself",
            history / mib,
            idle / mib,
            BASE_BYTES / mib
        );
        let budget = args.fine.memory.0;
        if let Some(budget) = budget.filter(|budget| idle + BASE_BYTES > budget / 100 * 85) {
            return self.fail(&format!(
                "memory: a budget of {} MiB has no room for {} MiB for {connections} idle connections and {} MiB for itself; raise \
                 memory or lower max_connections",
                budget / mib,
                idle / mib,
                BASE_BYTES / mib
            ));
        }
        let (wanted, sum) = match budget {
            Some(budget) if budget < sum => {
                (budget, format!("a budget of {} MiB ({parts}, less history)", budget / mib))
            }
            Some(budget) => {
                let (all, share) = (budget / mib, crate::chat::remembered_bytes(Some(budget)) / mib);
                let comfort = format!("up to {share} MiB for people who have gone, and as much for ids of messages");
                (budget, format!("a budget of {all} MiB ({parts}, {comfort})"))
            }
            None => (sum, parts),
        };
        let Some(Available { bytes: available, by }) = memory::available() else {
            return self.warn(&format!("memory: the system does not say how much there is; wanted: {sum}"));
        };
        let limited = by != By::Machine;
        match available < wanted {
            true => self.fail(&format!(
                "memory: {} MiB are available {by}, and the settings allow for {sum}; lower memory, history_bytes or \
                 max_connections",
                available / mib
            )),
            false => self.ok(&format!("memory: {} MiB are available {by} for {sum}", available / mib)),
        }
        // Beyond such a limit the kernel ends the process; the budget keeps it below. What the allocator and the kernel
        // hold beside is not in the budget.
        let most = available / 4 * 3;
        if limited && budget.is_none_or(|budget| budget > most) {
            let now = budget.map_or("off".into(), |budget| format!("{} MiB", budget / mib));
            self.warn(&format!(
                "memory: the budget is {now}; with a limit of {} MiB set memory = \"{}MiB\" or less, so that Salon makes \
                 room before the kernel ends it",
                available / mib,
                most / mib
            ));
        }
    }

    fn kernel(&self) {
        for (name, least, advice) in KERNEL {
            let path = format!("/proc/sys/{}", name.replace('.', "/"));
            let Some(found) = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<u64>().ok()) else {
                continue;
            };
            match found < *least {
                true => self.warn(&format!("{name} is {found}; {advice}: sysctl -w {name}={least}")),
                false => self.ok(&format!("{name} is {found}")),
            }
        }
    }
}

/// What is to be said of a port, whether it is free or not.
fn free_port(key: &str, address: SocketAddr) -> Result<String, String> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(format!("{key}: {address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(format!("{key}: {address} is in use; if that is not a Salon to be replaced, choose another port"))
        }
        Err(error) => Err(format!("{key}: cannot listen on {address}: {error}")),
    }
}

/// The same of a socket in the file system.
fn free_socket(key: &'static str, address: &Address, path: &Path, mode: u32) -> Result<String, String> {
    // A listener that is dropped at once takes its file with it.
    match Bound::bind(address, key) {
        Ok(_) => Ok(format!("{key}: {} is free; its permissions will be {mode:o}", path.display())),
        Err(error) => Err(format!("{key}: {error}")),
    }
}

/// Whether a file of settings has the password of a Redis in it.
fn has_password(file: &Path) -> bool {
    let entries = config_file::read(file).unwrap_or_default();
    let is_url =
        |value: &Value| matches!(value, Value::One(url) if redis_url::is_one(url) && redis_url::shown(url) != *url);
    entries.iter().any(|entry| entry.key == "store" && is_url(&entry.value))
}

/// Bytes that are free on a file system; some are for root alone. `None`: it says nothing of itself.
#[cfg(feature = "sqlite")]
fn free_bytes(found: &rustix::fs::StatVfs, is_root: bool) -> Option<u64> {
    let blocks = if is_root { found.f_bfree } else { found.f_bavail };
    (found.f_blocks > 0).then(|| blocks.saturating_mul(found.f_frsize))
}

/// Kernel settings, from what on they are enough, and what for.
const KERNEL: &[(&str, u64, &str)] = &[
    ("net.core.somaxconn", 4096, "when thousands come at once, some would have to knock again"),
    ("net.ipv4.tcp_max_syn_backlog", 4096, "when thousands come at once, some would have to knock again"),
];

/// File systems by the number that Linux has for them, on which a store would not last, or could break.
#[cfg(all(feature = "sqlite", target_os = "linux"))]
const NO_DISKS: [(u64, &str); 4] = [
    (0x0102_1994, "in memory (tmpfs): what is kept there is gone when the machine stops"),
    (0x6969, "on another machine (NFS), where SQLite's locks may not hold; take a disk of this one"),
    (0xff53_4d42, "on another machine (CIFS), where SQLite's locks may not hold; take a disk of this one"),
    (0xfe53_4d42, "on another machine (SMB), where SQLite's locks may not hold; take a disk of this one"),
];

/// The memory of an idle connection in a room with a name, rounded up (`docs/benchmarks.md`).
const BYTES_PER_CONNECTION: usize = 640;

/// What a start writes beside the file of a store, or makes, rounded up.
#[cfg(feature = "sqlite")]
const START_BYTES: u64 = 128 << 10;

/// What a store on disk holds in memory at most: pages of its file, heads of conversations, and what it has to say.
const STORE_BYTES: usize = 16 << 20;

/// The memory of Salon without connections, with the buffers it shares, rounded up.
const BASE_BYTES: usize = 8 << 20;

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_says_what_is_free() {
        let mut found = rustix::fs::statvfs("/").unwrap();
        (found.f_frsize, found.f_blocks, found.f_bfree, found.f_bavail) = (4096, 100, 10, 0);
        assert_eq!([true, false].map(|is_root| free_bytes(&found, is_root)), [Some(40_960), Some(0)]);
        (found.f_blocks, found.f_bfree) = (0, 0);
        assert_eq!([true, false].map(|is_root| free_bytes(&found, is_root)), [None, None]);
        (found.f_blocks, found.f_bfree, found.f_bavail) = (u64::MAX, u64::MAX, u64::MAX);
        assert_eq!(free_bytes(&found, false), Some(u64::MAX));
    }
}
