//! Settings read again while the server runs (SIGHUP).
//!
//! The command line and the environment are those of the start; the file is read anew, and the files of keys and
//! certificates with it. Settings that can change, as their table says, take effect at once; others are logged. If
//! anything is wrong nothing changes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use crate::chat::rules::Rules;
use crate::server::logging;
use crate::server::settings::Reading;
use crate::server::tls::{Certificates, Identities, Identity};

use super::args::Command;
use super::layers::{self, Changes, Setting};
use super::listener::Places;
use super::named_files::Contents;
use super::{changed_rooms, config, sentence_of, settings};

/// Settings as they were read.
pub struct Read {
    /// Those of options, variables and the file.
    pub settings: Vec<Setting>,
    /// Those for rooms.
    pub rooms: Rules,
    /// The file, if there is one.
    pub file: Option<PathBuf>,
}

/// The command line and the sockets of the start, to read the settings again.
pub struct Reload {
    command_line: Vec<OsString>,
    in_force: Vec<Setting>,
    rooms: Rules,
    /// What the store was given.
    rooms_at_start: Rules,
    /// What was read otherwise, and is for the next start.
    pending: Vec<Setting>,
    file: Option<PathBuf>,
    handed: Places,
    /// The certificates of the last reading.
    certificates: Certificates,
    /// What was in the files of keys and certificates then.
    contents: Contents,
}

impl Reload {
    /// For settings that were read from this command line, where sockets were handed over at `handed`, and with these
    /// certificates and these contents of the files that they name.
    pub fn new(
        command_line: Vec<OsString>,
        read: Read,
        handed: Places,
        certificates: Certificates,
        contents: Contents,
    ) -> Self {
        let Read { settings: in_force, rooms, file } = read;
        let rooms_at_start = rooms.clone();
        Self {
            command_line,
            in_force,
            rooms,
            rooms_at_start,
            pending: Vec::new(),
            file,
            handed,
            certificates,
            contents,
        }
    }

    /// The settings in force, as a file of settings.
    pub fn in_force(&self) -> String {
        config::text_of(&self.in_force, &self.pending, self.file.as_deref(), &self.rooms, &self.rooms_at_start)
    }

    /// Reads them again, and logs what has changed and what would have.
    ///
    /// # Errors
    /// What is wrong, in one sentence; the old settings stay.
    pub fn again(&mut self) -> Result<Reading, String> {
        let mut read = layers::read(&self.command_line).map_err(|error| sentence_of(&error))?;
        // Rules that keep people out of rooms would be gone with it.
        if let (Some(file), None) = (&self.file, &read.file) {
            return Err(format!(
                "{}: expected the file of settings that was read before, found none; put it back, or empty",
                file.display()
            ));
        }
        let rooms = std::mem::take(&mut read.args.settings_mut().rooms);
        settings::check_kept(read.args.settings_mut(), &rooms)?;
        let mut next = self.in_force.clone();
        let (mut changed, mut pending) = (Vec::new(), Vec::new());
        for (setting, read) in next.iter_mut().zip(read.settings) {
            if setting.values == read.values || mean_the_same(setting, &read) {
                // It may stand in another place now.
                *setting = read;
                continue;
            }
            // A port speaks TLS from its start, or never.
            let begins_or_ends = setting.values.is_empty() != read.values.is_empty();
            if setting.changes == Changes::AtTheNextStart
                || CERTIFICATES.contains(&setting.key.as_str()) && begins_or_ends
            {
                pending.push(read);
                continue;
            }
            changed.push(format!("{} {:?} -> {:?}", setting.key, setting.values, read.values));
            *setting = read;
        }
        changed.extend(changed_rooms::changes(&self.rooms, &rooms));
        let all = layers::assemble(&next, rooms.clone()).map_err(|error| sentence_of(&error))?;
        let log = super::log_settings(&all);
        let Some(Command::Serve(args)) = all.command else { unreachable!("assembled for serve") };
        let contents = Contents::of(&args);
        let settings = settings::of(&args, &self.handed)?;
        let mut fixed: Vec<String> = pending.iter().map(|setting| setting.key.clone()).collect();
        fixed.extend(changed_rooms::at_the_next_start(&self.rooms_at_start, &rooms));
        (self.in_force, self.pending, self.file, self.rooms) = (next, pending, read.file, rooms);
        changed.extend(contents.changed_since(&self.contents));
        self.contents = contents;
        let certificates = settings.certificates();
        for (setting, now) in certificates.named() {
            let before = self.certificates.named().find(|(other, _)| *other == setting);
            changed.extend(before.map(|(_, before)| renewed(before, now, setting)).unwrap_or_default());
        }
        self.certificates = certificates;
        logging::change(&log);
        log::info!("settings read again; changed: {}", list(&changed));
        if !fixed.is_empty() {
            log::warn!("changed only at the next start: {}", list(&fixed));
        }
        Ok(Reading { settings, changed, at_the_next_start: fixed })
    }
}

/// The settings of certificates: with other files they change at once, from none to some or back they do not.
const CERTIFICATES: [&str; 4] = ["tls_cert", "tls_key", "admin_tls_cert", "admin_tls_key"];

/// The certificates that were not there before, in words.
fn renewed(before: &Identities, now: &Identities, setting: &str) -> Vec<String> {
    let is_new = |one: &&Identity| !before.all().iter().any(|other| one.has_the_certificate_of(other));
    let several = now.all().len() > 1;
    let words = |one: &Identity| {
        let end = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(one.expires()));
        let name = if several { format!(" for {}", one.names().join(", ")) } else { String::new() };
        let of = if setting == "tls_cert" { String::new() } else { format!(" of {setting}") };
        format!("the certificate{of}{name}, which is good until {end}")
    };
    now.all().iter().filter(is_new).map(words).collect()
}

/// Whether two texts of one setting are one value: `16384` and `16KiB`.
fn mean_the_same(one: &Setting, other: &Setting) -> bool {
    let meaning = |setting: &Setting| {
        let args = layers::assemble(std::slice::from_ref(setting), Rules::default()).ok()?;
        Some(format!("{args:?}"))
    };
    meaning(one).is_some_and(|one| meaning(other) == Some(one))
}

fn list(words: &[String]) -> String {
    if words.is_empty() { "nothing".into() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_and_not_how_they_are_written() {
        let setting = |key: &str, value: &str| Setting {
            key: key.into(),
            values: vec![value.into()],
            kind: layers::Kind::One,
            from: layers::From::Default,
            changes: Changes::AtOnce,
        };
        for (key, one, other, same) in [
            ("content_bytes", "16384", "16KiB", true),
            ("content_bytes", "16384", "16385", false),
            ("leave_grace", "60s", "1m", true),
            ("leave_grace", "61s", "1m", false),
            ("rate", "20:40", "20:41", false),
            ("content_bytes", "16384", "many", false),
        ] {
            assert_eq!(mean_the_same(&setting(key, one), &setting(key, other)), same, "{key} {one} {other}");
        }
    }
}
