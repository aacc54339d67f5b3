//! Words: what a text is searched by, the same in every store.
//!
//! ```text
//!   "Le Café, 3x"    le · cafe · 3x        three runs of letters and digits, three words
//!   "東京タワーの3階"  東-京-タ-ワ-ー-の-3-階   one run without blanks: a word for each character
//! ```
//!
//! A word is a run of letters and digits of one text, in one form: NFKC, lower case, and without the marks that a
//! reader may leave out (accents; vowel points of Hebrew and Arabic). Where no blanks stand between words (Chinese,
//! Japanese, Thai, Lao, Khmer, Burmese), and where endings are written on to them (Korean), each character with its
//! marks is a word, and what is looked for is found as it stands, in the middle of anything.
//!
//! A sign that stands for more than [`MAX_LETTERS`] letters is not read as these, but as itself: so a text has not many
//! times more letters than bytes, and it costs what it is long to read it.
//!
//! It knows no language: a plural is another word than its singular, and no word is too frequent to be looked for.

use std::mem;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, decompose_compatible, is_combining_mark};

/// Counts up when any word has another form than before: a store that has an index of words makes it anew then.
pub const FOLDING: u32 = 1;

/// Calls `each` with the words of a text, in their order. Returns what it has cost, in bytes of ASCII, about: two
/// nanoseconds or three each.
pub fn words(text: &str, mut each: impl FnMut(&str)) -> usize {
    scan(text, |word, _| each(word))
}

/// What is looked for: phrases, of which a text must have all. Most are of one word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The words of all phrases, one phrase after the other.
    words: Vec<Box<str>>,
    /// A bit for each word that begins a phrase, and for each that ends one.
    starts: u64,
    ends: u64,
    /// Each different word, sorted, with the bits of its places in `words`.
    places: Vec<(Box<str>, u64)>,
    /// A bit for each [mark](trace) that one of them has: most words of a text have another one.
    traces: [u64; 4],
}

/// A byte that tells most words apart.
fn trace(word: &str) -> usize {
    let bytes = word.as_bytes();
    let of = |byte: Option<&u8>| byte.copied().unwrap_or(0);
    usize::from(of(bytes.first()).wrapping_mul(31) ^ of(bytes.last()).wrapping_mul(7) ^ bytes.len() as u8)
}

impl Wanted {
    /// Reads what somebody looks for. Between quotation marks of any kind all words are one phrase; elsewhere each run
    /// of letters and digits is one. Words behind the first [`MAX_WANTED`] are not looked for: whoever hands such a
    /// text on [counts](Self::count) them before, and refuses it.
    pub fn parse(text: &str) -> Self {
        let mut wanted = Self::default();
        for (place, part) in text.split(is_quotation_mark).enumerate() {
            let quoted = place % 2 == 1;
            let first = wanted.words.len();
            scan(part, |word, joined| {
                let place = wanted.words.len();
                if place < MAX_WANTED {
                    wanted.starts |= u64::from(place == first || !(quoted || joined)) << place;
                    wanted.words.push(word.into());
                }
            });
        }
        if let Some(last) = wanted.words.len().checked_sub(1) {
            wanted.ends = wanted.starts >> 1 | 1 << last;
        }
        for (place, word) in wanted.words.iter().enumerate() {
            let trace = trace(word);
            wanted.traces[trace / 64] |= 1 << (trace % 64);
            match wanted.places.binary_search_by(|(other, _)| other.cmp(word)) {
                Ok(found) => wanted.places[found].1 |= 1 << place,
                Err(free) => wanted.places.insert(free, (word.clone(), 1 << place)),
            }
        }
        wanted
    }

    /// The words of what somebody looks for, also of more than fit.
    pub fn count(text: &str) -> usize {
        let mut words = 0;
        for part in text.split(is_quotation_mark) {
            scan(part, |_, _| words += 1);
        }
        words
    }

    /// Whether there is no word in it: then it is found nowhere.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The phrases, each with its words.
    pub fn phrases(&self) -> Vec<&[Box<str>]> {
        let mut from = 0;
        let ends = (0..self.words.len()).filter(|place| self.ends >> place & 1 == 1);
        ends.map(|end| &self.words[mem::replace(&mut from, end + 1)..=end]).collect()
    }

