//! Private keys on the brainpool curves: ECDSA and ECDH, by the same steps whatever the secret numbers are.

use crypto_bigint::{
    BoxedUint, Resize,
    modular::{BoxedMontyForm, BoxedMontyParams},
};
use zeroize::Zeroizing;

use super::{Curve, brainpool::Domain, dsa::number};
use crate::base::{Random, Result, Secret, SystemRandom};

/// A scalar and its curve.
pub(super) struct BrainpoolKey {
    domain: Domain,
    /// Between 1 and the order.
    scalar: Zeroizing<BoxedUint>,
}

impl BrainpoolKey {
    /// `None` for another curve, and for a number that is no scalar of it.
    pub(super) fn new(curve: Curve, scalar: &Secret) -> Option<BrainpoolKey> {
        let domain = Domain::of(curve)?;
        let scalar = scalar_of(&domain, scalar.expose())?;
        Some(BrainpoolKey { domain, scalar })
    }

    /// A new key; `None` for another curve.
    pub(super) fn generate(curve: Curve) -> Result<Option<BrainpoolKey>> {
        let Some(domain) = Domain::of(curve) else { return Ok(None) };
        let scalar = random(&domain)?;
        Ok(Some(BrainpoolKey { domain, scalar }))
    }

    /// The scalar, big-endian, of the curve's length.
    pub(super) fn secret(&self) -> Secret {
        Secret::new(self.scalar.to_be_bytes().into_vec())
    }

    /// The uncompressed point (X9.62, leading 4).
    pub(super) fn public(&self) -> Option<Vec<u8>> {
        let (x, y) = self.domain.multiple(&self.scalar, &self.domain.generator).affine()?;
        Some([&[4], &*x.to_be_bytes(), &*y.to_be_bytes()].concat())
    }

    /// The x-coordinate of the shared point; `None` when `peer` is not on the curve. The order of the curve is prime, so that no point leaks the
    /// scalar.
    pub(super) fn agree(&self, peer: &[u8]) -> Option<Secret> {
        let peer = self.domain.point(peer)?;
        let (x, _) = self.domain.multiple(&self.scalar, &peer).affine()?;
        Some(Secret::new(Zeroizing::new(x).to_be_bytes().into_vec()))
    }

    /// `r || s` (FIPS 186-5, section 6.4.1), with a random number for this once.
    pub(super) fn sign(&self, digest: &[u8]) -> Result<Option<Vec<u8>>> {
        let nonce = random(&self.domain)?;
        Ok(self.signed(digest, &nonce))
    }

    /// `None` where `r` or `s` is zero, which has a negligible probability.
    fn signed(&self, digest: &[u8], nonce: &BoxedUint) -> Option<Vec<u8>> {
        let (domain, precision) = (&self.domain, self.domain.order.bits_precision());
        let order = BoxedMontyParams::new_vartime(domain.order.clone());
        let element = |number: &BoxedUint| BoxedMontyForm::new(number.clone(), &order);
        let (x, _) = domain.multiple(nonce, &domain.generator).affine()?;
        let r = x.rem_vartime(domain.order.as_nz_ref());
        // The orders of these curves fill whole octets.
        let kept = digest.get(..domain.length).unwrap_or(digest);
        let hashed = number(kept).try_resize(precision)?.rem_vartime(domain.order.as_nz_ref());
        let inverse = Zeroizing::new(element(nonce).invert().into_option()?);
        let product = Zeroizing::new(&element(&r) * &*Zeroizing::new(element(&self.scalar)));
        let s = (&*inverse * &*Zeroizing::new(&element(&hashed) + &*product)).retrieve();
        let whole = bool::from(r.is_nonzero() & s.is_nonzero());
        whole.then(|| [r.to_be_bytes(), s.to_be_bytes()].concat())
    }
}

fn scalar_of(domain: &Domain, octets: &[u8]) -> Option<Zeroizing<BoxedUint>> {
    let number = BoxedUint::from_be_slice(octets, domain.order.bits_precision()).ok().map(Zeroizing::new)?;
    let inside = bool::from(number.is_nonzero()) && *number < *domain.order;
    inside.then_some(number)
}

