//! The key of the admin port: where it is, for a server that asks for it and for one who shows it.
//!
//! It comes from a file or an environment variable, never from an argument, which everybody on the machine can see. No
//! error repeats anything of it.

use std::fs;
use std::path::Path;

use crate::server::admin_key::AdminKey;

/// The key that the operator is to show on the admin port, if there is to be one.
pub fn read(file: Option<&Path>) -> Result<Option<AdminKey>, String> {
    Ok(read_bytes(file)?.map(|(key, _)| key))
}

/// The same as it is to be shown to a server, if there is one.
pub fn shown(file: Option<&Path>) -> Result<Option<String>, String> {
    let bytes = read_bytes(file)?.map(|(_, bytes)| bytes);
    Ok(bytes.map(|bytes| String::from_utf8(bytes).expect("a key is ASCII").trim().to_owned()))
}

/// The key, and the bytes it was read from.
fn read_bytes(file: Option<&Path>) -> Result<Option<(AdminKey, Vec<u8>)>, String> {
    let (bytes, from) = match (file, std::env::var_os(ADMIN_SECRET)) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(format!("--admin-key: expected a file or {ADMIN_SECRET}, found both")),
        (Some(file), None) => {
            let from = format!("--admin-key {}", file.display());
            (fs::read(file).map_err(|error| format!("{from}: {error}"))?, from)
        }
        (None, Some(key)) => (key.into_encoded_bytes(), ADMIN_SECRET.into()),
    };
    let key = AdminKey::read(&bytes).map_err(|error| format!("{from}: {error}"))?;
    Ok(Some((key, bytes)))
}

/// The environment variable that can hold the key of the admin port.
const ADMIN_SECRET: &str = "SALON_ADMIN_SECRET";
