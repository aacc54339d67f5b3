//! The Salon that runs already with settings that are looked at, as its admin port tells.

use std::cell::OnceCell;
#[cfg(feature = "sqlite")]
use std::path::Path;

use super::args::ServeArgs;
use super::asked::Server;
use super::config_file::{self, Entry, Value};
use super::operate;

/// It is asked when it matters for the first time, once.
#[derive(Default)]
pub struct Running(OnceCell<Option<Vec<Entry>>>);

impl Running {
    /// Whether one runs at the admin port of these settings, shows its own, and has that text among what it says of the
    /// key: an address, say.
    pub fn has(&self, args: &ServeArgs, key: &str, text: &str) -> bool {
        match self.value(args, key) {
            Some(Value::One(one)) => one == text,
            Some(Value::Many(texts)) => texts.iter().any(|one| one == text),
            _ => false,
        }
    }

    /// The same of the file in which it keeps messages; where none is named here and there, it is the same one.
    #[cfg(feature = "sqlite")]
    pub fn keeps_in(&self, args: &ServeArgs, path: &Path) -> bool {
        let absolute = |path: &Path| std::path::absolute(path).ok();
        match self.value(args, "store") {
            Some(Value::One(named)) => absolute(Path::new(named)) == absolute(path),
            Some(_) => false,
            None => args.store.is_none() && self.entries(args).is_some(),
        }
    }

    /// Whether it was asked, and runs.
    pub fn is_known(&self) -> bool {
        self.0.get().is_some_and(Option::is_some)
    }

    fn value(&self, args: &ServeArgs, key: &str) -> Option<&Value> {
        self.entries(args)?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    fn entries(&self, args: &ServeArgs) -> Option<&[Entry]> {
        let ask = || {
            let server = Server::of_settings(&args.admin, args.admin_key.clone(), args.admin_tls_cert.clone());
            let shown = operate::settings_in_force(&server).ok()?;
            config_file::parse(&shown).ok()
        };
        self.0.get_or_init(ask).as_deref()
    }
}
