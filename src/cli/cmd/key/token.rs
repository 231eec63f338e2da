//! Keys on tokens: found for certificates, and made there.

use std::{path::Path, sync::Arc};

use postseal::{
    base::{Error, Result, SystemRandom},
    crypto::{Curve, KeyAlgorithm, PublicParts, SecretKey},
    keys::{Handle, Keys, Memory, ProtocolName, Query, Record, TokenKey, TokenKeys, TokenUri, Tokens, Want},
    mail::Address,
    protocol::{Described, pgp, smime},
    report::printable,
    store::{Intake, Keystore, NewKey},
};

use super::{algorithm::Algorithm, keep::store, show, trust::Trust};
use crate::cli::{
    session::Session,
    show::{data, hint, progress, warning},
};

/// Whether a name of a file is that of a token.
pub(super) fn is_uri(name: &Path) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("pkcs11:"))
}

/// Imports the certificates of a token, and its keys for them and for certificates of the home.
pub(super) fn import(uri: &Path, trust: &Trust, home: &Keystore, session: &Session) -> Result<()> {
    if *trust == Trust::Anchor {
        return Err(Error::usage("key import: --anchor takes certificates from files"));
    }
    let uri = TokenUri::parse(uri.to_str().unwrap_or_default())?;
    let _progress = progress::begin("reading the token");
    let contents = session.tokens().contents(&uri)?;
    let mut certificates: Vec<Record> = Vec::new();
    for octets in &contents.certificates {
        match smime::keyfile::describe(octets, "token") {
            Ok(described) => certificates.push(described.record),
            Err(error) => warning(&error.to_string()),
        }
    }
    for protocol in [ProtocolName::Smime, ProtocolName::Pgp] {
        for held in home.find(protocol, &Query::manage(Want::All))? {
            if !certificates.iter().any(|record| record.fingerprint() == held.fingerprint()) {
                certificates.push(Record::clone(&held));
            }
        }
    }
    let mut paired: Vec<(Record, Vec<TokenKey>)> = Vec::new();
    for key in &contents.keys {
        let name = printable(&key.uri.to_string());
        let Some(public) = &key.public else {
            warning(&format!("{name}: its public part is not on the token, or its algorithm is not supported"));
            continue;
        };
        let mut is_paired = false;
        for record in &certificates {
            for handle in handles(record, public)? {
                is_paired = true;
                let held = home.token_keys(record.fingerprint())?;
                let held =
                    held.iter().flat_map(TokenKeys::keys).find(|held| held.handle == handle && held.public == *public);
                let mut on_token = TokenKey::new(handle, key.uri.clone(), public.clone(), &SystemRandom)?;
                // Implicit rejection stays as it was.
                if let Some(held) = held {
                    on_token.rejection = held.rejection.clone();
                }
                match paired.iter_mut().find(|(other, _)| other.fingerprint() == record.fingerprint()) {
                    Some((_, keys)) => keys.push(on_token),
                    None => paired.push((record.clone(), vec![on_token])),
                }
            }
        }
        if !is_paired {
            warning(&format!("{name}: no certificate for it"));
        }
    }
    if paired.is_empty() {
        return Err(Error::no_key(format!("{uri}: no key with a certificate"))
            .with_hint("import the certificate first, or make a key with `postseal key generate --token`"));
    }
    let found: Vec<Described> = paired.into_iter().map(|(record, keys)| described(record, keys)).collect();
    let intake = Intake { certificates: &found, ..Intake::default() };
    let taken = home.take_in(&intake, &Memory::new(), session.clock().now())?;
    let mut text = String::new();
    for (one, change) in found.iter().zip(taken.certificates) {
        text.push_str(&show::change(show::word(change), &one.record));
    }
    data(&text)?;
    hint("`postseal key trust FINGERPRINT ADDRESS` trusts a key for an address");
    Ok(())
}

/// The fingerprints of the keys in a certificate that are this key.
fn handles(record: &Record, public: &PublicParts) -> Result<Vec<Handle>> {
    Ok(match record.protocol() {
        ProtocolName::Pgp => pgp::external::keys_of(record, public)?,
        ProtocolName::Smime if smime::external::has_key(record, public)? => vec![record.fingerprint().clone()],
        _ => Vec::new(),
    })
}

fn described(mut record: Record, mut keys: Vec<TokenKey>) -> Described {
    // In one order, so that the same keys are no change.
    keys.sort_by(|one, other| one.handle.cmp(&other.handle));
    let handles: Vec<Handle> = keys.iter().map(|key| key.handle.clone()).collect();
    record.set_secrets(handles.clone());
    Described { record, secret: Some(TokenKeys::new(keys).to_secret()), proven: handles }
}

/// A key to be made on a token.
pub(super) struct OnToken<'a> {
    pub(super) uri: &'a str,
    pub(super) algorithm: Option<Algorithm>,
    /// Addresses that have another key.
    pub(super) kept: &'a [Address],
}

