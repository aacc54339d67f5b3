//! Packs the page: the modules of `src/server/web`, as people read them, become two scripts, each in the order of its
//! imports, and comments and indentation go. The first is what is needed at once; it takes the other one by `import()`.
//! This knows the few forms in which those modules are written, and refuses what it does not know; it is no general
//! bundler.
//!
//! Each module becomes a function that returns what it exports, and takes what it imports from the results of the
//! others. A name that is exported by `let` changes later, so it is a variable of the whole script instead.

use std::collections::{BTreeMap, BTreeSet};

/// Packs `first` and all that it imports, from near or far, and what `later` imports beside. `modules` are the sources
/// by the names of their files. The second script is a function, which the first one hands what they have in common.
/// The first one also takes each of `alone`, which are modules for `alone`, by an `import()` of its own.
pub fn scripts(
    first: &str,
    later: &str,
    alone: &[&str],
    modules: &BTreeMap<String, String>,
) -> Result<(String, String), String> {
    let mut pack = Pack { modules, order: Vec::new(), done: BTreeMap::new(), begun: BTreeSet::new() };
    pack.visit(first)?;
    let near = pack.order.len();
    pack.visit(later)?;
    let (near, far) = pack.order.split_at(near);
    if let Some(name) = near.iter().find(|name| !pack.done[*name].live.is_empty()) {
        return Err(format!("{name}: expected no export by `let` in what both scripts have, found one"));
    }
    let handed: Vec<String> = near.iter().map(|name| variable(name)).collect();
    let handed = handed.join(",");
    let takes = format!("import(\"./{later}\")");
    let (one, other) = (pack.text(near)?, pack.text(far)?);
    for name in alone.iter().chain([&later]) {
        if one.matches(&format!("import(\"./{name}\")")).count() != 1 {
            return Err(format!("expected an `import()` of {name}, found none or several"));
        }
    }
    if one.matches("import(").count() != alone.len() + 1 || other.contains("import(") {
        return Err(format!("expected no `import()` but of {alone:?} and {later}, found another one"));
    }
    let one = one.replace(&takes, &format!("{takes}.then((script)=>script.default({{{handed}}}))"));
    let other = format!("export default({{{handed}}})=>{{\n{other}return {};\n}};\n", variable(later));
    Ok((one, other))
}

/// A module that imports none, without its comments and its indentation.
pub fn alone(source: &str) -> Result<String, String> {
    let module = read(source)?;
    match (module.imports.first(), module.live.first()) {
        (None, None) => Ok(format!("{}export{{{}}};\n", module.body, module.exports.join(","))),
        (import, live) => Err(format!("expected no import and no `export let`, found {import:?} and {live:?}")),
    }
}

impl Pack<'_> {
    /// The text of modules, which have been visited.
    fn text(&self, names: &[String]) -> Result<String, String> {
        let live: Vec<&str> = names.iter().flat_map(|name| &self.done[name].live).map(String::as_str).collect();
        let unique: BTreeSet<&&str> = live.iter().collect();
        if unique.len() != live.len() {
            return Err(format!("expected each name that is exported by `let` once, found {live:?}"));
        }
        let mut script = String::new();
        if !live.is_empty() {
            script += &format!("let {};\n", live.join(","));
        }
        for name in names {
            script += &self.module(name)?;
        }
        Ok(script)
    }

    fn module(&self, name: &str) -> Result<String, String> {
        let module = &self.done[name];
        let mut script = String::new();
        script += &format!("const {}=(()=>{{\n", variable(name));
        for (from, names) in &module.imports {
            let exports = &self.done[from];
            for (exported, _) in names {
                if !exports.exports.contains(exported) && !exports.live.contains(exported) {
                    return Err(format!("expected {from} to export `{exported}`, which {name} imports"));
                }
            }
            let taken: Vec<String> = names
                .iter()
                .filter(|(exported, _)| !exports.live.contains(exported))
                .map(
                    |(exported, local)| {
                        if exported == local { exported.clone() } else { format!("{exported}:{local}") }
                    },
                )
                .collect();
            if !taken.is_empty() {
                script += &format!("const {{{}}}={};\n", taken.join(","), variable(from));
            }
        }
        script += &module.body;
        let exports: Vec<&str> = module.exports.iter().map(String::as_str).collect();
        script += &format!("return{{{}}};\n}})();\n", exports.join(","));
        Ok(script)
    }
}

/// A style without its comments and its indentation.
pub fn style(source: &str) -> String {
    let mut rest = source;
    let mut bare = String::new();
    while let Some((before, comment)) = rest.split_once("/*") {
        bare += before;
        rest = comment.split_once("*/").map_or("", |(_, behind)| behind);
    }
    bare += rest;
    lines(&bare)
}

