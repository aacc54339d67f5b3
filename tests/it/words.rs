//! Comments and documents are read once: lines end by column 120, a sentence names its subject, and one word stands
//! for one thing.
//!
//! It reads the repository as text, because prose has no types. Not held to it: tables and fences of Markdown, whose
//! rows cannot be broken; lines that a string literal or an address makes long; code that no formatter wraps
//! (JavaScript, Python, shell and styles are held to it in their comments).

use std::fs;
use std::path::{Path, PathBuf};

const COLUMNS: usize = 120;

/// Places where people write, below the root.
const PLACES: [&str; 13] = [
    "src",
    "crates",
    "tests",
    "benches",
    "clients",
    "examples",
    "fuzz/fuzz_targets",
    "fuzz/common",
    "docs",
    "contrib",
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
];

/// Kinds of files, by the end of their names, and what begins a comment there; none: all of it is prose.
const KINDS: [(&str, &[&str]); 8] = [
    ("rs", &["//"]),
    ("md", &[]),
    ("mjs", &["//", "*", "/*"]),
    ("js", &["//", "*", "/*"]),
    ("css", &["/*"]),
    ("py", &["#"]),
    ("sh", &["#"]),
    ("c", &["//", "*", "/*"]),
];

/// Where the other word for a byte stands, and why.
const OTHER_WORD: [(&str, &str); 6] = [
    ("src/server/metrics.rs", "the help of metrics, as scrapers have it"),
    ("src/server/tls/stream.rs", "a line of the log, as it has been"),
    ("src/server/admission.rs", "the name that std gives the bytes of an address"),
    ("src/chat/operator.rs", "an answer to callers, as they have it"),
    ("src/backend/sqlite/entries.rs", "the name of a function of SQLite"),
    ("tests/it/words.rs", "this list"),
];

/// Words of the binary to people, which begin as a label of a choice: `Who is let in: ...`.
const HELP: [&str; 4] = ["src/cli/args.rs", "src/cli/values.rs", "src/cli/bench.rs", "docs/configuration.md"];

struct Document {
    name: String,
    ending: String,
    text: String,
}

fn documents() -> Vec<Document> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> = PLACES.iter().map(|place| root.join(place)).collect();
    let mut found = Vec::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            paths.extend(entries.filter(|path| !path.ends_with("node_modules") && !path.ends_with("target")));
            continue;
        }
        let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned()).unwrap_or_default();
        if KINDS.iter().any(|(kind, _)| *kind == ending) {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            found.push(Document { name, ending, text: fs::read_to_string(&path).unwrap() });
        }
    }
    assert!(found.len() > 200, "only {} documents were found", found.len());
    found
}

impl Document {
    /// Lines with their numbers, without the fences of Markdown.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut fenced = false;
        self.text.lines().enumerate().filter_map(move |(at, line)| {
            if self.ending == "md" && line.trim_start().starts_with("```") {
                fenced = !fenced;
                return None;
            }
            (!fenced).then_some((at + 1, line))
        })
    }

    /// The prose of a line: all of it, or what it has behind the sign of a comment.
    fn prose<'a>(&self, line: &'a str) -> Option<&'a str> {
        let signs = KINDS.iter().find(|(kind, _)| *kind == self.ending).map(|(_, signs)| *signs).unwrap_or_default();
        let line = line.trim_start();
        if signs.is_empty() {
            return Some(line);
        }
        signs.iter().find_map(|sign| {
            let behind_code = || {
                let (code, comment) = line.split_once(&format!(" {sign} "))?;
                let whole = matches!(*sign, "//" | "#") && code.matches(['"', '`']).count() % 2 == 0;
                whole.then_some(comment)
            };
            let rest = line.strip_prefix(sign).or_else(behind_code)?;
            Some(rest.trim_start_matches(['/', '!', '*', '#']).trim_start())
        })
    }
}

/// Whether a line may be long, whatever stands in it.
fn may_be_long(document: &Document, line: &str) -> bool {
    let comment = document.prose(line);
    let address = comment.is_some_and(|prose| prose.contains("](") || prose.contains("://"));
    match document.ending.as_str() {
        "md" => line.starts_with('|') || address || line.starts_with("<!--"),
        "rs" => {
            comment.is_none_or(|prose| prose.starts_with('|')) && (line.contains('"') || line.ends_with('\\'))
                || address
        }
        _ => comment.is_none_or(|prose| prose.starts_with('|') || prose.starts_with('@')) || address,
    }
}

#[test]
fn lines_end_by_column_120() {
    let long: Vec<String> = documents()
        .iter()
        .flat_map(|document| {
            let long = document.lines().filter(|(_, line)| line.chars().count() > COLUMNS);
            let long = long.filter(|(_, line)| !may_be_long(document, line));
            long.map(|(at, line)| format!("{}:{at}: {line}", document.name)).collect::<Vec<_>>()
        })
        .collect();
    assert!(long.is_empty(), "{} lines are long:\n{}", long.len(), long.join("\n"));
}

#[test]
fn one_word_for_a_byte() {
    for document in documents() {
        let other = document.text.lines().enumerate().find(|(_, line)| line.to_lowercase().contains("octet"));
        let expected = OTHER_WORD.iter().any(|(name, _)| *name == document.name);
        match other {
            Some((at, line)) => assert!(expected, "{}:{}: say byte: {line}", document.name, at + 1),
            None => assert!(!expected, "{} needs no exception any more", document.name),
        }
    }
}

/// Whether a sentence in this prose begins with a pronoun that has no subject, such as `Who asks is told`. A question
/// may begin so.
fn is_headless(prose: &str) -> bool {
    let pronouns = ["Who ", "Whoever ", "Whom ", "Whose "];
    let begins = |at: usize| {
        let before = prose[..at].trim_end_matches([' ', '"', '`', '(', '*']);
        before.is_empty() || before.ends_with(['.', '!', '?', '|', '-'])
    };
    let sentence = |at: usize| prose[at..].split_inclusive(['.', '?', '!']).next().unwrap_or_default();
    pronouns.iter().any(|pronoun| {
        prose.match_indices(pronoun).any(|(at, _)| begins(at) && !sentence(at).trim_end().ends_with('?'))
    })
}

#[test]
fn sentences_name_their_subject() {
    let mut headless = Vec::new();
    for document in documents() {
        if HELP.contains(&document.name.as_str()) || document.name == "tests/it/words.rs" {
            continue;
        }
        let lines = document.lines().filter(|(_, line)| !line.starts_with('#'));
        let found = lines.filter(|(_, line)| document.prose(line).is_some_and(is_headless));
        headless.extend(found.map(|(at, line)| format!("{}:{at}: {line}", document.name)));
    }
    assert!(headless.is_empty(), "who?\n{}", headless.join("\n"));
}

#[test]
fn the_test_can_fail() {
    for prose in ["Who asks is told.", "It waits. Whoever asks is told.", "| Who reads | x |", "- Whom it turns away"] {
        assert!(is_headless(prose), "{prose}");
    }
    for prose in ["Who is here?", "A client who asks is told.", "Everybody who comes.", "Someone: who knows"] {
        assert!(!is_headless(prose), "{prose}");
    }
    let markdown = Document { name: "a.md".into(), ending: "md".into(), text: "```\nlong\n```\nshort".into() };
    assert_eq!(markdown.lines().collect::<Vec<_>>(), [(4, "short")]);
}