/// Between 1 and the order, each as likely. Every second try or more succeeds: the orders have their highest bit set.
fn random(domain: &Domain) -> Result<Zeroizing<BoxedUint>> {
    let mut octets = Zeroizing::new(vec![0; domain.length]);
    loop {
        SystemRandom.fill(&mut octets)?;
        if let Some(number) = scalar_of(domain, &octets) {
            return Ok(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::unhex;

    /// By openssl 3.0: `ecparam -genkey` twice, and `pkeyutl -derive`: a scalar and its point, another scalar, and what they agree on.
    const OPENSSL: [(Curve, &str, &str, &str, &str); 3] = [
        (
            Curve::BrainpoolP256,
            "39b25a0f52451874a435dad2a820ff479efef6f48ab251c08e1042899cc7f457",
            "0404f0886565a796f60798ebc480df27ccd4aecbb3c281bc1c22e7f22ae6e66be16f3f1e95f69d8c817ecaab011b2635\
             357125279db5a521d54c5f001834016672",
            "50f189d597ba86dcba1f85b6467e1b4973687fc2387ed6aea53edccdb2996fe3",
            "959abda7b0937ce8c728ba73e2602502ce66849b93ab6e6f9c5dcd1a2ebd1bc2",
        ),
        (
            Curve::BrainpoolP384,
            "5023f2b2233bbd99dade952361a8d444a7d37e43ce2f7d641a13fbcd4e33c363a293222542f45db5ce8b073e87d3e4c5",
            "04733289d555e64df22522ee7e66e4510ba2be4a6a7c9100d1a6a97b518106ba9c771a934a08148fb54aa8fd6361f290\
             f07be080201ad0fbe97a1cc6e71ab5b9805b5947c7c2903f5fa10142121fc906152ec5d674b764a695f3980586005caf\
             b6",
            "627cebbcfb25e642e0c0b177ebef6f654d0813e7327368402725f5deeef988c7c451e3e184105e9ad8b1148aa4308fd3",
            "7b958837847d8e51d852c5da5fc50c79b9f63628b694122a5e8faac828ac7081dc9321ec6cb1f5612b58ce0bc1a6aecb",
        ),
        (
            Curve::BrainpoolP512,
            "2e4dc9d61d5e0f5ede92e180dd9c743ef4589313e9e3a37211015b93d98e3e7651bc66741b463bf3117436a540ae98f6\
             c8898f9c99be81dd79d2a0b9f093e49c",
            "048f667c9815cffb2c92ef1f253a4afda07bb7bd4cfd6c8e609761ca7d4833552a21a42e377770dd1ea5e630b52aafb1\
             7ded4c266aaf59e0ea4ef93f4e7192db884e9a3ccaaae09d28ff39af98a3b6457cb191ddcc412f05fbffd1505a749d08\
             854e66bd16c90eaa583380c8c50bb1753c3a70600c63e6afb665826321448a3d64",
            "3639479346a504028668847ae1d7317dcbf52a867bbd718e6eec5e164bd41cbb09667e4e6e2d5085fb793b6b6e08f3e8\
             2a2dd17afaf543329e2274a804fb57a3",
            "4cbcf1fd7f6c9d435ab8973f561d1da3947accaf7b1433ba4ddaf907d089d091ed69f472ede7f2e9c4a100f77273939c\
             483d373d6a570ee1003665cb3471bd97",
        ),
    ];

    #[test]
    fn what_openssl_agrees_on() {
        for (curve, scalar, point, peer, shared) in OPENSSL {
            let alice = BrainpoolKey::new(curve, &Secret::new(unhex(scalar))).unwrap();
            assert_eq!(alice.public(), Some(unhex(point)), "{curve:?}");
            let bob = BrainpoolKey::new(curve, &Secret::new(unhex(peer))).unwrap();
            let agreed = alice.agree(&bob.public().unwrap());
            assert_eq!(agreed, Some(Secret::new(unhex(shared))), "{curve:?}");
            assert_eq!(bob.agree(&alice.public().unwrap()), agreed, "{curve:?}");
        }
    }

    #[test]
    fn what_is_no_scalar_and_no_point_is_refused() {
        for curve in [Curve::BrainpoolP256, Curve::BrainpoolP384, Curve::BrainpoolP512] {
            let order = Domain::of(curve).unwrap().order.get();
            let no_key = |octets: Box<[u8]>| BrainpoolKey::new(curve, &Secret::new(octets.into_vec())).is_none();
            assert!(no_key(order.to_be_bytes()) && no_key(vec![0; curve.length()].into()), "{curve:?}");
            let key = BrainpoolKey::new(curve, &Secret::new(order.wrapping_sub(BoxedUint::one()).to_be_bytes().into()));
            let key = key.unwrap();
            let mut point = key.public().unwrap();
            assert!(key.agree(&point).is_some() && key.agree(&[4]).is_none());
            point[curve.length()] ^= 1;
            assert!(key.agree(&point).is_none(), "{curve:?}");
        }
        assert!(BrainpoolKey::new(Curve::P256, &Secret::new(vec![1; 32])).is_none());
        assert!(BrainpoolKey::generate(Curve::P256).unwrap().is_none());
    }
}