/// The lines of a text that have something in them, without their indentation.
pub fn lines(source: &str) -> String {
    source.lines().map(str::trim).filter(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect()
}

struct Pack<'a> {
    modules: &'a BTreeMap<String, String>,
    order: Vec<String>,
    done: BTreeMap<String, Module>,
    begun: BTreeSet<String>,
}

/// A module that has been read.
#[derive(Default)]
struct Module {
    /// What it takes of each other module: the name there, and here.
    imports: Vec<(String, Vec<(String, String)>)>,
    /// What it exports once and for all.
    exports: Vec<String>,
    /// What it exports by `let`.
    live: Vec<String>,
    body: String,
}

impl Pack<'_> {
    fn visit(&mut self, name: &str) -> Result<(), String> {
        if self.done.contains_key(name) {
            return Ok(());
        }
        if !self.begun.insert(name.to_owned()) {
            return Err(format!("expected imports without a circle, found one through {name}"));
        }
        let source = self.modules.get(name).ok_or_else(|| format!("expected a module {name}, found none"))?;
        let module = read(source).map_err(|problem| format!("{name}: {problem}"))?;
        for (from, _) in &module.imports {
            self.visit(from)?;
        }
        self.done.insert(name.to_owned(), module);
        self.order.push(name.to_owned());
        Ok(())
    }
}

/// Reads a module: its imports and exports stand at the beginning of lines.
fn read(source: &str) -> Result<Module, String> {
    let mut module = Module::default();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("/*") {
            let mut last = line;
            while !last.contains("*/") {
                last = lines.next().ok_or("expected the end of a comment, found none")?;
            }
            if !last.trim_end().ends_with("*/") {
                return Err(format!("expected nothing behind a comment, found {last:?}"));
            }
            continue;
        }
        if line.starts_with("import ") {
            let mut whole = line.to_owned();
            while !whole.ends_with(';') {
                whole += lines.next().ok_or("expected the end of an import, found none")?;
            }
            module.imports.push(import(&whole)?);
            continue;
        }
        let code = match line.strip_prefix("export ") {
            None => line,
            Some(exported) => match exported.strip_prefix("let ") {
                Some(value) => {
                    module.live.push(name_in(value)?);
                    value
                }
                None => {
                    let declared = exported.strip_prefix("async ").unwrap_or(exported);
                    let declared =
                        ["const ", "function ", "class "].iter().find_map(|kind| declared.strip_prefix(kind));
                    module.exports.push(name_in(declared.ok_or_else(|| {
                        format!("expected const, let, function or class behind `export`, found {exported:?}")
                    })?)?);
                    exported
                }
            },
        };
        let code = without_remark(code.trim());
        if !code.is_empty() && !code.starts_with("//") {
            module.body += code;
            module.body += "\n";
        }
    }
    Ok(module)
}

/// A line without the comment at its end. A line where something is quoted behind the slashes keeps it: they may be
/// within the quotes.
fn without_remark(line: &str) -> &str {
    match line.rsplit_once(" // ") {
        Some((code, remark)) if !remark.contains(['"', '\'', '`', '/']) => code.trim_end(),
        _ => line,
    }
}

/// The name that a declaration begins with.
fn name_in(declaration: &str) -> Result<String, String> {
    let name: String = declaration.chars().take_while(|c| c.is_ascii_alphanumeric() || "_$".contains(*c)).collect();
    if name.is_empty() { Err(format!("expected a name, found {declaration:?}")) } else { Ok(name) }
}

/// `import { a, b as c } from "./x.js";` or `import "./x.js";`: the file, and the names there and here.
fn import(line: &str) -> Result<(String, Vec<(String, String)>), String> {
    let odd = || format!("expected an import of names from \"./NAME.js\", found {line:?}");
    let (before, file) = line.split_once("\"./").ok_or_else(odd)?;
    let file = file.strip_suffix("\";").ok_or_else(odd)?;
    let names = match before.trim() {
        "import" => Vec::new(),
        names => {
            let names =
                names.strip_prefix("import {").and_then(|names| names.strip_suffix("} from")).ok_or_else(odd)?;
            names
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(|name| name.split_once(" as ").unwrap_or((name, name)))
                .map(|(exported, local)| (exported.to_owned(), local.to_owned()))
                .collect()
        }
    };
    Ok((file.to_owned(), names))
}

/// The variable that holds what a module exports. No name in the modules begins so.
fn variable(file: &str) -> String {
    format!("$_{}", file.trim_end_matches(".js"))
}
