//! The `salon` binary: see [`salon::cli`].
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    salon::cli::main()
}
