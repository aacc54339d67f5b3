//! RFC 7692 as rows: bytes in, bytes and events out.
//!
//! Every row runs whole, one byte at a time, and in every split into two, with an inflater of its own and with one that
//! another connection uses in between: the outcome must be the same.

use std::sync::LazyLock;

use crate::common::bytes::{Outcome, Told, close_reply, raw, short, text};
use salon::proto::deflate::{Deflater, Inflater, encode_deflated_frame};
use salon::proto::receiver::Receiver;
use salon::proto::{ClientContext, CloseCode, Event, Kind, Limits, PermessageDeflate, ProtocolError};

const LIMITS: Limits = Limits::new().message_bytes(70_000).fragments(5);

/// The client keeps its context, as `salon echo` lets it.
static KEPT: LazyLock<PermessageDeflate> = LazyLock::new(|| agreed_to("permessage-deflate"));

/// The client does not, as `salon serve` asks of it.
static RESET: LazyLock<PermessageDeflate> =
    LazyLock::new(|| agreed_to("permessage-deflate; client_no_context_takeover"));

fn agreed_to(offer: &str) -> PermessageDeflate {
    PermessageDeflate::negotiate([offer.as_bytes()], ClientContext::Kept).unwrap().expect("a good offer")
}

/// Feeds the pieces one read at a time. A shared inflater is used by a neighbour after each.
fn run(agreed: &PermessageDeflate, pieces: &[&[u8]], mut shared: Option<&mut Inflater>) -> Outcome {
    let mut connection = Receiver::server(LIMITS).with_deflate(agreed);
    let mut neighbour = Receiver::server(LIMITS).with_deflate(&KEPT);
    let mut outcome = Outcome::default();
    for piece in pieces {
        outcome.read(&mut connection, shared.as_deref_mut(), piece);
        assert!(connection.held_bytes() <= 2 * 70_000 + 33_000, "what is held is bounded");
        if let Some(inflater) = shared.as_deref_mut() {
            let mut frame = raw(0xc1, HELLO);
            let (_, event) = neighbour.decode_with(&mut frame, &mut Vec::new(), inflater);
            assert_eq!(event, Some(Event::Text("Hello")));
        }
    }
    outcome
}

fn check_as(agreed: &PermessageDeflate, bytes: &[u8], told: &[Told], reply: &[u8]) {
    let expected = Outcome { told: told.to_vec(), reply: reply.to_vec() };
    let mut shared = Inflater::new();
    let mut same = |pieces: &[&[u8]], how: &str| {
        assert!(run(agreed, pieces, None) == expected, "{how}: {}", short(bytes));
        assert!(run(agreed, pieces, Some(&mut shared)) == expected, "{how}, shared: {}", short(bytes));
    };
    same(&[bytes], "whole");
    if bytes.len() < 3000 {
        same(&bytes.chunks(1).collect::<Vec<_>>(), "one byte at a time");
        (1..bytes.len().min(60)).for_each(|at| same(&[&bytes[..at], &bytes[at..]], "in two"));
    } else {
        for at in [1, 7, bytes.len() / 2, bytes.len() - 1] {
            same(&[&bytes[..at], &bytes[at..]], "in two");
        }
    }
}

/// The outcome is the same with and without context.
fn check(bytes: &[u8], told: &[Told]) {
    check_as(&KEPT, bytes, told, b"");
    check_as(&RESET, bytes, told, b"");
}

/// The stimulus is answered with the error's status code, and nothing behind it is looked at.
fn check_failed_as(agreed: &PermessageDeflate, bytes: &[u8], before: &[Told], error: ProtocolError) {
    let reply = close_reply(CloseCode::from(error).get(), &error.to_string());
    let told = [before, &[Told::Failed(error)]].concat();
    check_as(agreed, bytes, &told, &reply);
    check_as(agreed, &[bytes, &raw(0x81, b"ignored")].concat(), &told, &reply);
}

fn check_failed(bytes: &[u8], before: &[Told], error: ProtocolError) {
    check_failed_as(&KEPT, bytes, before, error);
    check_failed_as(&RESET, bytes, before, error);
}

/// "Hello" as section 7.2.3.1 compresses it.
const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";

