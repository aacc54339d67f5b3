//! What lies in the Redis, and the commands that the script and the store use, as Redis 7 carries them out.
//!
//! Where Redis promises no order (members of a set, fields of a hash, pages of a scan), there is one that is drawn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use crate::random::Random;

/// A text of any bytes.
pub type Text = Vec<u8>;

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Nil,
    Number(i64),
    Text(Text),
    Status(&'static str),
    List(Vec<Self>),
    Error(String),
}

/// All keys.
#[derive(Clone, Debug)]
pub struct Keys {
    all: BTreeMap<Text, Kept>,
    /// The time, in milliseconds. It stands still while a script runs.
    pub now: u64,
}

/// What lies behind a key, and until when.
#[derive(Clone, Debug)]
struct Kept {
    what: What,
    until: Option<u64>,
}

#[derive(Clone, Debug)]
enum What {
    Text(Text),
    Hash(BTreeMap<Text, Text>),
    List(VecDeque<Text>),
    Set(BTreeSet<Text>),
    Sorted(Sorted),
}

/// Members by their scores, which are whole numbers.
#[derive(Clone, Debug, Default)]
struct Sorted {
    of: BTreeMap<Text, i64>,
    by: BTreeSet<(i64, Text)>,
}

impl Sorted {
    fn put(&mut self, member: Text, score: i64) {
        if let Some(before) = self.of.insert(member.clone(), score) {
            self.by.remove(&(before, member.clone()));
        }
        self.by.insert((score, member));
    }

    fn take(&mut self, member: &[u8]) -> bool {
        let score = self.of.remove(member);
        score.is_some_and(|score| self.by.remove(&(score, member.to_vec())))
    }
}

/// What a key of one type is made of, where there is none yet.
macro_rules! of_type {
    ($name:ident, $kind:ident, $type:ty) => {
        fn $name(&mut self, key: &[u8]) -> Result<&mut $type, Answer> {
            let fresh = || Kept { what: What::$kind(Default::default()), until: None };
            match &mut self.all.entry(key.to_vec()).or_insert_with(fresh).what {
                What::$kind(it) => Ok(it),
                _ => Err(wrong_type()),
            }
        }
    };
}

fn wrong_type() -> Answer {
    Answer::Error("WRONGTYPE Operation against a key holding the wrong kind of value".into())
}

fn no_number() -> Answer {
    Answer::Error("ERR value is not an integer or out of range".into())
}

fn syntax() -> Answer {
    Answer::Error("ERR syntax error".into())
}

/// A whole number.
fn whole(text: &[u8]) -> Result<i64, Answer> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(no_number)
}

/// An end of a range of scores, as the smallest or greatest score that is in it.
fn end(text: &[u8], is_least: bool) -> Result<i64, Answer> {
    match text {
        b"-inf" => Ok(i64::MIN),
        b"+inf" => Ok(i64::MAX),
        [b'(', rest @ ..] => Ok(if is_least { whole(rest)? + 1 } else { whole(rest)? - 1 }),
        rest => whole(rest),
    }
}

/// The places of a list between two, of which negative ones count from its end.
fn places(len: usize, from: i64, to: i64) -> std::ops::Range<usize> {
    let len = len as i64;
    let place = |at: i64| if at < 0 { len + at } else { at };
    let (from, to) = (place(from).max(0), place(to).min(len - 1));
    if from > to { 0..0 } else { from as usize..to as usize + 1 }
}

fn text(it: impl Into<Text>) -> Answer {
    Answer::Text(it.into())
}

fn count(number: usize) -> Answer {
    Answer::Number(number as i64)
}

/// Commands that Redis refuses when its memory is full.
const GROWS: [&str; 8] = ["HSET", "HSETNX", "INCR", "LSET", "RPUSH", "SADD", "SET", "ZADD"];

/// Others that change something.
const WRITES: [&str; 9] = ["DEL", "HDEL", "LPOP", "LTRIM", "PEXPIRE", "RPOP", "SREM", "ZPOPMIN", "ZREM"];

impl Keys {
    /// None.
    pub fn new() -> Self {
        Self { all: BTreeMap::new(), now: 0 }
    }

    /// All of them go.
    pub fn clear(&mut self) {
        self.all.clear();
    }

    /// Whether a command changes something.
    pub fn writes(name: &str) -> bool {
        Self::grows(name) || WRITES.contains(&name)
    }

    /// Whether a command takes memory.
    pub fn grows(name: &str) -> bool {
        GROWS.contains(&name)
    }

