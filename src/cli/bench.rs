//! `salon bench`: its options, and the plan they make.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::bench::{self, Length, MAX_SPEAKERS, MIN_SIZE, Pace, Plan, Report, Scenario, Target};

use super::descriptors;

/// Options of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to do
    #[arg(value_enum, value_name = "SCENARIO")]
    pub scenario: Kind,
    /// The server; {id} is the number of the connection, {room} of its room. Without it, Salon on this machine:
    /// ws://127.0.0.1:8080/ws, and ws://127.0.0.1:9001/ for echo
    #[allow(rustdoc::bare_urls, reason = "it is the help text")]
    #[arg(long, value_name = "ws://HOST:PORT/PATH", help_heading = "Server")]
    pub url: Option<String>,
    /// In which words: `json`, Salon's JSON dialect, or `bare`, a message is its body and nothing is said before it.
    /// `auto`: json at the path /ws, bare elsewhere and in echo
    #[arg(long, value_enum, default_value = "auto", help_heading = "Server")]
    pub dialect: Dialect,
    /// The first message of each connection, with {id} and {room}
    #[arg(long, value_name = "TEXT", help_heading = "Server")]
    pub join: Option<String>,
    /// What the answer to it contains; without it nothing is waited for
    #[arg(long, value_name = "TEXT", help_heading = "Server")]
    pub joined: Option<String>,
    /// What a message is, with {id}, {room} and, once, {body}: `@`, letters and digits only
    #[arg(long, value_name = "TEXT", help_heading = "Server")]
    pub message: Option<String>,
    /// A header of the request, with {id} and {room} in the value (repeatable)
    #[arg(long, value_name = "NAME: VALUE", value_parser = parse_header, help_heading = "Server")]
    pub header: Vec<(String, String)>,
    /// A sub-protocol to offer (repeatable)
    #[arg(long, value_name = "NAME", help_heading = "Server")]
    pub protocol: Vec<String>,
    /// Send binary messages
    #[arg(long, help_heading = "Server")]
    pub binary: bool,
    /// The server does not send a message back to who said it
    #[arg(long, help_heading = "Server")]
    pub others_only: bool,
    /// The server's process on this machine: its CPU and memory are measured
    #[arg(long, value_name = "PID", help_heading = "Server")]
    pub pid: Option<u32>,
    /// Connections [default: 100; 10000 for idle and connect; 10 for neighbour: those that flood]
    #[arg(long, short = 'c', value_name = "N", value_parser = number(1..=1_000_000), help_heading = "Load")]
    pub connections: Option<u64>,
    /// Rooms they are spread over
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = number(1..=1_000_000), help_heading = "Load")]
    pub rooms: u64,
    /// Connections that speak (not in echo, where all do)
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = number(1..=4096), help_heading = "Load")]
    pub speakers: u64,
    /// Bytes of a body
    #[arg(long, default_value_t = 128, value_name = "BYTES", value_parser = number(MIN_SIZE as u64..=16 << 20), help_heading = "Load")]
    pub size: u64,
    /// When the next message is sent: `lockstep`, when all have heard the last; `saturated`, as soon as the speaker has
    /// heard one of --window of its own; or so many a second by the clock, of all speakers together (an open loop)
    #[arg(long, default_value = "lockstep", value_name = "lockstep|saturated|PER_SECOND", value_parser = parse_pace, help_heading = "Load")]
    pub pace: PaceArg,
    /// Messages of each speaker on the way, when saturated
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = number(1..=1024), help_heading = "Load")]
    pub window: u64,
    /// Messages of each connection on the way, in echo
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = number(1..=1024), help_heading = "Load")]
    pub depth: u64,
    /// Connections that do not read, in slow: the last ones
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = number(1..=100_000), help_heading = "Load")]
    pub slow_readers: u64,
    /// Sessions that watch 1000 people each and end at once, in neighbour
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = number(0..=100_000), help_heading = "Load")]
    pub watchers: u64,
    /// Handshakes at a time [default: 64; 1024 for connect]
    #[arg(long, value_name = "N", value_parser = number(1..=65_536), help_heading = "Load")]
    pub in_flight: Option<u64>,
    /// Addresses to connect from, in turn: each has about 28,000 ports
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', help_heading = "Load")]
    pub from: Vec<IpAddr>,
    /// How long to measure, in seconds
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS", value_parser = parse_seconds, help_heading = "Length and output")]
    pub seconds: f64,
    /// What passes before it is measured, in seconds
    #[arg(long, default_value_t = 0.5, value_name = "SECONDS", value_parser = parse_seconds, help_heading = "Length and output")]
    pub warm_up: f64,
    /// Send so many messages in all, without warm-up, however long it takes
    #[arg(long, value_name = "N", value_parser = number(1..=u64::from(u32::MAX)), conflicts_with = "seconds", help_heading = "Length and output")]
    pub messages: Option<u64>,
    /// Print one line of JSON instead of a table
    #[arg(long, help_heading = "Length and output")]
    pub json: bool,
    /// Do not tell on standard error how far it is
    #[arg(long, short = 'q', help_heading = "Length and output")]
    pub quiet: bool,
}

