//! Several nodes on one Redis.

use super::super::plan::Nodes;
use super::*;

fn of_nodes(nodes: Nodes) -> Wish {
    Wish { nodes: Some(nodes), seconds: Some(40), ..Wish::default() }
}

/// The same seed gives the same trace, however tables of the standard library are ordered.
#[test]
fn a_seed_of_nodes_gives_the_same_trace() {
    for seed in 0..3 {
        let wish = of_nodes(Nodes::Any);
        let (one, other) = (run(seed, &wish, 0), run(seed, &wish, 0));
        assert!(one.violation.is_none(), "{seed}: {:?}", one.violation);
        assert_eq!((one.steps, one.trace), (other.steps, other.trace), "{seed}");
    }
}

/// Some seeds find nothing; `salon sim --nodes any` runs more of them.
#[test]
fn nodes_that_hold() {
    for (seed, nodes) in (3..9).zip([1, 2, 3, 3, 4, 5]) {
        let outcome = run(seed, &of_nodes(Nodes::These(nodes)), 0);
        assert!(outcome.violation.is_none(), "{seed}: {:?}", outcome.violation);
        assert!(outcome.plan.nodes == nodes && outcome.virtual_seconds > 20.0);
    }
}

/// Where nothing breaks, people on three nodes hear each other.
#[test]
fn what_is_said_on_one_node_is_heard_on_others() {
    let wish = Wish { faults: Some(Vec::new()), ..of_nodes(Nodes::These(3)) };
    let outcome = run(1, &wish, 0);
    assert!(outcome.violation.is_none(), "{:?}", outcome.violation);
    assert!(outcome.heard > 50, "{}", outcome.heard);
}
