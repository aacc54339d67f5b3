//! Requests: what is asked of Redis for each, and what comes of the answer.
//!
//! Most are one command, and go out together. What needs to know a conversation as it stands (an edit, what somebody
//! has read of many rooms) waits until those before it are answered.

use std::collections::HashMap;

use super::places::{Need, write_key};
use super::*;

/// Commands on their way, each of a request.
#[derive(Default)]
struct Flight {
    commands: Commands,
    /// Of each the request; without one it is what has changed here.
    of: Vec<Option<usize>>,
    /// How many entries are on their way to a conversation.
    ahead: HashMap<Box<str>, u64>,
}

/// An answer to a pull.
pub(super) struct Pulled {
    pub epoch: Epoch,
    /// The last number.
    pub n: u64,
    /// The number of the first entry that is here.
    pub first: u64,
    /// That of the first one that Redis keeps.
    pub floor: u64,
    pub found: Vec<Vec<u8>>,
    /// How many numbers are behind the last entry that is here.
    pub left: u64,
    mark: u64,
    /// Messages behind the mark, where they were counted there.
    unread: Option<u64>,
    /// When something was last said.
    said: u64,
}

impl Pulled {
    /// Up to where it was read, and what was counted behind that.
    fn marked(&self) -> Marked {
        // What is not all here was counted before the rest was said.
        Marked { mark: self.mark, unread: self.unread.filter(|_| self.left == 0) }
    }
}

/// Up to where somebody has read, and the messages behind that, where they are counted already.
#[derive(Clone, Copy, Debug)]
struct Marked {
    mark: u64,
    unread: Option<u64>,
}

/// What is needed, when and for whom, and whether it is begun.
struct Pull<'a> {
    need: Need,
    begins: bool,
    user: &'a str,
    /// The time from which on entries are young enough.
    young: u64,
    about: Option<Description<'a>>,
}

/// What a list says of a conversation.
struct Seen {
    seq: u64,
    is_empty: bool,
    reading: Reading,
    /// When something was last said.
    said: u64,
}

impl Redis {
    pub(super) fn carry_out(&mut self, asked: &Requests) {
        let mut flight = Flight::default();
        for (at, request) in (0..).map_while(|at| Some((at, asked.get(at)?))) {
            if let Request::Post { presence, how } = request {
                self.boards.post(presence, how);
                if self.boards.untold() >= boards::POSTED_AT_ONCE {
                    self.tell_board(&mut flight);
                }
                continue;
            }
            if let Request::Seats { room } = request {
                self.tell_seats(room);
                continue;
            }
            self.tell_board(&mut flight);
            match self.command_of(request, &mut flight) {
                Some(command) => {
                    flight.commands.push(&command);
                    flight.of.push(Some(at));
                }
                None => {
                    self.land(&mut flight, asked);
                    self.by_itself(request);
                }
            }
            if flight.commands.bytes() >= MAX_ASKED_BYTES {
                self.land(&mut flight, asked);
            }
        }
        self.tell_board(&mut flight);
        self.land(&mut flight, asked);
    }

    /// What has changed here goes out with the rest.
    fn tell_board(&mut self, flight: &mut Flight) {
        if self.boards.untold() > 0 {
            flight.commands.push(&self.tell_changes());
            flight.of.push(None);
        }
    }

