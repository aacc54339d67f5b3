//! The floors of the house import downward only.
//!
//! Reads `src`, and the sources of `salon-proto` and `salon-engine`, and fails when a floor names a module above it, or
//! a crate that its floor may not know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A floor, the modules of this crate it may name, and the crates and parts of std it may not.
struct Floor {
    name: &'static str,
    below: &'static [&'static str],
    never: &'static [&'static str],
}

const CLOCKS: [&str; 2] = ["Instant", "SystemTime"];
const SOCKETS: [&str; 8] =
    ["mio", "std::net", "socket2", "signal_hook", "signal_hook_mio", "rustix", "std::fs", "std::thread"];

const FLOORS: [Floor; 13] = [
    Floor { name: "id", below: &[], never: &["mio", "std::net", "std::io", "Instant", "SystemTime"] },
    Floor { name: "time", below: &[], never: &["mio", "std::net", "std::io", "Instant", "SystemTime"] },
    Floor { name: "random", below: &[], never: &["mio", "std::net", "std::io", "Instant", "SystemTime"] },
    Floor {
        name: "proto",
        below: &[],
        never: &["mio", "std::net", "std::io", "slab", "serde_json", "Instant", "SystemTime", "std::time"],
    },
    // What a client makes of what it hears: for the simulation and for tests, beside the server.
    Floor { name: "shown", below: &[], never: &["mio", "std::net", "std::io", "Instant", "SystemTime"] },
    Floor { name: "engine", below: &["proto", "id", "time"], never: &["serde", "serde_json"] },
    Floor { name: "backend", below: &["id", "time", "random"], never: &["std::io", "serde_json"] },
    Floor {
        name: "chat",
        below: &["backend", "proto", "id", "time", "random", "shown"],
        never: &["std::io", "httparse"],
    },
    Floor { name: "server", below: &["chat", "backend", "engine", "proto", "id", "time", "random"], never: &["clap"] },
    // Beside the server, not above it: the bench shares no code with the server it measures.
    Floor { name: "bench", below: &["proto", "id", "time"], never: &["clap", "signal_hook"] },
    // A client of the admin port, as any other program could be.
    Floor { name: "top", below: &[], never: &["clap", "mio"] },
    // The server on a machine that is not there: it knows no other one.
    Floor {
        name: "sim",
        below: &["server", "chat", "backend", "engine", "proto", "id", "time", "random", "shown"],
        never: &["clap", "mio", "std::fs", "std::thread", "Instant", "SystemTime", "rusqlite", "secret"],
    },
    Floor {
        name: "cli",
        below: &["sim", "top", "bench", "server", "chat", "backend", "engine", "proto", "id", "time", "random"],
        never: &["mio"],
    },
];

/// The floors that know neither sockets nor a clock.
const PURE: [&str; 4] = ["proto", "engine", "backend", "chat"];

/// What one file of such a floor may know all the same: a store waits for something, in a file of its own; its tests
/// make files, and a pipe; a formatter of `serde_json` names the trait by which it writes, here into memory; and the
/// codec's adapters read and write a stream.
const MAY: [(&str, &[&str]); 17] = [
    // The adapters for streams.
    ("crates/salon-proto/src/blocking.rs", &["std::io"]),
    ("crates/salon-proto/src/tokio.rs", &["std::io"]),
    ("crates/salon-proto/src/opening.rs", &["std::io"]),
    ("crates/salon-proto/src/output.rs", &["std::io"]),
    ("crates/salon-proto/src/read_on.rs", &["std::io"]),
    ("src/backend/threaded.rs", &["std::thread", "Instant"]),
    // How long a round trip took; its two threads, and when one of them is to act; a server of the tests, and
    // how long a word of it is waited for at most.
    ("src/backend/redis/link.rs", &["Instant"]),
    ("src/backend/redis/listener.rs", &["std::thread", "Instant"]),
    ("src/backend/redis/tests.rs", &["std::net", "std::io", "std::thread", "Instant"]),
    ("src/backend/sqlite/batch.rs", &["Instant"]),
    ("src/backend/sqlite/file.rs", &["std::fs", "std::io", "rustix"]),
    // The log beside it, as far as it is read here and not by SQLite.
    ("src/backend/sqlite/wal.rs", &["std::fs", "std::io"]),
    // Whether somebody has written to the file.
    ("src/backend/sqlite/stamp.rs", &["std::fs", "std::io"]),
    // The limit on the size of files.
    ("src/backend/sqlite/trouble.rs", &["rustix"]),
    ("src/backend/sqlite/tests.rs", &["std::fs"]),
    ("src/backend/sqlite/tests/files.rs", &["rustix"]),
    ("src/chat/wire/json.rs", &["std::io"]),
];

