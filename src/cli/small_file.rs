//! Small files that settings name: the file of settings itself, keys, certificates.
//!
//! They are read at the start and, while Salon serves, on the thread of its loop, so nothing may take long: a file has
//! a bound, and what is no file (a pipe that nobody writes to, a device) is refused and not waited for.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// All bytes of a file.
///
/// # Errors
/// Those of the system; also when it is no regular file, or longer than [`MAX_BYTES`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Otherwise the opening of a pipe alone would wait for its other end.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("expected a file, found a folder, a pipe or a device"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_BYTES {
        true => Err(io::Error::other(format!("expected at most {MAX_BYTES} bytes, found more"))),
        false => Ok(bytes),
    }
}

/// The same as text.
///
/// # Errors
/// Also when it is no UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::Error::other("expected UTF-8, found other bytes"))
}

/// The longest of them.
pub const MAX_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_end() {
        let folder = std::env::temp_dir().join(format!("salon-small-file-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let [whole, long, pipe] = ["whole", "long", "pipe"].map(|name| folder.join(name));
        std::fs::write(&whole, vec![b'x'; MAX_BYTES as usize]).unwrap();
        std::fs::write(&long, vec![b'x'; MAX_BYTES as usize + 1]).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for (path, expected) in [
            (&*whole, None),
            (&long, Some("expected at most 1048576 bytes, found more")),
            (&pipe, Some("found a folder, a pipe or a device")),
            (&folder, Some("found a folder, a pipe or a device")),
            (Path::new("/dev/zero"), Some("found a folder, a pipe or a device")),
            (&folder.join("none"), Some("No such file")),
        ] {
            let error = read(path).err().map(|error| error.to_string());
            assert_eq!(error.is_some(), expected.is_some(), "{}", path.display());
            assert!(error.iter().zip(expected).all(|(error, expected)| error.contains(expected)), "{error:?}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
