//! Several addresses of a kind: all are listened on, each is named, and wrong lists are sentences.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::common::{Folder, PATIENCE, Server, salon};

/// A client's stream.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// The status line of an answer of the server there.
fn asked(place: &str, path: &str) -> String {
    let mut stream: Box<dyn Stream> = match place.strip_prefix("unix:") {
        Some(path) => {
            let stream = UnixStream::connect(path).unwrap_or_else(|error| panic!("{place}: {error}"));
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            Box::new(stream)
        }
        None => {
            let stream = TcpStream::connect(place).unwrap_or_else(|error| panic!("{place}: {error}"));
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            Box::new(stream)
        }
    };
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

/// What behind such words a greeting has to the next blank, on all lines that begin so.
fn said<'a>(greeting: &'a str, line: &str, before: &str) -> Vec<&'a str> {
    let lines = greeting.lines().filter(|said| said.trim_start().starts_with(line));
    let words = lines.flat_map(str::split_whitespace).filter_map(|word| word.strip_prefix(before));
    words.map(|word| word.trim_end_matches(['/', ','])).collect()
}

/// Whether this machine has an address of IPv6.
fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

/// As options, with commas, in a variable, and as an array in a file: the same sockets.
#[test]
fn each_address_is_served_and_named() {
    let folder = Folder::new("addresses");
    fs::create_dir_all(&folder.0).unwrap();
    let in_folder = |name: &str| format!("unix:{}", folder.0.join(name).display());
    let (one, two, of_admin) = (in_folder("one.sock"), in_folder("two.sock"), in_folder("admin.sock"));
    let third = if has_ipv6() { "[::1]:0" } else { "127.0.0.3:0" };
    let listen = ["127.0.0.1:0", "127.0.0.2:0", third, &one, &two];
    let admin = ["127.0.0.1:0", "127.0.0.2:0", &of_admin];
    let file = folder.0.join("salon.toml");
    fs::write(&file, format!("listen = {listen:?}\nadmin = {admin:?}\nlog = \"warn\"\nsocket_mode = \"600\"\n"))
        .unwrap();
    let repeated = listen.iter().flat_map(|at| ["--listen", at]).chain(admin.iter().flat_map(|at| ["--admin", at]));
    let repeated: Vec<&str> = ["serve", "--socket-mode", "600"].into_iter().chain(repeated).collect();
    let (listen, admin) = (listen.join(","), admin.join(","));
    let with_commas = ["serve", "--listen", &listen, "--admin", &admin, "--socket-mode", "600"];
    let of_variables = ["serve", "--socket-mode", "600"];
    let of_file = ["serve", "--config", file.to_str().unwrap()];
    for (way, arguments) in
        [("repeated", &repeated[..]), ("commas", &with_commas), ("variables", &of_variables), ("file", &of_file)]
    {
        let mut command = salon(arguments);
        if way == "variables" {
            command.env("SALON_LISTEN", &listen).env("SALON_ADMIN", &admin);
        }
        let mut server = Server::run(&mut command);
        let greeting = server.greeting.clone();
        let pages = said(&greeting, "page", "http://").len()
            + greeting.lines().filter(|line| line.trim_start().starts_with("http://")).count();
        assert_eq!(pages, 3, "{way}: {greeting}");
        let tcp: Vec<&str> = greeting.lines().filter_map(|line| line.trim_start().strip_prefix("http://")).collect();
        let tcp = said(&greeting, "page", "http://").into_iter().chain(tcp.iter().map(|at| at.trim_end_matches('/')));
        let tcp: Vec<String> = tcp.map(str::to_owned).collect();
        let hosts: Vec<String> = tcp.iter().map(|at| at.parse::<SocketAddr>().unwrap().ip().to_string()).collect();
        let third = third.parse::<SocketAddr>().unwrap().ip().to_string();
        assert_eq!(hosts, ["127.0.0.1", "127.0.0.2", &third], "{way}");
        let unix = said(&greeting, "for proxy", "unix:");
        assert_eq!(unix, [&one[5..], &two[5..]], "{way}: {greeting}");
        assert_eq!(greeting.matches("permissions 600").count(), 2, "{way}: {greeting}");
        for place in tcp.into_iter().chain([one.clone(), two.clone()]) {
            assert_eq!(asked(&place, "/health"), "HTTP/1.1 200 OK", "{way}: {place}");
        }
        let operators = said(&greeting, "admin", "http://");
        let operators = operators.into_iter().map(str::to_owned).chain([of_admin.clone()]);
        let operators: Vec<String> = operators.collect();
        assert_eq!(operators.len(), 3, "{way}: {greeting}");
        for place in operators {
            assert_eq!(asked(&place, "/metrics"), "HTTP/1.1 200 OK", "{way}: {place}");
        }
        for (path, mode) in [(&one, 0o600), (&two, 0o600), (&of_admin, 0o600)] {
            assert_eq!(fs::metadata(&path[5..]).unwrap().permissions().mode() & 0o777, mode, "{way}: {path}");
        }
        server.signal("TERM");
        assert!(server.wait().success());
        assert!(!Path::new(&one[5..]).exists() && !Path::new(&two[5..]).exists(), "{way}: a file is left");
    }
    // Commands that ask the server ask at the first.
    let health = salon(&["health", "--config", file.to_str().unwrap()]).output().unwrap();
    let error = String::from_utf8(health.stderr).unwrap();
    assert!(error.contains("127.0.0.1:0"), "{error}");
}

