//! The server to be measured: its address, the request, and the words of its own protocol.
//!
//! Words are templates: `{id}` is the number of the connection, `{room}` the number of its room, `{body}` the body that
//! is measured with.

use std::net::{SocketAddr, ToSocketAddrs};

/// A server, and how to talk to it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The URL as it was asked for.
    pub url: String,
    /// Its address.
    pub address: SocketAddr,
    /// The value of `Host`.
    pub host: String,
    /// Path and query, a template.
    pub path: String,
    /// Further headers of the request, templates.
    pub headers: Vec<(String, String)>,
    /// Sub-protocols to offer.
    pub protocols: Vec<String>,
    /// The first message of each connection, a template.
    pub join: Option<String>,
    /// Text that the answer to it contains.
    pub joined: Option<String>,
    /// Around the body of each message, templates.
    pub around: (String, String),
    /// Whether messages are binary.
    pub binary: bool,
}

impl Target {
    /// The server at `ws://HOST[:PORT]/PATH`, with messages that are their body alone.
    ///
    /// # Errors
    /// A sentence about what is wrong with the URL.
    pub fn new(url: &str) -> Result<Self, String> {
        let rest = match url.split_once("://") {
            Some(("ws", rest)) => rest,
            Some(("wss", _)) => {
                return Err(format!("{url}: there is no TLS here; measure behind the proxy, with ws://"));
            }
            _ => return Err(format!("{url}: expected ws://HOST:PORT/PATH")),
        };
        let path_at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(path_at);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        if host.is_empty() || host.contains('@') {
            return Err(format!("{url}: expected ws://HOST:PORT/PATH"));
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && !port.contains(']'));
        let authority = if has_port { host.to_owned() } else { format!("{host}:80") };
        let mut addresses =
            authority.to_socket_addrs().map_err(|error| format!("{url}: {host} cannot be found: {error}"))?;
        let address = addresses.next().ok_or_else(|| format!("{url}: {host} has no address"))?;
        Ok(Self {
            url: url.to_owned(),
            address,
            host: host.to_owned(),
            path,
            headers: Vec::new(),
            protocols: Vec::new(),
            join: None,
            joined: None,
            around: Default::default(),
            binary: false,
        })
    }

    /// Whether this is the path of Salon's JSON dialect.
    pub fn is_salon_json(&self) -> bool {
        self.path.split('?').next() == Some("/ws")
    }

    /// Sets the words of Salon's JSON dialect.
    pub fn speak_salon_json(&mut self) {
        if !self.path.contains('?') {
            self.path.push_str("?user=bench-{id}");
        }
        self.join = Some(r#"{"type":"join","room_id":"bench-{room}"}"#.into());
        self.joined = Some(r#""type":"joined""#.into());
        self.around = (r#"{"type":"broadcast","room_id":"bench-{room}","content":""#.into(), r#""}"#.into());
    }

    /// Sets the template of each message, with `{body}` in it once.
    ///
    /// # Errors
    /// A sentence if it is not.
    pub fn set_message(&mut self, template: &str) -> Result<(), String> {
        match template.split_once("{body}") {
            Some((before, after)) if !after.contains("{body}") => {
                self.around = (before.to_owned(), after.to_owned());
                Ok(())
            }
            _ => Err(format!("--message {template}: expected {{body}} in it, once")),
        }
    }
}

/// A template with its places filled in.
pub fn fill(template: &str, id: usize, room: usize) -> String {
    template.replace("{id}", &id.to_string()).replace("{room}", &room.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, host, path) in [
            ("ws://127.0.0.1:8080/ws?user=u{id}", "127.0.0.1:8080", "/ws?user=u{id}"),
            ("ws://127.0.0.1", "127.0.0.1", "/"),
            ("ws://[::1]:9/a/{room}", "[::1]:9", "/a/{room}"),
            ("ws://[::1]?a=b", "[::1]", "/?a=b"),
        ] {
            let target = Target::new(url).unwrap();
            assert_eq!((target.host.as_str(), target.path.as_str()), (host, path), "{url}");
        }
        assert_eq!(Target::new("ws://127.0.0.1/").unwrap().address.port(), 80);
        assert!(Target::new("wss://127.0.0.1/").unwrap_err().contains("TLS"));
        for wrong in ["", "127.0.0.1:80", "http://127.0.0.1/", "ws:///x", "ws://a@b/", "ws://127.0.0.1:x/"] {
            assert!(Target::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn templates() {
        let mut target = Target::new("ws://127.0.0.1:1/").unwrap();
        assert!(target.set_message("{body}").is_ok() && target.set_message("a {body} b").is_ok());
        assert_eq!(target.around, ("a ".into(), " b".into()));
        assert!(target.set_message("").is_err() && target.set_message("{body}{body}").is_err());
        assert_eq!(fill("/ws/{room}?u={id}&v={id}", 7, 2), "/ws/2?u=7&v=7");
    }
}