/// The payload of a compressed message, made by a stream of flate2's own.
fn deflated(data: &[u8]) -> Vec<u8> {
    let mut stream = flate2::Compress::new(flate2::Compression::best(), false);
    deflated_by(&mut stream, data)
}

/// Of a client that keeps its context in `stream`.
fn deflated_by(stream: &mut flate2::Compress, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * data.len() + 100);
    stream.compress_vec(data, &mut out, flate2::FlushCompress::Sync).unwrap();
    out.strip_suffix(b"\x00\x00\xff\xff").expect("a sync flush ends so").to_vec()
}

/// Bytes that cannot be compressed, the same ones each time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(next).collect()
}

/// Section 7.2.3, example by example, masked as a client must.
#[test]
fn section_7_2_3_examples() {
    let hello = [text("Hello")];
    // 7.2.3.1: a message compressed using one compressed block; whole and in two frames.
    check(&raw(0xc1, HELLO), &hello);
    check(&[raw(0x41, b"\xf2\x48\xcd"), raw(0x80, b"\xc9\xc9\x07\x00")].concat(), &hello);
    // 7.2.3.2: sharing LZ77 sliding window.
    let shared = [raw(0xc1, HELLO), raw(0xc1, b"\xf2\x00\x11\x00\x00")].concat();
    check_as(&KEPT, &shared, &[text("Hello"), text("Hello")], b"");
    check_failed_as(&RESET, &shared, &hello, ProtocolError::CorruptDeflate);
    check(&[raw(0xc1, HELLO), raw(0xc1, HELLO)].concat(), &[text("Hello"), text("Hello")]);
    // 7.2.3.3: using a DEFLATE block with no compression.
    check(&raw(0xc1, b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), &hello);
    // 7.2.3.4: using a DEFLATE block with "BFINAL" set to 1.
    check(&raw(0xc1, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), &hello);
    // 7.2.3.5: two DEFLATE blocks in one message.
    check(&raw(0xc1, b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), &hello);
    // 7.2.3.6: generating an empty fragment.
    check(&raw(0xc1, b"\x00"), &[text("")]);
    check(&[raw(0x41, HELLO), raw(0x80, b"")].concat(), &hello);
}

/// The same examples the other way: what a server sends.
#[test]
fn messages_of_a_server() {
    let mut deflater = Deflater::new(6);
    let line = "the same words, and the same words again, and the same words again";
    for window_bits in 9..=15 {
        for _ in 0..2 {
            // Twice: nothing is carried over from one message to the next.
            let compressed = deflater.compress(line.as_bytes(), window_bits).expect("smaller").to_vec();
            check(&raw(0xc1, &compressed), &[text(line)]);
        }
    }
    let long: Vec<u8> = (0..70_000_u32).map(|n| (n / 1000 * 7 % 251) as u8).collect();
    for window_bits in [9, 12, 15] {
        let compressed = deflater.compress(&long, window_bits).expect("smaller").to_vec();
        check(&raw(0xc2, &compressed), &[Told::Binary(long.clone())]);
    }
    // One byte less is less.
    assert_eq!(deflater.compress(b"aaaaaaa", 15).map(<[u8]>::len), Some(6));
    for none_smaller in [&b""[..], b"a", b"ab", b"Hello", b"aaaaaa", &noise(20), &noise(1000), &noise(70_000)] {
        assert_eq!(deflater.compress(none_smaller, 15), None, "{}", short(none_smaller));
    }
    // 7.2.3.1 as a server sends it: not masked.
    let mut frame = b"before".to_vec();
    encode_deflated_frame(Kind::Text, HELLO, &mut frame);
    assert_eq!(frame, b"before\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00");
    // A window of 2^9 is kept to: repetitions beyond it are not found.
    let far = [noise(1000), noise(1000)].concat();
    assert!(deflater.compress(&far, 15).is_some() && deflater.compress(&far, 9).is_none());
    // A window of 2^8 is not silently one of 2^9: an uncompressed message suits it.
    assert_eq!([7, 8].map(|window_bits| deflater.compress(&[b'a'; 1000], window_bits).map(<[u8]>::len)), [None; 2]);
    assert!(deflater.compress(&[b'a'; 1000], 9).is_some());
}

