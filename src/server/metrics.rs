//! The counters in words, in Prometheus' text format for `/metrics`.
//!
//! Names are stable and labels are bounded: nothing a client sends becomes a label.

use std::fmt::Write;
use std::time::Duration;

use crate::backend::health::{BOUNDS, Health};
use crate::backend::{LetGo, MAX_BANS};
use crate::chat::rules::Key;
use crate::engine::Cut;

use super::latency;
use super::reactor::TURN_BOUNDS;
use super::refusals::Reason;
use super::sources::{Sources, VERSION};
use super::system::Process;
use super::{Seen, access};

/// The media type of [`prometheus`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All of it, for a machine.
pub fn prometheus(sources: &Sources<'_>) -> String {
    let Sources { seen, chat, calls, panics, reload, started, stopping: _, leaving: _ } = sources;
    let Seen {
        turns,
        latency,
        counters,
        connections,
        admin_connections,
        max_connections,
        lost,
        admission,
        tls,
        memory,
        process,
        now: _,
    } = seen;
    let counts = chat.counts();
    let mut page = Page(String::with_capacity(8 << 10));
    let help = "Connections of the public port now, upgraded or not.";
    page.gauge("salon_connections", help, *connections as f64);
    page.gauge("salon_admin_connections", "Connections of the admin port now.", *admin_connections as f64);
    page.gauge("salon_max_connections", "Connections that there may be on the public port.", *max_connections as f64);
    page.gauge("salon_sessions", "Chat sessions now.", counts.sessions as f64);
    page.gauge("salon_users", "Users with a session now.", counts.users as f64);
    page.gauge("salon_rooms", "Rooms now.", counts.rooms as f64);
    page.gauge("salon_bans", "Users who are kept out now.", counts.bans as f64);
    page.head("salon_limit", "The most that there may be, by what.", "gauge");
    let chat_limits = chat.settings();
    let per_address = admission.limits().map_or(0, |limits| limits.open as usize);
    for (of, limit) in [
        ("rooms", chat_limits.max_rooms),
        ("users", chat_limits.max_users),
        ("bans", MAX_BANS),
        ("room_members", chat_limits.room_members),
        ("rooms_of_session", chat_limits.rooms_per_session),
        ("sessions_of_user", chat_limits.sessions_per_user),
        ("connections_of_address", per_address),
    ] {
        page.sample("salon_limit", &format!("of=\"{of}\""), limit as f64);
    }
    page.gauge("salon_known_users", "Users who are known, here or not.", counts.known_users as f64);
    page.gauge("salon_uptime_seconds", "Time since the start.", seen.uptime().as_secs_f64());
    page.counter("salon_connections_accepted_total", "Connections accepted.", counters.accepted);
    let help = "How often the system refused what a connection needs to begin.";
    page.head("salon_connections_failed_total", help, "counter");
    for (what, count) in [("accept", lost.accept), ("watch", lost.watch), ("tls", lost.tls)] {
        page.sample("salon_connections_failed_total", &format!("what=\"{what}\""), count as f64);
    }
    page.counter("salon_connections_upgraded_total", "Connections upgraded to WebSocket.", counters.upgraded);
    page.counter("salon_messages_received_total", "WebSocket messages received.", counters.messages_in);
    page.counter(
        "salon_deliveries_total",
        "WebSocket messages sent or queued, one for each receiver.",
        counters.messages_out,
    );
    page.counter(
        "salon_messages_compressed_total",
        "WebSocket messages compressed, once for all who share them.",
        counters.compressed,
    );
    page.counter("salon_broadcasts_total", "Room messages accepted and numbered.", counts.messages);
    page.counter("salon_received_bytes_total", "Octets read from sockets.", counters.bytes_in);
    page.counter("salon_sent_bytes_total", "Octets written to sockets.", counters.bytes_out);
    page.counter("salon_writes_blocked_total", "Writes that a socket did not take whole.", counters.blocked);
    page.counter(
        "salon_left_behind_total",
        "Sessions that took a room too slowly to hear it live, each time.",
        counters.left_behind,
    );
    page.counter("salon_rate_limited_total", "Frames refused by the rate limit.", counts.rate_limited);
    page.head("salon_ruled_out_total", "Requests refused by what is set for a room, by what that is.", "counter");
    for (key, count) in Key::OF_CHAT.into_iter().zip(counts.ruled_out) {
        page.sample("salon_ruled_out_total", &format!("by=\"{}\"", key.as_str()), count as f64);
    }
    page.counter("salon_errors_total", "Error messages sent to clients.", counts.errors);
    page.counter(
        "salon_panics_total",
        "Mistakes in Salon that ended one connection and nothing else.",
        counters.panics + counts.panics + panics,
    );
    let LetGo { number, age, bytes } = chat.let_go();
    page.head(
        "salon_history_let_go_total",
        "Entries of a history in memory that went, by the limit they were over.",
        "counter",
    );
    for (limit, count) in
        [("history", number), ("history_age", age), ("history_bytes", bytes), ("memory", counts.dropped)]
    {
        page.sample("salon_history_let_go_total", &format!("limit=\"{limit}\""), count as f64);
    }
    page.head("salon_memory_bytes", "Octets held, by purpose.", "gauge");
    for (purpose, bytes) in memory.held().by_purpose() {
        page.sample("salon_memory_bytes", &format!("purpose=\"{purpose}\""), bytes as f64);
    }
    page.gauge(
        "salon_memory_budget_bytes",
        "Octets that may be held; 0: no budget.",
        memory.bytes().unwrap_or(0) as f64,
    );
    let started = *started as f64 / 1000.0;
    page.process(&process(), started);
    page.head("salon_build_info", "1, with the version.", "gauge");
    page.sample("salon_build_info", &format!("version=\"{VERSION}\""), 1.0);
    page.gauge(
        "salon_last_reload_successful",
        "1 if the settings of the last reading are in force.",
        f64::from(u8::from(reload.is_none_or(|reload| reload.successful))),
    );
    page.gauge(
        "salon_last_reload_timestamp_seconds",
        "When the settings were last read, in seconds since the Unix epoch.",
        reload.map_or(started, |reload| reload.unix_ms as f64 / 1000.0),
    );
    page.counter("salon_log_lines_dropped_total", "Lines of the log left out.", super::logging::dropped_lines());
    page.head("salon_api_calls_total", "Calls of the HTTP API by what became of them.", "counter");
    for (outcome, count) in
        [("ok", calls.ok), ("unauthorized", calls.unauthorized), ("refused", calls.refused), ("failed", calls.failed)]
    {
        page.sample("salon_api_calls_total", &format!("outcome=\"{outcome}\""), count as f64);
    }
    page.head("salon_cut_off_total", "Connections ended by a limit.", "counter");
    for (cut, count) in [
        (Cut::OutboxBytes, counters.cut_bytes),
        (Cut::BlockedTime, counters.cut_time),
        (Cut::Memory, counters.cut_memory),
        (Cut::NoPong, counters.no_pong),
        (Cut::NoRequest, counters.no_request),
    ] {
        page.sample("salon_cut_off_total", &format!("reason=\"{}\"", access::name_of(cut)), count as f64);
    }
    page.head("salon_refused_total", "Whom the server has turned away, by reason.", "counter");
    for reason in Reason::ALL {
        let count = admission.access().refused(reason);
        page.sample("salon_refused_total", &format!("reason=\"{}\"", reason.as_str()), count as f64);
    }
    if let Some(handshakes) = tls.handshakes() {
        let expires = "salon_tls_certificate_expires_timestamp_seconds";
        page.head(expires, "When each certificate ends, in seconds since the Unix epoch.", "gauge");
        for (setting, identities) in tls.named() {
            for (at, one) in identities.all().iter().enumerate() {
                // A name is of DNS, or an address: of these letters.
                let name = one.name().replace(|c: char| !(c.is_ascii_alphanumeric() || " .:*-_".contains(c)), "?");
                let label = format!("setting=\"{setting}\",number=\"{}\",name=\"{name}\"", at + 1);
                page.sample(expires, &label, one.expires() as f64);
            }
        }
        page.head("salon_tls_handshakes_total", "TLS handshakes by outcome.", "counter");
        for (outcome, count) in
            [("done", &handshakes.done), ("failed", &handshakes.failed), ("plain_http", &handshakes.plain_http)]
        {
            page.sample("salon_tls_handshakes_total", &format!("outcome=\"{outcome}\""), count.get() as f64);
        }
    }
    page.head("salon_closes_total", "Closed WebSocket connections by status code; 1006 is without Close.", "counter");
    for (code, count) in counters.closes.iter() {
        let code = code.map_or("other".into(), |code| code.to_string());
        page.sample("salon_closes_total", &format!("code=\"{code}\""), count as f64);
    }
    page.histogram(
        "salon_turn_seconds",
        "How long turns of the loop took, waiting apart.",
        &TURN_BOUNDS,
        &turns.buckets,
        turns.busy,
    );
    page.histogram(
        "salon_delivery_seconds",
        "How long deliveries took, from when the loop took up their cause to the kernel.",
        &latency::BOUNDS,
        &latency.buckets,
        latency.total,
    );
    if let Some(store) = chat.store_health() {
        page.store(&store);
    }
    page.0
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a String takes everything");
    }

    /// What the system says of the process; names are those that programs of all kinds use.
    fn process(&mut self, process: &Process, started: f64) {
        let Process { resident, address_space, cpu, descriptors, max_descriptors } = process;
        if let Some(bytes) = resident {
            self.gauge("salon_resident_bytes", "Octets in memory as the kernel counts them.", *bytes as f64);
        }
        self.gauge("process_start_time_seconds", "When it started, in seconds since the Unix epoch.", started);
        if let Some(cpu) = cpu {
            self.head("process_cpu_seconds_total", "Processor time.", "counter");
            self.sample("process_cpu_seconds_total", "", cpu.as_secs_f64());
        }
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Memory.", resident.map(|bytes| bytes as u64)),
            ("process_virtual_memory_bytes", "Address space.", address_space.map(|bytes| bytes as u64)),
            ("process_open_fds", "Descriptors.", *descriptors),
            ("process_max_fds", "Descriptors that there may be.", *max_descriptors),
        ] {
            if let Some(value) = value {
                self.gauge(name, help, value as f64);
            }
        }
    }

    /// How a store on disk fares.
    fn store(&mut self, store: &Health) {
        let Health { failing, failures, commits, waiting, waiting_bytes, file_bytes, file_limit, dropped, .. } = store;
        self.gauge(
            "salon_store_failing",
            "1 while messages cannot be kept, so that none is taken.",
            f64::from(u8::from(failing.is_some())),
        );
        self.counter("salon_store_failures_total", "Batches of the store that could not be kept.", *failures);
        self.gauge("salon_store_waiting", "Requests that the store has not answered.", *waiting as f64);
        self.gauge("salon_store_waiting_bytes", "Bytes of their texts.", *waiting_bytes as f64);
        self.gauge("salon_store_file_bytes", "Bytes of the store's file and its log.", *file_bytes as f64);
        self.gauge(
            "salon_store_file_limit_bytes",
            "Bytes that the file may have; 0: any.",
            file_limit.unwrap_or(0) as f64,
        );
        self.counter(
            "salon_store_dropped_total",
            "Entries that have gone because they were too old or too many.",
            *dropped,
        );
        self.histogram(
            "salon_store_commit_seconds",
            "How long commits of the store took.",
            &BOUNDS,
            &commits.buckets,
            commits.sum,
        );
    }

    /// Counts up to each of the bounds, and beyond.
    fn histogram(&mut self, name: &str, help: &str, bounds: &[Duration], buckets: &[u64], total: Duration) {
        self.head(name, help, "histogram");
        let mut sum = 0;
        for (at, count) in buckets.iter().enumerate() {
            sum += count;
            let bound = bounds.get(at).map_or("+Inf".into(), |bound| bound.as_secs_f64().to_string());
            self.sample(&format!("{name}_bucket"), &format!("le=\"{bound}\""), sum as f64);
        }
        self.sample(&format!("{name}_sum"), "", total.as_secs_f64());
        self.sample(&format!("{name}_count"), "", sum as f64);
    }

    fn sample(&mut self, name: &str, label: &str, value: f64) {
        let label = if label.is_empty() { String::new() } else { format!("{{{label}}}") };
        writeln!(self.0, "{name}{label} {value}").expect("a String takes everything");
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, help, "gauge");
        self.sample(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        self.sample(name, "", value as f64);
    }
}
