//! The keys of the admin port: where they are, for a server that asks for it and for one who shows it.
//!
//! It comes from a file or an environment variable, never from an argument, which everybody on the machine can see. No
//! error repeats anything of it.

use std::path::Path;

use crate::server::admin_key::AdminKey;
use crate::server::operators::{Operator, Operators, Rights};

use super::small_file;
use super::values::OperatorArg;

/// The operators, each with the key that they are to show on the admin port.
pub fn operators(file: Option<&Path>, others: &[OperatorArg]) -> Result<Operators, String> {
    let admin = read_bytes(file)?.map(|(key, _)| Operator { name: "admin".into(), rights: Rights::ALL, key });
    let mut all = Vec::from_iter(admin);
    for OperatorArg { name, rights, file } in others {
        let wrong = |error: &dyn std::fmt::Display| format!("--operator {name}: {}: {error}", file.display());
        let bytes = small_file::read(file).map_err(|error| wrong(&error))?;
        let key = AdminKey::read(&bytes).map_err(|error| wrong(&error))?;
        all.push(Operator { name: name.as_str().into(), rights: *rights, key });
    }
    Operators::of(all).map_err(|error| format!("--operator: {error}"))
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
            (small_file::read(file).map_err(|error| format!("{from}: {error}"))?, from)
        }
        (None, Some(key)) => (key.into_encoded_bytes(), ADMIN_SECRET.into()),
    };
    let key = AdminKey::read(&bytes).map_err(|error| format!("{from}: {error}"))?;
    Ok(Some((key, bytes)))
}

/// The environment variable that can hold the key of the admin port.
const ADMIN_SECRET: &str = "SALON_ADMIN_SECRET";
