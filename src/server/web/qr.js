/**
 * A QR code (ISO/IEC 18004) of a text: bytes, error correction M, versions 1 to 20 (up to 666 bytes).
 */

// Of each version: codewords of error correction in a block, and the numbers of blocks.
const CORRECTION = [0, 10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26];
const BLOCKS = [0, 1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16];
const LEVEL_M = 0;
const VERSION_MAX = 20;

/** Rows of modules, true for dark ones; null where the text is too long. */
export function qrOf(text) {
  const bytes = new TextEncoder().encode(text);
  for (let version = 1; version <= VERSION_MAX; version += 1) {
    const bits = bitsOf(bytes, version);
    if (bits) return best(version, interleaved(bits, version));
  }
  return null;
}

/** Modules that data can stand in. */
function room(version) {
  let modules = (16 * version + 128) * version + 64;
  if (version > 1) {
    const marks = Math.floor(version / 7) + 2;
    modules -= (25 * marks - 10) * marks - 55;
    if (version > 6) modules -= 36;
  }
  return Math.floor(modules / 8);
}

const dataOf = (version) => room(version) - CORRECTION[version] * BLOCKS[version];

/** The codewords of a text, filled up; null if they are too many for a version. */
function bitsOf(bytes, version) {
  const capacity = dataOf(version) * 8;
  const bits = [];
  const put = (value, length) => { for (let at = length - 1; at >= 0; at -= 1) bits.push((value >>> at) & 1); };
  put(4, 4); // bytes
  put(bytes.length, version < 10 ? 8 : 16);
  for (const byte of bytes) put(byte, 8);
  if (bits.length > capacity) return null;
  put(0, Math.min(4, capacity - bits.length));
  put(0, (8 - (bits.length % 8)) % 8);
  const words = [];
  for (let at = 0; at < bits.length; at += 8) words.push(parseInt(bits.slice(at, at + 8).join(""), 2));
  for (let pad = 0xec; words.length < capacity / 8; pad ^= 0xec ^ 0x11) words.push(pad);
  return words;
}

/** The product of two elements of GF(256), of the polynomial 0x11D. */
function times(one, other) {
  let product = 0;
  for (let at = 7; at >= 0; at -= 1) product = (product << 1) ^ ((product >>> 7) * 0x11d) ^ (((other >>> at) & 1) * one);
  return product;
}

/** The blocks of data and their correction, taken in turns. */
function interleaved(words, version) {
  const [count, extra] = [BLOCKS[version], CORRECTION[version]];
  const divisor = Array(extra).fill(0);
  divisor[extra - 1] = 1;
  for (let root = 1, n = 0; n < extra; n += 1, root = times(root, 2)) {
    for (let at = 0; at < extra; at += 1) divisor[at] = times(divisor[at], root) ^ (divisor[at + 1] ?? 0);
  }
  const short = Math.floor(room(version) / count) - extra;
  const long = room(version) % count; // so many blocks have one more
  const blocks = [];
  for (let n = 0, from = 0; n < count; n += 1) {
    const data = words.slice(from, from + short + (n < count - long ? 0 : 1));
    from += data.length;
    const correction = Array(extra).fill(0);
    for (const word of data) {
      const factor = word ^ correction.shift();
      correction.push(0);
      for (let at = 0; at < extra; at += 1) correction[at] ^= times(divisor[at], factor);
    }
    blocks.push({ data, correction });
  }
  const all = [];
  for (let at = 0; at <= short; at += 1) for (const { data } of blocks) if (at < data.length) all.push(data[at]);
  for (let at = 0; at < extra; at += 1) for (const { correction } of blocks) all.push(correction[at]);
  return all;
}

/** The places of the marks of alignment, in both directions. */
function alignment(version) {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = Math.floor((version * 8 + count * 3 + 5) / (count * 4 - 4)) * 2;
  const places = [6];
  for (let at = version * 4 + 10; places.length < count; at -= step) places.splice(1, 0, at);
  return places;
}

