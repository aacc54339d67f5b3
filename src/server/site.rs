//! The page: its files, and the headers of each.
//!
//! They are in the binary, and nothing else is under `/`; a path is compared, never resolved. `build.rs` packs the
//! sources (`web`) into a script and a style for the door, and a script and a style for the rest, compressed, and the
//! words of other languages beside. Those have their hash in their name and are kept by browsers for a year; the others
//! are asked for anew each time, and answered by 304 while they are the same.

use std::sync::OnceLock;

use sha1::{Digest, Sha1};

/// A file of the page.
#[derive(Debug)]
pub struct Asset {
    /// The path it is found at.
    pub path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    plain: &'static [u8],
    packed: Option<Packed>,
    lasts: Lasts,
    tag: OnceLock<String>,
    /// Of the packed ones.
    tags: [OnceLock<String>; 2],
}

/// A file in the codings of `CODINGS`, in their order.
type Packed = [&'static [u8]; 2];

/// What a browser may take, the best first.
const CODINGS: [&str; 2] = ["br", "gzip"];

/// How long a browser may keep a file without asking.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lasts {
    /// Its name has its hash: another file has another name.
    Ever,
    /// It asks each time whether it is the same.
    Once,
}

/// What a client is sent of a file.
#[derive(Debug)]
pub struct Served {
    /// 200, or 304 where the client has it.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The bytes, compressed or not.
    pub body: &'static [u8],
}

impl Asset {
    const fn new(
        path: &'static str,
        content_type: &'static str,
        lasts: Lasts,
        plain: &'static [u8],
        packed: Option<Packed>,
    ) -> Self {
        let tags = [OnceLock::new(), OnceLock::new()];
        Self { path, content_type, plain, packed, lasts, tag: OnceLock::new(), tags }
    }

    /// What a client is sent that has the validators `known`, takes the codings `accepted`, and whose reader reads the
    /// languages `read`.
    pub fn serve(&'static self, known: Option<&str>, accepted: Option<&str>, read: Option<&str>) -> Served {
        let coding = CODINGS.iter().position(|coding| self.packed.is_some() && takes(accepted, coding));
        let (body, tag) = match self.packed.zip(coding) {
            Some((packed, coding)) => (packed[coding], self.tags[coding].get_or_init(|| tag_of(packed[coding]))),
            None => (self.plain, self.tag.get_or_init(|| tag_of(self.plain))),
        };
        let mut headers = vec![
            (
                "Cache-Control",
                if self.lasts == Lasts::Ever { "public, max-age=31536000, immutable" } else { "no-cache" },
            ),
            ("ETag", tag.as_str()),
            ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ];
        if self.path == "/" {
            headers.push(("Vary", "Accept-Encoding, Accept-Language"));
            if let Some(words) = words_for(read) {
                headers.push(("Link", words));
            }
        } else if self.packed.is_some() {
            headers.push(("Vary", "Accept-Encoding"));
        }
        if let Some(coding) = coding {
            headers.push(("Content-Encoding", CODINGS[coding]));
        }
        let status = if known.is_some_and(|known| known.contains(tag.as_str())) { 304 } else { 200 };
        Served { status, headers, body }
    }
}

/// A strong validator: the same bytes, the same tag.
fn tag_of(body: &[u8]) -> String {
    let digits: String = Sha1::digest(body).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

/// RFC 9110 section 12.5.3: whether a coding is among those that a client takes. What is said of it counts before what
/// is said of all others (`*`).
fn takes(accepted: Option<&str>, wanted: &str) -> bool {
    let said = |named: &str| {
        accepted.unwrap_or_default().split(',').find_map(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let name = if name.trim().eq_ignore_ascii_case("x-gzip") { "gzip" } else { name.trim() };
            let taken = weight.trim().strip_prefix("q=").is_none_or(|q| q.parse() != Ok(0.0));
            name.eq_ignore_ascii_case(named).then_some(taken)
        })
    };
    said(wanted).or_else(|| said("*")).unwrap_or(false)
}

/// The words of the door in a language, which the browser asks for with the page, and not when it runs the script that
/// wants them: `None` for English, which is in that script.
macro_rules! words {
    ($code:literal, $file:literal) => {
        ($code, Some(concat!("<.", env!($file), ">; rel=modulepreload")))
    };
}

/// The languages of the page.
const LANGUAGES: [(&str, Option<&str>); 4] =
    [words!("de", "PAGE_DE_DOOR_JS"), ("en", None), words!("es", "PAGE_ES_DOOR_JS"), words!("fr", "PAGE_FR_DOOR_JS")];

