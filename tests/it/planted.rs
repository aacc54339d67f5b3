//! The bugs of `tests/sim/planted` fit the sources as they are, each in one place alone: a change of that place shows
//! it here, and not when somebody plants them. Each has its row in docs/simulation.md.

use std::fs;
use std::path::Path;

/// A part of a patch: the file, and the lines that are there before.
struct Hunk {
    file: String,
    before: String,
}

fn hunks(patch: &str) -> Vec<Hunk> {
    let (mut file, mut hunks) = ("", Vec::<Hunk>::new());
    for line in patch.lines() {
        match (line.strip_prefix("--- a/"), line.split_at_checked(1), hunks.last_mut()) {
            (Some(name), ..) => file = name,
            (_, Some(("@", _)), _) => hunks.push(Hunk { file: file.to_owned(), before: String::new() }),
            (_, Some((" " | "-", text)), Some(hunk)) => hunk.before.extend([text, "\n"]),
            _ => {}
        }
    }
    hunks
}

#[test]
fn each_bug_fits_in_one_place_and_has_its_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("docs/simulation.md")).unwrap();
    let mut bugs = 0;
    for patch in fs::read_dir(root.join("tests/sim/planted")).unwrap() {
        let path = patch.unwrap().path();
        let (name, patch) = (path.display(), fs::read_to_string(&path).unwrap());
        let hunks = hunks(&patch);
        assert!(!hunks.is_empty(), "{name}");
        for Hunk { file, before } in hunks {
            let source = fs::read_to_string(root.join(&file)).unwrap();
            assert_eq!(source.matches(&*before).count(), 1, "{name} in {file}: expected one place with\n{before}");
        }
        let what = patch.lines().next().unwrap();
        assert!(table.contains(&format!("\n| {what} | ")), "{name}: expected a row of docs/simulation.md: {what}");
        bugs += 1;
    }
    let rows = table.split_once("| planted bug |").unwrap().1.split("\n\n").next().unwrap().lines().skip(2).count();
    assert_eq!(rows, bugs, "rows of the table");
}