    /// Whether a text has all of them, and what it has cost to read its [words].
    pub fn look(&self, text: &str) -> (bool, usize) {
        // A bit for each word up to which its phrase has just been read.
        let (mut reached, mut found) = (0, 0);
        let cost = words(text, |word| {
            let trace = trace(word);
            if self.traces[trace / 64] >> (trace % 64) & 1 == 0 {
                reached = 0;
                return;
            }
            let place = self.places.binary_search_by(|(other, _)| (**other).cmp(word));
            reached = (reached << 1 | self.starts) & place.map_or(0, |place| self.places[place].1);
            found |= reached & self.ends;
        });
        (found == self.ends && !self.is_empty(), cost)
    }
}

/// Calls `each` with each word, and whether it stands in one run with the word before it. Most texts take a short road.
/// Returns what it has cost, by what was measured of many scripts.
fn scan(text: &str, each: impl FnMut(&str, bool)) -> usize {
    if text.is_ascii() {
        scan_ascii(text, each);
        text.len()
    } else if is_plain(text) {
        2 * text.len() + 8 * scan_plain(text, each)
    } else {
        3 * text.len() + 32 * scan_any(text, each)
    }
}

fn scan_ascii(text: &str, mut each: impl FnMut(&str, bool)) {
    let mut lower = [0; MAX_WORD_BYTES];
    for run in text.as_bytes().split(|byte| !byte.is_ascii_alphanumeric()).filter(|run| !run.is_empty()) {
        let lower = &mut lower[..run.len().min(MAX_WORD_BYTES)];
        for (to, from) in lower.iter_mut().zip(run) {
            *to = from.to_ascii_lowercase();
        }
        each(str::from_utf8(lower).expect("ASCII"), false);
    }
}

/// Each character by itself: none of them joins the one before it, but marks that are left out, or stay in their order.
/// Returns how many letters and marks it had to look up.
fn scan_plain(text: &str, each: impl FnMut(&str, bool)) -> usize {
    let (mut run, mut looked_up) = (Run::new(each), 0);
    for c in text.chars() {
        match c {
            _ if c.is_ascii_alphanumeric() => run.push(c.to_ascii_lowercase(), Kind::Letter),
            _ if c.is_ascii() => run.push(c, Kind::Other),
            // Cyrillic without marks.
            'а'..='и' | 'к'..='я' => run.push(c, Kind::Letter),
            // What is composed, and stays so; and Thai.
            '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30fe}' => run.push(c, Kind::Alone),
            '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9ffc}' => run.push(c, Kind::Alone),
            '\u{ac00}'..='\u{d7a3}' | '\u{309d}'..='\u{309e}' => run.push(c, Kind::Alone),
            '\u{e01}'..='\u{e30}' | '\u{e32}' | '\u{e40}'..='\u{e46}' => run.push(c, Kind::Alone),
            '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}' => run.push(c, Kind::Mark),
            _ => decompose_compatible(c, |c| {
                looked_up += 1;
                match c {
                    _ if c.is_ascii_alphanumeric() => run.push(c.to_ascii_lowercase(), Kind::Letter),
                    _ if c.is_ascii() => run.push(c, Kind::Other),
                    // Greek without marks.
                    'α'..='ρ' | 'σ'..='ω' => run.push(c, Kind::Letter),
                    _ if is_left_out(c) => {}
                    _ => c.to_lowercase().flat_map(fold).for_each(|c| run.push(c, kind(c))),
                }
            }),
        }
    }
    run.end_word();
    looked_up
}

/// Whether no two characters of a text become one, or change places, in its one form.
fn is_plain(text: &str) -> bool {
    // The class of the mark before, by which marks are ordered: Thai and Lao have some, and Greek one, with which
    // letters may end.
    let mut before = 0;
    text.chars().all(|c| {
        let (class, last) = match c {
            IOTA_BELOW | '\u{e00}'..='\u{eff}' => (canonical_combining_class(c), canonical_combining_class(c)),
            '\u{37a}' | '\u{1f80}'..='\u{1fff}' => (0, canonical_combining_class(IOTA_BELOW)),
            _ => (0, 0),
        };
        let ordered = before == 0 || (class == 0 && !is_left_out(c)) || before <= class;
        before = last;
        ordered
            && match c {
                // Latin, Greek, Cyrillic, Hebrew, Arabic, Syriac; Thai and Lao; signs.
                '\0'..='\u{74f}' | '\u{e00}'..='\u{eff}' | '\u{1e00}'..='\u{2bff}' => true,
                // Han, kana, Hangul in syllables; wide forms of ASCII.
                '\u{2e00}'..='\u{3029}' | '\u{3030}'..='\u{3096}' | '\u{309d}'..='\u{30ff}' => true,
                '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' => true,
                '\u{f900}'..='\u{faff}' | '\u{fe00}'..='\u{fe0f}' | '\u{ff01}'..='\u{ff5e}' => true,
                // Emoji.
                '\u{1f300}'..='\u{1faff}' => true,
                _ => false,
            }
    })
}

