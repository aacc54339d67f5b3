//! People, rooms and the two wire dialects: text in, deliveries out; no sockets, no clock.

pub mod delivery;

pub use delivery::{Deliveries, Delivery};