    /// The one command of a request, if one is all it takes.
    fn command_of(&mut self, request: Request<'_>, flight: &mut Flight) -> Option<Cmd> {
        let key = request.conversation().map(|conversation| {
            let mut key = String::new();
            write_key(conversation, &mut key);
            key
        });
        let key = key.unwrap_or_default();
        self.unfollowed.remove(key.as_str());
        let command = match request {
            Request::Append { entry, retry, about, .. } if entry.body.needs().is_none() => {
                let ahead = flight.ahead.entry(key.as_str().into()).or_default();
                let command = self.append(&key, &entry, retry, about, *ahead, None);
                *ahead += 1;
                command
            }
            Request::Recall { retry, .. } => {
                let mut command = self.script("recall");
                command.arg(&key).arg(hex(retry));
                command
            }
            Request::Read { conversation, query, reader, now, about, .. } => {
                let user = reader.filter(|reader| reader.reading).map_or("", |reader| reader.user);
                let begins = matches!(conversation, Conversation::Room(_));
                let young = self.young(now.unix_ms);
                self.pull(&key, Pull { need: query.into(), begins, user, young, about })
            }
            Request::Mark { user, seq, .. } => {
                let mut command = self.script("mark");
                command.arg(&key).arg(user).arg(seq.min(MOST)).arg(MAX_MARKS);
                command
            }
            Request::Topic { about, anew, by, .. } => {
                let (new, (epoch, head)) = (self.draw(), self.known(&key));
                let mut command = self.script("topic");
                command.arg(&key).arg(new.to_string()).arg(epoch).arg(head.unwrap_or(0)).arg(by);
                command.arg(maybe(anew.title)).arg(maybe(anew.topic));
                describe(&mut command, Some(about));
                command
            }
            Request::Ban { ban: Ban { user, until, note }, .. } => {
                let until = until.map_or(String::new(), |until| until.to_string());
                let mut command = self.script("ban");
                command.arg(user).arg(until).arg(note.unwrap_or_default()).arg(MAX_BANS);
                command
            }
            Request::Unban { user, .. } => {
                let mut command = self.script("unban");
                command.arg(user);
                command
            }
            Request::Know { user, .. } => {
                let mut command = self.script("know");
                command.arg(user).arg(self.options.people);
                command
            }
            Request::Release { .. } | Request::Erase { .. } => {
                let mut command = self.script("release");
                command.arg(&key).arg(i32::from(matches!(request, Request::Erase { .. })));
                // What is asked about it behind that is asked about all of it.
                self.places.remove(&key);
                command
            }
            Request::Unfollow { .. } => {
                let mut command = self.script("unfollow");
                command.arg(&key);
                // The next question about it is about all of it.
                self.places.remove(&key);
                if self.unfollowed.len() >= MAX_UNFOLLOWED {
                    self.unfollowed.clear();
                }
                self.unfollowed.insert(&key, ());
                command
            }
            Request::Tell { to, word } => {
                let (kind, whom) = audience(to);
                let mut command = self.script("tell");
                command.arg(kind).arg(whom).arg(word);
                command
            }
            Request::Append { .. }
            | Request::Readings { .. }
            | Request::Conversations { .. }
            | Request::Search { .. }
            | Request::Set { .. }
            | Request::Note { .. }
            | Request::Trail { .. }
            // They go out together.
            | Request::Post { .. }
            // It is known here.
            | Request::Seats { .. } => return None,
        };
        Some(command)
    }

    fn append(
        &mut self,
        key: &str,
        entry: &NewEntry<'_>,
        retry: Option<RetryKey>,
        about: Option<Description<'_>>,
        ahead: u64,
        judged: Option<(u64, &[(u64, String)])>,
    ) -> Cmd {
        let (new, (epoch, head)) = (self.draw(), self.known(key));
        let (kind, record) = Record::write(entry);
        let (oldest, replaced) = judged.unwrap_or_default();
        let mut command = self.script("append");
        command.arg(key).arg(new.to_string()).arg(epoch);
        command.arg(head.map_or(-1, |head| i64::try_from(head).unwrap_or(i64::MAX))).arg(ahead);
        command.arg(self.options.messages.min(MOST as usize)).arg(self.age_ms()).arg(self.young(entry.at.unix_ms));
        command.arg(retry.map_or(String::new(), hex)).arg(record).arg(entry.at.unix_ms).arg(kind.to_string());
        command.arg(i32::from(judged.is_some())).arg(oldest).arg(self.options.people).arg(MAX_PAIRS);
        command.arg(replaced.len());
        for (seq, record) in replaced {
            command.arg(*seq).arg(record);
        }
        describe(&mut command, about);
        command
    }

    fn pull(&mut self, key: &str, Pull { need, begins, user, young, about }: Pull<'_>) -> Cmd {
        let (new, (epoch, head)) = (self.draw(), self.known(key));
        let place = self.places.find(key).map(|at| self.places.get(at));
        let (lacks, has) = place.map_or((0, 0), |place| (place.kept.seq() + 1, place.kept.head().oldest()));
        let need = need.where_not(place, self.options.messages);
        let (first, life, newest) = match need {
            Need::Head => (MOST, String::new(), 0),
            Need::All => (1, String::new(), 0),
            Need::From(first) => (first.clamp(1, MOST), String::new(), 0),
            Need::Newest(newest) => (MOST, String::new(), newest),
            Need::Behind(epoch, seq, newest) => (seq.saturating_add(1).min(MOST), epoch.to_string(), newest),
        };
        let mut command = self.script("pull");
        command.arg(key).arg(new.to_string()).arg(epoch).arg(head.unwrap_or(0)).arg(lacks).arg(has);
        command.arg(first).arg(life).arg(newest.min(MAX_NEWEST)).arg(i32::from(begins)).arg(young).arg(self.age_ms());
        command.arg(user).arg(MAX_UNREAD).arg(MAX_COUNTED).arg(self.options.people).arg(MAX_PAIRS);
        describe(&mut command, about);
        command
    }

    /// The epoch of a conversation and the number up to which it was told, if that is known.
    fn known(&self, key: &str) -> (String, Option<u64>) {
        self.places.known(key).map_or((String::new(), None), |(epoch, head)| (epoch.to_string(), Some(head)))
    }

