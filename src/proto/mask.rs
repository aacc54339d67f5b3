//! Client-to-server masking (RFC 6455 section 5.3).
//!
//! Octet _i_ of the payload is XORed with octet _i_ mod 4 of the masking key; masking and unmasking are
//! the same. It runs in place, eight octets at a time over plain integers, which the compiler turns into
//! vector instructions. It makes no keys: a client takes them from a source of randomness of its own.

/// Four octets that a client chooses anew for each frame.
pub type MaskingKey = [u8; 4];

/// Masks or unmasks `payload`, whose first octet is octet `offset` of the frame's payload.
pub fn apply_mask(payload: &mut [u8], key: MaskingKey, offset: usize) {
    let mut rotated = key;
    rotated.rotate_left(offset % 4);
    let half = u32::from_ne_bytes(rotated);
    let wide = u64::from(half) | u64::from(half) << 32;
    let mut words = payload.chunks_exact_mut(8);
    for word in &mut words {
        let octets: [u8; 8] = (&*word).try_into().expect("chunks_exact gives chunks of 8");
        word.copy_from_slice(&(u64::from_ne_bytes(octets) ^ wide).to_ne_bytes());
    }
    for (octet, key) in words.into_remainder().iter_mut().zip(wide.to_ne_bytes()) {
        *octet ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_and_offset_follow_the_formula() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in 0..70 {
            for offset in 0..9 {
                let plain: Vec<u8> = (0..len as u8).collect();
                let mut masked = plain.clone();
                apply_mask(&mut masked, key, offset);
                for (i, octet) in masked.iter().enumerate() {
                    assert_eq!(*octet, plain[i] ^ key[(offset + i) % 4], "octet {i} of {len} at {offset}");
                }
            }
        }
    }
}
