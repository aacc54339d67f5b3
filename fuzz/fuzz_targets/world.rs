//! The world of `salon sim`, driven by the input: its first eight bytes are a seed, which says what kind of world it is
//! (clients, limits, faults, as docs/simulation.md has them); the next says how many clients there are at most; and
//! the others are what happens in it, two bytes for each thing that is drawn. The invariants are those of the
//! simulation, and so is everything else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use salon::sim::{self, plan::Wish};

fuzz_target!(|input: &[u8]| {
    let Some((seed, rest)) = input.split_first_chunk::<8>() else { return };
    let Some((clients, tape)) = rest.split_first() else { return };
    let wish = Wish {
        clients: Some(1 + usize::from(clients % 4)),
        seconds: Some(SECONDS),
        tape: tape.to_vec(),
        ..Wish::default()
    };
    let outcome = sim::run(u64::from_le_bytes(*seed), &wish, 0);
    if let Some(violation) = outcome.violation {
        panic!(
            "invariant {} in step {}: {} ({})",
            violation.invariant,
            violation.step,
            violation.text,
            outcome.plan.words()
        );
    }
});

/// How long there are faults, in seconds of the world.
const SECONDS: u64 = 4;
