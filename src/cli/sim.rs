//! `salon sim`: its options, and what it prints.

use std::io::Write;
use std::ops::RangeInclusive;
use std::time::Instant;

use clap::{ArgGroup, Args};
use serde::Serialize;

use crate::sim::plan::{Fault, Nodes, Wish};
use crate::sim::{self, Outcome};

/// Options of `sim`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true))]
pub struct SimArgs {
    /// One seed
    #[arg(long, value_name = "N", group = "which")]
    pub seed: Option<u64>,
    /// All seeds from one to another
    #[arg(long, value_name = "FROM..TO", value_parser = parse_seeds, group = "which")]
    pub seeds: Option<RangeInclusive<u64>>,
    /// Fresh seeds for so many minutes
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..=10_000), group = "which")]
    pub minutes: Option<u64>,
    /// Stop at the first seed that fails; otherwise all are run
    #[arg(long)]
    pub first: bool,
    /// No faults but these, of those that a seed draws, with commas between them; `none` for none at all. Those of
    /// Redis need `--nodes`
    #[arg(long, value_name = "LIST", value_parser = parse_faults)]
    pub faults: Option<Faults>,
    /// At most so many clients, of those that a seed draws: up to 30
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=30))]
    pub clients: Option<u64>,
    /// So many nodes on one Redis, 1 to 5, or `any` for as many as the seed draws; else one server with its own store.
    /// For who builds Salon with `--features sim-nodes`
    #[arg(long, value_name = "K", value_parser = parse_nodes)]
    pub nodes: Option<Nodes>,
    /// Tell all that happens
    #[arg(long, conflicts_with = "json")]
    pub tell: bool,
    /// Print an object of JSON for each seed
    #[arg(long)]
    pub json: bool,
}

/// Kinds of faults.
#[derive(Clone, Debug)]
pub struct Faults(Vec<Fault>);

/// Runs seeds; returns whether all of them hold.
///
/// # Errors
/// One sentence: what is asked for cannot be had.
pub fn run(args: &SimArgs) -> Result<bool, String> {
    if args.nodes.is_some() && !sim::HAS_NODES {
        return Err(
            "--nodes: expected a Salon that was built with `--features sim-nodes`, found one without, which has no \
                    Redis to simulate"
                .into(),
        );
    }
    if let (Some(Faults(faults)), None) = (&args.faults, args.nodes)
        && let Some(fault) = faults.iter().find(|fault| fault.is_of_nodes())
    {
        return Err(format!("--faults: expected faults of one server, found {}, which needs --nodes", fault.word()));
    }
    let wish = Wish {
        clients: args.clients.map(|clients| clients as usize),
        faults: args.faults.as_ref().map(|Faults(faults)| faults.clone()),
        nodes: args.nodes,
        ..Wish::default()
    };
    let began = Instant::now();
    let fresh = crate::random::Random::secret().draw() >> 32;
    let (from, to) = match (args.seed, &args.seeds) {
        (Some(seed), _) => (seed, seed),
        (None, Some(seeds)) => (*seeds.start(), *seeds.end()),
        (None, None) => (fresh, u64::MAX),
    };
    let mut sum = Sum::default();
    for seed in from..=to {
        let spent = began.elapsed();
        if args.minutes.is_some_and(|minutes| spent.as_secs() >= minutes * 60) {
            break;
        }
        let mut outcome = sim::run(seed, &wish, if args.tell { usize::MAX } else { 0 });
        if seed.is_multiple_of(TWICE) {
            sim::run_again(&mut outcome, &wish);
        }
        let took = began.elapsed() - spent;
        sum.note(&outcome, took.as_secs_f64());
        let mut out = std::io::stdout().lock();
        let line = match args.json {
            true => serde_json::to_string(&Row::of(&outcome, took.as_secs_f64())).expect("plain fields"),
            false => format!(
                "seed {seed}: {}; {:.0} s in {:.2} s, {} steps, trace {:016x}, {}",
                if outcome.violation.is_some() { "FAILED" } else { "holds" },
                outcome.virtual_seconds,
                took.as_secs_f64(),
                outcome.steps,
                outcome.trace,
                outcome.plan.words(),
            ),
        };
        // The reader may have gone: `salon sim ... | head`.
        if writeln!(out, "{line}").is_err() {
            break;
        }
        for line in &outcome.lines {
            let _ = writeln!(out, "  {line}");
        }
        drop(out);
        if outcome.violation.is_some() {
            if !args.json && !args.tell {
                explain(&outcome);
            }
            if args.first {
                break;
            }
        }
    }
    if !args.json {
        let _ = writeln!(std::io::stdout(), "{}", sum.words(began.elapsed().as_secs_f64()));
    }
    Ok(sum.failed == 0)
}

