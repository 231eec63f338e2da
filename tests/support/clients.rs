//! Clients of each kind of listener, and a next server that takes everything.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixListener,
    sync::{Arc, Mutex},
    thread,
};

/// One message and its envelope.
pub(crate) struct Letter<'a> {
    /// The address of the client that sends it. A listener learns it from a peer at 127.0.0.1, or from the mail server.
    pub(crate) client: &'a str,
    pub(crate) sender: &'a str,
    /// Several are separated by commas.
    pub(crate) recipient: &'a str,
    /// With CRLF.
    pub(crate) message: &'a str,
}

/// The first refusal, or the reply to the message, by SMTP (`EHLO`) or LMTP (`LHLO`).
pub(crate) fn dialogue(port: u16, hello: &str, letter: &Letter<'_>) -> String {
    dialogue_over(TcpStream::connect(("127.0.0.1", port)).expect("it listens"), hello, letter)
}

/// The same over a connection that was just made.
pub(crate) fn dialogue_over(mut stream: TcpStream, hello: &str, letter: &Letter<'_>) -> String {
    let mut lines = BufReader::new(stream.try_clone().expect("a second handle"));
    reply(&mut lines);
    let mut said = String::new();
    let greeting = [
        format!("{hello} client.test\r\n"),
        format!("XFORWARD ADDR={}\r\n", letter.client),
        format!("MAIL FROM:<{}>\r\n", letter.sender),
    ];
    let recipients = letter.recipient.split(',').map(|recipient| format!("RCPT TO:<{recipient}>\r\n"));
    let content = ["DATA\r\n".to_owned(), format!("{}\r\n.\r\n", letter.message.trim_end_matches("\r\n"))];
    for command in greeting.into_iter().chain(recipients).chain(content) {
        stream.write_all(command.as_bytes()).expect("it reads");
        said = reply(&mut lines);
        // XFORWARD is for peers: another client is its own.
        if !command.starts_with("XFORWARD") && said.starts_with(['4', '5']) {
            break;
        }
    }
    said
}

/// The last packet of the milter's answer to a message.
pub(crate) fn milter(port: u16, letter: &Letter<'_>) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let say = |stream: &mut TcpStream, command: u8, data: &[u8]| {
        let length = u32::try_from(data.len() + 1).expect("a short packet").to_be_bytes();
        stream.write_all(&[&length, &[command][..], data].concat()).expect("it reads");
    };
    let hear = |stream: &mut TcpStream| -> Vec<u8> {
        let mut length = [0; 4];
        stream.read_exact(&mut length).expect("an answer");
        let mut packet = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut packet).expect("a whole answer");
        packet
    };
    let (header, body) = letter.message.split_once("\r\n\r\n").expect("a header and a body");
    say(&mut stream, b'O', &[0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0, 0, 0]);
    assert_eq!(hear(&mut stream)[0], b'O');
    let mut commands = vec![
        (b'C', format!("client.test\x004\0\x19{}\0", letter.client).into_bytes()),
        (b'H', b"client.test\0".to_vec()),
        (b'M', format!("<{}>\0", letter.sender).into_bytes()),
    ];
    commands.extend(letter.recipient.split(',').map(|recipient| (b'R', format!("<{recipient}>\0").into_bytes())));
    for field in header.replace("\r\n ", "\n ").replace("\r\n\t", "\n\t").split("\r\n") {
        let (name, value) = field.split_once(':').expect("a field");
        let value = value.strip_prefix(' ').unwrap_or(value);
        commands.push((b'L', format!("{name}\0{value}\0").into_bytes()));
    }
    commands.push((b'N', Vec::new()));
    commands.push((b'B', body.as_bytes().to_vec()));
    for (command, data) in commands {
        say(&mut stream, command, &data);
        assert_eq!(hear(&mut stream), b"c", "{}", char::from(command));
    }
    say(&mut stream, b'E', &[]);
    loop {
        let answer = hear(&mut stream);
        if b"cartdy".contains(&answer[0]) {
            return String::from_utf8(answer).expect("an answer in UTF-8");
        }
    }
}

/// All lines of one reply.
pub(crate) fn reply(lines: &mut impl BufRead) -> String {
    let mut whole = String::new();
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).expect("a reply") > 0, "the connection ends after {whole:?}");
        whole.push_str(&line);
        if line.as_bytes().get(3) != Some(&b'-') {
            return whole;
        }
    }
}

/// A next server that greets with `greeting`, accepts everything, and keeps what it is given.
pub(crate) fn next_server(listener: UnixListener, greeting: &'static str) -> Arc<Mutex<Vec<String>>> {
    let delivered: Arc<Mutex<Vec<String>>> = Arc::default();
    let given = Arc::clone(&delivered);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let given = Arc::clone(&given);
            thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().expect("a second handle"));
                let mut stream = stream;
                let mut say = |words: &[u8]| stream.write_all(words).is_ok();
                let mut is_alive = say(format!("{greeting}\r\n").as_bytes());
                while is_alive {
                    let mut line = String::new();
                    if lines.read_line(&mut line).unwrap_or_default() == 0 {
                        return;
                    }
                    if line.to_ascii_uppercase().starts_with("DATA") {
                        say(b"354 go on\r\n");
                        let mut message = Vec::new();
                        while !message.ends_with(b"\r\n.\r\n") {
                            assert!(lines.read_until(b'\n', &mut message).expect("lines") > 0, "it does not end");
                        }
                        let message = String::from_utf8_lossy(&message);
                        let message = message.trim_end_matches(".\r\n").replace("\r\n..", "\r\n.");
                        given.lock().expect("no panic elsewhere").push(message);
                    }
                    is_alive = say(b"250 ok\r\n");
                }
            });
        }
    });
    delivered
}
