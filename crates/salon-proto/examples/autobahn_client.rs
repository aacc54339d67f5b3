//! The client that the Autobahn testsuite asks for in its mode `fuzzingserver` (`tests/autobahn/run.sh -c`): one
//! connection for each case, in which every message is sent back, and one that asks for the report.
//!
//! ```sh
//! cargo run -p salon-proto --example autobahn_client --features getrandom 127.0.0.1:9001 salon
//! ```

use std::io;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use salon_proto::blocking::WebSocket;
use salon_proto::{ClientRequest, Event, Limits, Offer, random};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let host = arguments.next().unwrap_or_else(|| "127.0.0.1:9001".into());
    let agent = arguments.next().unwrap_or_else(|| "salon".into());
    let mut count = 0;
    run(&host, "/getCaseCount", |text| count = text.parse().unwrap_or(0))?;
    println!("{count} cases");
    for case in 1..=count {
        // A case that ends badly is in the report; the next one begins.
        if let Err(error) = run(&host, &format!("/runCase?case={case}&agent={agent}"), |_| {}) {
            println!("{case}: {error}");
        }
    }
    run(&host, &format!("/updateReports?agent={agent}"), |_| {})
}

/// One connection to its end.
fn run(host: &str, target: &str, mut hear: impl FnMut(&str)) -> io::Result<()> {
    let request = ClientRequest::new(host, random::nonce()).target(target).deflate(Offer::new());
    let mut socket = WebSocket::connect(TcpStream::connect(host)?, &request, random::keys())?.with(|connection| {
        // The suite's largest messages, and every one compressed that becomes smaller.
        connection.limits(Limits::new().message_bytes(16 << 20).fragments(65_537)).compression(6, 0)
    });
    while let Some((event, mut sender)) = socket.read()? {
        if let Event::Text(text) = event {
            hear(text);
        }
        // Only a case wants its messages back.
        if let Some(message) = event.message().filter(|_| target.starts_with("/runCase")) {
            sender.send(message)?;
        }
    }
    // What has not been read would have the system reset the stream, and the server lose our last word.
    socket.stream().set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.stream().shutdown(Shutdown::Write).and_then(|()| socket.drain()).map(drop).or(Ok(()))
}
