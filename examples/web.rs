//! Signs in a web handler: `POST /` with a message, and the answer is the signed message.
//!
//! `cargo run --example web --no-default-features --features pgp -- 127.0.0.1:8080`, then
//! `curl --data-binary @message.eml http://127.0.0.1:8080/`. Without an address it sends one request to itself.
//!
//! [`sign_for_client`] is what goes into a web framework. The HTTP around it is as short as the standard library allows.

use std::{
    env,
    error::Error,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use postseal::{
    base::{Kind, Limits, SystemClock},
    keys::{Keys, ProtocolName},
    mail::Address,
    protocol::pgp::generate::{Request, generate},
    store,
};

/// The status and the body of the answer. Keys are shared by all requests.
fn sign_for_client(message: &[u8], keys: &dyn Keys) -> (u16, Vec<u8>) {
    match postseal::sign(message, ProtocolName::Pgp, keys) {
        Ok(signed) => (200, signed),
        Err(error) => {
            let status = match error.kind() {
                Kind::Malformed => 400,
                Kind::NoKey => 403,
                Kind::TryAgain | Kind::Unavailable => 503,
                _ => 500,
            };
            (status, format!("{error}\n").into_bytes())
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // A key file of the service; here a new key.
    let key = generate(&Request::new(Address::parse("web@example.org")?), &SystemClock)?.described;
    let file = key.secret.as_ref().map(|secret| secret.expose()).unwrap_or_default();
    let keys: Arc<dyn Keys> = Arc::new(store::load(&[("web.key", file)], &Arc::default(), &Limits::default())?.keys);

    let address = env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0"))?;
    let serving = listener.local_addr()?;
    let server = move || {
        for stream in listener.incoming().flatten() {
            let keys = Arc::clone(&keys);
            thread::spawn(move || answer(stream, &*keys));
        }
    };
    if address.is_some() {
        server();
        return Ok(());
    }
    thread::spawn(server);
    for message in ["From: web@example.org\r\n\r\nYour order is on its way.\r\n", "From: eve@example.net\r\n\r\nHi\r\n"]
    {
        let mut client = TcpStream::connect(serving)?;
        write!(client, "POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{message}", message.len())?;
        let mut answer = String::new();
        client.read_to_string(&mut answer)?;
        println!("{}\n", answer.lines().take(8).collect::<Vec<_>>().join("\n"));
    }
    Ok(())
}

/// Reads one request, and answers it.
fn answer(stream: TcpStream, keys: &dyn Keys) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream).take(MOST);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        let field = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        length = field.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(length);
        line.clear();
    }
    let mut message = Vec::new();
    reader.by_ref().take(length).read_to_end(&mut message)?;
    let (status, body) = sign_for_client(&message, keys);
    let mut stream = reader.into_inner().into_inner();
    write!(stream, "HTTP/1.1 {status} \r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(&body)
}

/// Octets of a request.
const MOST: u64 = 64 * 1024 * 1024;
