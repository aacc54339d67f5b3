//! Packs the chat page for the binary: a script and a style of its door, and those of the rest, compressed, each with
//! its hash in its name, so that a browser that has it never asks again; beside them the words of each language but
//! English, which is among the rest. The sources stay as they are, to be read:
//! `src/server/web`.

#[path = "build/pack.rs"]
mod pack;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha1::{Digest as _, Sha1};

const WEB: &str = "src/server/web";

/// The words of other languages, each a module of its own: those at the door, the rest, and what emoji are called.
const LANGUAGES: [&str; 9] =
    ["de_door.js", "de.js", "de_emoji.js", "es_door.js", "es.js", "es_emoji.js", "fr_door.js", "fr.js", "fr_emoji.js"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed={WEB}");
    if env::var_os("CARGO_FEATURE_SERVER").is_none() {
        return Ok(());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("expected OUT_DIR, found none")?);
    let read =
        |name: &str| fs::read_to_string(Path::new(WEB).join(name)).map_err(|error| format!("{WEB}/{name}: {error}"));

    let mut modules = BTreeMap::new();
    for entry in fs::read_dir(WEB)? {
        let name = entry?.file_name().into_string().map_err(|name| format!("{name:?}: expected UTF-8"))?;
        if name.ends_with(".js") && !["old.js", "worker.js"].contains(&name.as_str()) {
            modules.insert(name.clone(), read(&name)?);
        }
    }
    let (door, app) = pack::scripts("door.js", "app.js", &LANGUAGES, &modules)?;
    let app_script = named("app.js", &app)?;
    let app_style = pack::style(&read("app.css")?);
    let app_sheet = named("app.css", &app_style)?;
    // What is behind the door is named by its script, and so are the languages.
    let mut door = replaced(&door, "\"./app.js\"", &format!("\"./{app_script}\""))?;
    door = replaced(&door, "\"app.css\"", &format!("\"{app_sheet}\""))?;
    for name in LANGUAGES {
        let words = pack::alone(&modules[name]).map_err(|problem| format!("{name}: {problem}"))?;
        door = replaced(&door, &format!("\"./{name}\""), &format!("\"./{}\"", named(name, &words)?))?;
        write(&out, name, &words)?;
    }

    let mut page = read("index.html")?;
    for (link, name, body) in [
        ("src=\"door.js\"", "door.js", &door),
        ("href=\"door.css\"", "door.css", &pack::style(&read("door.css")?)),
        ("src=\"old.js\"", "old.js", &pack::lines(&read("old.js")?)),
    ] {
        page = replaced(&page, link, &link.replace(name, &named(name, body)?))?;
        write(&out, name, body)?;
    }
    write(&out, "app.js", &app)?;
    write(&out, "app.css", &app_style)?;
    write(&out, "index.html", &pack::lines(&page))?;
    write(&out, "client.js", &read("client.js")?)?;
    write(&out, "worker.js", &read("worker.js")?)?;
    Ok(())
}

/// The name of a file with its hash, which `site.rs` serves it under.
fn named(name: &str, body: &str) -> Result<String, Box<dyn Error>> {
    let digest: String = Sha1::digest(body).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let (stem, extension) = name.split_once('.').ok_or("expected a name with a dot")?;
    let hashed = format!("{stem}-{digest}.{extension}");
    println!("cargo::rustc-env=PAGE_{}_{}=/{hashed}", stem.to_uppercase(), extension.to_uppercase());
    Ok(hashed)
}

/// A text with another name in the place of one that stands there once.
fn replaced(text: &str, name: &str, with: &str) -> Result<String, Box<dyn Error>> {
    match text.matches(name).count() {
        1 => Ok(text.replace(name, with)),
        count => Err(format!("{WEB}: expected {name} once, found it {count} times").into()),
    }
}

/// Writes a file as it is, and compressed in two ways.
fn write(out: &Path, name: &str, body: &str) -> Result<(), Box<dyn Error>> {
    fs::write(out.join(name), body)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(body.as_bytes())?;
    fs::write(out.join(format!("{name}.gz")), gzip.finish()?)?;
    let params = BrotliEncoderParams { quality: 11, lgwin: 22, size_hint: body.len(), ..Default::default() };
    let mut brotli = Vec::new();
    brotli::BrotliCompress(&mut body.as_bytes(), &mut brotli, &params)?;
    fs::write(out.join(format!("{name}.br")), brotli)?;
    Ok(())
}
