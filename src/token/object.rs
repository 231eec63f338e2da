//! The objects of a token: keys and certificates.

use cryptoki::{
    error::Error as Failed,
    mechanism::{Mechanism, MechanismType},
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};
use der::{
    Decode, Encode,
    asn1::{AnyRef, ObjectIdentifier, OctetStringRef},
};

use super::{Contents, FoundKey, failure::Failure};
use crate::{
    base::Error,
    crypto::{Curve, KeyAlgorithm, PublicParts},
    keys::TokenUri,
};

/// The private key that `uri` names. If the token has its public part, that is `public`.
pub(super) fn private_key(
    session: &Session,
    uri: &TokenUri,
    public: Option<&PublicParts>,
) -> Result<ObjectHandle, Failure> {
    let found = session.find_objects(&template(ObjectClass::PRIVATE_KEY, uri));
    let found = found.map_err(|failed| Failure::before(&failed))?;
    let stop = |why: &str| Failure::Stopped(Error::inaccessible(format!("{uri}: {why}")));
    let key = match found.as_slice() {
        [] => return Err(stop("the token has no private key of this name")),
        [only] => *only,
        _ => return Err(stop("names several private keys")),
    };
    let is_other = public.is_some_and(|public| parts(session, key).is_some_and(|found| found != *public));
    if is_other { Err(stop("is another key than the one that was imported")) } else { Ok(key) }
}

/// What is on `token`, as far as `uri` names it.
pub(super) fn contents(session: &Session, token: &TokenUri, uri: &TokenUri) -> Result<Contents, Failed> {
    let mut contents = Contents::default();
    for key in session.find_objects(&template(ObjectClass::PRIVATE_KEY, uri))? {
        let (mut label, mut id) = (None, None);
        for attribute in session.get_attributes(key, &[AttributeType::Label, AttributeType::Id])? {
            match attribute {
                Attribute::Label(text) => label = String::from_utf8(text).ok().filter(|text| !text.is_empty()),
                Attribute::Id(octets) => id = Some(octets).filter(|octets| !octets.is_empty()),
                _ => {}
            }
        }
        let mut name = token.clone().with("type", "private");
        if let Some(label) = label {
            name = name.with("object", &label);
        }
        if let Some(id) = id {
            name = name.with_id(&id);
        }
        contents.keys.push(FoundKey { uri: name, public: parts(session, key) });
    }
    // A certificate may have another label than its key.
    for certificate in session.find_objects(&[Attribute::Class(ObjectClass::CERTIFICATE), Attribute::Token(true)])? {
        for attribute in session.get_attributes(certificate, &[AttributeType::Value])? {
            if let Attribute::Value(der) = attribute {
                contents.certificates.push(der);
            }
        }
    }
    Ok(contents)
}