#[test]
fn final_blocks() {
    let hello_final = b"\xf3\x48\xcd\xc9\xc9\x07\x00";
    // Without the empty block behind it.
    check(&raw(0xc1, hello_final), &[text("Hello")]);
    // Several, and a block that is not final; each may refer to those before it.
    check(&raw(0xc1, &[hello_final, HELLO].concat()), &[text("HelloHello")]);
    check(&raw(0xc1, &[&hello_final[..], b"\xf2\x00\x11\x00\x00"].concat()), &[text("HelloHello")]);
    // Also the next message may.
    let next = [raw(0xc1, hello_final), raw(0xc1, b"\xf2\x00\x11\x00\x00")].concat();
    check_as(&KEPT, &next, &[text("Hello"), text("Hello")], b"");
    // So many and no more: each begins anew.
    let finals = |count: usize| [&b"\x03\x00".repeat(count)[..], HELLO].concat();
    check(&raw(0xc1, &finals(64)), &[text("Hello")]);
    check_failed(&raw(0xc1, &finals(65)), &[], ProtocolError::TooManyFinalBlocks { limit: 64 });
}

#[test]
fn compressed_and_plain_messages_alternate() {
    let bytes = [
        raw(0x81, b"plain"),
        raw(0xc1, HELLO),
        raw(0x82, b"\xff"),
        raw(0xc2, b"\xfa\x0f\x00"),
        raw(0xc1, b""),
        raw(0x81, b""),
        raw(0x01, b"pl"),
        raw(0x80, b"ain"),
    ]
    .concat();
    check(
        &bytes,
        &[
            text("plain"),
            text("Hello"),
            Told::Binary(b"\xff".into()),
            Told::Binary(b"\xff".into()),
            text(""),
            text(""),
            text("plain"),
        ],
    );
}

#[test]
fn control_frames_between_compressed_fragments() {
    let bytes = [raw(0x41, b"\xf2\x48"), raw(0x89, b"?"), raw(0x00, b"\xcd\xc9"), raw(0x80, b"\xc9\x07\x00")].concat();
    check(&bytes, &[Told::Ping(b"?".into()), text("Hello")]);
    let bytes = [raw(0x41, b"\xf2\x48"), raw(0x88, b"\x03\xe8"), raw(0x80, b"\xcd")].concat();
    check_as(&KEPT, &bytes, &[Told::Close(Some((1000, String::new())))], &close_reply(1000, ""));
}

/// §6: RSV1 marks the first frame of a message and nothing else; without the extension it marks nothing.
#[test]
fn rsv1_where_it_may_not_be() {
    use ProtocolError::ReservedBits;
    for bytes in [raw(0xc9, b""), raw(0xca, b""), raw(0xc8, b"")] {
        check_failed(&bytes, &[], ReservedBits(0b100));
        check_failed(&[raw(0x41, b"\xf2"), bytes].concat(), &[], ReservedBits(0b100));
    }
    check_failed(&[raw(0x41, b"\xf2\x48\xcd"), raw(0xc0, b"\xc9\xc9\x07\x00")].concat(), &[], ReservedBits(0b100));
    check_failed(&[raw(0x01, b"a"), raw(0xc0, b"b")].concat(), &[], ReservedBits(0b100));
    for first in [0xa1, 0x91, 0xe1, 0xd1, 0xf1] {
        check_failed(
            &raw(first, HELLO),
            &[],
            ReservedBits((first & 0x70) >> 4 & if first & 0x40 != 0 { 7 } else { 3 }),
        );
    }
    let mut plain = Receiver::server(LIMITS);
    let mut frame = raw(0xc1, HELLO);
    let (_, event) = plain.decode(&mut frame, &mut Vec::new());
    assert_eq!(event, Some(Event::Failed(ReservedBits(0b100))));
}

