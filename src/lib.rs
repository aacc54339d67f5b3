//! Salon: a lean chat server and the RFC 6455 engine under it.
//!
//! The crate is a house of floors; each may name the floors below it and none above
//! (`tests/it/floors.rs` reads the sources and fails when one does):
//!
//! | floor | what it is |
//! |---|---|
//! | [`cli`] | arguments, subcommands, exit status |
//! | [`mod@bench`] | load for any WebSocket server, as a client of `proto` in a loop of its own |
//! | [`top`] | beside it: a view of a running server, as a client of its admin port, on a terminal |
//! | [`sim`] | above the server: a machine, a network and a disk that are numbers, and the server on them |
//! | [`server`] | besides `bench` the only place that knows mio, sockets, signals and the clock |
//! | [`chat`] | people, rooms, presence, limits, the two wire dialects: text in, deliveries out |
//! | [`backend`] | where a room's messages are numbered and kept |
//! | [`engine`] | many connections over any `Read + Write`; no chat, no mio |
//! | [`proto`] | RFC 6455: bytes in, events and bytes out; no I/O, no clock |
//! | `shown` | what a client makes of what it hears, for `sim` and for tests |
//! | [`id`], [`time`], [`mod@random`] | the few words that every floor shares |
//!
//! [`proto`] and [`engine`] are crates of their own, `salon-proto` and `salon-engine`. Without its default features the
//! crate is these two, with the few words they share, and stands on what these need alone:
//! `salon = { version = "0.1", default-features = false }`. The feature `server` is all the rest, and `sqlite`, which
//! is on by default, the store on disk besides.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "server")]
pub mod backend;
#[cfg(feature = "server")]
pub mod bench;
#[cfg(feature = "server")]
pub mod chat;
#[cfg(feature = "server")]
pub mod cli;
pub mod id;
#[cfg(feature = "server")]
pub mod random;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
mod shown;
#[cfg(feature = "server")]
pub mod sim;
pub mod time;
#[cfg(feature = "server")]
pub mod top;

pub use salon_engine as engine;
pub use salon_proto as proto;

#[cfg(feature = "server")]
use salon_engine::slack;
