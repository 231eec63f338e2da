//! PGP/MIME put together and taken apart by hand, so that postseal does not judge its own work.

/// A message with an 8-bit body, trailing spaces, a signature separator, a line that starts with `From `, and an attachment.
pub(crate) const MESSAGE: &str = concat!(
    "From: Alice <alice@example.org>\r\n",
    "To: Alice <alice@example.org>\r\n",
    "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n",
    "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n",
    "X-Keep: one\r\n",
    "X-Keep: two\r\n",
    "MIME-Version: 1.0\r\n",
    "Content-Type: multipart/mixed; boundary=\"=_mixed\"\r\n",
    "\r\n",
    "--=_mixed\r\n",
    "Content-Type: text/plain; charset=utf-8\r\n",
    "Content-Transfer-Encoding: 8bit\r\n",
    "\r\n",
    "Viele Grüße, mit Leerzeichen am Ende   \r\n",
    "From here on it is plain.\t\r\n",
    "- dashed\r\n",
    "\r\n",
    "-- \r\n",
    "Alice\r\n",
    "--=_mixed\r\n",
    "Content-Type: application/octet-stream; name=\"data.bin\"\r\n",
    "Content-Disposition: attachment; filename=\"data.bin\"\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "\r\n",
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\r\n",
    "--=_mixed--\r\n",
);

/// A part as a careful program would sign it: 7-bit, nothing trailing.
pub(crate) const PART: &str = concat!(
    "Content-Type: text/plain; charset=utf-8\r\n",
    "Content-Transfer-Encoding: quoted-printable\r\n",
    "\r\n",
    "Viele Gr=C3=BC=C3=9Fe, mit Leerzeichen am Ende  =20\r\n",
    "=46rom here on it is plain.\r\n",
);

const HEADER: &str = concat!(
    "From: Alice <alice@example.org>\r\n",
    "To: Alice <alice@example.org>\r\n",
    "Subject: Hello\r\n",
    "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n",
    "MIME-Version: 1.0\r\n",
);

/// multipart/signed over [`PART`] (RFC 3156, section 5).
pub(crate) fn signed(signature: &[u8], micalg: &str) -> String {
    let signature = crlf(signature);
    format!(
        "{HEADER}Content-Type: multipart/signed; boundary=\"=_outer\"; micalg={micalg};\r\n\
         \tprotocol=\"application/pgp-signature\"\r\n\r\n--=_outer\r\n{PART}\r\n--=_outer\r\n\
         Content-Type: application/pgp-signature; name=\"signature.asc\"\r\n\r\n{signature}\r\n--=_outer--\r\n"
    )
}

/// multipart/encrypted around an armored message (RFC 3156, section 4).
pub(crate) fn encrypted(armored: &[u8]) -> String {
    let armored = crlf(armored);
    format!(
        "{HEADER}Content-Type: multipart/encrypted; boundary=\"=_outer\";\r\n\
         \tprotocol=\"application/pgp-encrypted\"\r\n\r\n--=_outer\r\n\
         Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--=_outer\r\n\
         Content-Type: application/octet-stream\r\n\r\n{armored}\r\n--=_outer--\r\n"
    )
}

/// The two parts of a multipart whose first line breaks are CRLF: octets between the boundaries, each without the line break before the next.
pub(crate) fn two_parts(message: &[u8]) -> (String, String) {
    let message = String::from_utf8(message.to_vec()).expect("a signed or encrypted message is ASCII");
    let (_, after) = message.split_once("boundary=").expect("a boundary");
    let boundary = after.trim_start_matches('"').split(['"', ';', '\r']).next().expect("a boundary's value");
    let body = message.split_once("\r\n\r\n").expect("a body").1;
    let body = format!("\r\n{body}");
    let delimiter = format!("\r\n--{boundary}");
    let parts: Vec<&str> = body.split(delimiter.as_str()).collect();
    assert_eq!(parts.len(), 4, "preamble, two parts, epilogue");
    let inner = |part: &str| part.strip_prefix("\r\n").expect("a boundary line ends").to_owned();
    (inner(parts[1]), inner(parts[2]))
}

/// The body of a part: its armor.
pub(crate) fn body(part: &str) -> &str {
    part.split_once("\r\n\r\n").expect("an empty line").1
}

fn crlf(text: &[u8]) -> String {
    String::from_utf8_lossy(text).replace("\r\n", "\n").replace('\n', "\r\n")
}