#[test]
fn what_is_not_deflate() {
    let whole = deflated(b"a text of some length, a text of some length");
    let cut: Vec<&[u8]> = (1..whole.len() - 1).map(|len| &whole[..len]).collect();
    let rows: [&[u8]; 12] = [
        b"\x06",                                         // block type 3
        b"\xff\xff\xff\xff",                             // the same
        b"\xf2\x48\xcd\xc9\xc9\x07",                     // the last byte is missing
        b"\xf2\x48\xcd\xc9\xc9",                         // amid the block
        b"\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00", // lengths that do not match
        b"\x00\x05\x00\xfa\xff\x48",                     // a stored block cut short
        b"\x00\x05\x00\xfa\xff\x48\x65",                 // its end would be what a sender cuts off
        b"\x00\x05\x00\xfa\xff",
        b"\x02\x08\x21\x00",                             // refers to what is before the beginning
        b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", // not cut behind the flush
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x06",             // rubbish behind a final block
        b"\x05\xe0\x81\x08",                             // a dynamic block that breaks off
    ];
    for payload in rows.into_iter().chain(cut) {
        for first in [0xc1, 0xc2] {
            check_failed(&raw(first, payload), &[], ProtocolError::CorruptDeflate);
        }
        let (left, right) = payload.split_at(payload.len() / 2);
        check_failed(&[raw(0x41, left), raw(0x80, right)].concat(), &[], ProtocolError::CorruptDeflate);
        check_failed(&[raw(0xc1, HELLO), raw(0xc1, payload)].concat(), &[text("Hello")], ProtocolError::CorruptDeflate);
    }
}

#[test]
fn text_that_is_not_utf8_once_inflated() {
    for data in [&b"\xff"[..], b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"caf\xe9", b"\xe2\x82"] {
        check_failed(&raw(0xc1, &deflated(data)), &[], ProtocolError::InvalidUtf8);
        check(&raw(0xc2, &deflated(data)), &[Told::Binary(data.into())]);
    }
    // A character on the border between two pieces of the inflater, wherever that is.
    for before in [65_530, 65_533, 65_534, 65_535, 65_536] {
        let long = "x".repeat(before) + "€😀€";
        check(&raw(0xc1, &deflated(long.as_bytes())), &[text(&long)]);
    }
}

/// One limit holds for the payload and for the inflated message.
#[test]
fn inflated_size_and_one_past_it() {
    let too_big = ProtocolError::MessageTooBig { limit: 70_000 };
    for (opcode, byte) in [(0xc1, b'x'), (0xc2, 0)] {
        let payload = deflated(&vec![byte; 70_000]);
        let told = match opcode {
            0xc1 => text(&"x".repeat(70_000)),
            _ => Told::Binary(vec![0; 70_000]),
        };
        check(&raw(opcode, &payload), std::slice::from_ref(&told));
        let (left, right) = payload.split_at(payload.len() / 2);
        check(&[raw(opcode & 0x7f, left), raw(0x00, b""), raw(0x80, right)].concat(), &[told]);
        let payload = deflated(&vec![byte; 70_001]);
        check_failed(&raw(opcode, &payload), &[], too_big);
        let (left, right) = payload.split_at(payload.len() / 2);
        check_failed(&[raw(opcode & 0x7f, left), raw(0x80, right)].concat(), &[], too_big);
    }
    // On the wire: refused by its header.
    check_failed(&raw(0xc2, &vec![0; 70_001])[..14], &[], too_big);
    check_failed(&[raw(0x42, &vec![0; 35_000]), raw(0x80, &vec![0; 35_001])[..8].to_vec()].concat(), &[], too_big);
    // Text whose last character passes the limit.
    check_failed(&raw(0xc1, &deflated(("x".repeat(69_998) + "€").as_bytes())), &[], too_big);
}

/// The fragments of a compressed message are counted like any others.
#[test]
fn fragments_of_compressed_messages() {
    let fragments = |count: usize| {
        let mut bytes = raw(0x41, b"\xf2\x48\xcd");
        (2..count).for_each(|_| bytes.extend(raw(0x00, b"")));
        bytes.extend(raw(0x80, b"\xc9\xc9\x07\x00"));
        bytes
    };
    check(&[fragments(5), fragments(5)].concat(), &[text("Hello"), text("Hello")]);
    check_failed(&fragments(6), &[], ProtocolError::TooManyFragments { limit: 5 });
}

