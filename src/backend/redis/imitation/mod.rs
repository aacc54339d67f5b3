//! A Redis in this process, for tests and for `sim`: the keys, the commands that this store uses, channels, and the
//! very script that ships, in the Lua that Redis has. `backend::redis` knows no difference ([`Link`], [`Outside`]).
//!
//! ```text
//!   backend::Redis ── Wire (Link) ───▶  Imitation: keys, script  ── PUBLISH ──▶  Ear (Outside), one for each node
//!                                            ▲
//!                                         Weather: what becomes of an exchange, and what time it is
//! ```
//!
//! What Redis leaves open is drawn from a seed; what breaks, and when, says the one who has it.

mod keys;
mod script;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use ::redis::Value;
use sha1::{Digest, Sha1};

use self::keys::{Answer, Keys, Text};
use self::script::Script;
use super::outside::{Commands, Inbox, Link, Notes, Outcome, Outside, SCRIPT, run_of};
use super::{Options, Redis};
use crate::random::Random;

/// What becomes of what a node sends to Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is answered.
    Answered,
    /// So many of the commands are carried out, and no answer comes: the connection is of no use any more.
    Broken(usize),
}

/// What happens between a node and its Redis.
pub trait Weather: fmt::Debug {
    /// A node sends so many commands. Others may ask this Redis meanwhile.
    fn exchange(&self, node: usize, commands: usize) -> Fate;

    /// The time.
    fn clock(&self) -> Duration;
}

/// The Redis. Its clones are the same one.
#[derive(Clone, Debug)]
pub struct Imitation {
    inside: Rc<RefCell<Inside>>,
    script: Rc<Script>,
    sha: Rc<str>,
    weather: Rc<dyn Weather>,
}

/// What it has.
#[derive(Debug)]
struct Inside {
    keys: Keys,
    random: Random,
    /// Which run of Redis it is.
    run: u64,
    /// It knows the script.
    knows_script: bool,
    /// There is no more memory.
    is_full: bool,
    /// The script that runs has written something.
    has_written: bool,
    /// The keys as they were once: what a replica has that was behind.
    older: Keys,
    /// Those who hear channels, one for each node.
    ears: Vec<Rc<RefCell<Ear>>>,
    traffic: Traffic,
}

/// Bytes of texts that were read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// By nodes, in answers.
    pub answered: usize,
    /// By scripts.
    pub looked_at: usize,
}

/// What a Redis has that is started again, or takes the place of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// All of it.
    All,
    /// What there was when [`Imitation::is_copied`] was called last.
    Older,
    /// Nothing.
    Nothing,
}

/// What one node hears.
#[derive(Debug, Default)]
pub struct Ear {
    channels: Vec<Text>,
    /// What was said in them and is on its way; `None`: they are not heard.
    coming: Option<VecDeque<Text>>,
    inbox: Inbox<Wire>,
    wants_link: bool,
    /// It looks as if they were heard, and nothing comes.
    is_deaf: bool,
}

/// All is well, and nothing takes time.
#[derive(Debug)]
struct Calm;

impl Weather for Calm {
    fn exchange(&self, _: usize, _: usize) -> Fate {
        Fate::Answered
    }

    fn clock(&self) -> Duration {
        Duration::ZERO
    }
}

/// A connection of a node.
#[derive(Debug)]
struct Wire {
    redis: Imitation,
    node: usize,
    of_run: u64,
    run: String,
}

/// A node's way to hear, which goes on by itself where nothing breaks.
#[derive(Debug)]
struct Hearing {
    redis: Imitation,
    node: usize,
    /// Whether what comes is here at once, and what was cut is mended at once.
    is_calm: bool,
}

