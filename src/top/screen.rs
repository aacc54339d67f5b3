//! The choices of the person at the keys: which table, which row, which order, which subject.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::figures::{Figures, Room, Slow};
use super::poll::{Detail, Subject};

/// All that is shown, and how.
#[derive(Debug, Default)]
pub struct Screen {
    /// The server, as it is shown.
    pub server: String,
    /// The last figures, if there were any.
    pub figures: Option<Figures>,
    /// Why there are no newer ones.
    pub error: Option<String>,
    /// Whether newer ones are not shown.
    pub paused: bool,
    /// Which table the keys go to.
    pub focus: Focus,
    /// The table of rooms.
    pub rooms: List,
    /// The table of slow connections.
    pub slowest: List,
    /// The subject that is looked into, and its details.
    pub subject: Option<(Subject, Result<Detail, String>)>,
    /// Lines of its list that have been scrolled over.
    pub scrolled: usize,
}

/// The tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are named after what is in them")]
pub enum Focus {
    #[default]
    Rooms,
    Slowest,
}

/// A table: by what it is sorted, and which row is chosen. The row is known by its key, so that it is still the same
/// when others overtake it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Index of the order.
    pub order: usize,
    /// Index of the chosen row.
    pub at: usize,
    key: Option<String>,
}

/// The effect of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing but drawing.
    Draw,
    /// Ends it.
    Quit,
    /// Asks the server about this, or about nothing any more.
    Look(Option<Subject>),
}

impl Screen {
    /// Newer figures have come.
    pub fn show(&mut self, figures: Figures) {
        self.error = None;
        self.figures = Some(figures);
        self.settle();
    }

    /// A key was pressed.
    pub fn press(&mut self, key: KeyEvent) -> Wish {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if ctrl => return Wish::Quit,
            KeyCode::Char('q') => return Wish::Quit,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left if self.subject.is_some() => {
                self.subject = None;
                return Wish::Look(None);
            }
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::PageUp => self.step(-10),
            KeyCode::PageDown => self.step(10),
            KeyCode::Home => self.step(isize::MIN / 2),
            KeyCode::End => self.step(isize::MAX / 2),
            _ if self.subject.is_some() => {}
            KeyCode::Tab | KeyCode::BackTab => {
                self.focus = match self.focus {
                    Focus::Rooms => Focus::Slowest,
                    Focus::Slowest => Focus::Rooms,
                };
            }
            KeyCode::Char('s') => {
                let (list, orders) = match self.focus {
                    Focus::Rooms => (&mut self.rooms, ROOM_ORDERS.len()),
                    Focus::Slowest => (&mut self.slowest, SLOW_ORDERS.len()),
                };
                *list = List { order: (list.order + 1) % orders, ..List::default() };
                self.settle();
            }
            KeyCode::Enter | KeyCode::Right => {
                if let Some(subject) = self.chosen() {
                    self.subject = Some((subject.clone(), Err("asking ...".into())));
                    self.scrolled = 0;
                    return Wish::Look(Some(subject));
                }
            }
            _ => {}
        }
        Wish::Draw
    }

    /// Rooms in the order that is chosen.
    pub fn sorted_rooms(&self) -> Vec<&Room> {
        let mut rooms: Vec<&Room> = self.figures.iter().flat_map(|figures| &figures.rooms).collect();
        let rank = |room: &Room| {
            let Room { members, messages_per_second, deliveries_per_second, .. } = *room;
            [deliveries_per_second, messages_per_second, members as f64][self.rooms.order]
        };
        rooms.sort_by(|a, b| rank(b).total_cmp(&rank(a)).then_with(|| a.room_id.cmp(&b.room_id)));
        rooms
    }

    /// Slow connections in the order that is chosen.
    pub fn sorted_slowest(&self) -> Vec<&Slow> {
        let mut slowest: Vec<&Slow> = self.figures.iter().flat_map(|figures| &figures.slowest).collect();
        let rank = |slow: &Slow| [slow.waiting_bytes, slow.blocked_ms][self.slowest.order];
        slowest.sort_by_key(|slow| std::cmp::Reverse(rank(slow)));
        slowest
    }

    /// The subject that Enter looks into.
    fn chosen(&self) -> Option<Subject> {
        match self.focus {
            Focus::Rooms => self.sorted_rooms().get(self.rooms.at).map(|room| Subject::Room(room.room_id.clone())),
            Focus::Slowest => {
                let slow = *self.sorted_slowest().get(self.slowest.at)?;
                slow.session_id.clone().map(Subject::Session)
            }
        }
    }

    fn step(&mut self, by: isize) {
        if let Some((_, detail)) = &self.subject {
            let lines = detail.as_ref().map_or(0, |detail| detail.list.len());
            self.scrolled = self.scrolled.saturating_add_signed(by).min(lines.saturating_sub(1));
            return;
        }
        let list = match self.focus {
            Focus::Rooms => &mut self.rooms,
            Focus::Slowest => &mut self.slowest,
        };
        list.at = list.at.saturating_add_signed(by);
        list.key = None;
        self.settle();
    }

    /// Finds the chosen rows again among what is shown now.
    fn settle(&mut self) {
        let rooms: Vec<String> = self.sorted_rooms().into_iter().map(|room| room.room_id.clone()).collect();
        self.rooms.settle(&rooms);
        let key = |slow: &&Slow| slow.session_id.clone().unwrap_or_default();
        let slowest: Vec<String> = self.sorted_slowest().iter().map(key).collect();
        self.slowest.settle(&slowest);
    }
}

