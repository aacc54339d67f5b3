//! An echo server with a thread for each connection: `cargo run -p salon-proto --example echo`.

use salon_proto::blocking::WebSocket;

fn main() -> std::io::Result<()> {
    for stream in std::net::TcpListener::bind("127.0.0.1:9001")?.incoming().flatten() {
        std::thread::spawn(move || -> std::io::Result<()> {
            let mut socket = WebSocket::accept(stream)?;
            while let Some((event, mut sender)) = socket.read()? {
                event.message().map_or(Ok(()), |message| sender.send(message))?;
            }
            Ok(())
        });
    }
    Ok(())
}