    of_type!(hash, Hash, BTreeMap<Text, Text>);
    of_type!(list, List, VecDeque<Text>);
    of_type!(set, Set, BTreeSet<Text>);
    of_type!(sorted, Sorted, Sorted);

    /// What is too old goes, and so does what is empty.
    fn tidy(&mut self, key: &[u8]) {
        let now = self.now;
        let gone = self.all.get(key).is_some_and(|kept| {
            kept.until.is_some_and(|until| until <= now)
                || match &kept.what {
                    What::Text(_) => false,
                    What::Hash(it) => it.is_empty(),
                    What::List(it) => it.is_empty(),
                    What::Set(it) => it.is_empty(),
                    What::Sorted(it) => it.of.is_empty(),
                }
        });
        if gone {
            self.all.remove(key);
        }
    }

    /// Carries out a command; `None`: it is none of those.
    pub fn call(&mut self, name: &str, args: &[Text], random: &mut Random) -> Option<Answer> {
        let (key, rest) = args.split_first().map_or((&[][..], args), |(key, rest)| (key.as_slice(), rest));
        let several = matches!(name, "DEL" | "EXISTS");
        for key in if several { args } else { &args[..args.len().min(1)] } {
            self.tidy(key);
        }
        let answer = self.carry_out(name, args, key, rest, random)?;
        for key in if several { args } else { &args[..args.len().min(1)] } {
            self.tidy(key);
        }
        Some(answer.unwrap_or_else(|error| error))
    }

    fn carry_out(
        &mut self,
        name: &str,
        args: &[Text],
        key: &[u8],
        rest: &[Text],
        random: &mut Random,
    ) -> Option<Result<Answer, Answer>> {
        let arity = || Answer::Error(format!("ERR wrong number of arguments for '{}' command", name.to_lowercase()));
        let answer = match name {
            "DEL" => Ok(count(args.iter().filter(|key| self.all.remove(*key).is_some()).count())),
            "EXISTS" => Ok(count(args.iter().filter(|key| self.all.contains_key(*key)).count())),
            "PEXPIRE" => self.expire(key, rest),
            "GET" | "INCR" | "SET" => self.of_texts(name, key, rest),
            "HGET" | "HSET" | "HSETNX" | "HMGET" | "HDEL" | "HEXISTS" | "HLEN" | "HRANDFIELD" | "HGETALL" | "HSCAN" => {
                self.of_hashes(name, key, rest, random)
            }
            "RPUSH" | "LPOP" | "RPOP" | "LLEN" | "LINDEX" | "LSET" | "LRANGE" | "LTRIM" => {
                self.of_lists(name, key, rest)
            }
            "SADD" | "SREM" | "SISMEMBER" | "SMEMBERS" => self.of_sets(name, key, rest, random),
            "ZADD" | "ZREM" | "ZSCORE" | "ZCARD" | "ZPOPMIN" | "ZRANGE" | "ZRANGEBYSCORE" | "ZREVRANGEBYSCORE" => {
                self.of_sorted_sets(name, key, rest)
            }
            _ => return None,
        };
        // A list of arguments that ends too early is found where one is missing.
        Some(if args.is_empty() { Err(arity()) } else { answer })
    }

    fn expire(&mut self, key: &[u8], rest: &[Text]) -> Result<Answer, Answer> {
        let after = whole(rest.first().ok_or_else(syntax)?)?;
        let until = self.now.saturating_add_signed(after);
        Ok(count(usize::from(self.all.get_mut(key).map(|kept| kept.until = Some(until)).is_some())))
    }

    fn of_texts(&mut self, name: &str, key: &[u8], rest: &[Text]) -> Result<Answer, Answer> {
        let now = self.now;
        let found = self.all.get_mut(key);
        match (name, found.map(|kept| &mut kept.what)) {
            ("SET", _) => {
                let (value, rest) = rest.split_first().ok_or_else(syntax)?;
                let until = match rest {
                    [] => None,
                    [px, after] if px.eq_ignore_ascii_case(b"PX") => Some(now.saturating_add_signed(whole(after)?)),
                    _ => return Err(syntax()),
                };
                self.all.insert(key.to_vec(), Kept { what: What::Text(value.clone()), until });
                Ok(Answer::Status("OK"))
            }
            ("GET", None) => Ok(Answer::Nil),
            ("GET", Some(What::Text(value))) => Ok(text(value.clone())),
            (_, Some(What::Text(value))) => {
                let number = whole(value)? + 1;
                *value = number.to_string().into();
                Ok(Answer::Number(number))
            }
            (_, None) => {
                self.all.insert(key.to_vec(), Kept { what: What::Text(b"1".to_vec()), until: None });
                Ok(Answer::Number(1))
            }
            _ => Err(wrong_type()),
        }
    }

