//! From two looks at the server to the figures on the screen: rates, shares and percentiles.

use serde::{Deserialize, Serialize};

use super::metrics::Metrics;

/// One look at the server.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// `/metrics`.
    pub metrics: Metrics,
    /// `/top`.
    pub top: Top,
}

/// The answer of `/top` (docs/http-api.md).
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the fields are described there")]
pub struct Top {
    pub version: String,
    pub status: String,
    pub over_ms: u64,
    pub rooms: Vec<TopRoom>,
    pub waiting: Waiting,
    pub connections: Vec<Slow>,
}

/// A room in the answer of `/top`.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the fields are described there")]
pub struct TopRoom {
    pub room_id: String,
    pub members: u64,
    pub sessions: u64,
    pub messages: u64,
    pub deliveries: u64,
}

/// All for whom something waits.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Waiting {
    /// How many connections.
    pub connections: u64,
    /// How much, in bytes.
    pub bytes: u64,
}

/// A connection for which output waits.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Slow {
    /// Bytes that wait.
    pub waiting_bytes: u64,
    /// For how long it has taken nothing, in milliseconds.
    pub blocked_ms: u64,
    /// Its address.
    pub address: Option<String>,
    /// Its session, if it is one.
    pub session_id: Option<String>,
    /// The user.
    pub user_id: Option<String>,
}

/// The figures on the screen.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Of the server.
    pub version: String,
    /// `ok` or `stopping`.
    pub status: String,
    /// How long it has run, in seconds.
    pub uptime_s: f64,
    /// Over how many seconds the rates are; 0: there are none yet.
    pub over_s: f64,
    /// Numbers of the moment: their name, and how many.
    pub now: Vec<(&'static str, u64)>,
    /// Counters.
    pub rates: Vec<Rate>,
    /// The share of time in which the loop worked, 0 to 1.
    pub busy: f64,
    /// Turns of the loop a second.
    pub turns_per_second: f64,
    /// How long turns took, by percentile.
    pub turns: Vec<Percentile>,
    /// How long deliveries took, by percentile.
    pub deliveries: Vec<Percentile>,
    /// The store, if it is one on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<Store>,
    /// Bytes by purpose.
    pub memory: Vec<(String, u64)>,
    /// Why connections ended.
    pub endings: Vec<Ending>,
    /// Rooms.
    pub rooms: Vec<Room>,
    /// All for whom something waits.
    pub waiting: Waiting,
    /// The connections for which most waits.
    pub slowest: Vec<Slow>,
}

/// A counter.
#[derive(Clone, Debug, Serialize)]
pub struct Rate {
    /// What is counted.
    pub name: &'static str,
    /// Each second.
    pub per_second: f64,
    /// Since the server started.
    pub total: u64,
    /// Whether it counts bytes.
    #[serde(skip)]
    pub bytes: bool,
}

/// A percentile of the time of turns, as exactly as the buckets of the histogram allow.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Percentile {
    /// Such as `p99`.
    pub name: &'static str,
    /// It is not longer than this, in seconds; `None`: no turn, or longer than the largest bucket.
    pub at_most_s: Option<f64>,
    /// It is longer than this.
    pub over_s: Option<f64>,
}

/// A store on disk.
#[derive(Clone, Debug, Serialize)]
pub struct Store {
    /// Messages cannot be kept.
    pub failing: bool,
    /// Batches that could not be kept since the server started.
    pub failures: u64,
    /// Commits a second.
    pub commits_per_second: f64,
    /// How long they took, by percentile.
    pub commits: Vec<Percentile>,
    /// Requests that wait.
    pub waiting: u64,
    /// Bytes of their texts.
    pub waiting_bytes: u64,
    /// Bytes of the file and its log.
    pub file_bytes: u64,
    /// Bytes that the file may have; 0: any.
    pub file_limit_bytes: u64,
    /// Entries that have gone since the server started because they were too old or too many.
    pub dropped: u64,
}

/// Why connections ended, and how many.
#[derive(Clone, Debug, Serialize)]
pub struct Ending {
    /// `close`, `cut_off` or `refused`.
    pub kind: &'static str,
    /// The code or the reason.
    pub reason: String,
    /// Since the server started.
    pub total: u64,
    /// Since this was first looked at.
    pub seen: u64,
}

/// A room.
#[derive(Clone, Debug, Serialize)]
pub struct Room {
    /// Its name.
    pub room_id: String,
    /// Users in it.
    pub members: u64,
    /// Sessions that hear it.
    pub sessions: u64,
    /// Messages a second.
    pub messages_per_second: f64,
    /// Each counted once for each session that heard it.
    pub deliveries_per_second: f64,
}

