//! The store as the chat of a node has it: the near end of a [`Line`].

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;

use crate::backend::carried::Reports;
use crate::backend::{Backend, Health, News, Overloaded, Request};
use crate::time::Moment;

use super::line::Line;
use super::sky::Sky;

/// The near end.
#[derive(Debug)]
pub(super) struct Behind {
    sky: Rc<Sky>,
    host: usize,
    line: Rc<RefCell<Line>>,
    taken: Reports,
}

impl Behind {
    /// That of a line on this host.
    pub fn new(sky: Rc<Sky>, host: usize, line: Rc<RefCell<Line>>) -> Self {
        Self { sky, host, line, taken: Reports::default() }
    }

    fn tells_to_work(&self, line: &mut Line) {
        if !mem::replace(&mut line.told, true) {
            self.sky.tells_to_work(self.host);
        }
    }
}

impl Backend for Behind {
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
        let line = &mut *self.line.borrow_mut();
        if line.waiting() >= self.sky.queue() {
            return Err(Overloaded);
        }
        line.ask(request);
        self.tells_to_work(line);
        Ok(())
    }

    /// The loop waits for it: it is to be known before anybody comes.
    fn tell_catalogue(&mut self) {
        self.line.borrow_mut().begins();
    }

    fn poll(&mut self) -> Option<News<'_>> {
        let now = self.sky.now();
        let line = &mut *self.line.borrow_mut();
        let news = line.next(now)?;
        self.taken.clear();
        self.taken.push(&news);
        self.taken.get(0)
    }

    fn is_idle(&self) -> bool {
        self.line.borrow().is_idle()
    }

    fn expire(&mut self, now: Moment) -> bool {
        let line = &mut *self.line.borrow_mut();
        line.expire(now);
        self.tells_to_work(line);
        line.holds
    }

    fn held_bytes(&self) -> usize {
        self.line.borrow().held_bytes
    }

    fn health(&self) -> Option<Health> {
        self.line.borrow().health.clone()
    }

    fn keeps(&self) -> bool {
        true
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn durability(&self) -> &'static str {
        "process"
    }

    fn about(&self) -> String {
        "on a simulated Redis".into()
    }
}