    fn of_hashes(&mut self, name: &str, key: &[u8], rest: &[Text], random: &mut Random) -> Result<Answer, Answer> {
        let hash = self.hash(key)?;
        let field = || rest.first().ok_or_else(syntax);
        let found = |it: Option<&Text>| it.map_or(Answer::Nil, |it| text(it.clone()));
        Ok(match name {
            "HGET" => found(hash.get(field()?)),
            "HMGET" => Answer::List(rest.iter().map(|field| found(hash.get(field))).collect()),
            "HEXISTS" => count(usize::from(hash.contains_key(field()?))),
            "HLEN" => count(hash.len()),
            "HDEL" => count(rest.iter().filter(|field| hash.remove(*field).is_some()).count()),
            "HSETNX" => {
                let [field, value] = rest else { return Err(syntax()) };
                let is_new = !hash.contains_key(field);
                hash.entry(field.clone()).or_insert_with(|| value.clone());
                count(usize::from(is_new))
            }
            "HSET" if rest.is_empty() || !rest.len().is_multiple_of(2) => return Err(syntax()),
            "HSET" => {
                let pairs = rest.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
                count(pairs.filter(|(field, value)| hash.insert(field.clone(), value.clone()).is_none()).count())
            }
            "HRANDFIELD" => {
                let at = random.below(hash.len() as u64) as usize;
                found(hash.keys().nth(at))
            }
            "HGETALL" => {
                let fields = shuffled(hash.keys().cloned().collect(), random);
                let pairs = fields.into_iter().flat_map(|field| {
                    let value = text(hash[&field].clone());
                    [text(field), value]
                });
                Answer::List(pairs.collect())
            }
            // From the place where the last page ended, in an order that does not change while it is read.
            _ => {
                let from = std::str::from_utf8(field()?).ok().and_then(|from| from.parse::<u64>().ok());
                let from = from.ok_or_else(|| Answer::Error("ERR invalid cursor".into()))?;
                let most = match &rest[1..] {
                    [] => 10,
                    [word, most] if word.eq_ignore_ascii_case(b"COUNT") => whole(most)?,
                    _ => return Err(syntax()),
                };
                let most = 1 + random.below(u64::try_from(most.max(1)).unwrap_or(1)) as usize;
                let place = |field: &Text| BuildHasherDefault::<DefaultHasher>::default().hash_one(field).max(2);
                let all: BTreeSet<(u64, &Text)> = hash.keys().map(|field| (place(field), field)).collect();
                let mut page: Vec<_> = all.iter().filter(|(place, _)| *place > from).take(most + 1).collect();
                // Those of one place come together.
                let next = if page.len() > most { page.pop().map_or(0, |(place, _)| place - 1) } else { 0 };
                page.retain(|(place, _)| next == 0 || *place <= next);
                let pairs = page.iter().flat_map(|(_, field)| [text((*field).clone()), text(hash[*field].clone())]);
                Answer::List(vec![text(next.to_string()), Answer::List(pairs.collect())])
            }
        })
    }

    fn of_lists(&mut self, name: &str, key: &[u8], rest: &[Text]) -> Result<Answer, Answer> {
        let is_there = self.all.contains_key(key);
        let list = self.list(key)?;
        let number = |at: usize| whole(rest.get(at).ok_or_else(syntax)?);
        let end = |it: Option<Text>| it.map_or(Answer::Nil, text);
        let place = |len: usize, at: i64| usize::try_from(if at < 0 { len as i64 + at } else { at }).ok();
        Ok(match name {
            "RPUSH" => {
                list.extend(rest.iter().cloned());
                count(list.len())
            }
            "LPOP" => end(list.pop_front()),
            "RPOP" => end(list.pop_back()),
            "LLEN" => count(list.len()),
            "LINDEX" => end(place(list.len(), number(0)?).and_then(|at| list.get(at).cloned())),
            "LSET" => {
                let value = rest.get(1).ok_or_else(syntax)?;
                let at = place(list.len(), number(0)?).filter(|at| *at < list.len());
                match at {
                    Some(at) => list[at] = value.clone(),
                    None if is_there => return Err(Answer::Error("ERR index out of range".into())),
                    None => return Err(Answer::Error("ERR no such key".into())),
                }
                Answer::Status("OK")
            }
            "LRANGE" => {
                let range = places(list.len(), number(0)?, number(1)?);
                Answer::List(list.range(range).cloned().map(text).collect())
            }
            _ => {
                let range = places(list.len(), number(0)?, number(1)?);
                list.truncate(range.end);
                list.drain(..range.start);
                Answer::Status("OK")
            }
        })
    }

