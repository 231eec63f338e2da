//! What the service delivers of a message that it can read.

use super::{Opening, act::Acting, edit::Edits, lines::uses_crlf};
use crate::{
    base::Result,
    mail::{
        Message, Part,
        canonical::{Carried, write_signable},
        encoding::quoted_printable_encode,
        header::Edit,
        header_protection::text_without_display,
    },
    policy::{Action, Group, Unauthenticated},
    verdict::LayerKind,
};

/// A message without its layers.
pub(super) struct Plaintext {
    pub(super) message: Message,
    /// The value of [`FIELD`], when the plaintext is not authenticated.
    warning: Option<String>,
}

/// The plaintext for `group`; `None` when it gets the message as it came: nothing was encrypted, no key here opens it, or the rule does not open
/// what is not authenticated.
pub(super) fn of(acting: &Acting<'_>, group: &Group) -> Option<Plaintext> {
    let how = group.actions.iter().find_map(|action| match action {
        Action::Decrypt(how) => Some(*how),
        _ => None,
    })?;
    let opening = acting.gathered.opening.as_ref();
    let opening = opening.filter(|one| one.error().is_none() && one.verdict().is_confidential())?;
    let written = if !opening.is_unauthenticated() {
        whole(acting, opening)
    } else if acting.groups > 1 {
        // Copies that differ would tell the sender that it decrypted.
        return None;
    } else {
        match how {
            Unauthenticated::Leave => return None,
            Unauthenticated::Text => text(acting, opening)?,
            Unauthenticated::Open => whole(acting, opening).and_then(|message| of_seven_bits(acting, &message)),
        }
    };
    let written = written.inspect_err(|error| tracing::debug!(event = "content-not-delivered", %error));
    let warning = opening.is_unauthenticated().then(|| format!("{}; {}", how.name(), ciphers(opening)));
    Some(Plaintext { message: written.ok()?, warning })
}

impl Plaintext {
    /// For the log.
    pub(super) fn note(&self) -> String {
        match &self.warning {
            Some(warning) => format!("decrypted, not authenticated: {warning}"),
            None => "decrypted".to_owned(),
        }
    }

    /// Adds a field that says that the plaintext is not authenticated, if so.
    pub(super) fn announce(&self, edits: &mut Edits) {
        if let Some(warning) = &self.warning {
            edits.remove(FIELD);
            edits.add(FIELD, warning);
        }
    }
}

fn whole(acting: &Acting<'_>, opening: &Opening) -> Result<Message> {
    let mut octets = Vec::with_capacity(acting.mail.message.octets().len());
    opening.write(&mut octets)?;
    acting.parse(octets)
}

/// The same in 7-bit, without long lines and lone CRs: a next server that does not take others would refuse it, and the sender would learn that
/// it decrypted.
fn of_seven_bits(acting: &Acting<'_>, message: &Message) -> Result<Message> {
    let mut octets = Vec::with_capacity(message.octets().len());
    write_signable(message.root(), &Edit::new(message.root()), Carried::InClear, &mut octets)?;
    acting.parse(octets)
}

/// The text/plain of the payload under the header as it came, as text/plain: nothing that a mail program acts upon. `None` when there is
/// none.
fn text(acting: &Acting<'_>, opening: &Opening) -> Option<Result<Message>> {
    let mut texts = Vec::new();
    gather(opening.payload()?.root(), &mut texts);
    if texts.is_empty() {
        return None;
    }
    let mut octets = Vec::new();
    for field in opening.outer().root().fields() {
        let is_of_content = field.name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"));
        if !is_of_content && !field.is("MIME-Version") {
            octets.extend_from_slice(field.raw);
        }
    }
    let entity = [HEADER, &quoted_printable_encode(texts.join("\n\n").as_bytes())].concat();
    // The encoding leaves no CR but those of its line ends.
    let is_lf = !uses_crlf(opening.outer().root());
    octets.extend(entity.into_iter().filter(|octet| !(is_lf && *octet == b'\r')));
    Some(acting.parse(octets))
}

/// The text/plain leaves below `part` that a reader shows, in their order.
fn gather(part: Part<'_>, texts: &mut Vec<String>) {
    let is_attached = part.header("Content-Disposition").is_some_and(|value| {
        value.trim_start().get(..10).is_some_and(|start| start.eq_ignore_ascii_case("attachment"))
    });
    if part.children().len() > 0 {
        part.children().for_each(|child| gather(child, texts));
    } else if part.content_type().is("text", "plain") && !is_attached {
        texts.push(text_without_display(part));
    }
}

/// What hid it: `smime aes256-cbc`.
fn ciphers(opening: &Opening) -> String {
    let layers = opening.verdict().layers().iter().filter_map(|layer| match &layer.kind {
        LayerKind::Encrypted { cipher, authenticated: false, .. } => {
            Some(format!("{} {cipher}", layer.protocol.name()))
        }
        _ => None,
    });
    layers.collect::<Vec<_>>().join(", ")
}

/// The field above an unauthenticated plaintext: `text` or `open` as the policy says, and the cipher.
const FIELD: &str = "X-Postseal-Unauthenticated";

const HEADER: &[u8] = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