    /// Sends what has gathered, and takes the answers.
    fn land(&mut self, flight: &mut Flight, asked: &Requests) {
        let Flight { commands, of, .. } = std::mem::take(flight);
        if of.is_empty() {
            return;
        }
        let outcomes = self.exchange(&commands);
        let mut outcomes = outcomes.into_iter().flatten();
        for at in of {
            let outcome = outcomes.next();
            let Some(request) = at.and_then(|at| asked.get(at)) else {
                if outcome.and_then(Result::ok).as_ref().and_then(number) != Some(1) {
                    self.boards.grow_stale();
                }
                continue;
            };
            match outcome {
                Some(Ok(value)) => {
                    self.works();
                    self.landed(request, value);
                }
                Some(Err(why)) => self.refused(request, &why),
                None => self.fail(request.ticket()),
            }
        }
    }

    fn works(&mut self) {
        if self.link.is_some() && self.health.failing.is_some() {
            self.health.failing = None;
        }
    }

    /// Redis does not do it.
    fn refused(&mut self, request: Request<'_>, why: &str) {
        if self.health.failing.is_none() {
            log::warn!("{}: {why}", self.options.server);
            self.health.failures += 1;
        }
        self.health.failing = Some(why.to_owned());
        // It has become a replica, or starts: another connection may lead to another one.
        if ["READONLY", "LOADING", "MASTERDOWN", "NOAUTH"].iter().any(|code| why.starts_with(code)) {
            self.lose(why);
        }
        self.fail(request.ticket());
    }

    pub(super) fn fail(&mut self, ticket: Option<Ticket>) {
        if let Some(ticket) = ticket {
            self.said.push(&News::Failed { ticket });
        }
    }

    /// The answer to the one command of a request.
    fn landed(&mut self, request: Request<'_>, value: Value) {
        let mut key = std::mem::take(&mut self.key);
        if let Some(conversation) = request.conversation() {
            write_key(conversation, &mut key);
        }
        match request {
            Request::Append { entry, ticket, .. } => {
                if !self.appended(&key, &entry, ticket, value) {
                    self.fail(Some(ticket));
                }
            }
            Request::Recall { ticket, .. } => match said(&value) {
                Some((seq, ts)) => self.said.push(&News::Repeated { ticket, seq, ts }),
                None => self.said.push(&News::Refused { ticket, why: Why::NotFound }),
            },
            Request::Read { query, reader, now, ticket, .. } => {
                let pulled = self.take_answer(&key, value);
                self.read(&key, query, reader, now, ticket, pulled);
            }
            Request::Mark { user, conversation, ticket, .. } => match number(&value) {
                Some(seq) => self.said.push(&News::Marked { ticket: Some(ticket), user, conversation, seq }),
                _ => self.said.push(&News::Noted { ticket }),
            },
            Request::Topic { about: Description { room, .. }, by, ticket, .. } => {
                let found = list(value);
                let words =
                    |at: usize| found.get(at).and_then(text).map(|text| text.strip_prefix('+').unwrap_or_default());
                match (found.first().and_then(number), words(1), words(2)) {
                    (Some(changes), title @ Some(_), topic @ Some(_)) => {
                        let anew = Anew { title, topic };
                        self.said.push(&News::Topic { ticket: Some(ticket), room, anew, by, changes });
                    }
                    _ => self.said.push(&News::Noted { ticket }),
                }
            }
            Request::Ban { ban: Ban { user, until, note }, ticket } => {
                let until = until.map_or(String::new(), |until| until.to_string());
                self.bans.insert(user, &format!("{until}\n{}", note.unwrap_or_default()));
                self.said.push(&News::Noted { ticket });
            }
            Request::Unban { user, ticket } => {
                self.bans.remove(user);
                self.said.push(&News::Noted { ticket });
            }
            Request::Release { .. } | Request::Erase { .. } | Request::Unfollow { .. } => self.places.remove(&key),
            Request::Know { .. }
            | Request::Tell { .. }
            | Request::Post { .. }
            | Request::Seats { .. }
            | Request::Readings { .. }
            | Request::Conversations { .. }
            | Request::Search { .. }
            | Request::Set { .. }
            | Request::Note { .. }
            | Request::Trail { .. } => {}
        }
        self.key = key;
    }

