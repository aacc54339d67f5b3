//! An echo server of tokio: `cargo run -p salon-proto --example echo_tokio --features tokio`.

use futures_util::StreamExt;
use salon_proto::tokio::WebSocket;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let (sink, messages) = WebSocket::accept(stream).await?.split();
            messages.forward(sink).await
        });
    }
}
