//! Step 5 of the pipeline: seal.

use std::io::Write;

use super::{
    Engine,
    lines::{LfWriter, uses_crlf},
    opaque::{is_opaque, is_opaque_file},
};
use crate::{
    base::{Error, Result},
    keys::{ProtocolName, Reach, Snapshot},
    mail::{Message, header_protection::with_legacy_display},
    protocol::{Headers, LegacyDisplay, Resolved, Seal, Sealed, Shape},
};

impl Engine<'_> {
    /// Writes `message` sealed by `protocol` to `out`. All keys are found before the first octet is written; still, the caller must not let
    /// `out` be seen before this returns.
    ///
    /// # Errors
    ///
    /// `NoKey` names the key or address and the reason; `Usage` for a shape that the message or protocol cannot have.
    pub fn seal(&self, protocol: ProtocolName, message: &Message, how: &Seal, out: &mut dyn Write) -> Result<Sealed> {
        let keys = Snapshot::new(self.context.keys, self.limits.network);
        let keys = match how.reach {
            Reach::Local => keys,
            Reach::Network => keys.reaching(how.to.iter().map(|reader| reader.address().clone())),
        };
        let engine = self.with_keys(&keys);
        let found = engine.protocol(protocol)?;
        let resolved = found.resolve(&found.needs(message, how), engine.context)?;
        engine.seal_with(resolved.as_ref(), protocol, message, how, out)
    }

    /// [`Engine::seal`] with keys that were looked up before.
    pub(super) fn seal_with(
        &self,
        keys: &dyn Resolved,
        protocol: ProtocolName,
        message: &Message,
        how: &Seal,
        out: &mut dyn Write,
    ) -> Result<Sealed> {
        // RFC 9788, section 2.1.1: the payload says that it protects the header, and a layer is none. Readers would not find it.
        let is_layer = self.claim(message.root()).is_some_and(|(_, claim)| claim.is_whole(message.root()));
        if is_layer && how.headers != Headers::Outside {
            let outside = Seal { headers: Headers::Outside, ..how.clone() };
            let mut sealed = self.seal_with(keys, protocol, message, &outside, out)?;
            if how.encrypts() && how.headers > Headers::Clear {
                sealed
                    .warnings
                    .push("the header stays outside, readable: the message is signed or encrypted already".to_owned());
            }
            return Ok(sealed);
        }
        let displayed = self.displayed(message, how)?;
        let message = displayed.as_ref().unwrap_or(message);
        // A message with LF line ends comes out with LF, except one that is signed in clear: its octets are those that were signed, so that
        // the parts can be cut out of the file and verified.
        let shows_signed_octets = how.shape == if how.encrypts() { Shape::Triple } else { Shape::Mime };
        // PEM's canonical text does not depend on the line ends that it travels with.
        let shows_signed_octets = shows_signed_octets && protocol != ProtocolName::Pem;
        if shows_signed_octets || uses_crlf(message.root()) {
            keys.seal(message, how, self.context, out)
        } else {
            let mut to = LfWriter::new(out);
            let sealed = keys.seal(message, how, self.context, &mut to)?;
            to.finish().map_err(|e| Error::io("output", &e))?;
            Ok(sealed)
        }
    }

    /// [`Engine::seal_with`] once for each of `how.to`, in their order: each sealed message is for one of them alone.
    ///
    /// # Errors
    ///
    /// As [`Engine::seal`].
    pub(super) fn seal_each(
        &self,
        keys: &dyn Resolved,
        protocol: ProtocolName,
        message: &Message,
        how: &Seal,
    ) -> Result<Vec<Vec<u8>>> {
        let is_layer = self.claim(message.root()).is_some_and(|(_, claim)| claim.is_whole(message.root()));
        let is_plain = !is_layer && how.legacy_display == LegacyDisplay::Omit && uses_crlf(message.root());
        if is_plain {
            return keys.seal_each(message, how, self.context);
        }
        let sealed = how.to.iter().map(|reader| {
            let mut octets = Vec::new();
            self.seal_with(keys, protocol, message, &how.to_one(reader), &mut octets)?;
            Ok(octets)
        });
        sealed.collect()
    }

    /// The message with Legacy Display Elements, when `how` asks for them and there is something to show.
    fn displayed(&self, message: &Message, how: &Seal) -> Result<Option<Message>> {
        let policy = how.headers.confidentiality().filter(|_| how.encrypts());
        match (policy, how.legacy_display) {
            (Some(policy), LegacyDisplay::Write) => {
                let octets = with_legacy_display(message, policy);
                octets.map(|octets| Message::parse(octets, &mut self.budget())).transpose()
            }
            (None, _) | (_, LegacyDisplay::Omit) => Ok(None),
        }
    }

    /// Whether the message is encrypted already, in whatever protocol and to whomever: no key is asked. One that shows anything beside the
    /// ciphertext is not.
    pub fn is_encrypted(&self, message: &Message) -> bool {
        let root = message.root();
        let is_whole = self.claim(root).is_some_and(|(_, claim)| claim.is_whole(root));
        is_whole
            && match root.header_octets() {
                [] => is_opaque_file(message.octets(), &self.budget()),
                _ => is_opaque(root, &self.budget()),
            }
    }
}