    /// What came of an entry; `false`: nothing yet, because what it was judged by is not all there is.
    fn appended(&mut self, key: &str, entry: &NewEntry<'_>, ticket: Ticket, value: Value) -> bool {
        let mut parts = list(value).into_iter();
        match parts.next().as_ref().and_then(text) {
            Some("P") => {}
            Some("R") => {
                let found = parts.next().as_ref().and_then(said);
                let (seq, ts) = found.unwrap_or_default();
                self.said.push(&News::Repeated { ticket, seq, ts });
                return true;
            }
            _ => return false,
        }
        let (Some(epoch), Some(seq), Some(from)) = (
            parts.next().as_ref().and_then(text).and_then(Epoch::parse),
            parts.next().as_ref().and_then(number),
            parts.next().as_ref().and_then(number),
        ) else {
            return false;
        };
        let missed = list(parts.next().unwrap_or(Value::Nil)).into_iter().filter_map(|record| match record {
            Value::BulkString(record) => Some(record),
            _ => None,
        });
        let missed: Vec<Vec<u8>> = missed.collect();
        let (_, other) = (parts.next(), parts.next());
        self.told_of_card(key, other);
        if !hearing::leans_on_others(&missed) {
            for (at, record) in (from..).zip(&missed) {
                self.hear_entry(key, epoch, at, record, None);
            }
        } else if self.places.find(key).is_none() {
            // Texts are elsewhere in the log: what comes behind them here shows a hole, which is filled from there.
            self.places.insert(key, epoch, from - 1);
        }
        let (_, record) = Record::write(entry);
        self.hear_entry(key, epoch, seq, record.as_bytes(), Some(ticket));
        true
    }

    /// A room has another description than the one that was brought.
    fn told_of_card(&mut self, key: &str, other: Option<Value>) {
        let mut other = list(other.unwrap_or(Value::Nil)).into_iter();
        let Some(keeps) = other.next().as_ref().and_then(number) else { return };
        let mut texts = other.map(|value| text(&value).unwrap_or_default().to_owned());
        let mut next = || texts.next().unwrap_or_default();
        let (created_at, created, title, topic, changes) = (next(), next(), next(), next(), next());
        let description = Description {
            room: key.get(2..).unwrap_or_default(),
            title: title.strip_prefix('+'),
            topic: topic.strip_prefix('+'),
            created_at: created_at.parse().unwrap_or(0),
            created: created == "1",
        };
        self.said.push(&News::Room { description, keeps: keeps > 0, changes: changes.parse().unwrap_or(0) });
    }

    /// Makes the page of a conversation of which this has come, or of one that is not there at all, which has this
    /// epoch.
    fn read(
        &mut self,
        key: &str,
        query: Query,
        reader: Option<Reader<'_>>,
        now: Moment,
        ticket: Ticket,
        pulled: Result<Pulled, Option<Epoch>>,
    ) {
        let marking = reader.filter(|reader| reader.reading).map(|reader| reader.user);
        let pulled = match pulled {
            Ok(pulled) => pulled,
            Err(None) => return self.fail(Some(ticket)),
            Err(Some(epoch)) => {
                let head = Head { epoch, seq: 0, kept: 0 };
                let reading = marking.map(|_| Reading::default());
                return self.said.push(&News::Page { ticket, head, entries: Vec::new(), reading });
            }
        };
        let marked = pulled.marked();
        let Some(at) = self.have(key, pulled, query.into(), self.young(now.unix_ms)) else {
            return self.fail(Some(ticket));
        };
        self.expire_one(at, now);
        let reading = match marking.map(|user| self.reading(key, at, user, marked)) {
            Some(None) => return self.fail(Some(ticket)),
            reading => reading.flatten(),
        };
        let place = self.places.get_mut(at);
        let entries = place.kept.read(query, reader.map(|reader| reader.user));
        self.said.push(&News::Page { ticket, head: place.head(), entries, reading });
    }

    /// What a user has read of a conversation, of which that much is known; `None`: Redis is away.
    fn reading(&mut self, key: &str, at: usize, user: &str, Marked { mark, unread }: Marked) -> Option<Reading> {
        let place = self.places.get(at);
        let Head { epoch, seq, .. } = place.kept.head();
        let read = mark.min(seq);
        let unread = match unread {
            Some(unread) => unread,
            None if place.has(Need::From(read + 1)) => place.kept.unread(user, read),
            None => self.count_unread(key, epoch, user, read, seq)?,
        };
        Some(Reading { read, unread })
    }

    /// Has Redis count the messages behind a mark, up to a number.
    fn count_unread(&mut self, key: &str, epoch: Epoch, user: &str, mark: u64, to: u64) -> Option<u64> {
        for _ in 0..PIECES_AT_MOST {
            let mut command = self.script("unread");
            command.arg(key).arg(epoch.to_string()).arg(user).arg(mark).arg(to);
            command.arg(MAX_UNREAD).arg(MAX_COUNTED).arg(self.age_ms());
            // It says what it has counted, or that it looks at more than it does in one go.
            if let Some(unread) = number(&self.call(&command).ok()?) {
                return Some(unread);
            }
        }
        None
    }

