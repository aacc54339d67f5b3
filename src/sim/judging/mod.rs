//! What is judged beside what each client hears: from inside the server, after its turns, its bounds, what is left of
//! those who have left, and how it ends; what has become of what operators were told, and of how people are as others
//! were told. It looks at numbers that the server shows, and never at what is behind them.

pub mod bounds;
pub mod ends;
pub mod left;
pub mod operators;
pub mod presence;
