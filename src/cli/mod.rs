//! Arguments, subcommands and exit status. (interim)
/// main
pub fn main() -> std::process::ExitCode {
    crate::server::echo::run("127.0.0.1:9001".parse().unwrap(), 10000).unwrap();
    std::process::ExitCode::SUCCESS
}