    /// Reads an answer to a pull.
    ///
    /// # Errors
    /// The epoch of what is not there.
    fn take_answer(&mut self, key: &str, value: Value) -> Result<Pulled, Option<Epoch>> {
        let mut parts = list(value).into_iter();
        let kind = parts.next();
        let epoch = parts.next().as_ref().and_then(text).and_then(Epoch::parse);
        if kind.as_ref().and_then(text) != Some("H") {
            return Err(epoch);
        }
        let mut next = || parts.next().unwrap_or(Value::Nil);
        let (n, first, found, left, mark) = (next(), next(), next(), next(), next());
        let (other, said, floor, unread) = (next(), next(), next(), next());
        self.told_of_card(key, Some(other));
        let pulled = |value: &Value| number(value).unwrap_or(0);
        let found = list(found).into_iter().filter_map(|record| match record {
            Value::BulkString(record) => Some(record),
            _ => None,
        });
        Ok(Pulled {
            epoch: epoch.ok_or(None)?,
            n: pulled(&n),
            first: pulled(&first),
            floor: pulled(&floor),
            found: found.collect(),
            left: pulled(&left),
            mark: pulled(&mark),
            unread: number(&unread),
            said: text(&said).and_then(|said| said.parse().ok()).unwrap_or(0),
        })
    }

    /// Takes what was pulled, and has what is needed here: what was here when it was asked may have been given up
    /// since. The place; `None`: Redis is away.
    fn have(&mut self, key: &str, pulled: Pulled, need: Need, young: u64) -> Option<usize> {
        let mut at = self.take_to(key, pulled, u64::MAX)?;
        for need in [need, Need::All] {
            if self.places.get(at).has(need) {
                break;
            }
            let command = self.pull(key, Pull { need, begins: false, user: "", young, about: None });
            let value = self.call(&command).ok()?;
            let pulled = self.take_answer(key, value).ok()?;
            at = self.take_to(key, pulled, u64::MAX)?;
        }
        Some(at)
    }

    /// Takes what was pulled, and pulls the rest; of what is behind the last that was told, only what goes up to a
    /// number is told. The place; `None`: Redis is away.
    pub(super) fn take_to(&mut self, key: &str, pulled: Pulled, to: u64) -> Option<usize> {
        let seq = self.places.find(key).map(|at| self.places.get(at).kept.head());
        let is_short = seq.is_some_and(|head| head.epoch == pulled.epoch && pulled.first > head.seq + 1);
        // What was here when it was asked has been given up since, and it is kept.
        let mut pulled =
            if is_short && pulled.first > pulled.floor { self.pull_more(key, Need::Head)? } else { pulled };
        for _ in 0..PIECES_AT_MOST {
            let left = pulled.left;
            let at = self.take(key, pulled, to);
            if left == 0 {
                self.tell(key, at, to);
                return Some(at);
            }
            // Nothing comes of it if it has been changed by somebody else in a way that nobody does.
            let next = self.pull_more(key, Need::Head).filter(|next| !next.found.is_empty() || next.left == 0);
            match next {
                Some(next) => pulled = next,
                None => {
                    self.places.uncover(at);
                    return None;
                }
            }
        }
        None
    }

    /// Pulls what is missing here of a conversation that lives, and what is needed before that.
    pub(super) fn pull_more(&mut self, key: &str, need: Need) -> Option<Pulled> {
        let command = self.pull(key, Pull { need, begins: false, user: "", young: 0, about: None });
        let value = self.call(&command).ok()?;
        self.take_answer(key, value).ok()
    }

    /// A request that takes more than one command.
    fn by_itself(&mut self, request: Request<'_>) {
        if self.link.is_none() {
            return self.fail(request.ticket());
        }
        let outcome = match request {
            Request::Append { conversation, entry, retry, about, ticket } => {
                self.judge_and_append(conversation, &entry, retry, about, ticket)
            }
            Request::Readings { user, rooms, now, ticket } => self.readings(user, rooms, now, ticket),
            Request::Conversations { user, cursor, limit, now, ticket } => {
                self.conversations(user, cursor, limit, now, ticket)
            }
            _ => {
                if let Some(ticket) = request.ticket() {
                    self.said.push(&News::Refused { ticket, why: Why::Unsupported });
                }
                Ok(())
            }
        };
        match outcome {
            Ok(()) => self.works(),
            Err(why) => self.refused(request, &why),
        }
    }

