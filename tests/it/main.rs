//! Tests of the whole: the library from outside, and the binary over real sockets.
//!
//! A module for each subject, and one binary of them all, so that the library is linked once;
//! `cargo test --test it sockets::` runs one module. They share a process: a temporary file has the name of its module
//! in its own, and no module sets the environment, handlers of signals, limits or the log. Tests that need a process of
//! their own are beside this folder, and say why: `tests/allocations.rs` and `tests/panics.rs`.

mod common;

mod addresses;
mod api;
mod asks_much;
mod auth;
mod bench_command;
mod client_role;
mod deflate;
mod differential;
mod floors;
mod hostile_chat;
mod hostile_crowds;
mod hostile_deflate;
mod hostile_frames;
mod hostile_handshake;
mod kept;
mod killed;
mod log;
mod memory;
mod metrics;
mod outside;
mod planted;
mod power_cut;
mod properties;
mod proxies;
mod refusals;
mod request_head;
mod resume;
mod rfc6455;
mod sender;
mod settings;
mod sockets;
mod stopping;
mod store_command;
mod takeover;
mod tls;
mod top;
mod wire;
mod words;
