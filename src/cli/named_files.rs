//! The files that settings name: which they are, which of them are secret, and whether their content has changed.
//!
//! [`super::check`] looks at who may read the secret ones, [`super::reload`] says which have other bytes than before.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::server::jwt::Algorithm;

use super::args::ServeArgs;
use super::small_file;

/// A file that a setting names.
#[derive(Debug)]
pub struct NamedFile<'a> {
    /// The key of the setting.
    pub setting: &'static str,
    /// The content, for people.
    pub what: String,
    /// Where it is.
    pub path: &'a Path,
    /// Whether only Salon is to read it.
    pub secret: bool,
    /// Whether it is read again while Salon serves.
    pub again: bool,
}

/// All files of these settings, but the file of settings and that of messages.
pub fn of(args: &ServeArgs) -> Vec<NamedFile<'_>> {
    let password = args
        .store_key_file
        .as_deref()
        .map(|path| NamedFile { again: false, ..file("store_key_file", "the password of the store", path, true) });
    let keys = args.auth_key.iter().enumerate().map(|(at, key)| {
        // The other keys are public.
        file("auth_key", &format!("auth_key {}", at + 1), &key.file, key.algorithm == Algorithm::Hs256)
    });
    let certificates = [
        several("tls_cert", "the chain", &args.tls_cert, false),
        several("tls_key", "the key of TLS", &args.tls_key, true),
    ];
    let operators = args
        .operator
        .iter()
        .map(|operator| file("operator", &format!("the key of {}", operator.name), &operator.file, true));
    certificates
        .into_iter()
        .flatten()
        .chain(args.admin_tls_cert.iter().map(|path| file("admin_tls_cert", "the chain of admin", path, false)))
        .chain(args.admin_tls_key.iter().map(|path| file("admin_tls_key", "the key of TLS of admin", path, true)))
        .chain(args.admin_key.iter().map(|path| file("admin_key", "the key of admin", path, true)))
        .chain(operators)
        .chain(keys)
        .chain(password)
        .collect()
}

fn file<'a>(setting: &'static str, what: &str, path: &'a Path, secret: bool) -> NamedFile<'a> {
    NamedFile { setting, what: what.into(), path, secret, again: true }
}

/// Of more than one file, each is called by its place.
fn several<'a>(setting: &'static str, what: &str, paths: &'a [PathBuf], secret: bool) -> Vec<NamedFile<'a>> {
    let called = |at: usize| if paths.len() > 1 { format!("{what} {}", at + 1) } else { what.into() };
    paths.iter().enumerate().map(|(at, path)| file(setting, &called(at), path, secret)).collect()
}

/// What was in the files when they were last read, as numbers by which one content is told from another. They are shown
/// nowhere.
#[derive(Default)]
pub struct Contents(Vec<(String, Option<u64>)>);

impl Contents {
    /// Of the files as they are now. Take them before the files are read for use: one that changes in between is then
    /// said to have changed once more, and never not at all.
    pub fn of(args: &ServeArgs) -> Self {
        let number = |path: &Path| {
            let mut hasher = DefaultHasher::new();
            small_file::read(path).ok()?.hash(&mut hasher);
            Some(hasher.finish())
        };
        Self(of(args).into_iter().filter(|file| file.again).map(|file| (file.what, number(file.path))).collect())
    }

    /// Which of them, of those that were there before, have another content than before.
    pub fn changed_since(&self, before: &Self) -> Vec<String> {
        let differs =
            |(what, now): &&(String, Option<u64>)| before.0.iter().any(|(other, then)| other == what && then != now);
        self.0.iter().filter(differs).map(|(what, _)| what.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Args;

    /// Every setting whose value is a file is in the list: a new one would be overlooked by `salon check`.
    #[test]
    fn every_file_is_known() {
        let words = [
            "salon",
            "--tls-cert",
            "/c",
            "--tls-key",
            "/k",
            "--admin-tls-cert",
            "/ac",
            "--admin-tls-key",
            "/ak",
            "--admin-key",
            "/a",
            "--operator",
            "bot:speak:/o",
            "--auth-key",
            "HS256:/s",
            "--auth-key",
            "RS256:/p",
            "--store-key-file",
            "/r",
        ];
        let args = Args::try_parse_from(words).unwrap().serve;
        let files = of(&args);
        let secret: Vec<_> = files.iter().filter(|file| file.secret).map(|file| file.path.to_str().unwrap()).collect();
        assert_eq!(secret, ["/k", "/ak", "/a", "/o", "/s", "/r"]);
        let public: Vec<_> = files.iter().filter(|file| !file.secret).map(|file| file.path.to_str().unwrap()).collect();
        assert_eq!(public, ["/c", "/ac", "/p"]);
        let mut command = <Args as clap::CommandFactory>::command();
        command.build();
        let named = super::super::layers::keys(&command).filter(|arg| {
            let is = arg.get_value_names().into_iter().flatten().any(|name| name.contains("FILE"));
            is && arg.get_id() != "config"
        });
        let mut named: Vec<&str> = named.map(|arg| arg.get_id().as_str()).collect();
        named.sort_unstable();
        let mut known: Vec<&str> = files.iter().map(|file| file.setting).collect();
        known.sort_unstable();
        known.dedup();
        assert_eq!(known, named);
    }

    #[test]
    fn another_content_is_noticed() {
        let folder = std::env::temp_dir().join(format!("salon-named-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let [admin, one, two] = ["admin", "one", "two"].map(|name| folder.join(name));
        [&admin, &one, &two].iter().for_each(|path| std::fs::write(path, "before").unwrap());
        let operator = |name: &str, path: &Path| format!("{name}:speak:{}", path.display());
        let (one_arg, two_arg) = (operator("one", &one), operator("two", &two));
        let words = |more: &[&str]| {
            let all = [&["salon", "--admin-key", admin.to_str().unwrap(), "--operator", &one_arg], more].concat();
            Args::try_parse_from(all).unwrap().serve
        };
        let (few, more) = (words(&[]), words(&["--operator", &two_arg]));
        let before = Contents::of(&few);
        assert_eq!(Contents::of(&more).changed_since(&before), Vec::<String>::new(), "a new one is a new setting");
        std::fs::write(&admin, "behind").unwrap();
        std::fs::remove_file(&one).unwrap();
        assert_eq!(Contents::of(&more).changed_since(&before), ["the key of admin", "the key of one"]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
