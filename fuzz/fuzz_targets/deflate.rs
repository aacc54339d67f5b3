//! A connection that agreed to permessage-deflate, under arbitrary chunking and with an inflater that others use in
//! between: the same events and the same answer as in one piece, within its bounds.
#![no_main]

#[path = "../../tests/it/common/bytes.rs"]
#[expect(dead_code, reason = "the rest of it is for the tests")]
mod bytes;

use libfuzzer_sys::fuzz_target;
use bytes::Outcome;
use salon::proto::deflate::{Deflater, Inflater};
use salon::proto::receiver::Receiver;
use salon::proto::{ClientContext, Limits, ProtocolError, PermessageDeflate};

const LIMITS: Limits = Limits::new().message_bytes(40_000).fragments(8);
const OFFERS: [&str; 3] = [
    "permessage-deflate",
    "permessage-deflate; client_no_context_takeover",
    "permessage-deflate; client_max_window_bits=9",
];

fn run(agreed: &PermessageDeflate, pieces: &[&[u8]]) -> Outcome {
    let mut connection = Receiver::server(LIMITS).with_deflate(agreed);
    let (mut inflater, mut outcome) = (Inflater::new(), Outcome::default());
    let len: usize = pieces.iter().map(|piece| piece.len()).sum();
    for piece in pieces {
        outcome.read(&mut connection, Some(&mut inflater), piece);
        assert!(connection.held_bytes() <= 40_000 + 32_768 + 2 * len + 1000, "bounded by limits and input");
        // Bytes that a neighbour leaves in the inflater must not show.
        inflater.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", None, |_| Ok::<_, ProtocolError>(())).unwrap();
    }
    assert!(outcome.told.iter().all(|told| told.payload().len() <= LIMITS.message_bytes as usize));
    outcome
}

fuzz_target!(|input: &[u8]| {
    let [how, size, bytes @ ..] = input else { return };
    let offer = OFFERS[usize::from(*how) % OFFERS.len()];
    let agreed = PermessageDeflate::negotiate([offer.as_bytes()], ClientContext::Kept).unwrap().unwrap();
    match how / 3 % 3 {
        // The input is frames as they stand.
        0 => {
            let whole = run(&agreed, &[bytes]);
            let chunked: Vec<&[u8]> = bytes.chunks(usize::from(size % 31) + 1).collect();
            assert_eq!(run(&agreed, &chunked), whole);
        }
        // The input is the payload of a message, twice; what was inflated comes back when it is compressed.
        1 => {
            let mut data = Vec::new();
            let result = Inflater::new().inflate(bytes, None, |piece| {
                data.extend_from_slice(piece);
                if data.len() > 1 << 20 { Err(ProtocolError::CorruptDeflate) } else { Ok(()) }
            });
            if result.is_ok() {
                there_and_back(&data, *size);
            }
            let mut frame = vec![0xc2, 0xff];
            frame.extend((bytes.len() as u64).to_be_bytes());
            if let Ok(len @ 126..) = u16::try_from(bytes.len()) {
                frame = [&[0xc2, 0xfe][..], &len.to_be_bytes()].concat();
            } else if bytes.len() < 126 {
                frame = vec![0xc2, 0x80 | bytes.len() as u8];
            }
            frame.extend([0; 4]);
            frame.extend(bytes);
            let twice = frame.repeat(2);
            let whole = run(&agreed, &[&twice]);
            let at = usize::from(*size) * twice.len() / 256;
            assert_eq!(run(&agreed, &[&twice[..at], &twice[at..]]), whole);
        }
        // The input is a message, and an offer of a client.
        _ => {
            there_and_back(bytes, *size);
            if let Ok(Some(agreed)) = PermessageDeflate::negotiate([bytes], ClientContext::Kept) {
                let mut answer = Vec::new();
                agreed.encode(&mut answer);
                assert!(answer.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_=; ".contains(byte)));
            }
        }
    }
});

fn there_and_back(data: &[u8], size: u8) {
    let mut deflater = Deflater::new(u32::from(size) % 10);
    if let Some(compressed) = deflater.compress(data, 9 + size % 7) {
        assert!(compressed.len() < data.len());
        let mut back = Vec::new();
        let result = Inflater::new().inflate(compressed, None, |piece| {
            back.extend_from_slice(piece);
            Ok::<_, ProtocolError>(())
        });
        assert_eq!(result, Ok(()));
        assert!(back == data);
    }
}