impl Figures {
    /// The figures of the time from `before` to `now`; `first` is the first look.
    pub fn between(first: &Snapshot, before: &Snapshot, now: &Snapshot) -> Self {
        let uptime = |snapshot: &Snapshot| snapshot.metrics.value("salon_uptime_seconds");
        let over_s = (uptime(now) - uptime(before)).max(0.0);
        let grown = |name: &str| (now.metrics.value(name) - before.metrics.value(name)).max(0.0);
        let a_second = |count: f64| if over_s > 0.0 { count / over_s } else { 0.0 };
        let rates = COUNTERS.iter().map(|&(name, metric, bytes)| Rate {
            name,
            per_second: a_second(grown(metric)),
            total: now.metrics.value(metric) as u64,
            bytes,
        });
        let endings = ENDINGS.iter().flat_map(|&(kind, metric)| {
            now.metrics.labelled(metric).map(move |(reason, total)| {
                let before = first.metrics.labelled(metric).find(|&(known, _)| known == reason);
                let seen = total - before.map_or(0.0, |(_, count)| count);
                Ending { kind, reason: reason.into(), total: total as u64, seen: seen.max(0.0) as u64 }
            })
        });
        let top_second = |count: u64| match now.top.over_ms {
            0 => 0.0,
            over_ms => count as f64 * 1000.0 / over_ms as f64,
        };
        Self {
            version: now.top.version.clone(),
            status: now.top.status.clone(),
            uptime_s: uptime(now),
            over_s,
            now: GAUGES.iter().map(|&(name, metric)| (name, now.metrics.value(metric) as u64)).collect(),
            rates: rates.collect(),
            busy: a_second(grown("salon_turn_seconds_sum")).min(1.0),
            turns_per_second: a_second(grown("salon_turn_seconds_count")),
            turns: percentiles("salon_turn_seconds_bucket", &before.metrics, &now.metrics),
            deliveries: percentiles("salon_delivery_seconds_bucket", &before.metrics, &now.metrics),
            store: now.metrics.labelled("salon_store_failing").next().map(|(_, failing)| Store {
                failing: failing > 0.0,
                failures: now.metrics.value("salon_store_failures_total") as u64,
                commits_per_second: a_second(grown("salon_store_commit_seconds_count")),
                commits: percentiles("salon_store_commit_seconds_bucket", &before.metrics, &now.metrics),
                waiting: now.metrics.value("salon_store_waiting") as u64,
                waiting_bytes: now.metrics.value("salon_store_waiting_bytes") as u64,
                file_bytes: now.metrics.value("salon_store_file_bytes") as u64,
                file_limit_bytes: now.metrics.value("salon_store_file_limit_bytes") as u64,
                dropped: now.metrics.value("salon_store_dropped_total") as u64,
            }),
            memory: now.metrics.labelled(MEMORY).map(|(purpose, bytes)| (purpose.into(), bytes as u64)).collect(),
            endings: endings.filter(|ending| ending.total > 0).collect(),
            rooms: now
                .top
                .rooms
                .iter()
                .map(|room| Room {
                    room_id: room.room_id.clone(),
                    members: room.members,
                    sessions: room.sessions,
                    messages_per_second: top_second(room.messages),
                    deliveries_per_second: top_second(room.deliveries),
                })
                .collect(),
            waiting: now.top.waiting,
            slowest: now.top.connections.clone(),
        }
    }
}

/// Whether the second is of another run of the server than the first: its counters have begun anew.
pub fn started_anew(before: &Snapshot, now: &Snapshot) -> bool {
    now.metrics.value("salon_uptime_seconds") < before.metrics.value("salon_uptime_seconds")
}

fn percentiles(histogram: &str, before: &Metrics, now: &Metrics) -> Vec<Percentile> {
    // Bounds and how many turns were not longer, as counted in between.
    let mut buckets = Vec::new();
    for (label, count) in now.labelled(histogram) {
        let earlier = before.labelled(histogram).find(|&(known, _)| known == label);
        let bound: f64 = label.parse().unwrap_or(f64::INFINITY);
        buckets.push((bound, count - earlier.map_or(0.0, |(_, count)| count)));
    }
    let total = buckets.last().map_or(0.0, |&(_, count)| count);
    let of = |name, share: f64| {
        let reached = buckets.iter().position(|&(_, count)| total > 0.0 && count >= share * total);
        let bound = |at: usize| Some(buckets[at].0).filter(|bound| bound.is_finite());
        Percentile {
            name,
            at_most_s: reached.and_then(bound),
            over_s: reached.and_then(|at| at.checked_sub(1)).and_then(bound),
        }
    };
    vec![of("p50", 0.5), of("p99", 0.99), of("max", 1.0)]
}

/// What a close code means, in a word or two.
pub fn meaning(code: &str) -> &'static str {
    match code {
        "1000" => "done",
        "1001" => "going away",
        "1002" => "protocol error",
        "1003" => "not text",
        "1005" => "no code",
        "1006" => "lost",
        "1007" => "not UTF-8",
        "1008" => "policy",
        "1009" => "too big",
        "1011" => "our fault",
        "1012" => "restart",
        "1013" => "too slow",
        "4001" => "token",
        "4003" => "banned",
        "4010" => "kicked",
        "4100" => "too many",
        "4101" => "too fast",
        "4200" => "reconnect",
        "4201" => "no pong",
        _ => "",
    }
}

