//! Where messages are kept if nobody says where: in the place that the system has for what a program remembers.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The file.
///
/// # Errors
/// One sentence: there is no such place.
pub fn file() -> Result<PathBuf, String> {
    file_of(|variable| std::env::var_os(variable))
}

/// The same with an environment. A relative path counts as none (basedir-spec, "Environment variables").
fn file_of(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, String> {
    let folder = |name| variable(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let own = |folder: PathBuf| folder.join("salon");
    // Behind the first colon systemd has further folders of the unit.
    let first = |folders: OsString| {
        folders.as_bytes().split(|&byte| byte == b':').next().map(OsStr::from_bytes).map(PathBuf::from)
    };
    let of_unit = variable(UNIT).and_then(first).filter(|folder| folder.is_absolute());
    let of_user = || folder(STATE).or_else(|| Some(folder(HOME)?.join(".local/state"))).map(own);
    let folder = of_unit.or_else(of_user);
    let folder = folder.ok_or_else(|| {
        format!(
            "--store: expected ${UNIT}, ${STATE} or ${HOME} to say in which folder a file for messages can be, \
             found none of them; say --store PATH, or --store memory"
        )
    })?;
    Ok(folder.join("salon.db"))
}

/// The folders that systemd gives a unit with `StateDirectory=` (systemd.exec(5)).
const UNIT: &str = "STATE_DIRECTORY";

/// The folder of a user. It is not looked for anywhere else: in an empty root that cannot be done.
const HOME: &str = "HOME";

/// The folder for what a user's programs remember (XDG Base Directory Specification).
const STATE: &str = "XDG_STATE_HOME";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_place_is_taken() {
        for (unit, state, home, expected) in [
            ("/var/lib/salon", "/s", "/home/ann", "/var/lib/salon/salon.db"),
            ("/var/lib/salon:/var/lib/other", "", "", "/var/lib/salon/salon.db"),
            ("", "/s", "/home/ann", "/s/salon/salon.db"),
            (":/var/lib/other", "/s", "", "/s/salon/salon.db"),
            ("lib", "s", "/home/ann", "/home/ann/.local/state/salon/salon.db"),
            ("", "", "/", "/.local/state/salon/salon.db"),
            ("", "", "", ""),
            ("", "s", "home", ""),
        ] {
            for unset_if_empty in [true, false] {
                let given = |text: &str| Some(text).filter(|text| !(unset_if_empty && text.is_empty())).map(Into::into);
                let found = file_of(|name| {
                    given(match name {
                        UNIT => unit,
                        STATE => state,
                        _ => home,
                    })
                });
                match expected {
                    "" => {
                        assert!(found.unwrap_err().starts_with("--store: expected $STATE_DIRECTORY, $XDG_STATE_HOME"))
                    }
                    _ => assert_eq!(found, Ok(expected.into())),
                }
            }
        }
    }
}