const MASKS = [
  (x, y) => (x + y) % 2, (x, y) => y % 2, (x) => x % 3, (x, y) => (x + y) % 3, (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2,
  (x, y) => ((x * y) % 2) + ((x * y) % 3), (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2, (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2,
];

/** Bits with those of their correction behind them, by a polynomial of that degree. */
function corrected(value, polynomial, degree) {
  let rest = value;
  for (let n = 0; n < degree; n += 1) rest = (rest << 1) ^ ((rest >>> (degree - 1)) * polynomial);
  return (value << degree) | rest;
}

function drawn(version, words, mask) {
  const size = version * 4 + 17;
  const rows = Array.from({ length: size }, () => Array(size).fill(false));
  const fixed = Array.from({ length: size }, () => Array(size).fill(false));
  const set = (x, y, dark) => {
    if (x < 0 || y < 0 || x >= size || y >= size) return;
    rows[y][x] = dark;
    fixed[y][x] = true;
  };
  for (let at = 0; at < size; at += 1) {
    set(6, at, at % 2 === 0);
    set(at, 6, at % 2 === 0);
  }
  const square = (x, y, reach, isDark) => {
    for (let dy = -reach; dy <= reach; dy += 1) for (let dx = -reach; dx <= reach; dx += 1) set(x + dx, y + dy, isDark(Math.max(Math.abs(dx), Math.abs(dy))));
  };
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) square(x, y, 4, (far) => far !== 2 && far !== 4);
  const marks = alignment(version);
  const last = marks.length - 1;
  for (const [i, x] of marks.entries()) for (const [j, y] of marks.entries()) {
    if (!((i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0))) square(x, y, 2, (far) => far !== 1);
  }
  const format = corrected((LEVEL_M << 3) | mask, 0x537, 10) ^ 0x5412;
  const bit = (value, at) => ((value >>> at) & 1) === 1;
  for (let at = 0; at < 15; at += 1) {
    set(8, at < 6 ? at : at < 8 ? at + 1 : size - 15 + at, bit(format, at));
    set(at < 8 ? size - 1 - at : at === 8 ? 7 : 14 - at, 8, bit(format, at));
  }
  set(8, size - 8, true);
  if (version > 6) {
    const number = corrected(version, 0x1f25, 12);
    for (let at = 0; at < 18; at += 1) {
      const [near, far] = [size - 11 + (at % 3), Math.floor(at / 3)];
      set(near, far, bit(number, at));
      set(far, near, bit(number, at));
    }
  }
  let next = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let n = 0; n < size; n += 1) {
      const y = ((right + 1) & 2) === 0 ? size - 1 - n : n;
      for (const x of [right, right - 1]) {
        if (fixed[y][x]) continue;
        const dark = next < words.length * 8 && bit(words[next >>> 3], 7 - (next & 7));
        next += 1;
        rows[y][x] = dark !== (MASKS[mask](x, y) === 0);
      }
    }
  }
  return rows;
}

/** How badly a code is read; the less, the better. */
function penalty(rows) {
  const size = rows.length;
  let sum = 0;
  let dark = 0;
  for (const lines of [rows, rows[0].map((_, x) => rows.map((row) => row[x]))]) for (const line of lines) {
    const text = line.map(Number).join("");
    for (const [run] of text.matchAll(/0{5,}|1{5,}/gu)) sum += run.length - 2;
    for (const like of ["10111010000", "00001011101"]) for (let at = text.indexOf(like); at >= 0; at = text.indexOf(like, at + 1)) sum += 40;
  }
  for (let y = 0; y < size; y += 1) for (let x = 0; x < size; x += 1) {
    dark += rows[y][x];
    if (y && x && rows[y][x] === rows[y - 1][x] && rows[y][x] === rows[y][x - 1] && rows[y][x] === rows[y - 1][x - 1]) sum += 3;
  }
  return sum + Math.floor(Math.abs(dark * 20 - size * size * 10) / (size * size)) * 10;
}

function best(version, words) {
  const all = MASKS.map((_, mask) => drawn(version, words, mask));
  const bad = all.map(penalty);
  return all[bad.indexOf(Math.min(...bad))];
}
