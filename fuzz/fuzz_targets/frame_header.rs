//! The frame header: what decodes encodes to the same bytes, and an error is known no later than its byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use salon::proto::frame::FrameHeader;
use salon::proto::frame::{FrameRules, Limits, MAX_HEADER_LEN};

fuzz_target!(|input: &[u8]| {
    let Some((&choices, bytes)) = input.split_first() else { return };
    let mut rules = FrameRules::new(choices & 1 != 0, Limits::default());
    (rules.rsv1, rules.fragmented) = (choices & 2 != 0, choices & 4 != 0);
    rules.fragments_left = u32::from(choices & 8 != 0);
    rules.payload_left = if choices & 16 != 0 { 1000 } else { u64::MAX };
    let whole = FrameHeader::decode(bytes, &rules);
    let mut grown = Ok(None);
    for len in 0..=bytes.len().min(MAX_HEADER_LEN) {
        grown = FrameHeader::decode(&bytes[..len], &rules);
        if grown != Ok(None) {
            break;
        }
    }
    assert_eq!(whole, grown, "the answer does not depend on how much is there");
    if let Ok(Some((header, len))) = whole {
        let mut again = Vec::new();
        header.encode(&mut again);
        assert_eq!(again, bytes[..len]);
        assert!(header.payload_len <= rules.payload_left || header.opcode.is_control());
    }
});
