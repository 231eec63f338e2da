//! `[[token]]`: tokens with private keys.

use std::path::PathBuf;

use super::{SecretFrom, What, reader::Reader, table::Table};
use crate::keys::TokenUri;

/// A token with private keys.
#[derive(Clone, Debug)]
pub struct Token {
    /// Which tokens this is about.
    pub uri: TokenUri,
    /// The module that speaks for them; `None`: the one that the URI of a key names.
    pub module: Option<PathBuf>,
    /// Where their PIN is.
    pub pin: Option<SecretFrom>,
}

/// Reads every `[[token]]`.
pub(super) fn read(reader: &mut Reader<'_>, root: &Table<'_>) -> Vec<Token> {
    let mut tokens = Vec::new();
    for table in root.tables("token") {
        let uri = table.required("uri").and_then(|text| reader.document.read(&text, TokenUri::parse));
        let module = table.string("module").map(|place| reader.place(&place, What::File));
        let pin = reader.secret(&table, "pin");
        table.finish();
        if let Some(uri) = uri {
            let module = module.or_else(|| uri.module_path().map(PathBuf::from));
            tokens.push(Token { uri, module, pin });
        }
    }
    tokens
}
