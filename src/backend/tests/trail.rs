//! The trail of operators: which steps are kept, in which order and in which pages.

use super::entries::*;
use super::*;

/// A page of it, as text, and its `next`; `None`: the store keeps no trail.
fn page(stage: &mut Stage<'_>, cursor: Option<&str>, limit: usize) -> Option<(Vec<String>, Option<String>)> {
    stage.ask(Request::Trail { cursor, limit, ticket: Ticket(8) }, |news| match news {
        News::Trail { ticket: Ticket(8), steps, next } => {
            Some(Some((steps.iter().map(|step| format!("{step:?}")).collect(), next.clone())))
        }
        News::Refused { ticket: Ticket(8), why: Why::Unsupported } => Some(None),
        News::Refused { ticket: Ticket(8), why } => Some(Some((vec![format!("{why:?}")], None))),
        _ => None,
    })
}

fn step(ts: u64) -> Step<'static> {
    let (room, user) = [(None, None), (Some("den"), Some("ann")), (None, Some("é\0"))][ts as usize % 3];
    Step { ts, operator: "mod", call: "kick", room, user, status: 200 + ts as u16 }
}

#[test]
fn steps_are_kept_and_told_the_newest_first() {
    each(9, |store| {
        let mut stage = Stage::new(store);
        let Some(nothing) = page(&mut stage, None, 5) else { return };
        assert_eq!(nothing, (vec![], None));
        for ts in 1..=7 {
            stage.store.ask(Request::Note { step: step(ts) }).unwrap();
        }
        let all: Vec<String> = (1..=7).rev().map(|ts| format!("{:?}", step(ts))).collect();
        assert_eq!(page(&mut stage, None, 7), Some((all.clone(), None)));
        assert_eq!(page(&mut stage, None, usize::MAX), Some((all.clone(), None)));
        for limit in 1..=6 {
            let (mut heard, mut cursor): (Vec<String>, Option<String>) = (Vec::new(), None);
            loop {
                let (steps, next) = page(&mut stage, cursor.as_deref(), limit).unwrap();
                assert!((1..=limit).contains(&steps.len()));
                heard.extend(steps);
                // What is noted meanwhile is before the first page.
                stage.store.ask(Request::Note { step: step(9) }).unwrap();
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
            let old: Vec<_> = heard.into_iter().filter(|step| !step.contains("ts: 9")).collect();
            assert_eq!(old, all, "{limit}");
        }
        for cursor in ["", "x", "-1", "1.5", "99999999999999999999", "1000"] {
            assert_eq!(page(&mut stage, Some(cursor), 3), Some((vec!["BadCursor".into()], None)), "{cursor}");
        }
        // Before the first there is none.
        assert_eq!(page(&mut stage, Some("1"), 3), Some((vec![], None)));
    });
}