impl Imitation {
    /// One that is empty. What it leaves open is drawn from this.
    ///
    /// # Errors
    /// What Lua has against the script.
    pub fn new(random: impl Into<Random>, weather: Option<Rc<dyn Weather>>) -> Result<Self, String> {
        let inside = Inside {
            keys: Keys::new(),
            random: random.into(),
            run: 0,
            knows_script: false,
            is_full: false,
            has_written: false,
            older: Keys::new(),
            ears: Vec::new(),
            traffic: Traffic::default(),
        };
        let inside = Rc::new(RefCell::new(inside));
        let of_script = inside.clone();
        let script = Script::read(SCRIPT, move |args| {
            let inside = &mut *of_script.borrow_mut();
            let answer = inside.call(args);
            inside.traffic.looked_at += bytes(&answer);
            answer
        })?;
        let sha = Sha1::digest(SCRIPT).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let weather = weather.unwrap_or_else(|| Rc::new(Calm));
        Ok(Self { inside, script: Rc::new(script), sha: sha.into(), weather })
    }

    /// A node of this store. Where it is calm, what comes is heard at once.
    ///
    /// # Errors
    /// Why it cannot begin.
    pub fn open(&self, options: Options, random: impl Into<Random>, is_calm: bool) -> Result<(usize, Redis), String> {
        let node = self.inside.borrow().ears.len();
        let store = Redis::open_by(options, random, |channels| {
            let channels = channels.map(Text::from).into();
            let ear = Ear { channels, coming: Some(VecDeque::new()), ..Ear::default() };
            self.inside.borrow_mut().ears.push(Rc::new(RefCell::new(ear)));
            self.ear(node).borrow_mut().inbox.begin_to_hear();
            let link = self.connect(node)?;
            Ok((Box::new(link), Box::new(Hearing { redis: self.clone(), node, is_calm })))
        })?;
        Ok((node, store))
    }

    fn ear(&self, node: usize) -> Rc<RefCell<Ear>> {
        self.inside.borrow().ears[node].clone()
    }

    fn connect(&self, node: usize) -> Result<Wire, String> {
        let inside = &mut *self.inside.borrow_mut();
        let (of_run, run) = (inside.run, run_of(&inside.info())?);
        inside.knows_script = true;
        Ok(Wire { redis: self.clone(), node, of_run, run })
    }

    /// One command of a node.
    fn carry_out(&self, args: &[Text]) -> Answer {
        let name =
            |at: usize| args.get(at).map(|name| String::from_utf8_lossy(name).to_uppercase()).unwrap_or_default();
        match (&*name(0), &*name(1)) {
            ("EVALSHA", _) => {
                if !self.inside.borrow().knows_script || args.get(1).is_none_or(|sha| **sha != *self.sha.as_bytes()) {
                    return Answer::Error("NOSCRIPT No matching script. Please use EVAL.".into());
                }
                self.inside.borrow_mut().has_written = false;
                self.script.run(&[], args.get(3..).unwrap_or_default())
            }
            ("SCRIPT", "FLUSH") => {
                self.inside.borrow_mut().knows_script = false;
                Answer::Status("OK")
            }
            ("FLUSHALL", _) => {
                self.inside.borrow_mut().keys.clear();
                Answer::Status("OK")
            }
            ("INFO", _) => Answer::Text(self.inside.borrow().info().into()),
            ("CLIENT", "KILL") => {
                self.cut_channels();
                Answer::Number(1)
            }
            _ => {
                let inside = &mut *self.inside.borrow_mut();
                inside.has_written = false;
                inside.call(args)
            }
        }
    }

    /// Nobody hears the channels any more.
    fn cut_channels(&self) {
        (0..self.inside.borrow().ears.len()).for_each(|node| self.cuts(node));
    }

    /// A node does not hear the channels any more; what is on its way to it is lost.
    pub fn cuts(&self, node: usize) {
        self.ear(node).borrow_mut().coming = None;
    }