/// What stands below the options in the help.
pub const EXAMPLES: &str = "\
Examples:
  salon serve --rate off &   # a bench says more than a person may
  salon bench fan-out -c 1000 --pid $!
      one speaker, 1000 listeners, the next message when all have heard the last
  salon bench fan-out -c 1000 --speakers 10 --pace saturated
      as much as goes through
  salon bench fan-out -c 1000 --speakers 10 --pace 50 --seconds 30
      50 messages a second by the clock: latencies as users would have them
  salon bench slow -c 1000 --pace 40 --size 8192 --seconds 10 --slow-readers 5
      what five who do not read cost the others
  salon bench neighbour -c 10 --pid $!
      how long pings take beside ten connections that ask as much as they can
  salon bench connect -c 10000
      10000 connections, 1024 handshakes at a time
  salon bench echo --url ws://127.0.0.1:9001/ -c 100 --depth 16
  salon bench fan-out --url 'ws://127.0.0.1:8080/ws/r{room}?username=u{id}' --rooms 10
      Salon's plain dialect
  salon bench fan-out --url ws://127.0.0.1:3000/chat --dialect bare \\
      --join '{\"op\":\"sub\",\"ch\":\"c{room}\"}' --joined subscribed --message '{\"op\":\"pub\",\"data\":\"{body}\"}'
      another server

Exit status: 0 if everybody heard everything once and in order, 1 if not, 2 if it could not be done as asked.
docs/bench.md says what each figure means.";

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Few speak, all of their room hear it
    FanOut,
    /// All speak and hear themselves
    Echo,
    /// All are there and say nothing for --seconds: memory, and CPU of timers
    Idle,
    /// All come at once
    Connect,
    /// A fan-out at a --pace by the clock, without and with members who do not read
    Slow,
    /// One pings, for --seconds beside each kind of request that others pipeline (Salon's JSON dialect)
    Neighbour,
}

/// Words of a server's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// By the path
    Auto,
    /// Salon's JSON dialect
    Json,
    /// The body alone
    Bare,
}

/// When the next message is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PaceArg {
    /// When all have heard the last.
    Lockstep,
    /// As soon as the speaker has heard one of its own.
    Saturated,
    /// So many a second.
    Rate(f64),
}

/// Does it, and says what came of it.
pub fn run(args: &BenchArgs) -> Result<Report, Failure> {
    let plan = plan(args).map_err(Failure::Asked)?;
    let watchers = if let Scenario::Neighbour { watchers } = plan.scenario { watchers } else { 0 };
    if let Err(short) = descriptors::raise(plan.connections.max(watchers)) {
        return Err(Failure::Asked(format!("--connections {}: {short}", plan.connections)));
    }
    bench::run(&plan).map_err(|error| match error {
        bench::Error::Loop(_) => Failure::Broken(error),
        error => Failure::Asked(error.to_string()),
    })
}

/// Why there is no report.
#[derive(Debug)]
pub enum Failure {
    /// It could not be done as asked.
    Asked(String),
    /// It failed on the way.
    Broken(bench::Error),
}