    fn judge_and_append(
        &mut self,
        conversation: Conversation<'_>,
        entry: &NewEntry<'_>,
        retry: Option<RetryKey>,
        about: Option<Description<'_>>,
        ticket: Ticket,
    ) -> Result<(), String> {
        let mut key = String::new();
        write_key(conversation, &mut key);
        // What is here may be judged by, if it comes to the same in Redis; else by all that was done to the message.
        let need = entry.body.needs().map_or(Need::All, Need::From);
        let mut fresh = false;
        for _ in 0..JUDGED_AT_MOST {
            let here = self.places.find(&key).filter(|&at| self.places.get(at).has(need));
            let Some(at) = here else {
                if fresh || !self.freshen(&key, need, entry.at)? {
                    return self.refuse(&key, retry, ticket, Verdict::Refuse(Why::NotFound));
                }
                fresh = true;
                continue;
            };
            self.expire_one(at, entry.at);
            let kept = &self.places.get_mut(at).kept;
            let target = entry.body.needs().and_then(|of| kept.find(of, entry));
            match judge(entry, target.as_ref()) {
                Verdict::Publish => {
                    let (oldest, replaced) = (kept.leans_on(entry), kept.changed_by(entry));
                    let command = self.append(&key, entry, retry, about, 0, Some((oldest, &replaced)));
                    let value = self.call(&command)?;
                    if self.appended(&key, entry, ticket, value) {
                        return Ok(());
                    }
                    fresh = self.freshen(&key, need, entry.at)?;
                }
                verdict if fresh => return self.refuse(&key, retry, ticket, verdict),
                verdict => {
                    fresh = self.freshen(&key, need, entry.at)?;
                    if !fresh {
                        return self.refuse(&key, retry, ticket, verdict);
                    }
                }
            }
        }
        Err("an entry was judged too often, because others were quicker".into())
    }

    /// Nothing is published, but if it was before.
    fn refuse(&mut self, key: &str, retry: Option<RetryKey>, ticket: Ticket, verdict: Verdict) -> Result<(), String> {
        let before = match retry {
            None => None,
            Some(retry) => {
                let mut command = self.script("recall");
                said(&self.call(command.arg(key).arg(hex(retry)))?)
            }
        };
        match (before, verdict) {
            (Some((seq, ts)), _) => self.said.push(&News::Repeated { ticket, seq, ts }),
            (None, Verdict::Refuse(why)) => self.said.push(&News::Refused { ticket, why }),
            (None, _) => self.said.push(&News::Noted { ticket }),
        }
        Ok(())
    }

    /// Has that much of a conversation here, as it is now; `false`: it does not live.
    fn freshen(&mut self, key: &str, need: Need, now: Moment) -> Result<bool, String> {
        let young = self.young(now.unix_ms);
        let command = self.pull(key, Pull { need, begins: false, user: "", young, about: None });
        let value = self.call(&command)?;
        let Ok(pulled) = self.take_answer(key, value) else {
            // A room that was here lives no more: without its place nobody looks for that again.
            if key.starts_with("r:") && self.places.find(key).is_some() {
                self.said.push(&News::Renewed);
            }
            self.places.remove(key);
            return Ok(false);
        };
        let life = self.life_of(key);
        let had = self.have(key, pulled, need, young);
        self.say_renewed(key, life);
        had.map(|_| true).ok_or_else(|| "Redis went away".into())
    }

    /// The life of a conversation that has a place.
    fn life_of(&self, key: &str) -> Option<Epoch> {
        self.places.find(key).map(|at| self.places.get(at).kept.head().epoch)
    }

    /// A room has been read for an answer that names no life. If it was in this one before and is in another one now,
    /// those inside would not hear of that.
    fn say_renewed(&mut self, key: &str, before: Option<Epoch>) {
        if key.starts_with("r:") && before.is_some() && self.life_of(key) != before {
            self.said.push(&News::Renewed);
        }
    }

    /// What a list says of several conversations, one after the other; `None`: it does not live. What was missed of
    /// those that are here is told before that, and nothing is read of the others.
    fn look_at(&mut self, keys: &[String], user: &str, now: Moment) -> Result<Vec<Option<Seen>>, String> {
        let (mut seen, young) = (Vec::with_capacity(keys.len()), self.young(now.unix_ms));
        for keys in keys.chunks(PULLED_AT_ONCE) {
            let mut commands = Commands::default();
            for key in keys {
                commands.push(&self.pull(key, Pull { need: Need::Head, begins: false, user, young, about: None }));
            }
            let outcomes = self.exchange(&commands).ok_or("Redis went away")?;
            for (key, outcome) in keys.iter().zip(outcomes) {
                let Ok(pulled) = self.take_answer(key, outcome?) else {
                    seen.push(None);
                    continue;
                };
                seen.push(Some(self.see(key, pulled, user, now).ok_or("Redis went away")?));
            }
        }
        Ok(seen)
    }

