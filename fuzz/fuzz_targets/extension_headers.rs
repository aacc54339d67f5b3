//! `Sec-WebSocket-Extensions` of a client: whatever it says, the answer is one of ours, is what was offered, and reads
//! back as what was agreed to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use salon::proto::extension::Offer;
use salon::proto::{ClientContext, PermessageDeflate};

fuzz_target!(|input: &[u8]| {
    // Each line is the value of one header of that name.
    let values: Vec<&[u8]> = input.split(|&byte| byte == b'\n').collect();
    for context in [ClientContext::Reset, ClientContext::Kept] {
        let agreed = PermessageDeflate::negotiate(values.iter().copied(), context);
        // RFC 9110 section 5.3: several headers of a list are one, joined by commas. (A quotation that no header ends
        // could go on in the next one, but a comma in it is malformed as well.)
        assert_eq!(PermessageDeflate::negotiate([values.join(&b',').as_slice()], context), agreed);
        // Section 9.1: what stands outside of a token is one of these.
        let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~ \t,;=\"\\\n".contains(byte);
        assert!(agreed.is_err() || input.iter().all(known), "what conforms has no other bytes");
        let Ok(Some(agreed)) = agreed else { continue };
        let words = |word: &[u8]| input.windows(word.len()).any(|window| window == word);
        assert!(words(b"permessage-deflate"), "what was not offered is not agreed to");
        assert!(context == ClientContext::Kept || !agreed.client_keeps_context());
        assert!(!agreed.server_keeps_context(), "all receivers share what is compressed");

        // RFC 7692 section 7.1: the parameters and their ranges.
        let mut expected = "permessage-deflate; server_no_context_takeover".to_owned();
        if !agreed.client_keeps_context() {
            expected += "; client_no_context_takeover";
        }
        let mut answer = Vec::new();
        agreed.encode(&mut answer);
        let text = String::from_utf8(answer.clone()).expect("our own words are ASCII");
        for (name, least, bits) in [
            ("server_max_window_bits", 9, agreed.server_window_bits()),
            ("client_max_window_bits", 8, agreed.client_window_bits()),
        ] {
            assert!((least..=15).contains(&bits));
            if bits < 15 || text.contains(name) {
                assert!(words(name.as_bytes()));
                expected += &format!("; {name}={bits}");
            }
        }
        assert_eq!(text, expected, "nothing of the client's is copied");
        // A client that had offered it would take the answer, and know the same.
        let heard = Offer::new().judge([answer.as_slice()]).unwrap().expect("it is an answer");
        assert_eq!(heard.server_window_bits(), agreed.server_window_bits());
        assert_eq!(heard.client_window_bits(), agreed.client_window_bits());
        assert_eq!(PermessageDeflate::negotiate([answer.as_slice()], context), Ok(Some(agreed)));
    }
});
