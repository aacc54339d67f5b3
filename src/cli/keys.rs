//! Keys of tokens: where they are, and a token made with one.
//!
//! Secrets come from files and one environment variable, never from arguments, which everybody on the machine can see.
//! No error repeats anything of them.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::chat::UserName;
use crate::chat::auth::{MAX_PATTERN_BYTES, MAX_PATTERNS, ROLES};
use crate::server::jwt::{Algorithm, Key, Keys, NewToken, mint};

use super::args::{ServeArgs, TokenArgs};
use super::small_file;
use super::values::Auth;

/// The keys that `serve` is to know tokens by; `None` where it asks for none.
pub fn read(args: &ServeArgs) -> Result<Option<Keys>, String> {
    let secret = std::env::var_os(SECRET);
    if args.auth == Auth::Open {
        if !args.auth_key.is_empty() || args.auth_audience.is_some() {
            return Err("--auth-key and --auth-audience mean nothing with --auth open; say --auth jwt".into());
        }
        if secret.is_some() {
            log::warn!("{SECRET} is set, but nobody is asked for a token without --auth jwt");
        }
        return Ok(None);
    }
    let mut keys = Vec::new();
    if let Some(secret) = secret {
        let key = Key::read(Algorithm::Hs256, secret.as_encoded_bytes());
        keys.push(key.map_err(|error| format!("{SECRET}: {error}"))?);
    }
    for arg in &args.auth_key {
        let shown = format!("--auth-key {}:{}", arg.algorithm, arg.file.display());
        let bytes = small_file::read(&arg.file).map_err(|error| format!("{shown}: {error}"))?;
        keys.push(Key::read(arg.algorithm, &bytes).map_err(|error| format!("{shown}: {error}"))?);
    }
    match keys.len() {
        0 => Err(format!("--auth jwt: expected a key by --auth-key or {SECRET}, found none")),
        1..=MAX_KEYS => Ok(Some(Keys::new(keys, args.auth_audience.clone()))),
        found => Err(format!("--auth-key: expected at most {MAX_KEYS} keys, found {found}")),
    }
}

/// `salon token`: prints a token.
pub fn print_token(args: &TokenArgs) -> Result<(), String> {
    let (secret, from) = secret_of(args.secret_file.as_deref())?;
    UserName::parse(&args.sub).map_err(|error| format!("--sub: {error}"))?;
    let rooms = args.rooms.as_deref();
    if rooms.is_some_and(|rooms| rooms.len() > MAX_PATTERNS) {
        return Err(format!("--rooms: expected at most {MAX_PATTERNS} names and patterns, found more"));
    }
    for room in rooms.into_iter().flatten() {
        match room.len() {
            0 => return Err("--rooms: expected names and patterns of rooms, found an empty one".into()),
            bytes if bytes > MAX_PATTERN_BYTES => {
                return Err(format!(
                    "--rooms: expected names and patterns of at most {MAX_PATTERN_BYTES} bytes, found one of {bytes}"
                ));
            }
            _ => {}
        }
    }
    if let Some(role) = args.roles.iter().find(|role| !ROLES.contains(&role.as_str())) {
        return Err(format!("--roles: expected {}, found {role}", ROLES.join(", ")));
    }
    // The one other place beside the loop that reads a clock: nothing turns here.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let claims = NewToken {
        sub: &args.sub,
        iat: now,
        exp: now + args.ttl.as_secs(),
        rooms: args.rooms.as_deref(),
        roles: &args.roles,
        aud: args.audience.as_deref(),
    };
    let token = mint(&secret, &claims).map_err(|error| format!("{from}: {error}"))?;
    writeln!(std::io::stdout(), "{token}").map_err(|error| format!("the token cannot be printed: {error}"))
}

/// The secret, and where it was found.
fn secret_of(file: Option<&Path>) -> Result<(Vec<u8>, String), String> {
    match file {
        Some(file) => {
            let from = format!("--secret-file {}", file.display());
            small_file::read(file).map(|secret| (secret, from.clone())).map_err(|error| format!("{from}: {error}"))
        }
        None => std::env::var_os(SECRET)
            .map(|secret: OsString| (secret.into_encoded_bytes(), SECRET.into()))
            .ok_or_else(|| format!("token: expected a secret by --secret-file or {SECRET}, found none")),
    }
}

/// The environment variable that can hold a secret.
const SECRET: &str = "SALON_AUTH_SECRET";

/// One, and the one that follows it.
const MAX_KEYS: usize = 2;
