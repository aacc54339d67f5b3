//! The names by which floors speak of the same connection or fan-out group.
//!
//! `engine` gives out [`ConnId`]s, which `chat` and `server` keep; `chat` gives out [`TopicId`]s. Only the floor that
//! gives out an id knows what it leads to. They are types of `engine`; a floor that names them here need not know it.

pub use salon_engine::{ConnId, TopicId};
