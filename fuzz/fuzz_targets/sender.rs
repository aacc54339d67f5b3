//! Either side of a connection, with permessage-deflate or without, told to send whatever the input says in whatever
//! order: what may not be sent is refused and leaves nothing, and a parser that shares no code with it reads back what
//! was not.
#![no_main]

#[path = "../../tests/it/common/script.rs"]
mod script;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| script::run(input));