/// Returns how many letters and marks it had to look up.
fn scan_any(text: &str, each: impl FnMut(&str, bool)) -> usize {
    let (mut run, mut looked_up) = (Run::new(each), 0);
    // Decomposed first, so that marks can be left out; composed in the end, so that what has no accents (kana, Hangul)
    // is in its usual form.
    let letters = text.chars().flat_map(letters).inspect(|_| looked_up += 1).nfd();
    for c in letters.filter(|&c| !is_left_out(c)).flat_map(char::to_lowercase).flat_map(fold).nfc() {
        run.push(c, kind(c));
    }
    run.end_word();
    looked_up
}

/// What a character stands for; itself, if that is more than [`MAX_LETTERS`].
fn letters(c: char) -> impl Iterator<Item = char> {
    let (mut letters, mut len) = ([c; MAX_LETTERS], 0);
    decompose_compatible(c, |letter| {
        if let Some(free) = letters.get_mut(len) {
            *free = letter;
        }
        len += 1;
    });
    if len > MAX_LETTERS {
        (letters[0], len) = (c, 1);
    }
    letters.into_iter().take(len)
}

/// The word that is being read.
struct Run<F> {
    each: F,
    word: String,
    /// Whether a character of the word did not fit.
    full: bool,
    /// Whether it is a character that is a word by itself.
    alone: bool,
    /// Whether a word of this run has ended.
    joined: bool,
}

/// What a character is to words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A letter or digit.
    Letter,
    /// One that is a word by itself.
    Alone,
    /// A mark of the character before it.
    Mark,
    Other,
}

fn kind(c: char) -> Kind {
    match c {
        _ if is_combining_mark(c) => Kind::Mark,
        _ if !c.is_alphanumeric() => Kind::Other,
        _ if is_word_by_itself(c) => Kind::Alone,
        _ => Kind::Letter,
    }
}

impl<F: FnMut(&str, bool)> Run<F> {
    fn new(each: F) -> Self {
        Self { each, word: String::with_capacity(MAX_WORD_BYTES), full: false, alone: false, joined: false }
    }

    fn push(&mut self, c: char, kind: Kind) {
        match kind {
            Kind::Mark if self.word.is_empty() => {}
            Kind::Mark => self.add(c),
            Kind::Letter | Kind::Alone => {
                if kind == Kind::Alone || self.alone {
                    self.end_word();
                }
                self.alone = kind == Kind::Alone;
                self.add(c);
            }
            Kind::Other => {
                self.end_word();
                self.joined = false;
            }
        }
    }

    fn add(&mut self, c: char) {
        self.full |= self.word.len() + c.len_utf8() > MAX_WORD_BYTES;
        if !self.full {
            self.word.push(c);
        }
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            (self.each)(&self.word, self.joined);
            self.word.clear();
            (self.full, self.alone, self.joined) = (false, false, true);
        }
    }
}

/// What lower case leaves apart although it is the same.
fn fold(c: char) -> impl Iterator<Item = char> {
    let (one, other) = match c {
        'ß' => ('s', Some('s')),
        'ς' => ('σ', None),
        // Its capital is an I that has its dot without one.
        'ı' => ('i', None),
        // A Greek letter of its own where it is written in capitals.
        IOTA_BELOW => ('ι', None),
        // Other shapes of Cyrillic letters, with capitals in common.
        '\u{1c80}' => ('в', None),
        '\u{1c81}' => ('д', None),
        '\u{1c82}' => ('о', None),
        '\u{1c83}' => ('с', None),
        '\u{1c84}' | '\u{1c85}' => ('т', None),
        '\u{1c86}' => ('ъ', None),
        '\u{1c87}' => ('ѣ', None),
        '\u{1c88}' => ('ꙋ', None),
        c => (c, None),
    };
    [Some(one), other].into_iter().flatten()
}

