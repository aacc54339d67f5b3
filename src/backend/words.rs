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
//! It knows no language: a plural is another word than its singular, and no word is too frequent to be looked for.

use std::mem;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Calls `each` with the words of a text, in their order.
pub fn words(text: &str, mut each: impl FnMut(&str)) {
    scan(text, |word, _| each(word));
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
}

impl Wanted {
    /// Reads what somebody looks for. Between quotation marks of any kind all words are one phrase; elsewhere each run
    /// of letters and digits is one. Words behind the first [`MAX_WANTED`] are not looked for.
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
            match wanted.places.binary_search_by(|(other, _)| other.cmp(word)) {
                Ok(found) => wanted.places[found].1 |= 1 << place,
                Err(free) => wanted.places.insert(free, (word.clone(), 1 << place)),
            }
        }
        wanted
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

    /// Whether a text has all of them.
    pub fn is_in(&self, text: &str) -> bool {
        // A bit for each word up to which its phrase has just been read.
        let (mut reached, mut found) = (0, 0);
        words(text, |word| {
            let place = self.places.binary_search_by(|(other, _)| (**other).cmp(word));
            reached = (reached << 1 | self.starts) & place.map_or(0, |place| self.places[place].1);
            found |= reached & self.ends;
        });
        found == self.ends && !self.is_empty()
    }
}

/// Calls `each` with each word, and whether it stands in one run with the word before it.
fn scan(text: &str, each: impl FnMut(&str, bool)) {
    match text.is_ascii() {
        true => scan_ascii(text, each),
        false => scan_any(text, each),
    }
}

fn scan_ascii(text: &str, mut each: impl FnMut(&str, bool)) {
    let mut lower = [0; MAX_WORD_BYTES];
    for run in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|run| !run.is_empty()) {
        let word = &run[..run.len().min(MAX_WORD_BYTES)];
        if !word.bytes().any(|byte| byte.is_ascii_uppercase()) {
            each(word, false);
            continue;
        }
        let lower = &mut lower[..word.len()];
        lower.copy_from_slice(word.as_bytes());
        lower.make_ascii_lowercase();
        each(str::from_utf8(lower).expect("ASCII"), false);
    }
}

fn scan_any(text: &str, each: impl FnMut(&str, bool)) {
    let mut run = Run { each, word: String::new(), full: false, alone: false, joined: false };
    // Decomposed first, so that marks can be left out; composed in the end, so that what has no accents (kana, Hangul)
    // is in its usual form.
    for c in text.nfkd().filter(|&c| !is_left_out(c)).flat_map(char::to_lowercase).flat_map(fold).nfc() {
        run.push(c);
    }
    run.end_word();
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

impl<F: FnMut(&str, bool)> Run<F> {
    fn push(&mut self, c: char) {
        if is_combining_mark(c) {
            if !self.word.is_empty() {
                self.add(c);
            }
        } else if c.is_alphanumeric() {
            let alone = is_word_by_itself(c);
            if alone || self.alone {
                self.end_word();
            }
            self.alone = alone;
            self.add(c);
        } else {
            self.end_word();
            self.joined = false;
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
        c => (c, None),
    };
    [Some(one), other].into_iter().flatten()
}

/// Whether the same word is written with and without it: accents, vowel points, and what is not seen at all.
fn is_left_out(c: char) -> bool {
    match c {
        // Latin, Greek, Cyrillic, Hebrew, Arabic, Syriac.
        '\u{300}'..='\u{74a}' => c == '\u{640}' || c == '\u{61c}' || is_combining_mark(c),
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
        ];
        for (text, expected) in rows {
            assert_eq!(list(text).join(" "), expected, "{text:?}");
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
        assert!(Wanted::parse(&long).is_in(&long));
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
            assert!(wanted.is_in(&text(words)));
            assert!(!wanted.is_in(&text(expected - 1)));
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
            assert_eq!(Wanted::parse(wanted).is_in(text), expected, "{wanted:?} in {text:?}");
        }
    }

    proptest! {
        /// A text has the same words however it is composed, and it is found by itself.
        #[test]
        fn any_text_in_any_form(text in "\\PC{0,40}") {
            let expected = list(&text);
            prop_assert_eq!(&list(&text.nfc().collect::<String>()), &expected);
            prop_assert_eq!(&list(&text.nfd().collect::<String>()), &expected);
            prop_assert_eq!(&list(&text.nfkd().collect::<String>()), &expected);
            for word in &expected {
                prop_assert!(word.len() <= MAX_WORD_BYTES);
                prop_assert!(Wanted::parse(word).is_in(&text), "{:?}", word);
            }
            prop_assert_eq!(Wanted::parse(&text).is_in(&text), !expected.is_empty());
            let quoted = format!("\"{}", text.replace(is_quotation_mark, " "));
            prop_assert_eq!(Wanted::parse(&quoted).is_in(&text), !expected.is_empty());
        }

        /// ASCII has a road of its own, which leads to the same.
        #[test]
        fn both_roads_are_one(text in "[ -~]{0,100}") {
            let mut found = Vec::new();
            scan_any(&text, |word, _| found.push(word.to_owned()));
            prop_assert_eq!(found, list(&text));
        }
    }
}
