//! The HTTP client: what it asks, what it takes, and when it gives up.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use postseal::{
    base::{Kind, Network},
    discover::{
        Addresses, Resolver,
        http::{Bounds, Client, Failure, Plain},
    },
};

use crate::support::{names::Names, requirements::present, web::Web};

fn client(names: &[SocketAddr], allowed: &[&str], roots: Option<&Path>) -> Client {
    let networks = allowed.iter().map(|text| Network::parse(text).expect("a network")).collect();
    let resolver = Resolver::new(names).expect("a resolver");
    Client::new(Arc::new(resolver), Addresses::public_and(networks), roots).expect("a client")
}

/// Asks servers at loopback, without names.
fn local() -> Client {
    client(&["127.0.0.1:1".parse().expect("an address")], &["127.0.0.0/8"], None)
}

fn bounds(octets: usize, milliseconds: u64) -> Bounds {
    Bounds { octets, deadline: Instant::now() + Duration::from_millis(milliseconds), plain: Plain::Allow }
}

fn failed(reason: &str) -> Result<Vec<u8>, Failure> {
    Err(Failure::Failed(reason.to_owned()))
}

/// A server that reads each request and answers it with `answer`, given the request and the number of the connection.
fn serve(answer: impl Fn(&mut TcpStream, &str, usize) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            let mut request = Vec::new();
            let mut octet = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut octet).is_ok_and(|read| read == 1) {
                request.extend(octet);
            }
            answer(&mut stream, &String::from_utf8_lossy(&request), number);
        }
    });
    address
}

fn answering(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer = answer.into();
    // The client may have gone before the end.
    serve(move |stream, _, _| drop(stream.write_all(&answer)))
}

fn ask(answer: impl Into<Vec<u8>>) -> Result<Vec<u8>, Failure> {
    local().get(&format!("http://{}/a", answering(answer)), &bounds(10, 5_000))
}

#[test]
fn an_answer_is_whole_and_within_its_bound() {
    let ok = "HTTP/1.1 200 OK\r\n";
    assert_eq!(ask(format!("{ok}Content-Length: 4\r\n\r\nabcd")), Ok(b"abcd".to_vec()));
    assert_eq!(ask(format!("{ok}Content-Length: 10\r\n\r\n0123456789")), Ok(b"0123456789".to_vec()));
    assert_eq!(ask(format!("{ok}Connection: close\r\n\r\nabcd")), Ok(b"abcd".to_vec()));
    assert_eq!(ask(format!("{ok}Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n")), Ok(b"abcd".to_vec()));
    let too_large = Err(Failure::Unfit("the answer is larger than 10 octets".to_owned()));
    assert_eq!(ask(format!("{ok}Content-Length: 11\r\n\r\n0123456789a")), too_large);
    assert_eq!(ask(format!("{ok}Content-Length: 99999999999\r\n\r\n")), too_large);
    assert_eq!(ask(format!("{ok}Connection: close\r\n\r\n{}", "a".repeat(100_000))), too_large);
    assert_eq!(ask(format!("{ok}Transfer-Encoding: chunked\r\n\r\nB\r\n0123456789a\r\n0\r\n\r\n")), too_large);
    assert!(ask(format!("{ok}Content-Length: 4\r\n\r\nab")).is_err());
    assert_eq!(
        ask(format!("{ok}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab")),
        Err(Failure::Unfit("the answer is compressed".to_owned()))
    );
    assert_eq!(ask(format!("{ok}A: {}\r\n\r\n", "a".repeat(20_000))), failed("more than 16384 octets of header"));
    assert!(matches!(ask("SSH-2.0-OpenSSH_9.2\r\n"), Err(Failure::Failed(_))));
    assert!(matches!(ask([0_u8; 500]), Err(Failure::Failed(_))));
}

#[test]
fn only_404_and_410_mean_that_nothing_is_there() {
    let ask = |status: &str| ask(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
    assert_eq!(ask("404 Not Found"), Err(Failure::NotFound));
    assert_eq!(ask("410 Gone"), Err(Failure::NotFound));
    for status in ["204", "206", "304", "400", "401", "403", "429", "500", "502", "503"] {
        assert!(matches!(ask(&format!("{status} X")), Err(Failure::Failed(_))), "{status}");
    }
    assert_eq!(ask("503 Later"), failed("the server answers 503"));
}

#[test]
fn a_request_ends_at_its_deadline_however_slowly_the_server_answers() {
    let one_at_a_time = |octets: &'static [u8]| {
        serve(move |stream, _, _| {
            for octet in octets.iter().cycle() {
                if stream.write_all(&[*octet]).is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(20));
            }
        })
    };
    let slow_body = serve(|stream, _, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        while stream.write_all(b"a").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let silent = serve(|_, _, _| thread::sleep(Duration::from_secs(5)));
    // It accepts no connection: its queue is full after two.
    let servers = [one_at_a_time(b"HTTP/1.1 200 OK\r\nA: "), one_at_a_time(b"a"), slow_body, silent];
    for (number, server) in servers.into_iter().enumerate() {
        for scheme in ["http", "https"] {
            let start = Instant::now();
            let answer = local().get(&format!("{scheme}://{server}/"), &bounds(10_000, 300));
            assert!(matches!(answer, Err(Failure::Failed(_))), "{number}: {answer:?}");
            assert!(start.elapsed() < Duration::from_secs(2), "{number} {scheme}: {:?}", start.elapsed());
        }
    }
    let over = Bounds { deadline: Instant::now(), ..bounds(10, 0) };
    assert_eq!(local().get("http://127.0.0.1:1/", &over), failed("no answer in time"));
}