/// 64 MiB of zeros in 65 KB: refused at the limit, and not inflated further.
#[test]
fn a_bomb() {
    // A mebibyte behind a full flush refers to nothing before it, so it can be said 64 times.
    let mut mebibyte = Vec::with_capacity(8 << 10);
    let mut stream = flate2::Compress::new(flate2::Compression::best(), false);
    stream.compress_vec(&vec![0; 1 << 20], &mut mebibyte, flate2::FlushCompress::Full).unwrap();
    let bomb = mebibyte.repeat(64);
    let bomb = bomb.strip_suffix(b"\x00\x00\xff\xff").expect("a flush ends so");
    assert!((60_000..70_000).contains(&bomb.len()), "{}", bomb.len());
    let too_big = ProtocolError::MessageTooBig { limit: 70_000 };
    for agreed in [*KEPT, *RESET] {
        check_failed_as(&agreed, &raw(0xc2, bomb), &[], too_big);
        let quarters: Vec<&[u8]> = bomb.chunks(bomb.len().div_ceil(4)).collect();
        let frames = [raw(0x42, quarters[0]), raw(0, quarters[1]), raw(0, quarters[2]), raw(0x80, quarters[3])];
        check_failed_as(&agreed, &frames.concat(), &[], too_big);
    }
    // The pieces that were handed on show how much was inflated before the limit.
    let mut made = 0;
    let refused = Inflater::new().inflate(bomb, None, |piece| {
        made += piece.len();
        if made > 70_000 { Err(too_big) } else { Ok(()) }
    });
    assert_eq!(refused, Err(too_big));
    assert!(made <= 70_000 + (96 << 10), "{made}");
}

/// A caller that inflates by hand stops by an error of its own, and hears what is wrong with the payload by the same
/// type.
#[test]
fn a_caller_stops_by_its_own_error() {
    #[derive(Debug, PartialEq, Eq)]
    enum Stopped {
        Enough(usize),
        Broken(ProtocolError),
    }
    impl From<ProtocolError> for Stopped {
        fn from(error: ProtocolError) -> Self {
            Self::Broken(error)
        }
    }
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00"; // RFC 7692 section 7.2.3.1
    let stop = |payload: &[u8], at: usize| {
        Inflater::new()
            .inflate(payload, None, |piece| if piece.len() > at { Err(Stopped::Enough(piece.len())) } else { Ok(()) })
    };
    assert_eq!(stop(hello, 5), Ok(()));
    assert_eq!(stop(hello, 4), Err(Stopped::Enough(5)));
    assert_eq!(stop(&hello[..3], 5), Err(Stopped::Broken(ProtocolError::CorruptDeflate)));
}

/// A client that keeps its context: over many messages, with plain ones between, and beyond a window.
#[test]
fn context_is_kept_or_not() {
    for window_bits in [9, 12, 15] {
        let agreed = agreed_to(&format!("permessage-deflate; client_max_window_bits={window_bits}"));
        let mut stream = flate2::Compress::new_with_window_bits(flate2::Compression::best(), false, window_bits);
        let (mut bytes, mut told) = (Vec::new(), Vec::new());
        let noise = noise(40_000);
        for n in 0..60 {
            let message = &noise[n * 613 % 20_000..][..n * 331 % 9000];
            bytes.extend(raw(0xc2, &deflated_by(&mut stream, message)));
            told.push(Told::Binary(message.to_vec()));
            bytes.extend(raw(0x81, b"plain"));
            told.push(text("plain"));
        }
        check_as(&agreed, &bytes, &told, b"");
    }
    // Further than a client may look back: it breaks its own promise, and is refused.
    let small = agreed_to("permessage-deflate; client_max_window_bits=8");
    let mut stream = flate2::Compress::new(flate2::Compression::best(), false);
    let (first, between) = (b"something to be remembered", noise(300));
    let bytes = [&first[..], &between, first].map(|data| raw(0xc2, &deflated_by(&mut stream, data))).concat();
    let told = [&first[..], &between, first].map(|data| Told::Binary(data.into()));
    check_as(&KEPT, &bytes, &told, b"");
    check_failed_as(&small, &bytes, &told[..2], ProtocolError::CorruptDeflate);
}