/// Whether the same word is written with and without it: accents, vowel points, and what is not seen at all.
fn is_left_out(c: char) -> bool {
    match c {
        '\u{300}'..='\u{36f}' => c != IOTA_BELOW,
        // Cyrillic, Hebrew, Arabic, Syriac.
        '\u{370}'..='\u{74a}' => c == '\u{640}' || c == '\u{61c}' || is_combining_mark(c),
        '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}' => true,
        // Soft hyphens, joiners, directions, and choices of a form.
        '\u{ad}' | '\u{180b}'..='\u{180f}' | '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// Whether it is of a script without blanks between words, or with endings written on to them.
fn is_word_by_itself(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' // Thai, Lao
        | '\u{1000}'..='\u{109f}' | '\u{a9e0}'..='\u{a9ff}' | '\u{aa60}'..='\u{aa7f}' // Burmese
        | '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}' // Hangul
        | '\u{1780}'..='\u{17ff}' // Khmer
        | '\u{1950}'..='\u{19df}' | '\u{1a20}'..='\u{1aaf}' | '\u{aa80}'..='\u{aadf}' // Tai
        | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{303b}' // Han
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}'
        | '\u{3040}'..='\u{31ff}' | '\u{1aff0}'..='\u{1b16f}' // Hiragana, Katakana, Bopomofo
    )
}

fn is_quotation_mark(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„' | '‟' | '«' | '»' | '＂' | '「' | '」' | '『' | '』')
}

/// Bytes of a word; what stands behind them does not count. Long enough for what people write, and a bound for what
/// programs do.
pub const MAX_WORD_BYTES: usize = 64;

/// The iota subscript of Greek.
const IOTA_BELOW: char = '\u{345}';

/// Letters and marks, apart, that one character may stand for. Those of more are some signs of one phrase (`ﷺ`) or of
/// one unit (`㌕`).
pub const MAX_LETTERS: usize = 4;

