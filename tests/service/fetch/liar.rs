//! A server that says what a test tells it to.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What a server says: `{tag}` stands for the first word of the client's line.
#[derive(Clone)]
pub(super) enum Say {
    /// This.
    Text(&'static str),
    /// The first, then the second again and again until the client goes, then nothing.
    Endless(&'static str, &'static str),
    /// The first, then the second so many times, with `{n}` for 1, 2, 3, then the third.
    Many(&'static str, &'static str, u32, &'static str),
    /// This, and the end of the connection.
    Last(&'static str),
    /// Nothing, and the connection stays.
    Nothing,
}

/// A server on loopback.
pub(super) struct Liar {
    pub(super) port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Liar {
    /// Greets, and answers each line by the first of `answers` whose first part is in it. What is in none of them is done: `{tag} OK`, or `+OK`.
    pub(super) fn start(greeting: Say, answers: Vec<(&'static str, Say)>) -> Liar {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let liar = Liar { port, heard: Arc::clone(&heard) };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (greeting, answers, heard) = (greeting.clone(), answers.clone(), Arc::clone(&heard));
                thread::spawn(move || serve(stream.expect("a connection"), &greeting, &answers, &heard));
            }
        });
        liar
    }

    /// The lines of all clients.
    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("no panic").clone()
    }
}

/// A failure to write means that the client has gone.
fn serve(mut stream: TcpStream, greeting: &Say, answers: &[(&str, Say)], heard: &Mutex<Vec<String>>) -> Option<()> {
    let is_pop3 = matches!(greeting, Say::Text(text) if text.starts_with('+'));
    say(&mut stream, greeting, "")?;
    let lines = BufReader::new(stream.try_clone().ok()?).lines();
    for line in lines {
        let line = line.ok()?;
        heard.lock().ok()?.push(line.clone());
        let tag = line.split(' ').next().unwrap_or_default();
        let usual = Say::Text(if is_pop3 { "+OK\r\n" } else { "{tag} OK done\r\n" });
        let answer = answers.iter().find(|(part, _)| line.contains(part)).map_or(&usual, |(_, answer)| answer);
        say(&mut stream, answer, tag)?;
    }
    Some(())
}

fn say(stream: &mut TcpStream, what: &Say, tag: &str) -> Option<()> {
    let mut write = |text: &str| stream.write_all(text.replace("{tag}", tag).as_bytes()).ok();
    match what {
        Say::Text(text) => write(text),
        Say::Endless(first, again) => {
            write(first)?;
            let many = again.repeat(64 * 1024 / again.len());
            loop {
                write(&many)?;
            }
        }
        Say::Many(first, again, count, last) => {
            write(first)?;
            for start in (1..=*count).step_by(1_000) {
                let some: String =
                    (start..(start + 1_000).min(count + 1)).map(|n| again.replace("{n}", &n.to_string())).collect();
                write(&some)?;
            }
            write(last)
        }
        Say::Last(text) => {
            write(text)?;
            stream.shutdown(std::net::Shutdown::Both).ok()?;
            None
        }
        Say::Nothing => Some(()),
    }
}