    /// A node that does not hear the channels hears them again, and has another connection, if it wants that. Returns
    /// whether it was so.
    pub fn mends(&self, node: usize) -> bool {
        let ear = self.ear(node);
        let wants_link = ear.borrow().wants_link;
        let link = wants_link.then(|| self.connect(node)).and_then(Result::ok);
        let ear = &mut *ear.borrow_mut();
        let is_mended = link.is_some() || ear.coming.is_none();
        if let Some(link) = link {
            ear.inbox.connect(link);
            ear.wants_link = false;
        }
        if ear.coming.is_none() {
            (ear.coming, ear.is_deaf) = (Some(VecDeque::new()), false);
            ear.inbox.begin_to_hear();
        }
        is_mended
    }

    /// What is said in the channels of a node is lost from now on, until it hears them anew.
    pub fn deafens(&self, node: usize) {
        self.ear(node).borrow_mut().is_deaf = true;
    }

    /// How much is on its way to a node.
    pub fn coming(&self, node: usize) -> usize {
        self.ear(node).borrow().coming.as_ref().map_or(0, VecDeque::len)
    }

    /// So much of what is on its way to a node comes.
    pub fn arrives(&self, node: usize, messages: usize) {
        let ear = self.ear(node);
        let ear = &mut *ear.borrow_mut();
        let coming = ear.coming.iter_mut().flat_map(|coming| coming.drain(..messages.min(coming.len())));
        coming.for_each(|message| ear.inbox.hear(message));
    }

    /// It is time for a node to beat.
    pub fn beats(&self, node: usize) {
        self.ear(node).borrow_mut().inbox.notes.tick = true;
    }

    /// Time goes by.
    pub fn waits(&self, ms: u64) {
        self.inside.borrow_mut().keys.now += ms;
    }

    /// A replica has all that there is by now.
    pub fn is_copied(&self) {
        let inside = &mut *self.inside.borrow_mut();
        inside.older = inside.keys.clone();
    }

    /// It is started again, or another one takes its place.
    pub fn starts_again(&self, left: Left) {
        let inside = &mut *self.inside.borrow_mut();
        inside.run += 1;
        (inside.knows_script, inside.is_full) = (false, false);
        let now = inside.keys.now;
        match left {
            Left::All => {}
            Left::Older => inside.keys = inside.older.clone(),
            Left::Nothing => inside.keys.clear(),
        }
        inside.keys.now = now;
        inside.ears.iter().for_each(|ear| ear.borrow_mut().coming = None);
    }

    /// All keys go, or the script is forgotten, while it runs.
    pub fn flushes(&self, keys: bool) {
        let inside = &mut *self.inside.borrow_mut();
        match keys {
            true => inside.keys.clear(),
            false => inside.knows_script = false,
        }
    }

    /// What was read of it since this was asked last.
    #[cfg(test)]
    pub fn takes_traffic(&self) -> Traffic {
        std::mem::take(&mut self.inside.borrow_mut().traffic)
    }

    /// There is no more memory, or some again.
    pub fn is_full(&self, full: bool) {
        self.inside.borrow_mut().is_full = full;
    }
}

impl Inside {
    /// What it says of itself.
    fn info(&self) -> String {
        let run = self.run;
        format!("redis_version:7.4.0\r\nredis_mode:standalone\r\nrole:master\r\nmaxmemory:0\r\nrun_id:{run:016x}\r\n")
    }

    fn call(&mut self, args: &[Text]) -> Answer {
        let Some((name, args)) = args.split_first() else { return Answer::Error("ERR no command".into()) };
        let name = String::from_utf8_lossy(name).to_uppercase();
        if let ("PUBLISH", [channel, message]) = (&*name, args) {
            return self.publish(channel, message);
        }
        if Keys::grows(&name) && self.is_full && !self.has_written {
            return Answer::Error("OOM command not allowed when used memory > 'maxmemory'.".into());
        }
        self.has_written |= Keys::writes(&name);
        let unknown = || Answer::Error(format!("ERR unknown command '{name}'"));
        self.keys.call(&name, args, &mut self.random).unwrap_or_else(unknown)
    }