fn plan(args: &BenchArgs) -> Result<Plan, String> {
    let kind = args.scenario;
    let default_url = if kind == Kind::Echo { "ws://127.0.0.1:9001/" } else { "ws://127.0.0.1:8080/ws" };
    let mut target = Target::new(args.url.as_deref().unwrap_or(default_url))?;
    let json = match args.dialect {
        Dialect::Auto => kind != Kind::Echo && target.is_salon_json(),
        Dialect::Json => true,
        Dialect::Bare => false,
    };
    if json {
        target.speak_salon_json();
    }
    if let Some(join) = &args.join {
        target.join = Some(join.clone());
        target.joined = None;
    }
    if args.joined.is_some() {
        target.joined = args.joined.clone();
    }
    if let Some(message) = &args.message {
        target.set_message(message)?;
    }
    target.headers = args.header.clone();
    target.protocols = args.protocol.clone();
    target.binary = args.binary;

    let crowd = matches!(kind, Kind::Idle | Kind::Connect);
    let connections = args.connections.unwrap_or(match kind {
        Kind::Neighbour => 10,
        _ if crowd => 10_000,
        _ => 100,
    }) as usize;
    let (rooms, speakers) = (args.rooms as usize, args.speakers as usize);
    let slow = if kind == Kind::Slow { args.slow_readers as usize } else { 0 };
    let seconds = Duration::from_secs_f64(args.seconds);
    let scenario = match (kind, args.pace) {
        (Kind::Echo, _) => Scenario::Echo { depth: args.depth as u32 },
        (Kind::Idle, _) => Scenario::Idle { hold: seconds },
        (Kind::Connect, _) => Scenario::Connect,
        (Kind::Neighbour, _) => Scenario::Neighbour { watchers: args.watchers as usize },
        (Kind::Slow, PaceArg::Rate(per_second)) => Scenario::Slow { readers: slow, per_second },
        (Kind::Slow, _) => {
            return Err("slow: say --pace PER_SECOND, such as --pace 40; only the clock waits for nobody".into());
        }
        (Kind::FanOut, PaceArg::Lockstep) => Scenario::FanOut(Pace::Lockstep),
        (Kind::FanOut, PaceArg::Saturated) => Scenario::FanOut(Pace::Saturated { window: args.window as u32 }),
        (Kind::FanOut, PaceArg::Rate(per_second)) => Scenario::FanOut(Pace::Rate(per_second)),
    };
    if kind == Kind::Neighbour && args.messages.is_some() {
        return Err("neighbour: say --seconds; it counts no messages".into());
    }
    if kind == Kind::Echo && connections > MAX_SPEAKERS {
        return Err(format!("--connections {connections}: at most {MAX_SPEAKERS} can speak"));
    }
    if matches!(kind, Kind::FanOut | Kind::Slow) {
        if speakers + slow > connections {
            return Err(format!(
                "--speakers {speakers}: {connections} connections are fewer, with {slow} that do not read"
            ));
        }
        if rooms > connections - slow {
            return Err(format!("--rooms {rooms}: some would be empty with {connections} connections"));
        }
        if args.others_only && connections - slow < 2 * rooms {
            return Err("--others-only: nobody would hear; give two connections a room at least".into());
        }
        if connections * speakers > MAX_LINES {
            return Err(format!("--speakers {speakers} times {connections} connections is over {MAX_LINES}"));
        }
    }
    Ok(Plan {
        target,
        scenario,
        connections,
        rooms,
        speakers,
        size: args.size as usize,
        length: args.messages.map_or(Length::Time(seconds), Length::Messages),
        warm_up: Duration::from_secs_f64(args.warm_up),
        in_flight: args.in_flight.unwrap_or(if kind == Kind::Connect { 1024 } else { 64 }) as usize,
        from: args.from.clone(),
        pid: args.pid,
        others_only: args.others_only,
        progress: !args.quiet,
    })
}

fn number(range: std::ops::RangeInclusive<u64>) -> clap::builder::RangedU64ValueParser {
    clap::builder::RangedU64ValueParser::new().range(range)
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok();
    seconds.filter(|seconds| (0.0..=86_400.0).contains(seconds)).ok_or_else(|| "expected seconds, 0 to 86400".into())
}

