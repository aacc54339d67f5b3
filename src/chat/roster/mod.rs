//! Who is here: sessions, whose they are, and who is in which room.

pub(in crate::chat) mod members;
pub(in crate::chat) mod room;
pub(in crate::chat) mod session;
pub(in crate::chat) mod user;