    /// How many hear it.
    fn publish(&mut self, channel: &Text, message: &Text) -> Answer {
        let mut heard = 0;
        for ear in &self.ears {
            let ear = &mut *ear.borrow_mut();
            if let Some(coming) = ear.coming.as_mut().filter(|_| ear.channels.contains(channel)) {
                if !ear.is_deaf {
                    coming.push_back(message.clone());
                }
                heard += 1;
            }
        }
        Answer::Number(heard)
    }
}

impl Link for Wire {
    fn run(&self) -> &str {
        &self.run
    }

    fn script(&self) -> &str {
        &self.redis.sha
    }

    fn clock(&self) -> Duration {
        self.redis.weather.clock()
    }

    fn load(&mut self) -> Result<(), String> {
        self.redis.inside.borrow_mut().knows_script = true;
        Ok(())
    }

    fn send(&mut self, commands: &Commands, which: Range<usize>) -> Result<Vec<Outcome>, String> {
        let fate = self.redis.weather.exchange(self.node, which.len());
        let done = match fate {
            Fate::Answered => which.len(),
            Fate::Broken(done) => done.min(which.len()),
        };
        if self.redis.inside.borrow().run != self.of_run {
            return Err("the connection is broken".into());
        }
        let carry_out = |at| {
            let answer = self.redis.carry_out(&words(commands.get(at..at + 1)));
            self.redis.inside.borrow_mut().traffic.answered += bytes(&answer);
            outcome(answer)
        };
        let outcomes = which.take(done).map(carry_out).collect();
        match fate {
            Fate::Answered => Ok(outcomes),
            Fate::Broken(_) => Err("no answer comes".into()),
        }
    }
}

impl Outside for Hearing {
    fn look(&mut self) -> Notes {
        if self.is_calm {
            self.redis.mends(self.node);
        }
        let ear = self.redis.ear(self.node);
        ear.borrow_mut().inbox.look()
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.is_calm {
            self.redis.arrives(self.node, usize::MAX);
        }
        self.redis.ear(self.node).borrow_mut().inbox.next()
    }

    fn want_link(&mut self) {
        self.redis.ear(self.node).borrow_mut().wants_link = true;
    }

    #[cfg(test)]
    fn unheard(&self) -> Vec<Vec<u8>> {
        let ear = self.redis.ear(self.node);
        let ear = ear.borrow();
        ear.inbox.unheard().into_iter().chain(ear.coming.iter().flatten().cloned()).collect()
    }
}

/// The words of a command, as they come over a wire.
fn words(mut bytes: &[u8]) -> Vec<Text> {
    let many = number(&mut bytes, b'*');
    let word = |_| {
        let len = number(&mut bytes, b'$');
        let (word, rest) = bytes.split_at(len);
        bytes = &rest[2..];
        word.to_vec()
    };
    (0..many).map(word).collect()
}

/// The number of a line that begins with this sign.
fn number(bytes: &mut &[u8], sign: u8) -> usize {
    let end = bytes.iter().position(|byte| *byte == b'\r').expect("a line ends");
    let (line, rest) = bytes.split_at(end);
    assert_eq!(line[0], sign, "a command is a list of texts");
    *bytes = &rest[2..];
    std::str::from_utf8(&line[1..]).expect("digits").parse().expect("a number")
}

/// Bytes of the texts in an answer.
fn bytes(answer: &Answer) -> usize {
    match answer {
        Answer::Text(text) => text.len(),
        Answer::List(list) => list.iter().map(bytes).sum(),
        _ => 0,
    }
}

/// An answer as it is read from a wire.
fn outcome(answer: Answer) -> Outcome {
    fn value(answer: Answer) -> Value {
        match answer {
            Answer::Nil => Value::Nil,
            Answer::Number(number) => Value::Int(number),
            Answer::Text(text) => Value::BulkString(text),
            Answer::Status(text) => Value::SimpleString(text.into()),
            Answer::List(list) => Value::Array(list.into_iter().map(value).collect()),
            // Within a list; the store uses no such.
            Answer::Error(why) => Value::SimpleString(why),
        }
    }
    match answer {
        Answer::Error(why) => Err(why),
        answer => Ok(value(answer)),
    }
}
