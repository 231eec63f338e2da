//! DSA, to verify old signatures (FIPS 186-4, section 4.7). It is never used to sign.

use crypto_bigint::{
    BoxedUint, NonZero, Odd, Resize,
    modular::{BoxedMontyForm, BoxedMontyParams},
};

use super::{
    DsaPublic, Unverified,
    number::{bits, trimmed},
};

/// Verifies `r || s`, each of the order's length.
pub(super) fn verify_dsa(key: DsaPublic<'_>, digest: &[u8], signature: &[u8]) -> Result<(), Unverified> {
    if !PRIME_BITS.contains(&bits(key.p)) || !ORDER_BITS.contains(&bits(key.q)) {
        return Err(Unverified::Key);
    }
    let prime = Odd::new(number(key.p)).into_option().ok_or(Unverified::Key)?;
    let order = Odd::new(number(key.q)).into_option().ok_or(Unverified::Key)?;
    let precision = prime.bits_precision();
    let prime = BoxedMontyParams::new_vartime(prime);
    let element = |octets: &[u8]| -> Option<BoxedMontyForm> {
        let number = number(octets).try_resize(precision)?;
        let inside = number > BoxedUint::one() && number < **prime.modulus();
        inside.then(|| BoxedMontyForm::new(number, &prime))
    };
    let (generator, public) = element(key.g).zip(element(key.y)).ok_or(Unverified::Key)?;

    let (left, right) = powers(&order, digest, signature).ok_or(Unverified::Signature)?;
    let value = generator.pow(&left.0).mul(&public.pow(&left.1)).retrieve();
    let modulus = NonZero::new(order.get().resize(precision)).into_option().ok_or(Unverified::Key)?;
    (value.rem_vartime(&modulus) == right.resize(precision)).then_some(()).ok_or(Unverified::Signature)
}

/// `H/s` and `r/s`, and `r`, in the group of `order`, of a signature `r || s`; `None` when it cannot be one. ECDSA asks
/// the same (FIPS 186-5, section 6.4.2).
pub(super) fn powers(
    order: &Odd<BoxedUint>,
    digest: &[u8],
    signature: &[u8],
) -> Option<((BoxedUint, BoxedUint), BoxedUint)> {
    let precision = order.bits_precision();
    let width = order.bit_width_vartime();
    let length = width.div_ceil(8) as usize;
    if signature.len() != 2 * length {
        return None;
    }
    let (r, s) = signature.split_at(length);
    let inside = |octets: &[u8]| -> Option<BoxedUint> {
        let number = number(octets).try_resize(precision)?;
        (!bool::from(number.is_zero()) && number < **order).then_some(number)
    };
    let (r, s) = (inside(r)?, inside(s)?);
    // As many bits of the digest's beginning as the order has.
    let kept = digest.get(..length).unwrap_or(digest);
    let hashed = number(kept).try_resize(precision)?;
    let hashed = hashed.shr_vartime((kept.len() as u32 * 8).saturating_sub(width))?;

    let order = BoxedMontyParams::new_vartime(order.clone());
    let inverse = BoxedMontyForm::new(s, &order).invert_vartime().into_option()?;
    let times = |number: BoxedUint| BoxedMontyForm::new(number, &order).mul(&inverse).retrieve();
    Some(((times(hashed), times(r.clone())), r))
}

pub(super) fn number(octets: &[u8]) -> BoxedUint {
    BoxedUint::from_be_slice_vartime(trimmed(octets))
}