/// Makes an S/MIME key on a token, with a self-signed certificate.
pub(super) fn generate_smime(
    how: &OnToken<'_>,
    request: &smime::generate::Request,
    home: &Keystore,
    session: &Session,
) -> Result<Arc<Record>> {
    let algorithm = match how.algorithm {
        None => KeyAlgorithm::Rsa(3072),
        Some(algorithm) => kind(algorithm).ok_or_else(|| {
            Error::usage("key generate: not an algorithm of S/MIME keys on tokens")
                .with_hint("ed25519, p256, p384, p521, rsa2048, rsa3072 or rsa4096")
        })?,
    };
    let _progress = progress::begin("making a key on the token");
    let uri = labelled(how.uri, request.addresses.first(), "")?;
    let (key, secret) = made(&uri, algorithm, session)?;
    let made = smime::external::generate(request, &key.public, secret.as_ref(), session.clock(), &SystemRandom)?;
    let key = TokenKey { handle: made.record.fingerprint().clone(), ..key };
    store(NewKey::of_person(described(made.record, vec![key])).not_for(how.kept), home, session)
}

/// Makes two OpenPGP keys on a token, one that signs and one that decrypts, with a certificate.
pub(super) fn generate_pgp(
    how: &OnToken<'_>,
    request: &pgp::generate::Request,
    home: &Keystore,
    session: &Session,
) -> Result<Arc<Record>> {
    if request.profile == pgp::generate::Profile::Rfc9980 {
        return Err(Error::usage("key generate: a key of --profile rfc9980 cannot be on a token"));
    }
    let (signing, decrypting) = match how.algorithm {
        None => (KeyAlgorithm::Ecdsa(Curve::P256), KeyAlgorithm::Ecdsa(Curve::P256)),
        Some(Algorithm::Curve25519) => (KeyAlgorithm::Ed25519, KeyAlgorithm::X25519),
        Some(algorithm) => match kind(algorithm) {
            None | Some(KeyAlgorithm::Ed25519) => {
                return Err(Error::usage("key generate: not an algorithm of OpenPGP keys here")
                    .with_hint("curve25519, p256, p384, p521, rsa2048, rsa3072 or rsa4096"));
            }
            Some(kind) => (kind, kind),
        },
    };
    let _progress = progress::begin("making keys on the token");
    let names =
        [labelled(how.uri, request.addresses.first(), "")?, labelled(how.uri, request.addresses.first(), "-decrypt")?];
    // The second kind is the rarer one: a token without it keeps no key of the first.
    let (subkey, _) = made(&names[1], decrypting, session)?;
    let (primary, secret) = made(&names[0], signing, session)?;
    let certified = pgp::external::generate(request, (&primary.public, secret), &subkey.public, session.clock())?;
    let keys = vec![TokenKey { handle: certified.primary, ..primary }, TokenKey { handle: certified.subkey, ..subkey }];
    let key = NewKey::of_person(described(certified.described.record, keys)).with_revocation(certified.revocation);
    store(key.not_for(how.kept), home, session)
}

/// A new key on a token. Its fingerprint is not known before its certificate.
fn made(uri: &TokenUri, algorithm: KeyAlgorithm, session: &Session) -> Result<(TokenKey, Arc<dyn SecretKey>)> {
    let (name, public) = session.tokens().generate(uri, algorithm, &SystemRandom)?;
    let key = TokenKey::new(Handle::from_octets(&[0; 20]), name, public, &SystemRandom)?;
    let secret = session.tokens().key(&key)?;
    Ok((key, secret))
}

/// The name of a new key: as the URI says, or the address.
fn labelled(uri: &str, address: Option<&Address>, suffix: &str) -> Result<TokenUri> {
    let uri = TokenUri::parse(uri)?;
    let label = match (uri.attribute("object"), address) {
        (Some(label), _) => label.to_owned(),
        (None, Some(address)) => address.to_string(),
        (None, None) => return Err(Error::usage("key generate: needs an address")),
    };
    Ok(uri.with("object", &format!("{label}{suffix}")))
}

fn kind(algorithm: Algorithm) -> Option<KeyAlgorithm> {
    Some(match algorithm {
        Algorithm::Ed25519 => KeyAlgorithm::Ed25519,
        Algorithm::P256 => KeyAlgorithm::Ecdsa(Curve::P256),
        Algorithm::P384 => KeyAlgorithm::Ecdsa(Curve::P384),
        Algorithm::P521 => KeyAlgorithm::Ecdsa(Curve::P521),
        Algorithm::Rsa2048 => KeyAlgorithm::Rsa(2048),
        Algorithm::Rsa3072 => KeyAlgorithm::Rsa(3072),
        Algorithm::Rsa4096 => KeyAlgorithm::Rsa(4096),
        _ => return None,
    })
}