    fn of_sets(&mut self, name: &str, key: &[u8], rest: &[Text], random: &mut Random) -> Result<Answer, Answer> {
        let set = self.set(key)?;
        Ok(match name {
            "SADD" => count(rest.iter().filter(|member| set.insert((*member).clone())).count()),
            "SREM" => count(rest.iter().filter(|member| set.remove(*member)).count()),
            "SISMEMBER" => count(usize::from(set.contains(rest.first().ok_or_else(syntax)?))),
            _ => Answer::List(shuffled(set.iter().cloned().collect(), random).into_iter().map(text).collect()),
        })
    }

    fn of_sorted_sets(&mut self, name: &str, key: &[u8], rest: &[Text]) -> Result<Answer, Answer> {
        let sorted = self.sorted(key)?;
        let first = || rest.first().ok_or_else(syntax);
        Ok(match name {
            "ZADD" => {
                let (greater, rest) = match rest {
                    [word, rest @ ..] if word.eq_ignore_ascii_case(b"GT") => (true, rest),
                    rest => (false, rest),
                };
                if rest.is_empty() || !rest.len().is_multiple_of(2) {
                    return Err(syntax());
                }
                let mut added = 0;
                for pair in rest.chunks_exact(2) {
                    let (score, before) = (whole(&pair[0])?, sorted.of.get(&pair[1]).copied());
                    added += usize::from(before.is_none());
                    if before.is_none_or(|before| !greater || score > before) {
                        sorted.put(pair[1].clone(), score);
                    }
                }
                count(added)
            }
            "ZREM" => count(rest.iter().filter(|member| sorted.take(member)).count()),
            "ZSCORE" => sorted.of.get(first()?).map_or(Answer::Nil, |score| text(score.to_string())),
            "ZCARD" => count(sorted.of.len()),
            "ZPOPMIN" => match sorted.by.pop_first() {
                Some((score, member)) => {
                    sorted.of.remove(&member);
                    Answer::List(vec![text(member), text(score.to_string())])
                }
                None => Answer::List(Vec::new()),
            },
            "ZRANGE" => {
                let [from, to] = rest else { return Err(syntax()) };
                let range = places(sorted.by.len(), whole(from)?, whole(to)?);
                let found = sorted.by.iter().skip(range.start).take(range.len());
                Answer::List(found.map(|(_, member)| text(member.clone())).collect())
            }
            _ => {
                let ([one, other], options) = rest.split_first_chunk().ok_or_else(syntax)?;
                let falls = name == "ZREVRANGEBYSCORE";
                let (least, most) = if falls { (other, one) } else { (one, other) };
                let (least, most) = (end(least, true)?, end(most, false)?);
                let (with_scores, options) = match options {
                    [word, options @ ..] if word.eq_ignore_ascii_case(b"WITHSCORES") => (true, options),
                    options => (false, options),
                };
                let (skipped, taken) = match options {
                    [] => (0, usize::MAX),
                    [word, from, many] if word.eq_ignore_ascii_case(b"LIMIT") => (
                        usize::try_from(whole(from)?).unwrap_or(usize::MAX),
                        usize::try_from(whole(many)?).unwrap_or(usize::MAX),
                    ),
                    _ => return Err(syntax()),
                };
                let mut found: Vec<_> = sorted.by.iter().filter(|(score, _)| (least..=most).contains(score)).collect();
                if falls {
                    found.reverse();
                }
                let found = found.into_iter().skip(skipped).take(taken);
                let answers = found.flat_map(|(score, member)| {
                    [Some(text(member.clone())), with_scores.then(|| text(score.to_string()))]
                });
                Answer::List(answers.flatten().collect())
            }
        })
    }
}

/// In an order that is drawn.
fn shuffled(mut all: Vec<Text>, random: &mut Random) -> Vec<Text> {
    for last in (1..all.len()).rev() {
        all.swap(last, random.below(last as u64 + 1) as usize);
    }
    all
}