/// What was wrong, as small as it can be made, and how to see it again.
fn explain(failed: &Outcome) {
    let wish = sim::shrink(failed);
    let shown = sim::run(failed.seed, &wish, LINES);
    let shown = match shown.violation {
        Some(_) => shown,
        None => sim::run(failed.seed, &Wish::of_nodes(&failed.plan), LINES),
    };
    // One that has another trace each time may hold now.
    let Some(violation) = shown.violation.as_ref().or(failed.violation.as_ref()) else { return };
    let mut text = String::new();
    for line in &shown.lines {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str(&format!(
        "  invariant {} does not hold in step {}, at {:.6} s: {}\n  {}\n",
        violation.invariant,
        violation.step,
        violation.at as f64 / 1e6,
        violation.text,
        shown.plan.words(),
    ));
    text.push_str(&format!("  again: salon sim --seed {}", failed.seed));
    if failed.plan.nodes > 0 {
        text.push_str(&format!(" --nodes {}", failed.plan.nodes));
    }
    if let (Some(clients), Some(faults)) = (wish.clients, &wish.faults) {
        let words: Vec<&str> = faults.iter().map(|fault| fault.word()).collect();
        let words = if words.is_empty() { "none".to_owned() } else { words.join(",") };
        text.push_str(&format!(" --clients {clients} --faults {words}"));
    }
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A seed, for programs.
#[derive(Serialize)]
struct Row<'a> {
    seed: u64,
    ok: bool,
    steps: u64,
    virtual_seconds: f64,
    wall_seconds: f64,
    trace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    invariant: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn of(outcome: &'a Outcome, wall_seconds: f64) -> Self {
        let violation = outcome.violation.as_ref();
        Self {
            seed: outcome.seed,
            ok: violation.is_none(),
            steps: outcome.steps,
            virtual_seconds: outcome.virtual_seconds,
            wall_seconds,
            trace: format!("{:016x}", outcome.trace),
            invariant: violation.map(|violation| violation.invariant),
            step: violation.map(|violation| violation.step),
            found: violation.map(|violation| violation.text.as_str()),
        }
    }
}

/// What all seeds came to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    failed: u64,
    steps: u64,
    seconds: f64,
    took: f64,
    heard: u64,
}

impl Sum {
    fn note(&mut self, outcome: &Outcome, took: f64) {
        self.seeds += 1;
        self.failed += u64::from(outcome.violation.is_some());
        self.steps += outcome.steps;
        self.seconds += outcome.virtual_seconds;
        self.took += took;
        self.heard += outcome.heard;
    }

    fn words(&self, all: f64) -> String {
        format!(
            "{} seeds in {all:.1} s, {} failed; {:.1} virtual hours, {:.0} times the clock; {} steps, {:.0} a second; \
             {} messages heard",
            self.seeds,
            self.failed,
            self.seconds / 3600.0,
            self.seconds / self.took.max(1e-9),
            self.steps,
            self.steps as f64 / self.took.max(1e-9),
            self.heard,
        )
    }
}

/// One seed in so many is run twice, and has the same trace.
const TWICE: u64 = 8;

/// Lines of a story that failed.
const LINES: usize = 60;

fn parse_seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let range = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..=to.parse().ok()?));
    range.filter(|range| !range.is_empty()).ok_or(format!("expected two numbers as in 0..999, found {text}"))
}

fn parse_nodes(text: &str) -> Result<Nodes, String> {
    match (text, text.parse()) {
        ("any", _) => Ok(Nodes::Any),
        (_, Ok(nodes @ 1..=5)) => Ok(Nodes::These(nodes)),
        _ => Err(format!("expected a number from 1 to 5 or any, found {text}")),
    }
}

fn parse_faults(text: &str) -> Result<Faults, String> {
    if text == "none" {
        return Ok(Faults(Vec::new()));
    }
    let fault = |word: &str| {
        let known = || Fault::all().map(|(_, word)| word).collect::<Vec<_>>().join(", ");
        Fault::of_word(word).ok_or_else(|| format!("expected kinds of faults ({}) or none, found {word}", known()))
    };
    text.split(',').map(fault).collect::<Result<_, _>>().map(Faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_and_cannot_be_is_said() {
        let of = |faults: &str, nodes| SimArgs {
            seed: Some(1),
            seeds: None,
            minutes: None,
            first: false,
            faults: Some(parse_faults(faults).expect("they are faults")),
            clients: Some(2),
            nodes,
            tell: false,
            json: true,
        };
        let error = run(&of("delay,cut", None)).expect_err("it needs nodes");
        assert_eq!(error, "--faults: expected faults of one server, found cut, which needs --nodes");
        let nodes = run(&of("cut", Some(Nodes::Any)));
        assert_eq!(nodes.is_ok(), sim::HAS_NODES, "{nodes:?}");
        assert_eq!(parse_faults("cuts").expect_err("there is none"), {
            let known = Fault::all().map(|(_, word)| word).collect::<Vec<_>>().join(", ");
            format!("expected kinds of faults ({known}) or none, found cuts")
        });
    }
}