/// RFC 9110 section 12.5.4: the words for the language that is liked best of those of the page. A browser whose reader
/// has chosen another one here asks for a file in vain.
fn words_for(read: Option<&str>) -> Option<&'static str> {
    let mut best: Option<(f32, Option<&str>)> = None;
    for range in read.unwrap_or_default().split(',') {
        let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
        let code = tag.split('-').next().unwrap_or_default().trim();
        let weight = weight.trim().strip_prefix("q=").map_or(1.0, |q| q.parse().unwrap_or(0.0));
        let Some((_, words)) = LANGUAGES.iter().find(|(language, _)| code.eq_ignore_ascii_case(language)) else {
            continue;
        };
        if weight > best.map_or(0.0, |(liked, _)| liked) {
            best = Some((weight, *words));
        }
    }
    best.and_then(|(_, words)| words)
}

/// The file at a path.
pub fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// Only scripts of this server run, and text is never made into HTML. The one thing that is made into the address of a
/// script is a constant, that of the worker.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types salon-worker";

/// A file that `build.rs` has made, with its compressed twins.
macro_rules! made {
    ($path:expr, $type:literal, $lasts:ident, $file:literal) => {
        Asset::new(
            $path,
            concat!($type, "; charset=utf-8"),
            Lasts::$lasts,
            include_bytes!(concat!(env!("OUT_DIR"), "/", $file)),
            Some([
                include_bytes!(concat!(env!("OUT_DIR"), "/", $file, ".br")),
                include_bytes!(concat!(env!("OUT_DIR"), "/", $file, ".gz")),
            ]),
        )
    };
}

