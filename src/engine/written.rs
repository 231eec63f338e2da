//! The message as it was written, before it was sealed.

use std::io::{self, Write};

use super::{
    Opening,
    lines::{LfWriter, uses_crlf},
};
use crate::{
    base::{Error, Kind, Result},
    mail::{
        Part,
        canonical::{Canonical, Form},
        header_protection::strip,
    },
};

impl Opening {
    /// Writes the payload under the header that it had before sealing ([`strip`]). Line ends are those of the message as it came.
    ///
    /// # Errors
    ///
    /// The reason why peeling stopped, if it did; `Io` when `out` fails.
    pub fn write(&self, out: &mut dyn Write) -> Result<()> {
        let payload = match (&self.payload, &self.error) {
            (Some(payload), _) => payload.root(),
            (None, Some(error)) => return Err(error.clone()),
            (None, None) => return Err(Error::new(Kind::Malformed, "message: no payload")),
        };
        let written = if self.verdict.layers().is_empty() {
            out.write_all(payload.octets())
        } else {
            self.reassemble(payload, out)
        };
        written.map_err(|e| Error::io("output", &e))
    }

    fn reassemble(&self, payload: Part<'_>, out: &mut dyn Write) -> io::Result<()> {
        let outer = self.outer.root();
        if uses_crlf(outer) {
            let mut to = Canonical::new(Form::Crlf, out);
            strip(outer, payload, self.verdict.protection(), &mut to)?;
            to.finish().map(|_| ())
        } else {
            let mut to = LfWriter::new(out);
            strip(outer, payload, self.verdict.protection(), &mut to)?;
            to.finish()
        }
    }
}
