//! How long a ping takes: pings with a number in them, and the pongs that bring it back.
//!
//! ```sh
//! cargo run -p salon-proto --example echo &
//! cargo run -p salon-proto --example round_trip --features getrandom 127.0.0.1:9001
//! ```

use std::io;
use std::net::TcpStream;
use std::time::Instant;

use salon_proto::blocking::WebSocket;
use salon_proto::{ClientRequest, CloseCode, Control, Event, Message, random};

fn main() -> io::Result<()> {
    let host = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let target = std::env::args().nth(2).unwrap_or_else(|| "/".into());
    let request = ClientRequest::new(&host, random::nonce()).target(&target);
    let mut socket = WebSocket::connect(TcpStream::connect(&host)?, &request, random::keys())?;
    for number in 0..10_u32 {
        let began = Instant::now();
        let number = number.to_be_bytes();
        socket.send(Message::Ping(Control::new(&number).expect("four bytes")))?;
        // Other pongs may come unasked.
        while socket.read()?.ok_or(io::ErrorKind::UnexpectedEof)?.0 != Event::Pong(&number) {}
        println!("{:?}", began.elapsed());
    }
    socket.close(Some((CloseCode::NORMAL, "")))?;
    while socket.read()?.is_some() {}
    Ok(())
}
