//! The page: its files, and the headers of each.
//!
//! They are in the binary, and nothing else is under `/`; a path is compared, never resolved.

use std::sync::OnceLock;

use sha1::{Digest, Sha1};

/// A file of the page.
#[derive(Debug)]
pub struct Asset {
    /// The path it is found at.
    pub path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes.
    pub body: &'static [u8],
    tag: OnceLock<String>,
}

impl Asset {
    const fn new(path: &'static str, content_type: &'static str, body: &'static [u8]) -> Self {
        Self { path, content_type, body, tag: OnceLock::new() }
    }

    /// Its status for a client that sends the validators it knows.
    pub fn status(&self, known: Option<&str>) -> u16 {
        if known.is_some_and(|known| known.contains(self.tag())) { 304 } else { 200 }
    }

    /// Its headers.
    pub fn headers(&self) -> [(&'static str, &str); 6] {
        [
            ("Cache-Control", "no-cache"),
            ("ETag", self.tag()),
            ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ]
    }

    /// A strong validator: the same bytes, the same tag. It is made when it is asked for first.
    fn tag(&self) -> &str {
        self.tag.get_or_init(|| {
            let hash = Sha1::digest(self.body);
            let digits: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("\"{digits}\"")
        })
    }
}

/// The file at a path.
pub fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// Only scripts of this server run, and text is never made into HTML.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
    trusted-types 'none'";

/// Declares the files: those with a path of their own, and the scripts by their names.
macro_rules! assets {
    ($($path:literal: $type:literal = $file:literal,)* scripts: $($name:ident)*) => {
        static ASSETS: [Asset; [$($path,)* $(stringify!($name)),*].len()] = [
            $(Asset::new($path, $type, include_bytes!(concat!("web/", $file))),)*
            $(Asset::new(
                concat!("/", stringify!($name), ".js"),
                "text/javascript; charset=utf-8",
                include_bytes!(concat!("web/", stringify!($name), ".js")),
            ),)*
        ];
    };
}

assets! {
    "/": "text/html; charset=utf-8" = "index.html",
    "/app.css": "text/css; charset=utf-8" = "app.css",
    "/icon.svg": "image/svg+xml" = "icon.svg",
    scripts:
    actions announcements app attention avatar client commands composer connection conversations copying dom drawers
    drawing emoji ended finder history incoming keys log lookalikes markup message notifications old people person
    picker places presence question reading search selection sending sidebar storage suggestions switcher text
    unread unsent words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module that is missing would leave an empty page; one that is not preloaded costs the reader a round trip.
    #[test]
    fn every_module_of_the_page_is_served_and_preloaded() {
        let text = |path: &str| {
            let asset = find(path);
            std::str::from_utf8(asset.unwrap_or_else(|| panic!("{path} is not served")).body).expect("UTF-8")
        };
        let page = text("/");
        for asset in ASSETS.iter().filter(|asset| asset.path.ends_with(".js")) {
            for imported in text(asset.path).split("\"./").skip(1).filter_map(|rest| rest.split_once('"')) {
                text(&format!("/{}", imported.0));
            }
            let name = &asset.path[1..];
            let linked = match name {
                "app.js" => page.contains("<script type=\"module\" src=\"app.js\"></script>"),
                // For browsers that know no modules.
                "old.js" => page.contains("<script src=\"old.js\" defer></script>"),
                _ => page.contains(&format!("<link rel=\"modulepreload\" href=\"{name}\">")),
            };
            assert!(linked, "{name} is not in index.html");
        }
    }
}