    fn see(&mut self, key: &str, pulled: Pulled, user: &str, now: Moment) -> Option<Seen> {
        let (marked, said) = (pulled.marked(), pulled.said);
        if self.places.find(key).is_none() {
            let (epoch, seq, read) = (pulled.epoch, pulled.n, marked.mark.min(pulled.n));
            let unread = match marked.unread {
                Some(unread) => unread,
                None => self.count_unread(key, epoch, user, read, seq)?,
            };
            return Some(Seen { seq, is_empty: pulled.floor > seq, reading: Reading { read, unread }, said });
        }
        let life = self.life_of(key);
        let at = self.take_to(key, pulled, u64::MAX);
        self.say_renewed(key, life);
        let at = at?;
        self.expire_one(at, now);
        let reading = self.reading(key, at, user, marked)?;
        let Head { seq, kept, .. } = self.places.get(at).head();
        Some(Seen { seq, is_empty: kept == 0, reading, said })
    }

    fn readings(&mut self, user: &str, rooms: Names<'_>, now: Moment, ticket: Ticket) -> Result<(), String> {
        let keys: Vec<String> = rooms.iter().map(|room| format!("r:{room}")).collect();
        let seen = self.look_at(&keys, user, now)?;
        let readings = seen.into_iter().map(|seen| seen.map_or_else(Reading::default, |seen| seen.reading)).collect();
        self.said.push(&News::Readings { ticket, readings });
        Ok(())
    }

    fn conversations(
        &mut self,
        user: &str,
        cursor: Option<&str>,
        limit: usize,
        now: Moment,
        ticket: Ticket,
    ) -> Result<(), String> {
        let mut before = match cursor {
            None => String::new(),
            // It is when something was said in the last one of the page, and is written as an epoch is.
            Some(cursor) => match Epoch::parse(cursor) {
                Some(Epoch(said)) if said <= MOST => said.to_string(),
                _ => {
                    self.said.push(&News::Refused { ticket, why: Why::BadCursor });
                    return Ok(());
                }
            },
        };
        let limit = limit.min(MAX_TALKS);
        let mut found: Vec<(String, u64, u64, Reading)> = Vec::new();
        let (mut last, mut next) = (0, None);
        'pages: loop {
            let wanted = limit - found.len() + 1;
            let mut command = self.script("talks");
            let value = self.call(command.arg(user).arg(&before).arg(wanted))?;
            let Value::Array(rows) = value else {
                self.said.push(&News::Refused { ticket, why: Why::BadCursor });
                return Ok(());
            };
            let rows: Vec<(String, u64)> = rows
                .chunks(2)
                .filter_map(|row| Some((text(&row[0])?.to_owned(), text(row.get(1)?)?.parse().ok()?)))
                .collect();
            let mut keys = vec![String::new(); rows.len()];
            rows.iter().zip(&mut keys).for_each(|((with, _), key)| write_key(Conversation::Direct(user, with), key));
            let seen = self.look_at(&keys, user, now)?;
            let asked = rows.len();
            for ((with, said), seen) in rows.into_iter().zip(seen) {
                if found.len() == limit {
                    next = Some(Epoch(last).to_string());
                    break 'pages;
                }
                (last, before) = (said, said.to_string());
                if let Some(Seen { seq, reading, said: ts, .. }) = seen.filter(|seen| !seen.is_empty) {
                    found.push((with, seq, ts, reading));
                }
            }
            if asked < wanted {
                break;
            }
        }
        let items = found.iter().map(|(with, seq, ts, reading)| Talk { with, seq: *seq, ts: *ts, reading: *reading });
        let items = items.collect();
        self.said.push(&News::Conversations { ticket, items, next });
        Ok(())
    }

    /// Drops what is too old of what is here.
    pub(super) fn expire_one(&mut self, at: usize, now: Moment) {
        if self.places.get(at).kept.is_empty() {
            return;
        }
        let age = self.options.age;
        let place = self.places.get_mut(at);
        place.expire(Tick(now.unix_ms), age);
        if place.kept.is_empty()
            && let Conversation::Room(room) = place.kept.conversation()
        {
            self.said.push(&News::Emptied { room });
        }
        self.places.note(at);
    }

    /// Pairs of whom nothing is kept any more end, and rooms are empty whose last entry is too old, also those that
    /// nobody hears. Returns whether there are others.
    pub(super) fn sweep(&mut self, now: Moment) -> bool {
        if self.link.is_none() {
            return true;
        }
        let until = match (self.options.messages, self.young(now.unix_ms)) {
            (0, _) => "+inf".into(),
            (_, 0) => String::new(),
            (_, young) => format!("({young}"),
        };
        let new = self.draw();
        let mut command = self.script("sweep");
        let Ok(value) = self.call(command.arg(new.to_string()).arg(until)) else { return true };
        let mut parts = list(value).into_iter();
        let left = parts.next().as_ref().and_then(number).unwrap_or(0);
        for key in list(parts.next().unwrap_or(Value::Nil)) {
            self.places.remove(text(&key).unwrap_or_default());
        }
        for room in list(parts.next().unwrap_or(Value::Nil)) {
            if let Some(room) = text(&room) {
                self.emptied(room);
            }
        }
        left > 0
    }

    /// Redis keeps nothing of a room any more. Where entries are here that is seen by them, and told once.
    pub(super) fn emptied(&mut self, room: &str) {
        let place = self.places.find(&format!("r:{room}")).map(|at| self.places.get(at));
        if place.is_none_or(|place| !place.covers && place.kept.is_empty()) {
            self.said.push(&News::Emptied { room });
        }
    }

    /// Tells of bans that the chat has not heard of, and of those that are no more: at the beginning, and when words of
    /// others may be missing.
    pub(super) fn look_at_bans(&mut self) {
        let value = self.call(redis::cmd("HGETALL").arg(format!("{}:bans", self.options.prefix)));
        let Ok(value) = value else { return };
        self.bans_are_stale = false;
        let mut before = std::mem::take(&mut self.bans);
        for row in list(value).chunks_exact(2) {
            let (Some(user), Some(ban)) = (text(&row[0]), text(&row[1])) else { continue };
            if before.remove(user).as_deref() != Some(ban) {
                let (until, note) = ban.split_once('\n').unwrap_or((ban, ""));
                let note = Some(note).filter(|note| !note.is_empty());
                self.said.push(&News::Banned(Ban { user, until: until.parse().ok(), note }));
            }
            self.bans.insert(user, ban);
        }
        before.keys().for_each(|user| self.said.push(&News::Unbanned { user }));
    }

    /// Tells a piece of the catalogue.
    pub(super) fn tell_some(&mut self) {
        let next = match self.catalogue.take() {
            None => return,
            Some(Catalogue::Bans) => {
                self.look_at_bans();
                Some(Catalogue::Rooms("0".into()))
            }
            Some(Catalogue::Rooms(after)) => {
                let mut command = self.script("rooms");
                let rows = list(self.call(command.arg(&after).arg(CATALOGUE_AT_ONCE)).unwrap_or(Value::Nil));
                let full = rows.len() == CATALOGUE_AT_ONCE;
                let mut last = after;
                for row in rows {
                    let mut row = list(row).into_iter();
                    last = row.next().as_ref().and_then(text).unwrap_or_default().to_owned();
                    let room = row.next().as_ref().and_then(text).map_or(String::new(), |room| format!("r:{room}"));
                    self.told_of_card(&room, Some(Value::Array(row.collect())));
                }
                Some(if full { Catalogue::Rooms(last) } else { Catalogue::Users("0".into()) })
            }
            Some(Catalogue::Users(after)) => {
                let mut command = self.script("users");
                let rows = list(self.call(command.arg(&after).arg(CATALOGUE_AT_ONCE)).unwrap_or(Value::Nil));
                let mut last = None;
                for row in rows.chunks_exact(2) {
                    if let Some(name) = text(&row[0]) {
                        self.said.push(&News::User { name });
                    }
                    last = text(&row[1]).map(str::to_owned);
                }
                last.filter(|_| rows.len() == 2 * CATALOGUE_AT_ONCE).map(Catalogue::Users)
            }
        };
        self.catalogue = next;
        if self.said.len() == 0 {
            self.tell_some();
        }
    }
}