/// The folder of a floor.
fn folder(of: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match CRATES.iter().find(|(floor, _)| *floor == of) {
        Some((_, folder)) => root.join(folder).join("src"),
        None => root.join("src").join(of),
    }
}

/// Floors that are crates of their own.
const CRATES: [(&str, &str); 2] = [("proto", PROTO), ("engine", ENGINE)];
const PROTO: &str = "crates/salon-proto";
const ENGINE: &str = "crates/salon-engine";
/// The files that name these crates; to all others they are modules.
const RENAME: [&str; 3] = ["src/lib.rs", "src/id.rs", "src/time.rs"];

fn sources(of: &str) -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![folder(of)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
                false => {}
            }
        }
    }
    let alone = src.join(format!("{of}.rs"));
    if alone.exists() {
        found.push(alone);
    }
    assert!(!found.is_empty(), "the floor {of} has sources");
    found
}

/// The code without comments and strings, so that prose may speak of other floors.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Whether `word` stands in `code` as a word of its own.
fn names(code: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word)
        .any(|(at, _)| !is_part(code[..at].chars().next_back()) && !is_part(code[at + word.len()..].chars().next()))
}

/// The modules of this crate that the code names by `crate::`, also inside braces.
fn crate_modules(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["crate::", "salon::"] {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at + start.len()..];
            let list = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or(rest);
            let words = if rest.starts_with('{') { list.split(',').collect() } else { vec![rest] };
            for word in words {
                let word = word.trim();
                let end = word.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(word.len());
                found.push(word[..end].to_owned());
            }
        }
    }
    found
}

#[test]
fn each_floor_names_only_floors_below() {
    for floor in &FLOORS {
        for path in sources(floor.name) {
            let code = code(&path);
            for module in crate_modules(&code) {
                let allowed = module == floor.name || floor.below.contains(&module.as_str());
                let is_floor = FLOORS.iter().any(|floor| floor.name == module);
                assert!(allowed || !is_floor, "{} names the floor {module}", path.display());
            }
        }
    }
}

#[test]
fn each_floor_knows_only_what_it_may() {
    for floor in &FLOORS {
        let pure: &[&str] = if PURE.contains(&floor.name) { &[&SOCKETS[..], &CLOCKS[..]].concat() } else { &[] };
        for path in sources(floor.name) {
            let code = code(&path);
            let may = MAY.iter().find(|(file, _)| path.ends_with(file)).map_or(&[][..], |(_, words)| words);
            for word in floor.never.iter().chain(pure).filter(|word| !may.contains(word)) {
                assert!(!names(&code, word), "{} names {word}", path.display());
            }
            let is_crate = CRATES.iter().any(|(name, _)| *name == floor.name);
            let names_crates = names(&code, "salon_engine") || names(&code, "salon_proto");
            assert!(
                is_crate || !names_crates || RENAME.iter().any(|file| path.ends_with(file)),
                "{} names a crate for a floor",
                path.display()
            );
        }
    }
}

/// A simulated run is the same each time: on the floors that it turns no table has a key that nobody knows, and no
/// number comes from outside but by the `Random` that is handed over.
#[test]
fn the_simulated_floors_have_no_secret() {
    const NEVER: [&str; 5] = ["HashMap", "HashSet", "RandomState", "Random::secret", "Table::default"];
    // Commands that turn no simulated loop.
    const MAY: [&str; 2] = ["src/server/serve.rs", "src/server/echo.rs"];
    let floors = ["chat", "server", "backend"].map(sources).concat();
    let simulated = |path: &&PathBuf| {
        let backend = path.components().any(|part| part.as_os_str() == "backend");
        let memory = path.components().any(|part| part.as_os_str() == "memory");
        !path.components().any(|part| part.as_os_str() == "tests") && (!backend || memory)
    };
    let mut seen = 0;
    for path in floors.iter().filter(simulated).filter(|path| !MAY.iter().any(|file| path.ends_with(file))) {
        let code = code(path);
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        for word in NEVER {
            assert!(
                !names(code, word),
                "{} names {word}: crate::random::Table has a key that is handed over",
                path.display()
            );
        }
        seen += 1;
    }
    assert!(seen > 80, "{seen}");
}