#[test]
fn a_redirect_leads_to_the_same_host_three_times_at_most() {
    let redirecting = |times: usize, to: &'static str| {
        let server = serve(move |stream, _, number| {
            let answer = match number < times {
                true => format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"),
                false => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
            };
            let _ = stream.write_all(answer.as_bytes());
        });
        local().get(&format!("http://{server}/"), &bounds(10, 5_000))
    };
    assert_eq!(redirecting(3, "/b"), Ok(b"ok".to_vec()));
    assert_eq!(redirecting(4, "/b"), failed("more than 3 redirects"));
    assert_eq!(redirecting(1, "http://127.0.0.2/"), failed("a redirect to another host, 127.0.0.2"));
    assert_eq!(redirecting(1, "//127.0.0.2/"), failed("a redirect to another host, 127.0.0.2"));
    assert_eq!(redirecting(1, "ftp://127.0.0.1/"), failed("ftp://127.0.0.1/: only https and http are asked"));
    assert!(matches!(redirecting(1, "b"), Err(Failure::Failed(_))));
}

#[test]
fn a_post_sends_its_octets_and_is_not_redirected() {
    let server = serve(|stream, request, _| {
        let mut octets = [0; 4];
        let read = stream.read_exact(&mut octets).map(|()| octets.to_vec()).unwrap_or_default();
        let is_typed = request.to_lowercase().contains("content-type: application/ocsp-request\r\n");
        let answer = if is_typed { read } else { b"no type".to_vec() };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
        let _ = stream.write_all(&[head.as_bytes(), &answer].concat());
    });
    let post = |server: SocketAddr| {
        local().post(&format!("http://{server}/"), "application/ocsp-request", b"abcd", &bounds(100, 5_000))
    };
    assert_eq!(post(server), Ok(b"abcd".to_vec()));
    let answer = post(answering("HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"));
    assert_eq!(answer, failed("a redirect"));
}

#[test]
fn urls_lead_to_public_servers_only() {
    let server = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let nowhere = ["127.0.0.1:1".parse().expect("an address")];
    let get = |url: &str| client(&nowhere, &[], None).get(url, &bounds(10, 2_000));
    let port = server.port();
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "localhost",
        "localhost.",
        "10.0.0.1",
        "[fe80::1]",
    ] {
        for port in [80, port] {
            let answer = get(&format!("http://{host}:{port}/"));
            let Err(Failure::Failed(reason)) = answer else { panic!("{host}: {answer:?}") };
            assert!(reason.ends_with(" is not a public address"), "{host}: {reason}");
        }
    }
    assert_eq!(get("http://1.1.1.1:25/"), failed("1.1.1.1: port 25 is not asked"));
    assert_eq!(get("http://a@1.1.1.1/"), failed("http://a@1.1.1.1/: not a URL of a host alone"));
    assert_eq!(get("ldap://1.1.1.1/"), failed("ldap://1.1.1.1/: only https and http are asked"));
    assert_eq!(get("file:///etc/passwd"), failed("file:///etc/passwd: not a URL"));
    let refuse = Bounds { plain: Plain::Refuse, ..bounds(10, 2_000) };
    let answer = client(&nowhere, &[], None).get("http://1.1.1.1/", &refuse);
    assert_eq!(answer, failed("http://1.1.1.1/: only https is asked"));
}

#[test]
fn servers_are_known_by_their_certificates() {
    if !present(&["nginx", "named", "openssl"]) {
        return;
    }
    let web = Web::start(&[("a.test", "location = /plain { return 301 http://a.test/document; }")]);
    web.put("a.test", "document", "text");
    let names = Names::start(&web.records(&["a.test", "b.test"]));
    let roots = web.path("ca.pem");
    let https = Bounds { plain: Plain::Refuse, ..bounds(10, 10_000) };
    let get = |allowed: &[&str], roots, url: &str| client(&[names.address()], allowed, roots).get(url, &https);
    let loopback: &[&str] = &["127.0.0.0/8"];
    assert_eq!(get(loopback, Some(roots.as_path()), "https://a.test/document"), Ok(b"text".to_vec()));
    assert_eq!(get(loopback, Some(&roots), "https://a.test/other"), Err(Failure::NotFound));
    assert_eq!(get(loopback, Some(&roots), "https://c.test/document"), Err(Failure::NoHost));
    let plain = failed("http://a.test/document: only https is asked");
    assert_eq!(get(loopback, Some(&roots), "https://a.test/plain"), plain);
    for (roots, url) in [(None, "https://a.test/document"), (Some(roots.as_path()), "https://b.test/document")] {
        let answer = get(loopback, roots, url);
        assert!(matches!(&answer, Err(Failure::Failed(reason)) if reason.starts_with("tls: ")), "{url}: {answer:?}");
    }
    let answer = get(&[], Some(&roots), "https://a.test/document");
    assert_eq!(answer, failed(&format!("a.test: {} is not a public address", web.address())));
}

#[test]
fn a_file_of_roots_has_certificates() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("roots.pem");
    let open = || {
        let resolver = Arc::new(Resolver::new(&["127.0.0.1:1".parse().expect("an address")]).expect("a resolver"));
        Client::new(resolver, Addresses::default(), Some(&file)).map(drop).expect_err("no roots")
    };
    assert_eq!(open().kind(), Kind::Config);
    std::fs::write(&file, "no certificate").expect("a file");
    assert_eq!(open().to_string(), format!("{}: no certificate in PEM", file.display()));
}