/// A text that there may be.
fn maybe(text: Option<&str>) -> String {
    text.map_or(String::new(), |text| format!("+{text}"))
}

fn describe(command: &mut Cmd, about: Option<Description<'_>>) {
    let Some(Description { title, topic, created_at, created, .. }) = about else {
        command.arg(0);
        return;
    };
    command.arg(1).arg(created_at).arg(i32::from(created)).arg(maybe(title)).arg(maybe(topic));
}

/// For whom a word is, as nodes tell each other.
fn audience(to: Audience<'_>) -> (&'static str, &str) {
    match to {
        Audience::Everybody => ("*", ""),
        Audience::Room(room) => ("r", room),
        Audience::User(user) => ("u", user),
    }
}

fn hex(RetryKey(key): RetryKey) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A number and a time.
fn said(value: &Value) -> Option<(u64, u64)> {
    let (seq, ts) = text(value)?.split_once(' ')?;
    Some((seq.parse().ok()?, ts.parse().ok()?))
}

pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => text(value)?.parse().ok(),
    }
}

pub(super) fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        _ => Vec::new(),
    }
}

/// Numbers in a script are exact up to this.
const MOST: u64 = 1 << 53;

/// Pieces in which a conversation is pulled, of 256 entries or 512 KiB each: many more than one has.
const PIECES_AT_MOST: usize = 1 << 16;

/// Newest messages that are looked for in Redis; where more are wanted, all is pulled.
const MAX_NEWEST: usize = 4096;

/// Conversations that are pulled in one go.
const PULLED_AT_ONCE: usize = 64;
