//! Reads DEFLATE (RFC 1951), as a client does that was sent a compressed message: written from the RFC, by no library
//! that the server compresses with, and strict: what a server has no reason to send is an error.

/// Inflates a message as RFC 7692 sends it: without the four bytes of the empty block at its end. No copy reaches back
/// over more than `window` bytes, and none before the message, because no context is kept.
///
/// # Errors
/// What is wrong with it.
pub fn inflate(payload: &[u8], window: usize, most: usize) -> Result<Vec<u8>, String> {
    let mut bits = Bits { bytes: payload, at: 0 };
    let mut out = Vec::with_capacity(4 * payload.len());
    loop {
        let last = bits.take(1)?;
        match bits.take(2)? {
            0 => {
                bits.at = bits.at.next_multiple_of(8);
                // The four bytes that are not sent are those of an empty stored block.
                if bits.at / 8 == payload.len() && last == 0 {
                    return Ok(out);
                }
                let (len, complement) = (bits.take(16)?, bits.take(16)?);
                if len != !complement & 0xffff {
                    return Err("a stored block whose two lengths differ".into());
                }
                let from = bits.at / 8;
                let stored = payload.get(from..from + len as usize).ok_or("a stored block without its end")?;
                out.extend_from_slice(stored);
                bits.at += 8 * len as usize;
            }
            1 => {
                let mut lengths = [8; 288];
                lengths[144..256].fill(9);
                lengths[256..280].fill(7);
                block(&mut bits, &mut out, &Code::new(&lengths)?, &Code::new(&[5; 30])?, window)?;
            }
            2 => {
                let (literals, distances) = dynamic(&mut bits)?;
                block(&mut bits, &mut out, &literals, &distances, window)?;
            }
            _ => return Err("a block of no kind".into()),
        }
        if out.len() > most {
            return Err(format!("a message of more than {most} bytes"));
        }
        if last == 1 {
            return Err("a last block: a message ends with an empty block that is not the last".into());
        }
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Result<u32, String> {
        let mut value = 0;
        for place in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or("compressed bytes without their end")?;
            value |= u32::from(byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Ok(value)
    }
}

/// A prefix code by the lengths of its words.
struct Code {
    counts: [u16; 16],
    symbols: Vec<u16>,
}

impl Code {
    fn new(lengths: &[u8]) -> Result<Self, String> {
        let mut counts = [0; 16];
        for &len in lengths {
            counts[usize::from(len)] += 1;
        }
        counts[0] = 0;
        let mut room = 1_i32;
        for &count in &counts[1..] {
            room = 2 * room - i32::from(count);
            if room < 0 {
                return Err("a code with more words than there are".into());
            }
        }
        let mut symbols = Vec::with_capacity(lengths.len());
        for len in 1..16 {
            let of_len = lengths.iter().enumerate().filter(|&(_, &other)| other == len);
            symbols.extend(of_len.map(|(symbol, _)| symbol as u16));
        }
        Ok(Self { counts, symbols })
    }

    fn read(&self, bits: &mut Bits<'_>) -> Result<usize, String> {
        let (mut word, mut first, mut index) = (0_i32, 0_i32, 0_i32);
        for &count in &self.counts[1..] {
            word |= bits.take(1)? as i32;
            let count = i32::from(count);
            if word - first < count {
                return Ok(usize::from(self.symbols[(index + word - first) as usize]));
            }
            index += count;
            first = 2 * (first + count);
            word *= 2;
        }
        Err("a word of no code".into())
    }
}

/// The codes of a block that brings its own.
fn dynamic(bits: &mut Bits<'_>) -> Result<(Code, Code), String> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let literals = bits.take(5)? as usize + 257;
    let distances = bits.take(5)? as usize + 1;
    let codes = bits.take(4)? as usize + 4;
    let mut lengths = [0; 19];
    for &place in &ORDER[..codes] {
        lengths[place] = bits.take(3)? as u8;
    }
    let code = Code::new(&lengths)?;
    let mut lengths: Vec<u8> = Vec::new();
    while lengths.len() < literals + distances {
        let (len, times) = match code.read(bits)? {
            len @ 0..=15 => (len as u8, 1),
            16 => (*lengths.last().ok_or("a length repeated before the first")?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            _ => (0, 11 + bits.take(7)?),
        };
        lengths.extend(std::iter::repeat_n(len, times as usize));
    }
    if lengths.len() > literals + distances || lengths[256] == 0 {
        return Err("a code that does not fit".into());
    }
    Ok((Code::new(&lengths[..literals])?, Code::new(&lengths[literals..])?))
}

fn block(
    bits: &mut Bits<'_>,
    out: &mut Vec<u8>,
    literals: &Code,
    distances: &Code,
    window: usize,
) -> Result<(), String> {
    loop {
        let symbol = literals.read(bits)?;
        let (base, extra) = match symbol {
            0..=255 => {
                out.push(symbol as u8);
                continue;
            }
            256 => return Ok(()),
            257..=264 => (symbol - 254, 0),
            265..=284 => {
                let extra = (symbol - 261) / 4;
                (((4 + (symbol - 261) % 4) << extra) + 3, extra)
            }
            285 => (258, 0),
            _ => return Err("a length of no symbol".into()),
        };
        let len = base + bits.take(extra as u32)? as usize;
        let symbol = distances.read(bits)?;
        let (base, extra) = match symbol {
            0..=3 => (symbol + 1, 0),
            4..=29 => {
                let extra = symbol / 2 - 1;
                (((2 + symbol % 2) << extra) + 1, extra)
            }
            _ => return Err("a distance of no symbol".into()),
        };
        let distance = base + bits.take(extra as u32)? as usize;
        if distance > out.len() || distance > window {
            return Err(format!("a copy from {distance} bytes back, of {} in a window of {window}", out.len()));
        }
        for _ in 0..len {
            out.push(out[out.len() - distance]);
        }
    }
}

/// A message as a client may send it compressed: its bytes as they are, in stored blocks.
pub fn stored(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 16);
    for piece in payload.chunks(0xffff) {
        let len = piece.len() as u16;
        out.push(0);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
        out.extend_from_slice(piece);
    }
    out.push(0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::deflate::Deflater;

    /// What the server's compressor makes is read back, at each level; what is cut off is not.
    #[test]
    fn reads_what_the_server_compresses() {
        let mut chance = super::super::chance::Chance::new(5);
        for level in [1, 6, 9] {
            let mut deflater = Deflater::new(level);
            for size in [0_u64, 1, 700, 5_000, 60_000] {
                let text: Vec<u8> = (0..size).map(|_| *chance.pick(b"abcd \"{}:0")).collect();
                for bits in [9, 12, 15] {
                    let compressed = deflater.compress(&text, bits);
                    assert_eq!(compressed.is_some(), size >= 700, "a short text does not become shorter");
                    if let Some(out) = compressed {
                        assert_eq!(inflate(out, 1 << bits, 1 << 20).as_ref(), Ok(&text));
                        assert!(inflate(&out[..out.len() - 1], 1 << bits, 1 << 20).is_err());
                    }
                }
                assert_eq!(inflate(&stored(&text), 1, 1 << 20).as_ref(), Ok(&text));
            }
        }
    }
}
