//! A message for recipients without a key: a page that opens itself in a browser with a passphrase.
//!
//! docs/manual/pages.md has the format of the page. Its HTML is constant but for the texts of [`PageTexts`] and the sealed octets.

mod content;
mod document;
mod submitted;
mod text_of_html;

use submitted::is_passphrase;
pub(super) use submitted::without_passphrase;
pub use submitted::{PASSPHRASE_FIELD, Submitted};

use super::{Engine, lines::uses_crlf};
use crate::{
    base::{Error, Random, Result},
    crypto::{Aead, Hash, pbkdf2},
    keys::SharedPassphrase,
    mail::{
        Message, Part, build,
        encoding::{quoted_printable_encode, write_base64},
        header::{self, Field},
        header_protection::{Confidentiality, Mode, protect},
    },
    policy::{PageText, PageTexts},
};

/// How a page is made.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// What opens it.
    pub passphrase: &'a SharedPassphrase,
    /// What it says to its reader.
    pub texts: &'a PageTexts,
    /// What is hidden of the header; the subject always is.
    pub hidden: Confidentiality,
}

impl Engine<'_> {
    /// `message` as a message that brings a page. The page has the header fields that readers are shown, the text, and the files. It is not
    /// signed.
    ///
    /// # Errors
    ///
    /// `Malformed` when the page exceeds the limit for a message; errors of the source of randomness.
    pub fn page(&self, message: &Message, how: &Page<'_>) -> Result<Vec<u8>> {
        let sealed = self.sealed_content(message, how.passphrase)?;
        let boundary = build::boundary(self.context.random)?;
        let (_, mut outer) = protect(message, Mode::Cipher(how.hidden.max(Confidentiality::Baseline)));
        let is_gone = |field: &Field<'_>| ["MIME-Version", "Bcc", "Resent-Bcc"].iter().any(|name| field.is(name));
        outer.retain(|field| !is_gone(field) && !is_passphrase(field));
        let sender = header::author(message.root()).map(|author| author.to_string()).unwrap_or_default();
        let texts =
            how.texts.languages().iter().map(|language| language.text(PageText::Mail).replace("{from}", &sender));
        let text = texts.collect::<Vec<_>>().join("\n\n----\n\n");
        let (above, below) = document::around(how.texts);
        let mut octets = Vec::with_capacity(sealed.len() / 57 * 78 + above.len() + below.len() + 16 * 1024);
        octets.extend_from_slice(&outer.octets());
        let head = format!(
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        );
        octets.extend_from_slice(head.as_bytes());
        octets.extend_from_slice(&quoted_printable_encode(text.as_bytes()));
        // In 7bit: base64 within base64 would make it longer by a third.
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: text/html; charset=us-ascii; name=\"{NAME}\"\r\n\
             Content-Disposition: attachment; filename=\"{NAME}\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        );
        octets.extend_from_slice(head.as_bytes());
        octets.extend_from_slice(above.as_bytes());
        write_base64(&sealed, &mut octets).map_err(|error| Error::io("page", &error))?;
        octets.extend_from_slice(below.as_bytes());
        octets.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        if !uses_crlf(message.root()) {
            octets.retain(|octet| *octet != b'\r');
        }
        self.budget().message(octets.len())?;
        Ok(octets)
    }

    /// Magic, iterations, salt, nonce, ciphertext and tag. What comes before the ciphertext is authenticated too.
    fn sealed_content(&self, message: &Message, passphrase: &SharedPassphrase) -> Result<Vec<u8>> {
        let random = self.context.random;
        let (salt, nonce): ([u8; SALT], [u8; NONCE]) = (fresh(random)?, fresh(random)?);
        let head = [MAGIC.as_slice(), &ITERATIONS.to_be_bytes(), &salt, &nonce].concat();
        let key = pbkdf2(Hash::Sha256, passphrase.text(), &salt, ITERATIONS, KEY)?;
        let mut octets = content::octets(message, &head)?;
        let content = octets.get_mut(head.len()..).unwrap_or_default();
        let tag = Aead::Aes256Gcm.seal(&key, nonce, &head, content)?;
        octets.extend_from_slice(&tag);
        Ok(octets)
    }
}

/// Whether a message brings a page of this program. Anybody can write one that looks like it.
pub fn is_page(message: &Message) -> bool {
    let is_of_page = |part: Part<'_>| {
        let start = part.body().get(..document::START).unwrap_or(part.body());
        part.content_type().is("text", "html") && memchr::memmem::find(start, document::MARK.as_bytes()).is_some()
    };
    message.root().children().any(is_of_page)
}

fn fresh<const N: usize>(random: &dyn Random) -> Result<[u8; N]> {
    let mut octets = [0; N];
    random.fill(&mut octets)?;
    Ok(octets)
}

/// The file that the recipient opens. It says nothing about the message.
const NAME: &str = "message.html";
/// Begins what is sealed. The digit is the version of the format.
const MAGIC: &[u8; 8] = b"pspage1\n";
/// OWASP Password Storage Cheat Sheet, 2023: PBKDF2-HMAC-SHA256 with 600,000 iterations. Half a second in a browser.
pub(super) const ITERATIONS: u32 = 600_000;
/// NIST SP 800-132, section 5.1: 128 bits or more.
const SALT: usize = 16;
/// NIST SP 800-38D, section 8.2.1. Each key is used once, since each page has a salt of its own.
const NONCE: usize = 12;
pub(super) const KEY: usize = 32;
