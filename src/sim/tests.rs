use super::*;

#[cfg(feature = "sqlite")]
mod same_store;

/// The same seed gives the same trace, to the byte: also with other tables of the standard library, whose order differs
/// from one to the next.
#[test]
fn a_seed_gives_the_same_trace() {
    for seed in 0..6 {
        let (one, other) = (run(seed, &Wish::default(), 0), run(seed, &Wish::default(), 0));
        assert_eq!((one.steps, one.trace), (other.steps, other.trace), "{seed}");
    }
}

/// Some seeds find nothing; `salon sim` runs more of them.
#[test]
fn seeds_that_hold() {
    for seed in 0..12 {
        let outcome = run(seed, &Wish::default(), 0);
        assert!(outcome.violation.is_none(), "{seed}: {:?}", outcome.violation);
        assert!(outcome.virtual_seconds > 30.0 && outcome.steps > 1000);
    }
}
