//! What is judged from inside the server, after its turns: bounds, what is left of those who have left, and how it
//! ends. It looks at numbers that the server shows, and never at what is behind them.

pub mod bounds;
pub mod ends;
pub mod left;
pub mod operators;