/// Makes a key pair that never leaves the token.
pub(super) fn generate(
    session: &Session,
    algorithm: KeyAlgorithm,
    label: &str,
    id: &[u8],
) -> Result<PublicParts, Failed> {
    let mut public = vec![
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(id.to_vec()),
    ];
    let mut private = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(id.to_vec()),
    ];
    let mechanisms: &[Mechanism<'_>] = match algorithm {
        KeyAlgorithm::Rsa(bits) => {
            let bits = u64::try_from(bits).map_err(Failed::TryFromInt)?;
            public.extend([
                Attribute::Encrypt(true),
                Attribute::Verify(true),
                Attribute::ModulusBits(bits.into()),
                Attribute::PublicExponent(vec![1, 0, 1]),
            ]);
            private.extend([Attribute::Decrypt(true), Attribute::Sign(true)]);
            &[Mechanism::RsaPkcsKeyPairGen]
        }
        KeyAlgorithm::Ecdsa(curve) => {
            let oid = curve.oid().ok_or(Failed::NotSupported)?;
            let parameters = oid.to_der().map_err(|_| Failed::InvalidValue)?;
            public.extend([Attribute::Verify(true), Attribute::EcParams(parameters)]);
            private.extend([Attribute::Sign(true), Attribute::Derive(true)]);
            &[Mechanism::EccKeyPairGen]
        }
        KeyAlgorithm::Ed25519 => {
            public.extend([Attribute::Verify(true), Attribute::EcParams(ED25519.to_vec())]);
            private.push(Attribute::Sign(true));
            &[Mechanism::EccEdwardsKeyPairGen]
        }
        KeyAlgorithm::X25519 => {
            public.push(Attribute::EcParams(X25519.to_vec()));
            private.push(Attribute::Derive(true));
            // SoftHSM 2.6 makes both kinds with the first mechanism of PKCS#11 3.0.
            &[Mechanism::EccMontgomeryKeyPairGen, Mechanism::EccEdwardsKeyPairGen]
        }
        _ => return Err(Failed::NotSupported),
    };
    let mut failed = Failed::NotSupported;
    for mechanism in mechanisms {
        match session.generate_key_pair(mechanism, &public, &private) {
            Ok((_, key)) => return parts(session, key).ok_or(Failed::InvalidValue),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Whether the token has keys of this name already.
pub(super) fn is_taken(session: &Session, label: &str) -> Result<bool, Failed> {
    let named = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(label.as_bytes().to_vec())];
    Ok(!session.find_objects(&named)?.is_empty())
}

fn template(class: ObjectClass, uri: &TokenUri) -> Vec<Attribute> {
    let mut template = vec![Attribute::Class(class), Attribute::Token(true)];
    if let Some(id) = uri.id() {
        template.push(Attribute::Id(id.to_vec()));
    }
    if let Some(label) = uri.attribute("object") {
        template.push(Attribute::Label(label.as_bytes().to_vec()));
    }
    template
}

/// The public part of a private key; `None` when the token does not have it, or the algorithm is not supported.
fn parts(session: &Session, key: ObjectHandle) -> Option<PublicParts> {
    let known = |object| {
        let wanted = [
            AttributeType::KeyType,
            AttributeType::Modulus,
            AttributeType::PublicExponent,
            AttributeType::EcParams,
            AttributeType::EcPoint,
        ];
        session.get_attributes(object, &wanted).unwrap_or_default()
    };
    let mut all = known(key);
    let named = session.get_attributes(key, &[AttributeType::Id, AttributeType::Label]).unwrap_or_default();
    let id = named.iter().find(|one| matches!(one, Attribute::Id(id) if !id.is_empty()));
    let label = named.iter().find(|one| matches!(one, Attribute::Label(label) if !label.is_empty()));
    // Only the public object has the point, and on some tokens the exponent.
    if let Some(name) = id.or(label) {
        let public = session.find_objects(&[Attribute::Class(ObjectClass::PUBLIC_KEY), name.clone()]).ok()?;
        if let [public] = public.as_slice() {
            all.extend(known(*public));
        }
    }
    let (mut kind, mut n, mut e, mut parameters, mut point) = (None, None, None, None, None);
    for attribute in all {
        match attribute {
            Attribute::KeyType(found) => kind = Some(found),
            Attribute::Modulus(octets) if !octets.is_empty() => n = Some(octets),
            Attribute::PublicExponent(octets) if !octets.is_empty() => e = Some(octets),
            Attribute::EcParams(octets) if !octets.is_empty() => parameters = Some(octets),
            Attribute::EcPoint(octets) if !octets.is_empty() => point = Some(octets),
            _ => {}
        }
    }
    let trimmed = |octets: Vec<u8>| octets.into_iter().skip_while(|octet| *octet == 0).collect::<Vec<u8>>();
    if kind == Some(KeyType::RSA) {
        return Some(PublicParts::Rsa { n: trimmed(n?), e: trimmed(e?) });
    }
    let parameters = parameters?;
    let point = point?;
    // CKA_EC_POINT is an OCTET STRING around the point; some tokens leave that out.
    let point = <&OctetStringRef>::from_der(&point).map(|inner| inner.as_bytes().to_vec()).unwrap_or(point);
    if parameters == ED25519 || parameters == ED25519_OID {
        return (point.len() == 32).then_some(PublicParts::Ed25519(point));
    }
    if parameters == X25519 || parameters == X25519_OID {
        return (point.len() == 32).then_some(PublicParts::X25519(point));
    }
    let oid = AnyRef::from_der(&parameters).ok()?.decode_as::<ObjectIdentifier>().ok()?;
    let curve = Curve::of_oid(oid)?;
    (point.len() == 2 * curve.length() + 1).then_some(PublicParts::Elliptic { curve, point })
}

/// The names of a hash for RSASSA-PSS and RSAES-OAEP, and of MGF1 with it. Whether a token has them is not asked beforehand: the operation says so.
pub(super) fn pss_hash(hash: crate::crypto::Hash) -> Option<(MechanismType, cryptoki::mechanism::rsa::PkcsMgfType)> {
    use cryptoki::mechanism::rsa::PkcsMgfType as Mgf;

    use crate::crypto::Hash;
    Some(match hash {
        Hash::Sha1 => (MechanismType::SHA1, Mgf::MGF1_SHA1),
        Hash::Sha224 => (MechanismType::SHA224, Mgf::MGF1_SHA224),
        Hash::Sha256 => (MechanismType::SHA256, Mgf::MGF1_SHA256),
        Hash::Sha384 => (MechanismType::SHA384, Mgf::MGF1_SHA384),
        Hash::Sha512 => (MechanismType::SHA512, Mgf::MGF1_SHA512),
        _ => return None,
    })
}

/// PrintableString `edwards25519` (PKCS#11 3.0, section 2.3.10), and the identifier of RFC 8410.
const ED25519: &[u8] = b"\x13\x0cedwards25519";
const ED25519_OID: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
/// PrintableString `curve25519`, and the identifier of RFC 8410.
const X25519: &[u8] = b"\x13\x0acurve25519";
const X25519_OID: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x6e];
