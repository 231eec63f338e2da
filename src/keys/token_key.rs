//! Keys on tokens: what a key store keeps in the place of a secret part.

use std::{fmt::Debug, sync::Arc};

use super::{Handle, Locked, ProtocolName, TokenUri};
use crate::{
    base::{Error, Random, Result, Secret, hex},
    crypto::{PublicParts, SecretKey},
};

/// A key on a token, as one remembers it while the token is not there.
#[derive(Clone, Debug)]
pub struct TokenKey {
    /// The key's fingerprint in its certificate.
    pub handle: Handle,
    /// Where it is.
    pub uri: TokenUri,
    /// Its public part: another key in its place is not used.
    pub public: PublicParts,
    /// What keys implicit rejection (`crypto/rejection.rs`), as the private exponent does for a key that is here: 32 random octets.
    pub rejection: Secret,
}

impl TokenKey {
    /// The key with the fingerprint `handle`, found on a token.
    ///
    /// # Errors
    ///
    /// Those of `random`.
    pub fn new(handle: Handle, uri: TokenUri, public: PublicParts, random: &dyn Random) -> Result<TokenKey> {
        let mut rejection = vec![0; 32];
        random.fill(&mut rejection)?;
        Ok(TokenKey { handle, uri, public, rejection: Secret::new(rejection) })
    }
}

/// The keys of one certificate that are on tokens. A key store keeps [`TokenKeys::to_secret`] in the place of secret octets.
///
/// # Example
///
/// ```
/// use postseal::{base::SystemRandom, crypto::PublicParts, keys::{Handle, TokenKey, TokenKeys, TokenUri}};
///
/// let uri = TokenUri::parse("pkcs11:token=mail;object=alice")?;
/// let handle = Handle::parse("0123456789ABCDEF0123456789ABCDEF01234567")?;
/// let key = TokenKey::new(handle, uri, PublicParts::Ed25519(vec![1; 32]), &SystemRandom)?;
/// let kept = TokenKeys::new(vec![key]).to_secret();
/// assert_eq!(TokenKeys::read(&kept)?.unwrap().keys()[0].uri.attribute("token"), Some("mail"));
/// # Ok::<(), postseal::base::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TokenKeys(Vec<TokenKey>);

impl TokenKeys {
    /// These keys.
    pub fn new(keys: Vec<TokenKey>) -> TokenKeys {
        TokenKeys(keys)
    }

    /// The keys.
    pub fn keys(&self) -> &[TokenKey] {
        &self.0
    }

    /// Whether `octets` are what [`TokenKeys::to_secret`] returns, and not a secret part.
    pub fn recognizes(octets: &[u8]) -> bool {
        octets.starts_with(FIRST_LINE.as_bytes())
    }

    /// Reads what [`TokenKeys::to_secret`] returns; `None` for a secret part.
    ///
    /// # Errors
    ///
    /// `Damaged` when it begins as one and cannot be read.
    pub fn read(octets: &Secret) -> Result<Option<TokenKeys>> {
        if !TokenKeys::recognizes(octets.expose()) {
            return Ok(None);
        }
        let damaged = || Error::damaged("token keys", "their names cannot be read");
        let text = std::str::from_utf8(octets.expose()).map_err(|_| damaged())?;
        let mut keys = Vec::new();
        for line in text.lines().skip(1) {
            let mut fields = line.splitn(4, ' ');
            let mut field = || fields.next().ok_or_else(damaged);
            let handle = Handle::parse(field()?).map_err(|_| damaged())?;
            let public = PublicParts::parse(field()?).map_err(|_| damaged())?;
            let rejection = base16ct::lower::decode_vec(field()?).map_err(|_| damaged())?;
            let uri = TokenUri::parse(field()?).map_err(|_| damaged())?;
            keys.push(TokenKey { handle, uri, public, rejection: Secret::new(rejection) });
        }
        if keys.is_empty() { Err(damaged()) } else { Ok(Some(TokenKeys(keys))) }
    }

    /// What is kept: text, one line for each key with its fingerprint, its public part, the secret of implicit rejection, and its URI.
    pub fn to_secret(&self) -> Secret {
        let mut text = FIRST_LINE.to_owned();
        for TokenKey { handle, uri, public, rejection } in &self.0 {
            text.push_str(&format!("{handle} {public} {} {uri}\n", hex(rejection.expose())));
        }
        Secret::new(text.into_bytes())
    }
}

/// Opens keys on tokens.
pub trait Tokens: Send + Sync + Debug {
    /// A handle for this key. The token is asked when the handle is used: until then it need not be there.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when no module is known for its token.
    fn key(&self, key: &TokenKey) -> Result<Arc<dyn SecretKey>>;
}

/// The keys of one certificate on tokens, opened when they are first asked for.
#[derive(Debug)]
pub struct LockedTokenKeys {
    protocol: ProtocolName,
    keys: TokenKeys,
    tokens: Option<Arc<dyn Tokens>>,
}

impl LockedTokenKeys {
    /// The keys of a certificate of `protocol`. `tokens` open them; `None`: nothing does, and each answers with an error.
    pub fn new(protocol: ProtocolName, keys: TokenKeys, tokens: Option<Arc<dyn Tokens>>) -> LockedTokenKeys {
        LockedTokenKeys { protocol, keys, tokens }
    }
}

impl Locked for LockedTokenKeys {
    fn unlock(&self, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        let found = match (self.protocol, self.keys.keys()) {
            (ProtocolName::Pgp, all) => all.iter().find(|one| one.handle == *key),
            // A renewed certificate keeps its one key, which is named by the fingerprint of the first one.
            (ProtocolName::Pem | ProtocolName::Smime, all) => all.first(),
        };
        let Some(found) = found else { return Ok(None) };
        match &self.tokens {
            Some(tokens) => tokens.key(found).map(Some),
            None => Err(Error::inaccessible(format!("key {key}: is on a token, and tokens are not read here"))),
        }
    }
}

const FIRST_LINE: &str = "postseal: keys on tokens, version 1\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Kind, SystemRandom};

    #[test]
    fn keys_are_read_as_they_are_kept() {
        let handle = Handle::parse("0123456789ABCDEF0123456789ABCDEF01234567").unwrap();
        let uri = TokenUri::parse("pkcs11:token=my%20token;id=%00?module-path=/m%20n.so").unwrap();
        let key = TokenKey::new(handle.clone(), uri.clone(), PublicParts::X25519(vec![3; 32]), &SystemRandom).unwrap();
        let kept = TokenKeys::new(vec![key.clone(), key.clone()]).to_secret();
        let read = TokenKeys::read(&kept).unwrap().unwrap();
        let [first, _] = read.keys() else { panic!("{read:?}") };
        assert_eq!((&first.handle, &first.uri, &first.public), (&handle, &uri, &key.public));
        assert_eq!(first.rejection, key.rejection);
        assert!(TokenKeys::read(&Secret::new(vec![0x30, 0x82])).unwrap().is_none());
        let cut = Secret::new(kept.expose()[..kept.expose().len() - 60].to_vec());
        assert!(TokenKeys::read(&cut).is_err_and(|error| error.kind() == Kind::Damaged));
        let locked = LockedTokenKeys::new(ProtocolName::Pgp, read, None);
        let error = locked.unlock(&handle).unwrap_err();
        assert!(error.is_of_machine() && !error.is_permanent(), "{error}");
    }
}
