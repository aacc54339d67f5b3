//! Two stores of one file that only read, so that nobody who comes into a room waits for those who search.
//!
//! A search may cost tens of milliseconds, and there may be many; a page costs one. Each side answers what it is asked
//! in its order, and neither waits for the other: a page may be answered before a search that was asked for first. It
//! stands beside the store that writes, in [`Paired`](super::Paired).

use super::{Backend, News, Overloaded, Request};
use crate::time::Moment;

/// One that reads pages, and one that searches.
#[derive(Debug)]
pub struct Readers<P, S> {
    pages: P,
    searches: S,
    /// Whether the searches are polled first next time, so that neither side is heard at the cost of the other.
    turn: bool,
}

impl<P: Backend, S: Backend> Readers<P, S> {
    /// Makes one of two.
    pub fn new(pages: P, searches: S) -> Self {
        Self { pages, searches, turn: false }
    }
}

impl<P: Backend, S: Backend> Backend for Readers<P, S> {
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
        match request {
            Request::Search { .. } => self.searches.ask(request),
            _ => self.pages.ask(request),
        }
    }

    fn tell_catalogue(&mut self) {}

    fn poll(&mut self) -> Option<News<'_>> {
        self.turn = !self.turn;
        match self.turn {
            true => self.searches.poll().or_else(|| self.pages.poll()),
            false => self.pages.poll().or_else(|| self.searches.poll()),
        }
    }

    fn is_idle(&self) -> bool {
        self.pages.is_idle() && self.searches.is_idle()
    }

    fn expire(&mut self, _: Moment) -> bool {
        false
    }

    fn held_bytes(&self) -> usize {
        self.pages.held_bytes() + self.searches.held_bytes()
    }

    fn hand_over(&mut self) {
        self.pages.hand_over();
        self.searches.hand_over();
    }

    fn shrink(&mut self) {
        self.pages.shrink();
        self.searches.shrink();
    }

    fn keeps(&self) -> bool {
        self.pages.keeps()
    }

    fn durability(&self) -> &'static str {
        self.pages.durability()
    }

    fn about(&self) -> String {
        self.pages.about()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::memory::{Limits, Memory};
    use crate::backend::{Conversation, Query, Scope, Search, Ticket, Waker};
    use crate::backend::{Paired, Threaded};
    use std::sync::mpsc;

    /// A store that answers when it is allowed to.
    struct Gate(Memory, mpsc::Receiver<()>);

    impl Backend for Gate {
        fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
            self.1.recv().expect("the test goes on");
            self.0.ask(request)
        }

        fn tell_catalogue(&mut self) {}

        fn poll(&mut self) -> Option<News<'_>> {
            self.0.poll()
        }

        fn is_idle(&self) -> bool {
            self.0.is_idle()
        }

        fn expire(&mut self, now: Moment) -> bool {
            self.0.expire(now)
        }

        fn keeps(&self) -> bool {
            true
        }

        fn durability(&self) -> &'static str {
            "memory"
        }

        fn about(&self) -> String {
            String::new()
        }
    }

    /// A room is read while many search, and none of those is lost.
    #[test]
    fn a_page_does_not_wait_for_searches() {
        let (woken, wakes) = mpsc::channel();
        let waker = Waker::new(move || woken.send(()).expect("the test listens"));
        let (allow, allowed) = mpsc::channel();
        let memory = || Memory::new(Limits::default(), 1);
        let pages = Threaded::start(move |_| Ok(memory()), waker.clone()).unwrap();
        let searches = Threaded::start(move |_| Ok(Gate(memory(), allowed)), waker).unwrap();
        let mut store = Paired::new(memory(), Readers::new(pages, searches));
        let conversation = Conversation::Room("den");
        for ticket in 0..100 {
            let scope = Scope::One(conversation);
            let search = Search { scope, text: "x", sender: None, before: None, cursor: None, limit: 10 };
            store.ask(Request::Search { search, ticket: Ticket(ticket) }).unwrap();
        }
        let now = Moment { tick: crate::time::Tick(0), unix_ms: 0 };
        let page =
            Request::Read { conversation, query: Query::Head, reader: None, now, about: None, ticket: Ticket(100) };
        store.ask(page).unwrap();
        store.hand_over();
        let mut heard = Vec::new();
        while heard.len() < 101 {
            match store.poll() {
                Some(news) => {
                    heard.extend(news.ticket());
                    if heard.len() == 1 {
                        assert_eq!(heard, [Ticket(100)], "the page comes first");
                        (0..100).for_each(|_| allow.send(()).unwrap());
                    }
                }
                None => wakes.recv().unwrap(),
            }
        }
        assert_eq!(heard[1..], (0..100).map(Ticket).collect::<Vec<_>>());
        assert!(store.is_idle());
    }
}
