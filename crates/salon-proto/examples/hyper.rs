//! A server of hyper, some of whose requests become WebSockets: hyper parses the head, the codec judges its headers.
//!
//! ```sh
//! cargo run -p salon-proto --example hyper --features tokio 127.0.0.1:9001
//! ```

use std::convert::Infallible;

use futures_util::StreamExt;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use salon_proto::handshake::{self, RequestError};
use salon_proto::tokio::WebSocket;
use salon_proto::{ClientContext, Connection};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let here = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let listener = tokio::net::TcpListener::bind(here).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(serve))
                .with_upgrades();
            if let Err(error) = served.await {
                eprintln!("{error}");
            }
        });
    }
}

async fn serve(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    if request.uri().path() != "/ws" {
        *response.body_mut() = Full::from("This is HTTP. The WebSocket is at /ws.\n");
        return Ok(response);
    }
    match agree(&request, &mut response) {
        Ok(connection) => {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let stream = TokioIo::new(upgrade.await.map_err(std::io::Error::other)?);
                let (sink, messages) = WebSocket::over(stream, connection, &[]).split();
                messages.forward(sink).await
            });
        }
        Err(error) => {
            let refusal = handshake::Refusal::from(error);
            *response.status_mut() = StatusCode::from_u16(refusal.status()).expect("one that exists");
            refusal.each_header(|name, value| add(&mut response, name, value));
            *response.body_mut() = Full::from(format!("{error}\n"));
        }
    }
    Ok(response)
}

/// The connection that the headers of the request ask for; those of the response say so.
fn agree(request: &Request<Incoming>, response: &mut Response<Full<Bytes>>) -> Result<Connection, RequestError> {
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let head = handshake::Request::from_parts(request.method().as_str(), request.uri().path(), headers)?;
    let agreed = head.upgrade()?.deflate(ClientContext::Reset).agree(|name, value| {
        add(response, name, value);
    });
    Ok(Connection::server(&agreed))
}

fn add(response: &mut Response<Full<Bytes>>, name: &str, value: &[u8]) {
    let name = name.parse::<hyper::header::HeaderName>().expect("a token");
    response.headers_mut().append(name, value.try_into().expect("checked"));
}