/// What is outside of the loop has one name each, on the real side of the seam and nowhere else in the server; but for
/// the time of a line of the log.
#[test]
fn the_kernel_alone_is_outside() {
    const OUTSIDE: [&str; 5] = ["mio", "signal_hook", "signal_hook_mio", "Instant", "SystemTime"];
    let mut named = BTreeSet::new();
    for path in sources("server") {
        let code = code(&path);
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        for word in OUTSIDE.into_iter().filter(|word| names(code, word)) {
            named.insert(word);
            let may = path.iter().any(|part| part == "kernel") || path.ends_with("logging.rs") && word == "SystemTime";
            assert!(may, "{} names {word}", path.display());
        }
    }
    assert_eq!(named.len(), OUTSIDE.len(), "the kernel names all of them");
}

#[test]
fn the_test_can_fail() {
    assert_eq!(
        crate_modules("use crate::{chat::Chat, proto};\nlet x = crate::server::run();"),
        ["chat", "proto", "server"]
    );
    assert!(names("use mio::Poll;", "mio") && !names("let amioy = 1;", "mio"));
    assert!(names("std::time::Instant::now()", "Instant"));
}

/// The files of a floor, by where they lie in it (`roster/room`), and which of the others each names or calls.
fn imports(of: &str) -> BTreeMap<String, BTreeSet<String>> {
    let base = folder(of);
    let mut files = BTreeMap::new();
    for path in sources(of) {
        let Ok(below) = path.strip_prefix(&base) else { continue };
        let name = below.with_extension("").to_string_lossy().into_owned();
        if !name.split('/').any(|part| part == "tests") && !["mod", "lib"].contains(&&*name) {
            files.insert(name.trim_end_matches("/mod").to_owned(), (name.ends_with("/mod"), code(&path)));
        }
    }
    let found = |file: &str, is_folder: bool, code: &str| -> BTreeSet<String> {
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        let parts: Vec<&str> = file.split('/').collect();
        let mut named = BTreeSet::new();
        let mut note = |from: &[&str], path: &str| {
            let path: Vec<&str> = from.iter().copied().chain(path.split("::").map(str::trim)).collect();
            let longest = (1..=path.len()).rev().map(|len| path[..len].join("/")).find(|name| files.contains_key(name));
            named.extend(longest.filter(|name| name != file));
        };
        let mut rest = code;
        // The modules of a crate of its own name each other by `crate::`.
        let own: &str = if CRATES.iter().any(|(name, _)| *name == of) { "crate::" } else { "super::" };
        while let Some(at) = rest.find(own) {
            let after = rest[at..].trim_start_matches(own);
            let ups = (rest.len() - at - after.len()) / own.len();
            let from = &parts[..parts.len().saturating_sub(ups)];
            let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            match after.strip_prefix('{').and_then(|list| list.split('}').next()) {
                Some(list) => list.split(',').for_each(|path| note(from, path)),
                None => note(from, &after[..after.find(|c| !is_path(c)).unwrap_or(after.len())]),
            }
            rest = after;
        }
        if is_folder {
            for line in code.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("use ")) {
                note(&parts, line.trim_end_matches(';').split("::{").next().unwrap_or_default());
            }
        }
        named
    };
    let mut named: BTreeMap<String, BTreeSet<String>> =
        files.iter().map(|(file, (is_folder, code))| (file.clone(), found(file, *is_folder, code))).collect();
    // A type whose methods are in many files is called, and not imported: its methods lead to their files.
    let methods: BTreeMap<&str, &String> = files
        .iter()
        .flat_map(|(file, (_, code))| methods(code).into_iter().map(move |method| (method, file)))
        .collect();
    for (file, (_, code)) in &files {
        let calls = blocks(code).flat_map(|block| block.split("self.").skip(1).map(word));
        let led_to = calls.filter_map(|call| methods.get(call).copied()).filter(|other| *other != file).cloned();
        named.get_mut(file).expect("it is a file").extend(led_to);
    }
    named
}

/// The methods of [`HALL`] that a file has.
fn methods(code: &str) -> BTreeSet<&str> {
    blocks(code).flat_map(|block| block.split(" fn ").skip(1).map(word)).collect()
}

fn blocks(code: &str) -> impl Iterator<Item = &str> {
    code.split(HALL).skip(1).map(|block| block.split("\n}").next().unwrap_or_default())
}

/// The word that a text begins with.
fn word(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())]
}

/// How an `impl` begins that a floor has in many files.
const HALL: &str = "impl Hall {";