fn parse_pace(text: &str) -> Result<PaceArg, String> {
    match text {
        "lockstep" => Ok(PaceArg::Lockstep),
        "saturated" => Ok(PaceArg::Saturated),
        _ => {
            let rate = text.parse().ok().filter(|rate| (0.001..=10_000_000.0).contains(rate));
            rate.map(PaceArg::Rate)
                .ok_or_else(|| "expected lockstep, saturated or messages a second, 0.001 to 10000000".into())
        }
    }
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// The most pairs of receiver and speaker that are kept apart: 64 MiB.
const MAX_LINES: usize = 1 << 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Args, Command};
    use clap::Parser;

    fn plan_of(arguments: &[&str]) -> Result<Plan, String> {
        let args =
            Args::try_parse_from([&["salon", "bench"], arguments].concat()).map_err(|error| error.to_string())?;
        let Some(Command::Bench(args)) = args.command else { panic!("it is a bench") };
        plan(&args)
    }

    #[test]
    fn what_is_not_said_follows_from_what_is() {
        let salon = plan_of(&["fan-out"]).unwrap();
        assert_eq!(salon.target.path, "/ws?user=bench-{id}");
        assert!(salon.target.join.is_some() && salon.target.around.0.contains("broadcast"));
        assert_eq!((salon.connections, salon.scenario), (100, Scenario::FanOut(Pace::Lockstep)));

        let echo = plan_of(&["echo", "--depth", "16"]).unwrap();
        assert_eq!((echo.target.url.as_str(), echo.target.join), ("ws://127.0.0.1:9001/", None));
        assert_eq!(echo.scenario, Scenario::Echo { depth: 16 });

        let url = "ws://127.0.0.1:1/ws/r{room}?username=u{id}";
        let plain = plan_of(&["fan-out", "--url", url, "--pace", "saturated", "--messages", "5"]).unwrap();
        assert_eq!((plain.target.join, plain.target.around.0.as_str()), (None, ""));
        assert_eq!(
            (plain.scenario, plain.length),
            (Scenario::FanOut(Pace::Saturated { window: 8 }), Length::Messages(5))
        );

        let other = plan_of(&["fan-out", "--dialect", "bare", "--join", "hi {id}", "--message", "<{body}>"]).unwrap();
        assert_eq!((other.target.join.as_deref(), other.target.joined), (Some("hi {id}"), None));
        assert_eq!(other.target.around, ("<".into(), ">".into()));
        assert_eq!(plan_of(&["idle"]).unwrap().connections, 10_000);
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_reason() {
        for (arguments, reason) in [
            (&["slow"][..], "--pace PER_SECOND"),
            (&["fan-out", "-c", "10", "--speakers", "11"], "fewer"),
            (&["slow", "-c", "10", "--pace", "1", "--slow-readers", "10"], "fewer"),
            (&["fan-out", "-c", "10", "--rooms", "11"], "empty"),
            (&["fan-out", "-c", "1", "--others-only"], "nobody would hear"),
            (&["fan-out", "-c", "1000000", "--speakers", "4096"], "over 16777216"),
            (&["echo", "-c", "65537"], "at most 65536"),
            (&["fan-out", "--size", "15"], "16.."),
            (&["fan-out", "--pace", "0"], "messages a second"),
            (&["fan-out", "--pace", "NaN"], "messages a second"),
            (&["fan-out", "--message", "hello"], "{body}"),
            (&["fan-out", "--url", "wss://127.0.0.1/"], "TLS"),
            (&["fan-out", "--header", "X"], "NAME: VALUE"),
            (&["fan-out", "--seconds", "-1"], "unexpected"),
            (&["fan-out", "--messages", "0"], "1.."),
            (&["echo", "--messages", "1", "--seconds", "1"], "cannot be used with"),
        ] {
            let error = plan_of(arguments).unwrap_err();
            assert!(error.contains(reason), "{arguments:?}: {error}");
        }
    }
}
