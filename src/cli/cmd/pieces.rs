//! message/partial (RFC 2046, section 5.2.2): pieces in, pieces out.

use std::{
    ffi::OsString,
    io::Write,
    path::{Path, PathBuf},
};

use postseal::{
    base::{Error, Result, SystemRandom},
    mail::{Message, partial},
};

use crate::cli::{
    input,
    output::{Output, Privacy},
    session::Session,
};

/// A message to open: a file, or all pieces of one message.
pub(crate) struct Whole {
    /// Its name in reports.
    pub(crate) label: String,
    /// The message.
    pub(crate) message: Message,
}

/// Reads every input. Pieces become one message, at the position of the first of them.
///
/// Each message is read when the iterator reaches it, so that only one is in memory. An input that cannot be read is an error at its position.
pub(crate) fn wholes<'a>(
    names: &'a [PathBuf],
    session: &'a Session,
) -> impl Iterator<Item = (String, Result<Message>)> + 'a {
    let names: Vec<Option<&PathBuf>> = if names.is_empty() { vec![None] } else { names.iter().map(Some).collect() };
    let mut pieces: Vec<Whole> = Vec::new();
    let mut names = names.into_iter();
    std::iter::from_fn(move || {
        for name in names.by_ref() {
            let label = input::label(name);
            match input::message(name.map(PathBuf::as_path), &mut session.budget()) {
                Ok(message) if is_piece(&message) => pieces.push(Whole { label, message }),
                other => return Some((label, other)),
            }
        }
        let pieces = std::mem::take(&mut pieces);
        let label = pieces.first()?.label.clone();
        let messages: Vec<Message> = pieces.into_iter().map(|piece| piece.message).collect();
        Some((label, partial::join(&messages, &mut session.budget())))
    })
}

/// Splits `sealed` into pieces of at most `size` octets and writes them to `OUT.1`, `OUT.2`, ..., all or none.
pub(crate) fn write(sealed: Vec<u8>, size: usize, name: &Path, inputs: &[PathBuf], session: &Session) -> Result<()> {
    let message = Message::parse(sealed, &mut session.budget())?;
    let pieces = partial::split(&message, size, &SystemRandom)?;
    let mut outputs = Vec::with_capacity(pieces.len());
    for (index, piece) in pieces.iter().enumerate() {
        let mut numbered = OsString::from(name);
        numbered.push(format!(".{}", index + 1));
        let mut output = Output::create(Some(Path::new(&numbered)), inputs, Privacy::Umask)?;
        output.write_all(piece).map_err(|e| Error::io("output", &e))?;
        outputs.push(output);
    }
    outputs.into_iter().try_for_each(Output::commit)
}

fn is_piece(message: &Message) -> bool {
    message.root().content_type().is("message", "partial")
}