/// Files that can be left out one after the other because all that they name is left out already are in no circle; the
/// others are.
fn circles(mut imports: BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    while let Some(file) = imports.iter().find(|(_, named)| named.is_empty()).map(|(file, _)| file.clone()) {
        imports.remove(&file);
        for named in imports.values_mut() {
            named.remove(&file);
        }
    }
    imports.into_keys().collect()
}

/// No file of these floors is imported by all others and imports them all: what is left of a floor when files that
/// nobody has to wait for are taken away, one after the other, is nothing.
#[test]
fn files_of_a_floor_import_each_other_in_no_circle() {
    for floor in ["backend", "bench", "chat", "cli", "engine", "proto", "server", "sim", "top"] {
        let imports = imports(floor);
        assert!(imports.values().any(|named| !named.is_empty()), "{floor} has files that name others");
        assert_eq!(circles(imports), [""; 0], "in or behind a circle of {floor}");
    }
}

#[test]
fn circles_are_found() {
    let graph = |edges: &[(&str, &[&str])]| -> BTreeMap<String, BTreeSet<String>> {
        edges.iter().map(|(file, named)| ((*file).into(), named.iter().map(|&name| name.into()).collect())).collect()
    };
    assert_eq!(circles(graph(&[("a", &["b"]), ("b", &["c"]), ("c", &[])])), [""; 0]);
    assert_eq!(circles(graph(&[("a", &["b"]), ("b", &["a"]), ("c", &[])])), ["a", "b"]);
    assert!(imports("chat")["tell"].contains("roster/room"), "a path below `super` is followed");
    assert!(imports("chat")["roster/room"].contains("tables"), "and two of it");
    assert!(imports("chat")["speech"].contains("typing"), "a method leads to its file");
}

/// What somebody has who uses the crate without its features: these floors, and `proto` and `engine`.
const LIBRARY: [&str; 2] = ["id", "time"];

/// A dependency that only the server names is optional, and so is a floor.
#[test]
fn library_users_do_not_pay_for_the_server() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let manifest = toml::de::DeTable::parse(&manifest).unwrap().into_inner();
    let mut code = String::new();
    for path in LIBRARY.iter().flat_map(|floor| sources(floor)) {
        code.push_str(&fs::read_to_string(path).unwrap());
    }
    let lib = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let dependencies = manifest["dependencies"].get_ref().as_table().unwrap();
    for (name, about) in dependencies {
        let optional =
            about.get_ref().get("optional").is_some_and(|optional| optional.get_ref().as_bool() == Some(true));
        let name_in_code = name.get_ref().replace('-', "_");
        let named = code.contains(&format!("{name_in_code}::")) || lib.contains(&format!("pub use {name_in_code} as "));
        assert_eq!(optional, !named, "{}: optional, and named by {LIBRARY:?}", name.get_ref());
    }
    let mut before = "";
    for line in lib.lines() {
        if let Some(floor) = line.trim_start_matches("pub ").strip_prefix("mod ") {
            let always = before != "#[cfg(feature = \"server\")]";
            assert_eq!(always, LIBRARY.contains(&floor.trim_end_matches(';')), "{line}");
        }
        before = line;
    }
}

/// The engine stands on the codec, and on two crates more.
#[test]
fn the_engine_has_few_dependencies() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(ENGINE).join("Cargo.toml")).unwrap();
    let manifest = toml::de::DeTable::parse(&manifest).unwrap().into_inner();
    let dependencies = manifest["dependencies"].get_ref().as_table().unwrap();
    let names: BTreeSet<&str> = dependencies.keys().map(|name| &**name.get_ref()).collect();
    assert_eq!(names, BTreeSet::from(["bytes", "salon-proto", "slab"]));
}

/// Without its features the codec stands on nothing: each dependency is optional, and comes with one feature.
#[test]
fn the_codec_alone_has_no_dependency() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PROTO).join("Cargo.toml")).unwrap();
    let manifest = toml::de::DeTable::parse(&manifest).unwrap().into_inner();
    let table = |name: &str| manifest[name].get_ref().as_table().unwrap();
    let features = table("features");
    for (name, about) in table("dependencies") {
        let optional = about.get_ref().get("optional").and_then(|optional| optional.get_ref().as_bool());
        assert_eq!(optional, Some(true), "{}", name.get_ref());
        let wanted = format!("dep:{}", name.get_ref());
        let brings = features.iter().filter(|(_, list)| {
            let list = list.get_ref().as_array().unwrap();
            list.iter().any(|entry| entry.get_ref().as_str() == Some(&wanted))
        });
        assert_eq!(brings.count(), 1, "{wanted} comes with one feature");
    }
}
