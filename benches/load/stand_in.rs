//! Milters to compare with, as simple as they can be: each answers on a thread of its own for every connection.

use std::{
    io::{self, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

/// What a stand-in does with a message.
pub(crate) enum Work {
    /// Looks at all of it and leaves it as it is.
    Nothing,
    /// Has `openssl cms` sign the body, with a certificate and a key in PEM.
    Openssl { certificate: PathBuf, key: PathBuf },
}

/// Serves on a free port of loopback as long as this process lives, and says which.
pub(crate) fn start(work: Work) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let work = Arc::new(work);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let work = Arc::clone(&work);
            // Postfix hangs up as it likes.
            thread::spawn(move || drop(converse(&stream, &work)));
        }
    });
    port
}

fn converse(stream: &TcpStream, work: &Work) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream);
    let mut output = stream;
    let mut body = Vec::new();
    loop {
        let mut length = [0; 4];
        input.read_exact(&mut length)?;
        let mut packet = vec![0; u32::from_be_bytes(length) as usize];
        input.read_exact(&mut packet)?;
        let replies = match packet.split_first() {
            // Version 6; may add fields and replace the body; wants to see every step.
            Some((b'O', _)) => packet_of(b'O', &[0, 0, 0, 6, 0, 0, 0, 3, 0, 0, 0, 0]),
            Some((b'D' | b'K', _)) => continue,
            Some((b'A', _)) => {
                body.clear();
                continue;
            }
            Some((b'B', piece)) => {
                body.extend_from_slice(piece);
                packet_of(b'c', b"")
            }
            Some((b'E', rest)) => {
                body.extend_from_slice(rest);
                let edits = match work {
                    Work::Nothing => Vec::new(),
                    Work::Openssl { certificate, key } => signed(&body, certificate, key)?,
                };
                body.clear();
                [edits, packet_of(b'a', b"")].concat()
            }
            Some((b'Q', _)) | None => return Ok(()),
            Some(_) => packet_of(b'c', b""),
        };
        output.write_all(&replies)?;
    }
}

/// The edits that put a signed body in the place of `body`.
fn signed(body: &[u8], certificate: &PathBuf, key: &PathBuf) -> io::Result<Vec<u8>> {
    let mut command = Command::new("openssl");
    command.args(["cms", "-sign", "-md", "sha256", "-crlfeol", "-signer"]).arg(certificate).arg("-inkey").arg(key);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    stdin.write_all(b"Content-Type: text/plain\r\n\r\n")?;
    stdin.write_all(body)?;
    drop(stdin);
    let output = child.wait_with_output()?.stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let mut edits = Vec::new();
    for field in String::from_utf8_lossy(&output[..end]).split("\r\n") {
        let (name, value) = field.split_once(": ").ok_or(io::ErrorKind::InvalidData)?;
        edits.extend(packet_of(b'h', format!("{name}\0{value}\0").as_bytes()));
    }
    for piece in output[end + 4..].chunks(65_535) {
        edits.extend(packet_of(b'b', piece));
    }
    Ok(edits)
}

fn packet_of(word: u8, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len() + 1).expect("packets are short");
    [&length.to_be_bytes(), &[word][..], data].concat()
}