static ASSETS: [Asset; 19] = [
    made!("/", "text/html", Once, "index.html"),
    made!(env!("PAGE_DOOR_JS"), "text/javascript", Ever, "door.js"),
    made!(env!("PAGE_DOOR_CSS"), "text/css", Ever, "door.css"),
    made!(env!("PAGE_APP_JS"), "text/javascript", Ever, "app.js"),
    made!(env!("PAGE_APP_CSS"), "text/css", Ever, "app.css"),
    made!(env!("PAGE_OLD_JS"), "text/javascript", Ever, "old.js"),
    made!(env!("PAGE_DE_DOOR_JS"), "text/javascript", Ever, "de_door.js"),
    made!(env!("PAGE_DE_JS"), "text/javascript", Ever, "de.js"),
    made!(env!("PAGE_DE_EMOJI_JS"), "text/javascript", Ever, "de_emoji.js"),
    made!(env!("PAGE_ES_DOOR_JS"), "text/javascript", Ever, "es_door.js"),
    made!(env!("PAGE_ES_JS"), "text/javascript", Ever, "es.js"),
    made!(env!("PAGE_ES_EMOJI_JS"), "text/javascript", Ever, "es_emoji.js"),
    made!(env!("PAGE_FR_DOOR_JS"), "text/javascript", Ever, "fr_door.js"),
    made!(env!("PAGE_FR_JS"), "text/javascript", Ever, "fr.js"),
    made!(env!("PAGE_FR_EMOJI_JS"), "text/javascript", Ever, "fr_emoji.js"),
    Asset::new("/icon.svg", "image/svg+xml", Lasts::Once, include_bytes!("web/icon.svg"), None),
    Asset::new(
        "/manifest.webmanifest",
        "application/manifest+json",
        Lasts::Once,
        include_bytes!("web/manifest.webmanifest"),
        None,
    ),
    made!("/worker.js", "text/javascript", Once, "worker.js"),
    // For others to copy, and so as it was written.
    made!("/client.js", "text/javascript", Once, "client.js"),
];

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    fn text(path: &str) -> &'static str {
        let asset = find(path).unwrap_or_else(|| panic!("{path} is not served"));
        std::str::from_utf8(asset.plain).expect("UTF-8")
    }

    /// The files that a text names in quotes.
    fn named_in(text: &'static str) -> Vec<&'static str> {
        let ends = |link: &&str| [".js", ".css"].iter().any(|end| link.ends_with(end)) && !link.contains("worker");
        text.split('"').filter(ends).map(|link| link.trim_start_matches("./")).collect()
    }

    #[test]
    fn the_page_names_its_files_by_their_hashes_and_they_are_there() {
        let mut linked = named_in(text("/"));
        assert_eq!(linked.len(), 3, "{linked:?}");
        let door = named_in(text(env!("PAGE_DOOR_JS")));
        assert_eq!(door.len(), 11, "{door:?}"); // a script, a style, and three languages, in three parts each
        linked.extend(door);
        for link in linked {
            assert!(find(&format!("/{link}")).is_some_and(|asset| asset.lasts == Lasts::Ever), "{link}");
        }
        // A path that was the name of a source is none.
        for path in ["/app.js", "/app.css", "/door.js", "/old.js", "/de.js", "/de_door.js", "/en.js"] {
            assert!(find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn what_is_compressed_is_the_same_file() {
        for asset in &ASSETS {
            let Some(packed) = asset.packed else { continue };
            let [brotli, gzip] = packed;
            let mut plain = Vec::new();
            GzDecoder::new(gzip).read_to_end(&mut plain).expect("gzip");
            assert!(plain == asset.plain, "{}", asset.path);
            plain.clear();
            brotli::Decompressor::new(brotli, 4096).read_to_end(&mut plain).expect("brotli");
            assert!(plain == asset.plain, "{}", asset.path);
            assert!(brotli.len() < gzip.len() && gzip.len() < asset.plain.len(), "{}", asset.path);
        }
    }

    /// What a browser loads before it shows the door, and what it loads behind that, while a name is typed: on a line
    /// of 400 kbit/s, one second for each 50 KB. The names of the other files, which are hashes, stand in them:
    /// they pack a few bytes better or worse with each change.
    #[test]
    fn the_page_stays_small_on_the_wire() {
        let bytes = |paths: &[&str], coding: usize| -> usize {
            let assets = paths.iter().map(|path| find(path).unwrap_or_else(|| panic!("{path} is not served")));
            assets.map(|asset| asset.packed.map_or(asset.plain, |packed| packed[coding]).len()).sum()
        };
        for (coding, most_door, most_rest) in [(0, 20_450, 67_100), (1, 23_500, 80_200)] {
            let files = ["/", env!("PAGE_DOOR_JS"), env!("PAGE_DOOR_CSS"), env!("PAGE_OLD_JS"), "/icon.svg"];
            let door = bytes(&files, coding);
            assert!(door < most_door, "{}: expected less than {most_door} for the door, found {door}", CODINGS[coding]);
            let rest = bytes(&[env!("PAGE_APP_JS"), env!("PAGE_APP_CSS")], coding);
            assert!(rest < most_rest, "{}: expected less than {most_rest} for the rest, found {rest}", CODINGS[coding]);
        }
    }

    #[test]
    fn the_best_coding_is_sent_that_a_client_takes() {
        for (accepted, coding) in [
            (None, None),
            (Some(""), None),
            (Some("identity"), None),
            (Some("gzip"), Some("gzip")),
            (Some("x-gzip"), Some("gzip")),
            (Some("gzip, deflate, br, zstd"), Some("br")),
            (Some("BR;q=0.5, gzip"), Some("br")),
            (Some("br; q=0, GZIP;q=0.5"), Some("gzip")),
            (Some("gzip;q=0, br;q=0.000"), None),
            (Some("*"), Some("br")),
            (Some("br;q=0, *"), Some("gzip")),
            (Some("*;q=0, gzip"), Some("gzip")),
            (Some("*;q=0"), None),
            (Some("gzipped, brr"), None),
        ] {
            let served = find("/").expect("the page").serve(None, accepted, None);
            let sent = served.headers.iter().find(|(name, _)| *name == "Content-Encoding").map(|(_, value)| *value);
            assert_eq!(sent, coding, "{accepted:?}");
        }
    }

    #[test]
    fn the_words_of_the_door_are_told_of_with_the_page() {
        for (read, expected) in [
            (None, None),
            (Some(""), None),
            (Some("en-GB,en;q=0.9,de;q=0.8"), None),
            (Some("de"), Some("de")),
            (Some("DE-at, en;q=0.5"), Some("de")),
            (Some("ja,fr-CA;q=0.9, es;q=0.8"), Some("fr")),
            (Some("en;q=0.2, es;q=0.7, fr;q=0.7"), Some("es")),
            (Some("de;q=0, de;q=nonsense, *"), None),
            (Some("den, d, -de"), None),
        ] {
            let served = find("/").expect("the page").serve(None, None, read);
            let link = served.headers.iter().find(|(name, _)| *name == "Link").map(|(_, link)| *link);
            assert_eq!(link.map(|link| &link[3..5]), expected, "{read:?}");
            let Some(link) = link else { continue };
            let (file, how) = link.split_once(">; ").expect("a link");
            assert!(find(file.trim_start_matches("<.")).is_some() && how == "rel=modulepreload", "{link}");
        }
        let script = find(env!("PAGE_DOOR_JS")).expect("a script").serve(None, None, Some("de"));
        assert!(script.headers.iter().all(|(name, _)| *name != "Link"), "{script:?}");
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again_and_each_coding_has_its_tag() {
        let page = find("/").expect("the page");
        let tag = |served: &Served| {
            served.headers.iter().find(|(name, _)| *name == "ETag").map(|(_, tag)| *tag).expect("a tag")
        };
        let codings = [None, Some("gzip"), Some("br")];
        let served = codings.map(|coding| page.serve(None, coding, None));
        assert!(served[0].headers.contains(&("Vary", "Accept-Encoding, Accept-Language")));
        for (n, known) in served.iter().enumerate() {
            for (m, coding) in codings.into_iter().enumerate() {
                let expected = if n == m { 304 } else { 200 };
                assert_eq!(page.serve(Some(tag(known)), coding, None).status, expected, "{n} {coding:?}");
            }
        }
    }
}
