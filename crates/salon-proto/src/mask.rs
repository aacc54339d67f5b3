//! Client-to-server masking (RFC 6455 section 5.3).
//!
//! Byte _i_ of the payload is XORed with byte _i_ mod 4 of the masking key; masking and unmasking are the same. It runs
//! in place, eight bytes at a time over plain integers, which the compiler turns into vector instructions: those that
//! every processor of the target has, and for long payloads the widest that this one has. It makes no keys: a client
//! takes them from a source of randomness of its own.

#[cfg(feature = "simd")]
use fearless_simd::{Level, Simd, dispatch};

/// Four bytes that a client chooses anew for each frame.
pub type MaskingKey = [u8; 4];

/// Masks or unmasks `payload`, whose first byte is byte `offset` of the frame's payload.
#[inline]
pub fn apply_mask(payload: &mut [u8], key: MaskingKey, offset: usize) {
    let mut rotated = key;
    rotated.rotate_left(offset % 4);
    let half = u32::from_ne_bytes(rotated);
    let wide = u64::from(half) | u64::from(half) << 32;
    #[cfg(feature = "simd")]
    if payload.len() >= WIDEST_FROM {
        return apply_in_widest(payload, wide);
    }
    apply_wide(payload, wide);
}

/// The same with the widest vectors of this processor, which are looked up at each call.
#[cfg(feature = "simd")]
#[inline(never)]
fn apply_in_widest(payload: &mut [u8], wide: u64) {
    dispatch!(Level::new(), simd => simd.vectorize(
        #[inline(always)]
        || apply_wide(payload, wide)
    ));
}

#[inline(always)]
fn apply_wide(payload: &mut [u8], wide: u64) {
    let mut words = payload.chunks_exact_mut(8);
    for word in &mut words {
        let bytes: [u8; 8] = (&*word).try_into().expect("chunks_exact gives chunks of 8");
        word.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(wide.to_ne_bytes()) {
        *byte ^= key;
    }
}

/// Below this the choice costs more than it gains, in bytes (`cargo bench --bench frame_codec`).
#[cfg(any(feature = "simd", test))]
const WIDEST_FROM: usize = 2 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_and_offset_follow_the_formula() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in (0..70).chain(WIDEST_FROM - 9..WIDEST_FROM + 70) {
            for offset in 0..9 {
                let plain: Vec<u8> = (0..len).map(|i| i as u8).collect();
                let mut masked = plain.clone();
                apply_mask(&mut masked, key, offset);
                for (i, byte) in masked.iter().enumerate() {
                    assert_eq!(*byte, plain[i] ^ key[(offset + i) % 4], "byte {i} of {len} at {offset}");
                }
            }
        }
    }
}