/// The counters: their words, the metric, whether they count bytes.
const COUNTERS: [(&str, &str, bool); 8] = [
    ("connections", "salon_connections_accepted_total", false),
    ("messages in", "salon_messages_received_total", false),
    ("deliveries", "salon_deliveries_total", false),
    ("bytes in", "salon_received_bytes_total", true),
    ("bytes out", "salon_sent_bytes_total", true),
    ("blocked writes", "salon_writes_blocked_total", false),
    ("rate limited", "salon_rate_limited_total", false),
    ("errors", "salon_errors_total", false),
];

const GAUGES: [(&str, &str); 4] = [
    ("connections", "salon_connections"),
    ("sessions", "salon_sessions"),
    ("users", "salon_users"),
    ("rooms", "salon_rooms"),
];

const ENDINGS: [(&str, &str); 3] =
    [("close", "salon_closes_total"), ("cut_off", "salon_cut_off_total"), ("refused", "salon_refused_total")];

const MEMORY: &str = "salon_memory_bytes";

#[cfg(test)]
mod tests {
    use super::*;

    fn at(page: &str) -> Snapshot {
        let top = r#"{"version":"1","status":"ok","over_ms":2000,"rooms":[{"room_id":"den","members":3,"sessions":4,
            "messages":10,"deliveries":40}],"waiting":{"connections":0,"bytes":0},"connections":[],"more":true}"#;
        Snapshot { metrics: Metrics::read(page), top: serde_json::from_str(top).unwrap() }
    }

    #[test]
    fn rates_are_of_the_time_in_between() {
        let before = at("salon_uptime_seconds 10\nsalon_deliveries_total 100\nsalon_turn_seconds_sum 1\n\
            salon_closes_total{code=\"1006\"} 2\n");
        let now = at("salon_uptime_seconds 12\nsalon_deliveries_total 300\nsalon_turn_seconds_sum 1.5\n\
            salon_closes_total{code=\"1006\"} 5\nsalon_closes_total{code=\"1000\"} 0\nsalon_memory_bytes{purpose=\"history\"} 9\n");
        let figures = Figures::between(&before, &before, &now);
        let deliveries = figures.rates.iter().find(|rate| rate.name == "deliveries").unwrap();
        assert_eq!((deliveries.per_second, deliveries.total, figures.busy), (100.0, 300, 0.25));
        let endings: Vec<_> = figures.endings.iter().map(|e| (&*e.reason, e.total, e.seen)).collect();
        assert_eq!(endings, [("1006", 5, 3)]);
        assert_eq!(figures.memory, [("history".to_owned(), 9)]);
        assert_eq!((figures.rooms[0].messages_per_second, figures.rooms[0].deliveries_per_second), (5.0, 20.0));
        // One look gives no rates, and none are made up.
        assert_eq!(Figures::between(&now, &now, &now).rates.iter().map(|rate| rate.per_second).sum::<f64>(), 0.0);
        assert!(started_anew(&now, &before) && !started_anew(&before, &now));
    }

    #[test]
    fn a_store_on_disk_has_figures() {
        let before = at("salon_uptime_seconds 10\n");
        assert!(Figures::between(&before, &before, &before).store.is_none());
        let page = "salon_uptime_seconds 12\nsalon_store_failing 1\nsalon_store_waiting 3\n\
            salon_store_commit_seconds_bucket{le=\"0.001\"} 4\nsalon_store_commit_seconds_bucket{le=\"+Inf\"} 4\n\
            salon_store_commit_seconds_count 4\nsalon_store_file_bytes 99\nsalon_store_dropped_total 5\n";
        let store = Figures::between(&before, &before, &at(page)).store.unwrap();
        assert_eq!((store.failing, store.waiting, store.commits_per_second), (true, 3, 2.0));
        assert_eq!((store.file_bytes, store.dropped, store.commits[0].at_most_s), (99, 5, Some(0.001)));
    }

    #[test]
    fn percentiles_are_bounds_of_buckets() {
        let page = |counts: [u32; 3]| {
            let [a, b, c] = counts;
            Metrics::read(&format!(
                "salon_turn_seconds_bucket{{le=\"0.001\"}} {a}\nsalon_turn_seconds_bucket{{le=\"1\"}} {b}\n\
                 salon_turn_seconds_bucket{{le=\"+Inf\"}} {c}\n"
            ))
        };
        let none = (None, None);
        for (before, now, expected) in [
            ([5, 5, 5], [5, 5, 5], [none, none, none]),
            ([0, 0, 0], [100, 100, 100], [(Some(0.001), None); 3]),
            ([50, 50, 50], [149, 150, 150], [(Some(0.001), None), (Some(0.001), None), (Some(1.0), Some(0.001))]),
            ([0, 0, 0], [1, 2, 100], [(None, Some(1.0)); 3]),
        ] {
            let found = percentiles("salon_turn_seconds_bucket", &page(before), &page(now));
            assert_eq!(found.iter().map(|p| (p.at_most_s, p.over_s)).collect::<Vec<_>>(), expected, "{now:?}");
        }
    }
}
