//! What does user space spend on an opening handshake: from the bytes of a whole request head to those of the response?
//!
//! Input: the head of a small client and that of a browser. Salon finds the end of the head, splits it, checks it
//! against section 4.2.1, agrees to permessage-deflate if it was offered, and writes the response. Against
//! `tungstenite::accept`, and against a floor: httparse, the key's header, SHA-1 and base64, and nothing checked.
//! `cargo bench --bench handshake`

use std::hint::black_box;
use std::io::{self, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use salon::proto::ClientContext;
use salon::proto::handshake::{HeadScanner, Request};
use sha1::{Digest, Sha1};

const SMALL: &[u8] = b"GET /ws HTTP/1.1\r\nHost: chat.example:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

const BROWSER: &[u8] = b"GET /ws?user=ann HTTP/1.1\r\nHost: chat.example\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
    Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/142.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: https://chat.example\r\nSec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

/// Gives the request, takes the response.
struct Once<'a> {
    request: &'a [u8],
    response: Vec<u8>,
}

impl Read for Once<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.request.read(bytes)
    }
}

impl Write for Once<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.response.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn salon(head: &[u8], response: &mut Vec<u8>) {
    let len = HeadScanner::default().scan(head).unwrap().unwrap();
    let request = Request::parse(&head[..len]).unwrap();
    let _ = request.upgrade().unwrap().deflate(ClientContext::Reset).encode(response);
}

fn floor(head: &[u8], response: &mut Vec<u8>) {
    let mut storage = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut storage);
    assert!(request.parse(head).unwrap().is_complete());
    let mut headers = request.headers.iter();
    let key = headers.find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key")).unwrap();
    let mut hash = Sha1::new();
    hash.update(key.value);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let mut accept = [0; 28];
    STANDARD.encode_slice(hash.finalize(), &mut accept).unwrap();
    response.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
    );
    response.extend_from_slice(&accept);
    response.extend_from_slice(b"\r\n\r\n");
}

fn handshake(c: &mut Criterion) {
    for (kind, head) in [("small", SMALL), ("browser", BROWSER)] {
        let mut group = c.benchmark_group(format!("handshake_{kind}"));
        group.throughput(Throughput::Bytes(head.len() as u64));
        let mut response = Vec::with_capacity(512);
        for (name, answer) in [("salon", salon as fn(&[u8], &mut Vec<u8>)), ("floor", floor)] {
            group.bench_function(name, |b| {
                b.iter(|| {
                    response.clear();
                    answer(black_box(head), &mut response);
                    black_box(response.len())
                });
            });
        }
        group.bench_function("tungstenite", |b| {
            b.iter(|| {
                let stream = Once { request: black_box(head), response: Vec::with_capacity(512) };
                let socket = tungstenite::accept(stream).unwrap();
                socket.get_ref().response.len()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, handshake);
criterion_main!(benches);
