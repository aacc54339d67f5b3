//! backend (under construction)