/// Between messages a connection holds its window if it keeps context, and otherwise nothing.
#[test]
fn memory_between_messages() {
    let bytes = raw(0xc2, &deflated(&noise(60_000)));
    for (agreed, held) in
        [(*RESET, 0), (*KEPT, 32 << 10), (agreed_to("permessage-deflate; client_max_window_bits=10"), 1 << 10)]
    {
        let mut connection = Receiver::server(LIMITS).with_deflate(&agreed);
        assert_eq!(connection.held_bytes(), 0, "nothing before the first message");
        let mut inflater = Inflater::new();
        let mut bytes = bytes.clone();
        let (_, event) = connection.decode_with(&mut bytes, &mut Vec::new(), &mut inflater);
        assert!(matches!(event, Some(Event::Binary(data)) if data.len() == 60_000));
        connection.release();
        assert_eq!(connection.held_bytes(), held);
    }
    // Nor after a violation.
    let mut connection = Receiver::server(LIMITS).with_deflate(&KEPT);
    let mut bytes = [bytes, raw(0xc2, &deflated(&noise(30_000))[1..])].concat();
    let mut at = 0;
    while !connection.is_closed() {
        at += connection.decode(&mut bytes[at..], &mut Vec::new()).0;
    }
    connection.release();
    assert_eq!(connection.held_bytes(), 0);
    assert_eq!(size_of::<Receiver>(), 32, "a pointer is all that the extension adds");
}

/// More than the inflater holds at once, with references over the places where it makes room.
#[test]
fn messages_that_fill_the_inflater() {
    let limits = Limits::new().message_bytes(400_000).fragments(1);
    let noise = noise(30_000);
    // What is held at once is 98,304 bytes, and of them 65,536 more in each round; a history counts among them.
    for len in [98_303, 98_304, 98_305, 163_839, 163_840, 163_841, 229_376, 300_000] {
        for agreed in [*RESET, *KEPT] {
            let data: Vec<u8> = noise.iter().copied().cycle().take(len).collect();
            let (mut connection, mut outcome) = (Receiver::server(limits).with_deflate(&agreed), Outcome::default());
            let frames = raw(0xc2, &deflated(&data)).repeat(3);
            outcome.read(&mut connection, Some(&mut Inflater::new()), &frames);
            let told = vec![Told::Binary(data); 3];
            assert!(outcome == Outcome { told, reply: vec![] }, "{len} bytes, {agreed:?}");
        }
    }
    // The limit is exact behind the first round as well, also where that ended amid a character.
    let long = "x".repeat(98_303) + "€" + &"y".repeat(1000);
    for (limit, fits) in [(99_306, true), (99_305, false), (98_304, false), (98_303, false), (1000, false)] {
        let limits = Limits::new().message_bytes(limit as u32).fragments(1);
        let (mut connection, mut outcome) = (Receiver::server(limits).with_deflate(&RESET), Outcome::default());
        outcome.read(&mut connection, None, &raw(0xc1, &deflated(long.as_bytes())));
        let told = if fits { text(&long) } else { Told::Failed(ProtocolError::MessageTooBig { limit }) };
        assert!(outcome.told == [told], "a limit of {limit}");
    }
}

/// Any output of zlib is understood: levels, strategies of flushing, sizes around the buffers.
#[test]
fn anything_deflated_is_inflated() {
    let noise = noise(70_000);
    for level in [0, 1, 6, 9] {
        for len in [1, 2, 3, 100, 258, 259, 32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 69_000] {
            let mixed: Vec<u8> = noise[..len].iter().map(|byte| byte % 23 + b'a').collect();
            let mut stream = flate2::Compress::new(flate2::Compression::new(level), false);
            let mut payload = Vec::new();
            for part in mixed.chunks(len.div_ceil(3)) {
                // Parts are flushed in the ways that zlib knows.
                for flush in [flate2::FlushCompress::Partial, flate2::FlushCompress::Full] {
                    payload.reserve(2 * part.len() + 100);
                    let part = if flush == flate2::FlushCompress::Partial { part } else { &[] };
                    stream.compress_vec(part, &mut payload, flush).unwrap();
                }
            }
            payload.reserve(100);
            stream.compress_vec(b"", &mut payload, flate2::FlushCompress::Sync).unwrap();
            let payload = payload.strip_suffix(b"\x00\x00\xff\xff").unwrap();
            if payload.len() <= 70_000 {
                let mut shared = Inflater::new();
                let bytes = raw(0xc1, payload);
                let told = vec![text(std::str::from_utf8(&mixed).unwrap())];
                let expected = Outcome { told, reply: vec![] };
                assert!(run(&KEPT, &[&bytes], Some(&mut shared)) == expected, "level {level}, {len} bytes");
            }
        }
    }
}