impl List {
    fn settle(&mut self, keys: &[String]) {
        // A cursor on the first row stays on the first row.
        let same = self.key.as_ref().filter(|_| self.at > 0);
        let found = same.and_then(|same| keys.iter().position(|key| key == same));
        self.at = found.unwrap_or(self.at).min(keys.len().saturating_sub(1));
        self.key = keys.get(self.at).cloned();
    }
}

/// By what rooms can be sorted.
pub const ROOM_ORDERS: [&str; 3] = ["deliveries", "messages", "members"];

/// By what slow connections can be.
pub const SLOW_ORDERS: [&str; 2] = ["waiting", "blocked"];

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str, members: u64, messages: f64) -> Room {
        Room {
            room_id: name.into(),
            members,
            sessions: members,
            messages_per_second: messages,
            deliveries_per_second: messages * members as f64,
        }
    }

    fn screen(rooms: &[Room]) -> Screen {
        let mut screen = Screen::default();
        let slow = Slow { waiting_bytes: 9, session_id: Some("ab".into()), ..Slow::default() };
        let unknown = Slow { waiting_bytes: 8, ..Slow::default() };
        screen.show(Figures { rooms: rooms.to_vec(), slowest: vec![slow, unknown], ..Figures::default() });
        screen
    }

    /// Presses keys by the first letter of their names; returns the last wish.
    fn press(screen: &mut Screen, keys: &str) -> Wish {
        let mut wish = Wish::Draw;
        for key in keys.chars() {
            let code = match key {
                '↵' => KeyCode::Enter,
                '←' => KeyCode::Esc,
                '↓' => KeyCode::Down,
                '↑' => KeyCode::Up,
                '⇥' => KeyCode::Tab,
                '⇟' => KeyCode::End,
                key => KeyCode::Char(key),
            };
            wish = screen.press(KeyEvent::from(code));
        }
        wish
    }

    #[test]
    fn keys() {
        let rooms = [room("big", 100, 0.0), room("busy", 3, 10.0), room("loud", 2, 12.0)];
        let look = |name: &str| Wish::Look(Some(Subject::Room(name.into())));
        for (keys, expected) in [
            ("q", Wish::Quit),
            ("x", Wish::Draw),
            ("↵", look("busy")),
            ("↓↵", look("loud")),
            ("s↵", look("loud")),
            ("ss↵", look("big")),
            ("sss↵", look("busy")),
            ("⇟↵", look("big")),
            ("↓↓↓↓↑↵", look("loud")),
            ("↵←", Wish::Look(None)),
            ("↵↓↓←↵", look("busy")),
            ("⇥↵", Wish::Look(Some(Subject::Session("ab".into())))),
            ("⇥↓↵", Wish::Draw),
            ("⇥⇥↵", look("busy")),
            ("↵q", Wish::Quit),
        ] {
            assert_eq!(press(&mut screen(&rooms), keys), expected, "{keys}");
        }
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(screen(&rooms).press(interrupt), Wish::Quit);
        assert_eq!(press(&mut screen(&[]), "↓↵"), Wish::Draw);
    }

    #[test]
    fn a_chosen_row_is_followed_and_the_top_is_not() {
        let mut screen = screen(&[room("a", 3, 9.0), room("b", 3, 5.0), room("c", 3, 1.0)]);
        let chosen = |screen: &Screen| screen.sorted_rooms()[screen.rooms.at].room_id.clone();
        let now = |screen: &mut Screen, rooms: Vec<Room>| screen.show(Figures { rooms, ..Figures::default() });
        now(&mut screen, vec![room("c", 3, 10.0), room("a", 3, 9.0), room("b", 3, 5.0)]);
        assert_eq!(chosen(&screen), "c", "what is on top is looked at");
        press(&mut screen, "↓");
        assert_eq!(chosen(&screen), "a");
        now(&mut screen, vec![room("c", 3, 10.0), room("b", 3, 9.5), room("a", 3, 9.0)]);
        assert_eq!((chosen(&screen), screen.rooms.at), ("a".into(), 2));
        now(&mut screen, vec![room("c", 3, 10.0), room("b", 3, 9.5)]);
        assert_eq!(chosen(&screen), "b", "it is gone");
        now(&mut screen, vec![]);
        assert_eq!(screen.rooms.at, 0);
    }
}
