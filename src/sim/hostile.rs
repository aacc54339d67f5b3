//! Clients that keep to no protocol, or to the letter of it alone: half a request, bytes of no meaning, frames that may
//! not be, messages that never end, floods, readers that take nothing. What they are sent must be right all the same.

use std::net::IpAddr;

use crate::proto::client_handshake::ClientRequest;
use crate::proto::frame::{Opcode, encode_masked_frame};
use crate::proto::handshake::Accept;

use super::client::{mask, room_name};
use super::frames::{Heard, Reader};
use super::network::{Brought, Event, Network, PUBLIC, SECOND};
use super::plan::Fault;

/// A hostile client.
#[derive(Debug)]
pub struct Hostile {
    id: usize,
    address: IpAddr,
    link: Option<usize>,
    reader: Reader,
    way: Way,
    upgraded: bool,
}

/// How it is hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It sends nothing.
    Silent,
    /// Bytes of no meaning.
    Noise,
    /// A request, one byte at a time, that never ends.
    Drip,
    /// Frames that may not be.
    Frames,
    /// A message that never ends.
    Endless,
    /// It ends its side, and reads on.
    HalfClosed,
    /// As many requests as it can, none of which it waits for.
    Flood,
    /// It is in a room, and reads nothing.
    Deaf,
    /// As many requests as it can, and reads nothing.
    Greedy,
}

const WAYS: [Way; 8] =
    [Way::Silent, Way::Noise, Way::Drip, Way::Frames, Way::Endless, Way::HalfClosed, Way::Deaf, Way::Greedy];

impl Hostile {
    /// One that has not come yet.
    pub fn new(id: usize, address: IpAddr) -> Self {
        Self { id, address, link: None, reader: Reader::default(), way: Way::Silent, upgraded: false }
    }

    /// Does something, and comes again after a while.
    pub fn act(&mut self, net: &mut Network) {
        let flood = matches!(self.way, Way::Flood | Way::Greedy) && self.link.is_some();
        let wait = if flood { 20_000 } else { net.chance.skewed(1_000, 2 * SECOND) };
        net.after(wait, Event::Act(self.id));
        let Some(link) = self.link else {
            if net.faulty {
                let flood = net.plan.has(Fault::Flood) && (!net.plan.has(Fault::Hostile) || net.chance.one_in(3));
                self.way = if flood { Way::Flood } else { *net.chance.pick(&WAYS) };
                self.upgraded = false;
                self.link = Some(net.connect(self.id, PUBLIC, self.address));
            }
            return;
        };
        if !net.faulty || net.chance.one_in(60) {
            match net.chance.below(3) {
                0 => net.reset(link),
                1 => net.close(link),
                _ => net.vanish(link),
            }
            self.link = None;
            return;
        }
        let mut out = Vec::new();
        match self.way {
            Way::Silent | Way::Deaf => {}
            Way::Noise => {
                let len = net.chance.skewed(1, 3_000);
                out.extend((0..len).map(|_| net.chance.draw() as u8));
            }
            Way::Drip => out.push(b'a'),
            // One that reads nothing does not hear that it is let in.
            _ if !self.upgraded && self.way != Way::Greedy => {}
            Way::Frames => self.bad_frame(net, &mut out),
            Way::Endless => {
                let first = u8::from(net.chance.one_in(10));
                out.extend([first, 0x82, 1, 2, 3, 4, b'a' ^ 1, b'a' ^ 2]);
            }
            Way::HalfClosed => net.end(link),
            Way::Flood | Way::Greedy => {
                if net.untaken(link) < 100_000 {
                    for number in 0..net.chance.skewed(1, 200) {
                        let room = room_name(net.chance.below(4));
                        let text = match net.chance.below(4) {
                            0 => format!(r#"{{"type":"ping","id":{number}}}"#),
                            1 => format!(r#"{{"type":"join","room_id":"{room}","history":200}}"#),
                            2 => r#"{"type":"online","limit":200}"#.to_owned(),
                            _ => "no json".to_owned(),
                        };
                        encode_masked_frame(Opcode::Text, text.as_bytes(), mask(net), &mut out);
                    }
                }
            }
        }
        net.send(link, &out);
    }

    fn bad_frame(&self, net: &mut Network, out: &mut Vec<u8>) {
        let len = net.chance.skewed(0, 200);
        let noise: Vec<u8> = (0..len).map(|_| net.chance.draw() as u8).collect();
        match net.chance.below(8) {
            0 => out.extend([0x81, 0x01, b'a']),
            1 => out.extend([0x83, 0x80, 0, 0, 0, 0]),
            2 => out.extend([0xc1, 0x80, 0, 0, 0, 0]),
            3 => encode_masked_frame(Opcode::Text, &noise, mask(net), out),
            4 => out.extend([0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
            5 => out.extend([0x09, 0x80, 0, 0, 0, 0]),
            6 => encode_masked_frame(Opcode::Close, &noise[..noise.len().min(125)], mask(net), out),
            _ => encode_masked_frame(Opcode::Binary, &noise, mask(net), out),
        }
    }

    /// The connection stands, or is refused.
    pub fn answered(&mut self, net: &mut Network, link: usize) {
        if self.link != Some(link) {
            return;
        }
        if !net.stands(link) {
            net.close(link);
            self.link = None;
            return;
        }
        self.reader = Reader::default();
        match self.way {
            Way::Silent | Way::Noise => {}
            Way::Drip => net.send(link, b"GET /ws HTTP/1.1\r\nHost: salon\r\nX: "),
            _ => {
                let mut nonce = [7; 16];
                nonce[..8].copy_from_slice(&net.chance.draw().to_le_bytes());
                let target = format!("/ws?user=h{}", self.id);
                let request = ClientRequest::new("salon", nonce).target(&target);
                let mut head = Vec::new();
                request.encode(&mut head).expect("nothing in it that may not stand in a head");
                self.reader = Reader::new(Accept::of_key(&request.key()).as_str().to_owned()).with_any_code();
                if self.way == Way::Deaf {
                    let room = room_name(net.chance.below(net.plan.rooms as u64));
                    let text = format!(r#"{{"type":"join","room_id":"{room}","history":200}}"#);
                    encode_masked_frame(Opcode::Text, text.as_bytes(), mask(net), &mut head);
                }
                if matches!(self.way, Way::Deaf | Way::Greedy) {
                    net.stall(link, 600 * SECOND);
                }
                net.send(link, &head);
            }
        }
    }

    /// Something has come.
    pub fn brought(&mut self, net: &mut Network, link: usize, what: Brought) {
        if self.link != Some(link) {
            return;
        }
        match what {
            Brought::Bytes(bytes) => {
                self.reader.push(&bytes);
                loop {
                    match self.reader.next() {
                        Ok(Some(Heard::Upgraded)) => {
                            self.upgraded = true;
                            net.links[link].upgraded = true;
                        }
                        Ok(Some(Heard::Text(text))) if serde_json::from_str::<serde_json::Value>(&text).is_err() => {
                            return net.trace.fail(13, net.now, || format!("hostile {}: no JSON: {text}", self.id));
                        }
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(wrong) => {
                            let invariant = if self.reader.is_closed() { 8 } else { 13 };
                            return net.trace.fail(invariant, net.now, || format!("hostile {}: {wrong}", self.id));
                        }
                    }
                }
            }
            Brought::End | Brought::Reset => {
                net.close(link);
                self.link = None;
            }
        }
    }
}