/// From the smallest keys ever generated to the cost limit of one verification.
const PRIME_BITS: std::ops::RangeInclusive<usize> = 512..=8192;
const ORDER_BITS: std::ops::RangeInclusive<usize> = 160..=512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::unhex,
        crypto::{Hash, KeyAlgorithm, PublicKey, Scheme, verify},
    };

    /// By openssl 3.0: `dsaparam 1024`, `gendsa`, and `dgst -sign` over "sample".
    const P: &str = "00bd9ee5c3187d3ed2ddbdbb60489b092f36078cb921ba168315a57436282efb0c671e54c48fef557393e931bd1df48f\
                     d0b6f73d700fb15bb6ad8e951d5a355d19667a669004830f29ee2189df3041a45c8d1102f81fec2818a582d1ce65a570\
                     48dc485345b7e04788ff7424f264c1651789bf8dfb43325be24026d88fbcd25d1d";
    const Q: &str = "00bc94f2afa6394b2129826d32a41e76afec6174a049ebebc8e5b6ba15";
    const G: &str = "091be58e1580e97ac43fdb49ee84da0a92baa636bb806bd00f4210313b371e2305ebab526beca0edc544d5d1be0c8f5e\
                     9da2d7a5f7973fa304fc27216d413a403c0e213bb28afaabd7b2c8e894171be000085fc6450b807ecfa9640bf1e0d428\
                     3ceae968f4d0a44ce29c1add549a64a00560fbb7765b4a0e7fc251377c34ca2c";
    const Y: &str = "65658544fe6e2341606b537b0a6906281ac0d847b5f5fda14ff87f79985d289d0eb144c0202f8236518dd780d54ebaef\
                     e8103100d4069bf3f88f18e59c6383e786a3c221f475b0724eb63b7bfb6e0ba382ae31457b179f8195725915cc8c2f61\
                     682b13659d2a302d9f4cd47df376f8fa64f165f8eb480286ce8dfd850880d124";
    /// A digest shorter than the order, and a longer one.
    const SAMPLES: [(Hash, &str); 2] = [
        (
            Hash::Sha1,
            "5EE6D605F568B5650934C9128A6985A217BB14E7FBBA2437E4CBBA91\
             41540C0C00FD4F1225F26F1E0926FE54E4F45FD328DF05B19F052D02",
        ),
        (
            Hash::Sha512,
            "231A08E457F986229AFEFE618047CB8E619CE1EA7984E86B9D534F75\
             39D7FD0A40C08674091D7E09C9E33BBA3737CF731499795165F819F9",
        ),
    ];

    #[test]
    fn what_openssl_signed_verifies() {
        let [p, q, g, y] = [P, Q, G, Y].map(unhex);
        let key = PublicKey::Dsa(DsaPublic { p: &p, q: &q, g: &g, y: &y });
        assert_eq!(key.algorithm(), KeyAlgorithm::Dsa(1024));
        for (hash, signature) in SAMPLES {
            let (digest, mut signature) = (hash.digest(b"sample"), unhex(signature));
            assert_eq!(verify(key, Scheme::Dsa, &digest, &signature), Ok(()), "{hash}");
            let refused = verify(key, Scheme::Dsa, &hash.digest(b"simple"), &signature);
            assert_eq!(refused, Err(Unverified::Signature), "{hash}");
            for at in 0..signature.len() {
                signature[at] ^= 1;
                assert_eq!(verify(key, Scheme::Dsa, &digest, &signature), Err(Unverified::Signature), "{hash}");
                signature[at] ^= 1;
            }
            assert_eq!(verify(key, Scheme::Dsa, &digest, &signature[1..]), Err(Unverified::Signature));
            assert_eq!(verify(key, Scheme::EdDsa, &digest, &signature), Err(Unverified::Algorithm));
        }
    }

    /// `r = 1` and `g = 1` verify everything unless they are checked.
    #[test]
    fn numbers_that_are_no_key_or_no_signature_are_refused() {
        let [p, q, g, y] = [P, Q, G, Y].map(unhex);
        let digest = Hash::Sha1.digest(b"sample");
        let signature = unhex(SAMPLES[0].1);
        let even = [&p[..p.len() - 1], &[0]].concat();
        for (p, q, g, y) in [
            (&p, &q, &vec![1], &y),
            (&p, &q, &vec![0], &y),
            (&p, &q, &g, &vec![1]),
            (&p, &q, &p, &y),
            (&even, &q, &g, &y),
            (&p, &vec![7], &g, &y),
            (&vec![7; 60], &q, &vec![2], &vec![3]),
            (&vec![7; 1025], &q, &g, &y),
        ] {
            let key = PublicKey::Dsa(DsaPublic { p, q, g, y });
            assert_eq!(verify(key, Scheme::Dsa, &digest, &signature), Err(Unverified::Key));
        }
        let key = PublicKey::Dsa(DsaPublic { p: &p, q: &q, g: &g, y: &y });
        let order = unhex(&Q[2..]);
        for (r, s) in [(&signature[..28], &[0; 28][..]), (&[0; 28], &signature[28..]), (&order, &signature[28..])] {
            let refused = verify(key, Scheme::Dsa, &digest, &[r, s].concat());
            assert_eq!(refused, Err(Unverified::Signature));
        }
    }
}