/// `check` has a line for each, `config` the list, and the log the places.
#[test]
fn each_address_is_checked() {
    let folder = Folder::new("addresses-checked");
    fs::create_dir_all(&folder.0).unwrap();
    let place = format!("unix:{}", folder.0.join("s.sock").display());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let both = ["--listen", &format!("127.0.0.1:0,{taken},{place}"), "--admin", "127.0.0.1:0,127.0.0.2:0"];
    let usual = ["--max-connections", "10", "--store", "memory"];
    let check = salon(&[&["check"], &both[..], &usual].concat()).output().unwrap();
    let shown = String::from_utf8(check.stdout).unwrap();
    assert_eq!(check.status.code(), Some(1), "{shown}");
    for expected in [
        "ok       listen: 127.0.0.1:0 is free",
        &format!("error    listen: {taken} is in use; "),
        &format!("ok       listen: {} is free; its permissions will be 660", &place[5..]),
        "ok       admin: 127.0.0.1:0 is free",
        "ok       admin: 127.0.0.2:0 is free",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let config = salon(&[&["config"], &both[..]].concat()).output().unwrap();
    let shown = String::from_utf8(config.stdout).unwrap();
    let line = format!("listen = [\"127.0.0.1:0\", \"{taken}\", \"{place}\"]");
    assert!(shown.lines().any(|said| said.starts_with(&line)), "{shown}");

    let arguments = ["serve", "--listen", "127.0.0.1:0,127.0.0.2:0", "--admin", "off", "--log-format", "json"];
    let mut child = salon(&arguments).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stderr.as_mut().unwrap()), &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.contains("\"listen\":[\"http://127.0.0.1:") && line.contains(",\"http://127.0.0.2:"), "{line}");
}

/// Beside the Salon that runs with the same settings nothing is in the way; of another one's store or port it is told
/// as before.
#[cfg(feature = "sqlite")]
#[test]
fn check_beside_the_salon_that_runs() {
    let folder = Folder::new("check-beside");
    let (file, key) = (folder.file(), folder.0.join("key"));
    fs::create_dir_all(&folder.0).unwrap();
    fs::write(&key, "0123456789abcdef").unwrap();
    let key = key.to_str().unwrap();
    let [port, admin] = [(); 2].map(|()| {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().to_string()
    });
    let socket = format!("unix:{}", folder.0.join("s.sock").display());
    let listen = format!("{port},{socket}");
    let with = |admin, key| {
        ["--listen", &listen, "--admin", admin, "--admin-key", key, "--store", &file, "--max-connections", "10"]
    };
    let check = |admin, key| {
        let output = salon(&[&["check"], &with(admin, key)[..]].concat()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let server = Server::serve(&with(&admin, key));
    let (status, shown) = check(&admin, key);
    assert_eq!(status, Some(0), "{shown}");
    for expected in [
        format!("note     listen: {port} is that of the Salon that runs"),
        format!("note     listen: {socket} is that of the Salon that runs"),
        format!("note     admin: {admin} is that of the Salon that runs"),
        format!("note     store: {file} is that of the Salon that runs"),
        format!("ok       store: {file}: 0 messages"),
        "note     a Salon runs with these addresses: salon reload".to_owned(),
    ] {
        assert!(shown.contains(&expected), "{expected}: {shown}");
    }
    let other = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let wrong_key = folder.0.join("wrong");
    fs::write(&wrong_key, "0123456789abcdeg").unwrap();
    let in_use = "stop that one, or choose another path";
    for (admin, key) in [(&*other, key), (&*admin, wrong_key.to_str().unwrap()), ("off", key)] {
        let (status, shown) = check(admin, key);
        assert_eq!(status, Some(1), "{admin} {key}: {shown}");
        assert!(shown.contains(&format!("error    listen: {port} is in use")) && shown.contains(in_use), "{shown}");
        assert!(!shown.contains("note "), "{shown}");
    }
    drop(server);
    assert!(check(&admin, key).1.contains(&format!("ok       listen: {port} is free")));
}

/// What cannot be is a sentence, before anything is bound.
#[test]
fn wrong_lists_are_sentences() {
    let many = (1..=17).map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
    let cases: [(&[&str], &str); 7] = [
        (&["--listen", &many], "--listen: expected at most 16 addresses, found 17"),
        (&["--admin", &many], "--admin: expected at most 16 addresses, found 17"),
        (
            &["--listen", "127.0.0.1:18098,127.0.0.1:18098"],
            "--listen 127.0.0.1:18098: expected another place than that of --listen, found 127.0.0.1:18098; it is named twice",
        ),
        (
            &["--open", "--listen", "0.0.0.0:18098,[::]:18098"],
            "--listen [::]:18098: expected another place than that of --listen, found 0.0.0.0:18098; [::] has the \
             addresses of IPv4 too",
        ),
        (&["--listen", "off,127.0.0.1:18098"], "--listen off: expected no address beside it, found 127.0.0.1:18098"),
        (&["--listen", "127.0.0.1:18098,192.0.2.1:1"], "--listen 192.0.2.1:1: everybody who reaches that address"),
        (&["--admin", "127.0.0.1:18098,192.0.2.1:1"], "--admin 192.0.2.1:1: everybody who reaches that address"),
    ];
    for (arguments, sentence) in cases {
        for command in ["check", "serve"] {
            let output = salon(&[&[command], arguments].concat()).output().unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
            assert!(error.starts_with(&format!("salon: {sentence}")), "{arguments:?}: {error}");
        }
    }
}