/// Words that are looked for at once: a bit for each.
pub const MAX_WANTED: usize = u64::BITS as usize;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        words(text, |word| found.push(word.to_owned()));
        found
    }

    /// Each row: a text, and its words with blanks between them.
    #[test]
    fn words_of_many_scripts() {
        let rows = [
            ("", ""),
            (" ?!… 🎉 -- ", ""),
            ("Hello, world", "hello world"),
            ("don't foo-bar a_b 3.14 x2", "don t foo bar a b 3 14 x2"),
            ("Le CAFÉ, cafe\u{301}", "le cafe cafe"),
            ("Ünïcödé naïve Ångström", "unicode naive angstrom"),
            ("Straße STRASSE ẞ", "strasse strasse ss"),
            ("ΟΔΟΣ οδός", "οδοσ οδοσ"),
            ("ᾳβγ ᾼΒΓ ΑΙΒΓ τῷ", "αιβγ αιβγ αιβγ τωι"),
            ("ısı ISI", "isi isi"),
            ("Ёлка ЙОД", "елка иод"),
            ("İstanbul ISPARTA", "istanbul isparta"),
            ("ﬁne ＡＢＣ１２ ² Ⅳ", "fine abc12 2 iv"),
            ("soft\u{ad}hyphen می\u{200c}خواهم", "softhyphen میخواهم"),
            ("שָׁלוֹם", "שלום"),
            ("مُحَمَّد أحمد مـــرحبا", "محمد احمد مرحبا"),
            ("हिन्दी में", "हिन्दी में"),
            ("東京タワー", "東 京 タ ワ ー"),
            ("ﾎﾟｹﾓﾝ か\u{3099}", "ポ ケ モ ン が"),
            ("第3章abc", "第 3 章 abc"),
            ("abc漢", "abc 漢"),
            ("한국어를", "한 국 어 를"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("ภาษาไทย", "ภ า ษ า ไ ท ย"),
            ("น้ำ ที่", "น\u{e49}\u{e4d} า ท\u{e35}\u{e48}"),
            ("ພາສາ", "ພ າ ສ າ"),
            ("ភាសា", "ភា សា"),
            ("မြန်မာ", "မြ န် မာ"),
            ("\u{e35} \u{300}x", "x"),
            ("1\u{fe0f}\u{20e3} ❤\u{fe0f}", "1"),
            ("㈱ ㍿ ㌔ ㍑", "株 株 式 会 社 キ ロ リ ッ ト ル"),
            ("محمد ﷺ", "محمد ﷺ"),
            ("x\u{33af}y ㌕", "x y"),
        ];
        for (text, expected) in rows {
            assert_eq!(list(text).join(" "), expected, "{text:?}");
        }
    }

    /// Each row: what a text is of that has more letters than characters. It costs what it is long to read it.
    #[test]
    fn a_text_costs_what_it_is_long() {
        let rows =
            ["x", "д", "é", "\u{390}", "\u{1f82}", "한", "हि", "\u{1112}\u{1161}", "㌔", "㌕", "ﷻ", "ﷺ", "\u{f77}"];
        for of in rows {
            let text = of.repeat(1000);
            let mut letters = 0;
            let cost = words(&text, |word| letters += word.len());
            assert!(letters <= MAX_LETTERS * text.len(), "{of:?}: {letters}");
            assert!((text.len()..=48 * text.len()).contains(&cost), "{of:?}: {cost}");
            assert_eq!(Wanted::parse("y").look(&text), (false, cost), "{of:?}");
        }
    }

    /// Each character by itself, in both cases.
    #[test]
    fn a_letter_is_the_same_in_both_cases() {
        for c in ('\0'..=char::MAX).filter(|c| c.is_alphanumeric()) {
            let own = list(&c.to_string());
            let (upper, lower) = (c.to_uppercase().to_string(), c.to_lowercase().to_string());
            assert_eq!((list(&upper), list(&lower)), (own.clone(), own), "{c:?}: {upper:?} {lower:?}");
        }
    }

    /// A word is cut at its limit, between two characters.
    #[test]
    fn long_words_are_cut() {
        let cut = |text: &str| list(text).iter().map(String::len).collect::<Vec<_>>();
        assert_eq!(cut(&"x".repeat(MAX_WORD_BYTES)), [MAX_WORD_BYTES]);
        assert_eq!(cut(&"X".repeat(MAX_WORD_BYTES + 1)), [MAX_WORD_BYTES]);
        assert_eq!(cut(&format!("{}д y", "x".repeat(MAX_WORD_BYTES - 2))), [MAX_WORD_BYTES, 1]);
        assert_eq!(cut(&format!("{}дz y", "x".repeat(MAX_WORD_BYTES - 1))), [MAX_WORD_BYTES - 1, 1]);
        assert_eq!(cut(&format!("ก{}", "\u{e35}".repeat(1000))), [MAX_WORD_BYTES / 3 * 3]);
        let long = "y".repeat(1000);
        assert!(Wanted::parse(&long).look(&long).0);
    }

    /// Each row: what is looked for, and its phrases, with words joined by `-`.
    #[test]
    fn what_is_looked_for() {
        let rows = [
            ("", ""),
            ("\"\" ! \"?\"", ""),
            ("one Two", "one two"),
            ("\"one two\" three", "one-two three"),
            ("“one, two” «trois quatre» 「五 六」", "one-two trois-quatre 五-六"),
            ("one \"two three", "one two-three"),
            ("a\"b c\"d", "a b-c d"),
            ("東京 タワー", "東-京 タ-ワ-ー"),
            ("第3章,x", "第-3-章 x"),
            ("don't", "don t"),
            ("one one", "one one"),
        ];
        for (text, expected) in rows {
            let wanted = Wanted::parse(text);
            let phrases: Vec<String> = wanted.phrases().iter().map(|words| words.join("-")).collect();
            assert_eq!(phrases.join(" "), expected, "{text:?}");
            assert_eq!(wanted.is_empty(), expected.is_empty());
        }
    }

    #[test]
    fn no_more_is_looked_for_than_fits() {
        let text = |words: usize| (0..words).map(|n| format!("w{n} ")).collect::<String>();
        for (words, expected) in [(MAX_WANTED - 1, 63), (MAX_WANTED, 64), (MAX_WANTED + 1, 64), (5000, 64)] {
            let wanted = Wanted::parse(&text(words));
            assert_eq!(wanted.phrases().len(), expected);
            assert_eq!(Wanted::count(&text(words)), words);
            assert_eq!(Wanted::count(&"京".repeat(words)), words);
            assert!(wanted.look(&text(words)).0);
            assert!(!wanted.look(&text(expected - 1)).0);
            assert_eq!(Wanted::parse(&format!("\"{}", text(words))).phrases().len(), 1);
        }
    }

    /// Each row: what is looked for, a text, and whether it is found there.
    #[test]
    fn found_or_not() {
        let rows = [
            ("", "anything", false),
            ("?", "?", false),
            ("hello", "Say HELLO!", true),
            ("hell", "hello", false),
            ("world hello", "hello, world", true),
            ("world hello", "hello", false),
            ("\"hello world\"", "hello, world", true),
            ("\"world hello\"", "hello, world", false),
            ("\"a b c\"", "a b a b c", true),
            ("\"a a b\"", "a a a b", true),
            ("\"a b\" \"b a\"", "a b a", true),
            ("\"a b\" \"b a\"", "a b b", false),
            ("a a", "a", true),
            ("cafe", "Café", true),
            ("CAFÉ", "cafe", true),
            ("京タ", "東京タワー", true),
            ("東タ", "東京タワー", false),
            ("タワー 東京", "東京タワー", true),
            ("世界", "你好，世界", true),
            ("ไทย", "ภาษาไทย", true),
            ("ไทม", "ภาษาไทย", false),
            ("มา", "ม้า", false),
            ("서울", "서울에서", true),
            ("ｶﾞ", "ガ", true),
        ];
        for (wanted, text, expected) in rows {
            assert_eq!(Wanted::parse(wanted).look(text).0, expected, "{wanted:?} in {text:?}");
        }
    }

    proptest! {
        /// A text has the same words however it is composed, and it is found by itself.
        #[test]
        fn any_text_in_any_form(text in "\\PC{0,40}") {
            // A sign of many letters is another text than these.
            let text: String = text.chars().filter(|&c| letters(c).eq(c.nfkd())).collect();
            let expected = list(&text);
            prop_assert_eq!(&list(&text.nfc().collect::<String>()), &expected);
            prop_assert_eq!(&list(&text.nfd().collect::<String>()), &expected);
            prop_assert_eq!(&list(&text.nfkd().collect::<String>()), &expected);
            for word in &expected {
                prop_assert!(word.len() <= MAX_WORD_BYTES);
                prop_assert!(Wanted::parse(word).look(&text).0, "{:?}", word);
            }
            prop_assert_eq!(Wanted::parse(&text).look(&text).0, !expected.is_empty());
            let quoted = format!("\"{}", text.replace(is_quotation_mark, " "));
            prop_assert_eq!(Wanted::parse(&quoted).look(&text).0, !expected.is_empty());
        }

        /// The short roads lead where the long one does.
        #[test]
        fn all_roads_are_one(text in prop_oneof![
            "[ -~]{0,100}",
            "\\PC{0,20}",
            "[a-zA-Zß-ÿĀ-ſа-яА-ЯЁёΑ-ωάςא-ת\u{300}-\u{308}\u{640}-\u{660}\u{ad} .,]{0,20}",
            "[α-ωᾀ-ῼ\u{301}\u{345}\u{323}\u{37a}ก\u{e38}\u{e48} ]{0,12}",
            "[ก-๙ກ-ໝ\u{e33}-\u{e3a}\u{e47}-\u{e4e}\u{300}\u{323}\u{200c} a]{0,20}",
            "[\u{3000}-\u{30ff}\u{3099}一-龥가-힣\u{1100}-\u{11ff}！-ﾟ\u{f900}-\u{fa20} x]{0,12}",
            "[\u{1e00}-\u{2bff}\u{2e00}-\u{3040}\u{1f000}-\u{1faff}a-z\u{fe00}-\u{fe0f}]{0,20}",
            any::<String>(),
        ]) {
            let mut found = Vec::new();
            scan_any(&text, |word, joined| found.push((word.to_owned(), joined)));
            let mut shorter = Vec::new();
            scan(&text, |word, joined| shorter.push((word.to_owned(), joined)));
            prop_assert_eq!(found, shorter);
        }
    }

    /// Each character that may take the short road, alone and behind others.
    #[test]
    fn each_character_is_the_same_on_both_roads() {
        for c in ('\0'..=char::MAX).filter(|c| is_plain(c.encode_utf8(&mut [0; 4]))) {
            for text in [format!("{c}"), format!("a{c}b"), format!("ก{c}漢{c}"), format!("ü{c}ア")] {
                let (mut long, mut short) = (Vec::new(), Vec::new());
                scan_any(&text, |word, joined| long.push((word.to_owned(), joined)));
                scan_plain(&text, |word, joined| short.push((word.to_owned(), joined)));
                assert!(!is_plain(&text) || long == short, "{text:?}: {long:?} {short:?}");
            }
        }
    }
}
