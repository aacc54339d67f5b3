//! A store, and what is on its way between it and its chat, as between the loop and the thread of
//! [`Threaded`](crate::backend::Threaded): requests in order, news in order, each heard when its time has come.

use std::collections::VecDeque;

use crate::backend::carried::{Reports, Requests};
use crate::backend::redis::Redis;
use crate::backend::{Backend, Health, News, Request};
use crate::time::Moment;

use super::super::network::Time;

/// The line.
#[derive(Debug)]
pub(super) struct Line {
    store: Redis,
    asked: Requests,
    done: usize,
    said: Reports,
    heard: usize,
    /// How much of what was said has come through by when.
    coming: VecDeque<(Time, usize)>,
    through: usize,
    /// Something is too old by now, perhaps.
    chore: Option<Moment>,
    /// The thread has been told that there is work.
    pub told: bool,
    /// The thread waits for an answer until then.
    pub busy_until: Time,
    /// What the store has said last of itself: whether anything is kept, the bytes that it holds, how it fares.
    pub holds: bool,
    pub held_bytes: usize,
    pub health: Option<Health>,
}

impl Line {
    /// A line on which nothing is on its way.
    pub fn new(store: Redis) -> Self {
        Self {
            store,
            asked: Requests::default(),
            done: 0,
            said: Reports::default(),
            heard: 0,
            coming: VecDeque::new(),
            through: 0,
            chore: None,
            told: false,
            busy_until: 0,
            holds: true,
            held_bytes: 0,
            health: None,
        }
    }

    /// Something is asked for.
    pub fn ask(&mut self, request: Request<'_>) {
        self.asked.push(request);
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.asked.len() - self.done
    }

    /// What is too old by then is to go.
    pub fn expire(&mut self, now: Moment) {
        self.chore = Some(now);
    }

    /// Nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.waiting() == 0 && self.heard == self.said.len() && self.chore.is_none()
    }

    /// Asks for all there is, and has it here at once.
    pub fn begins(&mut self) {
        self.store.tell_catalogue();
        self.works();
        self.coming.clear();
        self.through = self.said.len();
    }

    /// The thread does what there is to do.
    pub fn works(&mut self) {
        self.told = false;
        if let Some(now) = self.chore.take() {
            self.holds = self.store.expire(now);
        }
        while let Some(request) = self.asked.get(self.done) {
            if self.store.ask(request).is_err()
                && let Some(ticket) = request.ticket()
            {
                self.said.push(&News::Failed { ticket });
            }
            self.done += 1;
        }
        self.asked.clear();
        self.done = 0;
        while let Some(news) = self.store.poll() {
            self.said.push(&news);
        }
        (self.held_bytes, self.health) = (self.store.held_bytes(), self.store.health());
    }

    /// What was said so far comes through then; returns whether that is anything.
    pub fn comes_through(&mut self, at: Time) -> bool {
        let before = self.coming.back().map_or(self.through, |(_, len)| *len);
        let is_news = self.said.len() > before;
        if is_news {
            self.coming.push_back((at, self.said.len()));
        }
        is_news
    }

    /// The next of what has come through by now.
    pub fn next(&mut self, now: Time) -> Option<News<'_>> {
        while let Some((_, len)) = self.coming.front().copied().filter(|(at, _)| *at <= now) {
            self.through = len;
            self.coming.pop_front();
        }
        if self.heard < self.through {
            self.heard += 1;
            return self.said.get(self.heard - 1);
        }
        if self.heard == self.said.len() {
            self.said.clear();
            self.coming.clear();
            (self.heard, self.through) = (0, 0);
        }
        None
    }
}
