//! `Sec-WebSocket-Extensions` of a client: whatever it says, the answer is one of ours, is what was offered, and reads
//! back as what was agreed to.
#![no_main]

use libfuzzer_sys::fuzz_target;
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
        assert!(context == ClientContext::Kept || agreed.client_no_context_takeover);

        // RFC 7692 section 7.1: the parameters and their ranges.
        let mut expected = "permessage-deflate; server_no_context_takeover".to_owned();
        if agreed.client_no_context_takeover {
            expected += "; client_no_context_takeover";
        }
        if let Some(bits) = agreed.server_max_window_bits {
            assert!((9..=15).contains(&bits) && words(b"server_max_window_bits"));
            expected += &format!("; server_max_window_bits={bits}");
        }
        if let Some(bits) = agreed.client_max_window_bits {
            assert!((8..=15).contains(&bits) && words(b"client_max_window_bits"));
            expected += &format!("; client_max_window_bits={bits}");
        }
        let mut answer = Vec::new();
        agreed.encode(&mut answer);
        assert_eq!(String::from_utf8(answer.clone()).as_deref(), Ok(&*expected), "nothing of the client's is copied");
        assert_eq!(PermessageDeflate::negotiate([answer.as_slice()], context), Ok(Some(agreed)));
    }
});
