//! Keys and nonces from the random numbers of the system (feature `getrandom`).
//!
//! The rest of the crate draws nothing: it is handed a source.

use crate::mask::MaskingKey;

/// A nonce for the handshake of a client (section 4.1, item 7).
///
/// # Panics
/// If the system has no random numbers.
pub fn nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    fill(&mut nonce);
    nonce
}

/// A source of masking keys for [`Connection::client`](crate::Connection::client). It asks the system once for 256 of
/// them.
///
/// # Panics
/// The source does, if the system has no random numbers.
pub fn keys() -> impl FnMut() -> MaskingKey + Send + Sync + 'static {
    let (mut drawn, mut used) = ([0; DRAWN], DRAWN);
    move || {
        if used == DRAWN {
            fill(&mut drawn);
            used = 0;
        }
        let part = &mut drawn[used..used + size_of::<MaskingKey>()];
        used += part.len();
        let mut key = MaskingKey::default();
        key.copy_from_slice(part);
        // What has been used is kept nowhere.
        part.fill(0);
        key
    }
}

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system has random numbers");
}

/// Bytes drawn at once.
const DRAWN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_also_beyond_what_is_drawn_at_once() {
        let mut source = keys();
        let mut drawn: Vec<MaskingKey> = (0..2 * DRAWN / 4 + 1).map(|_| source()).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert!(drawn.len() > 2 * DRAWN / 4 - 5, "{} of {}", drawn.len(), 2 * DRAWN / 4 + 1);
        assert_ne!(nonce(), nonce());
    }
}
