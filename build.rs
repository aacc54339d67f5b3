//! Packs the chat page for the binary: one script and one style, compressed, each with its hash in its name, so that a
//! browser that has it never asks again. The sources stay as they are, to be read: `src/server/web`.

#[path = "build/pack.rs"]
mod pack;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha1::{Digest as _, Sha1};

const WEB: &str = "src/server/web";

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
    let script = pack::script("app.js", &modules)?;
    let style = pack::style(&read("app.css")?);
    let old = read("old.js")?;

    let mut page = read("index.html")?;
    for (link, kind, name, body) in [
        ("src=\"app.js\"", "src", "page.js", &script),
        ("href=\"app.css\"", "href", "page.css", &style),
        ("src=\"old.js\"", "src", "old.js", &old),
    ] {
        let digest: String = Sha1::digest(body).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let (stem, extension) = name.split_once('.').ok_or("expected a name with a dot")?;
        let hashed = format!("{stem}-{digest}.{extension}");
        if page.matches(link).count() != 1 {
            return Err(format!("{WEB}/index.html: expected {link} once").into());
        }
        page = page.replace(link, &format!("{kind}=\"{hashed}\""));
        println!("cargo::rustc-env=PAGE_{}_{}=/{hashed}", stem.to_uppercase(), extension.to_uppercase());
        write(&out, name, body)?;
    }
    write(&out, "index.html", &pack::lines(&page))?;
    write(&out, "client.js", &read("client.js")?)?;
    write(&out, "worker.js", &read("worker.js")?)?;
    Ok(())
}

/// Writes a file as it is, and compressed.
fn write(out: &Path, name: &str, body: &str) -> Result<(), Box<dyn Error>> {
    fs::write(out.join(name), body)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(body.as_bytes())?;
    fs::write(out.join(format!("{name}.gz")), gzip.finish()?)?;
    Ok(())
}
