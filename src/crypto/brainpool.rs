//! The brainpool curves (RFC 5639), and ECDSA on them to verify, which is public and takes no constant time. What private keys do is
//! in `brainpool_key.rs`.
//!
//! No crate has all three: bp256 and bp384 come without one of 512 bits, and aws-lc has none. With the complete formulas, one implementation serves
//! them all (docs/dependencies.md).

use crypto_bigint::{
    BoxedUint, CtAssign, Odd, Resize,
    modular::{BoxedMontyForm, BoxedMontyParams},
};

use super::{Curve, Unverified, dsa::powers};

/// Verifies `r || s`, each of the curve's length, by an uncompressed point (X9.62, leading 4); see FIPS 186-5, section
/// 6.4.2. `Algorithm` for a curve that is none of these.
pub(super) fn verify_brainpool(curve: Curve, point: &[u8], digest: &[u8], signature: &[u8]) -> Result<(), Unverified> {
    let domain = Domain::of(curve).ok_or(Unverified::Algorithm)?;
    let public = domain.point(point).ok_or(Unverified::Key)?;
    let ((left, right), r) = powers(&domain.order, digest, signature).ok_or(Unverified::Signature)?;
    let sum = domain.double_multiple(&left, &right, &public);
    let (x, _) = sum.affine().ok_or(Unverified::Signature)?;
    let value = x.rem_vartime(domain.order.as_nz_ref());
    (value == r).then_some(()).ok_or(Unverified::Signature)
}

/// `p`, `a` and `b` of a curve; those of another size for a curve that is none of these.
pub(super) fn equation(curve: Curve) -> [&'static str; 3] {
    let [prime, a, b, ..] = match curve {
        Curve::BrainpoolP256 => P256,
        Curve::BrainpoolP384 => P384,
        _ => P512,
    };
    [prime, a, b]
}

/// A curve `y^2 = x^3 + ax + b` of prime order.
pub(super) struct Domain {
    a: BoxedMontyForm,
    /// `3b`.
    triple_b: BoxedMontyForm,
    pub(super) generator: Point,
    pub(super) order: Odd<BoxedUint>,
    prime: BoxedMontyParams,
    /// The length in octets of a coordinate, and of a scalar.
    pub(super) length: usize,
}

/// In homogeneous coordinates: `x/z, y/z`, and `0:1:0`.
#[derive(Clone)]
pub(super) struct Point {
    x: BoxedMontyForm,
    y: BoxedMontyForm,
    z: BoxedMontyForm,
}

impl Point {
    /// `x` and `y`; the neutral element has none.
    pub(super) fn affine(&self) -> Option<(BoxedUint, BoxedUint)> {
        let inverse = self.z.invert().into_option()?;
        Some((self.x.mul(&inverse).retrieve(), self.y.mul(&inverse).retrieve()))
    }
}

impl Domain {
    /// `None` for a curve that is none of these.
    pub(super) fn of(curve: Curve) -> Option<Domain> {
        let numbers = match curve {
            Curve::BrainpoolP256 => &P256,
            Curve::BrainpoolP384 => &P384,
            Curve::BrainpoolP512 => &P512,
            _ => return None,
        };
        let length = curve.length();
        let [prime, a, b, x, y, order] =
            numbers.map(|hex| BoxedUint::from_be_hex(hex, length as u32 * 8).into_option());
        let prime = BoxedMontyParams::new_vartime(Odd::new(prime?).into_option()?);
        let element = |number: Option<BoxedUint>| number.map(|number| BoxedMontyForm::new(number, &prime));
        let b = element(b)?;
        let triple_b = &(&b + &b) + &b;
        let generator = Point { x: element(x)?, y: element(y)?, z: BoxedMontyForm::one(&prime) };
        let order = Odd::new(order?).into_option()?;
        Some(Domain { a: element(a)?, triple_b, generator, order, prime, length })
    }

    /// An uncompressed point (X9.62, leading 4); `None` when it is not on the curve.
    pub(super) fn point(&self, octets: &[u8]) -> Option<Point> {
        let coordinates = octets.strip_prefix(&[4]).filter(|rest| rest.len() == 2 * self.length)?;
        let (x, y) = coordinates.split_at(self.length);
        let element = |octets: &[u8]| {
            let number = BoxedUint::from_be_slice_vartime(octets).resize(self.prime.bits_precision());
            (number < **self.prime.modulus()).then(|| BoxedMontyForm::new(number, &self.prime))
        };
        let (x, y) = (element(x)?, element(y)?);
        // 3y^2 = 3(x^3 + ax) + 3b
        let right = &(&x.square() + &self.a) * &x;
        let right = &(&(&right + &right) + &right) + &self.triple_b;
        let left = y.square();
        let left = &(&left + &left) + &left;
        (left == right).then(|| Point { x, y, z: BoxedMontyForm::one(&self.prime) })
    }

    /// `left * G + right * point`, bit by bit (Shamir's trick).
    fn double_multiple(&self, left: &BoxedUint, right: &BoxedUint, point: &Point) -> Point {
        let both = self.add(&self.generator, point);
        let mut sum = self.neutral();
        for bit in (0..self.order.bit_width_vartime()).rev() {
            sum = self.add(&sum, &sum);
            match (left.bit_vartime(bit), right.bit_vartime(bit)) {
                (false, false) => {}
                (false, true) => sum = self.add(&sum, point),
                (true, false) => sum = self.add(&sum, &self.generator),
                (true, true) => sum = self.add(&sum, &both),
            }
        }
        sum
    }

    /// `scalar * point`, by the same steps for every scalar of the order's precision.
    pub(super) fn multiple(&self, scalar: &BoxedUint, point: &Point) -> Point {
        let mut sum = self.neutral();
        for bit in (0..self.order.bits_precision()).rev() {
            sum = self.add(&sum, &sum);
            let more = self.add(&sum, point);
            let chosen = scalar.bit(bit);
            sum.x.ct_assign(&more.x, chosen);
            sum.y.ct_assign(&more.y, chosen);
            sum.z.ct_assign(&more.z, chosen);
        }
        sum
    }

    fn neutral(&self) -> Point {
        let (zero, one) = (BoxedMontyForm::zero(&self.prime), BoxedMontyForm::one(&self.prime));
        Point { x: zero.clone(), y: one, z: zero }
    }

    /// Renes, Costello, Batina 2016, algorithm 1: complete, so that no two points are a special case.
    fn add(&self, p: &Point, q: &Point) -> Point {
        let t0 = &p.x * &q.x;
        let t1 = &p.y * &q.y;
        let t2 = &p.z * &q.z;
        let xy = &(&(&p.x + &p.y) * &(&q.x + &q.y)) - &(&t0 + &t1);
        let xz = &(&(&p.x + &p.z) * &(&q.x + &q.z)) - &(&t0 + &t2);
        let yz = &(&(&p.y + &p.z) * &(&q.y + &q.z)) - &(&t1 + &t2);
        let shift = &(&self.a * &xz) + &(&self.triple_b * &t2);
        let less = &t1 - &shift;
        let more = &t1 + &shift;
        let a_t2 = &self.a * &t2;
        let slope = &(&(&t0 + &t0) + &t0) + &a_t2;
        let rest = &(&self.triple_b * &xz) + &(&self.a * &(&t0 - &a_t2));
        Point {
            x: &(&xy * &less) - &(&yz * &rest),
            y: &(&less * &more) + &(&slope * &rest),
            z: &(&yz * &more) + &(&xy * &slope),
        }
    }
}

/// RFC 5639, section 3.4: `p, a, b, x, y, q`.
const P256: [&str; 6] = [
    "a9fb57dba1eea9bc3e660a909d838d726e3bf623d52620282013481d1f6e5377",
    "7d5a0975fc2c3057eef67530417affe7fb8055c126dc5c6ce94a4b44f330b5d9",
    "26dc5c6ce94a4b44f330b5d9bbd77cbf958416295cf7e1ce6bccdc18ff8c07b6",
    "8bd2aeb9cb7e57cb2c4b482ffc81b7afb9de27e1e3bd23c23a4453bd9ace3262",
    "547ef835c3dac4fd97f8461a14611dc9c27745132ded8e545c1d54c72f046997",
    "a9fb57dba1eea9bc3e660a909d838d718c397aa3b561a6f7901e0e82974856a7",
];

/// RFC 5639, section 3.6.
const P384: [&str; 6] = [
    "8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b412b1da197fb71123acd3a729901d1a71874700133107ec53",
    "7bc382c63d8c150c3c72080ace05afa0c2bea28e4fb22787139165efba91f90f8aa5814a503ad4eb04a8c7dd22ce2826",
    "04a8c7dd22ce28268b39b55416f0447c2fb77de107dcd2a62e880ea53eeb62d57cb4390295dbc9943ab78696fa504c11",
    "1d1c64f068cf45ffa2a63a81b7c13f6b8847a3e77ef14fe3db7fcafe0cbd10e8e826e03436d646aaef87b2e247d4af1e",
    "8abe1d7520f9c2a45cb1eb8e95cfd55262b70b29feec5864e19c054ff99129280e4646217791811142820341263c5315",
    "8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b31f166e6cac0425a7cf3ab6af6b7fc3103b883202e9046565",
];

/// RFC 5639, section 3.7.
const P512: [&str; 6] = [
    "aadd9db8dbe9c48b3fd4e6ae33c9fc07cb308db3b3c9d20ed6639cca70330871\
     7d4d9b009bc66842aecda12ae6a380e62881ff2f2d82c68528aa6056583a48f3",
    "7830a3318b603b89e2327145ac234cc594cbdd8d3df91610a83441caea9863bc\
     2ded5d5aa8253aa10a2ef1c98b9ac8b57f1117a72bf2c7b9e7c1ac4d77fc94ca",
    "3df91610a83441caea9863bc2ded5d5aa8253aa10a2ef1c98b9ac8b57f1117a7\
     2bf2c7b9e7c1ac4d77fc94cadc083e67984050b75ebae5dd2809bd638016f723",
    "81aee4bdd82ed9645a21322e9c4c6a9385ed9f70b5d916c1b43b62eef4d0098e\
     ff3b1f78e2d0d48d50d1687b93b97d5f7c6d5047406a5e688b352209bcb9f822",
    "7dde385d566332ecc0eabfa9cf7822fdf209f70024a57b1aa000c55b881f8111\
     b2dcde494a5f485e5bca4bd88a2763aed1ca2b2fa8f0540678cd1e0f3ad80892",
    "aadd9db8dbe9c48b3fd4e6ae33c9fc07cb308db3b3c9d20ed6639cca70330870\
     553e5c414ca92619418661197fac10471db1d381085ddaddb58796829ca90069",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::unhex,
        crypto::{Hash, PublicKey, Scheme, verify},
    };

    /// By openssl 3.0: `ecparam -genkey -name brainpoolP256r1` and so on, and `dgst -sign` over "sample" with SHA-256 and
    /// SHA-512.
    const OPENSSL: [(Curve, &str, &str, &str); 3] = [
        (
            Curve::BrainpoolP256,
            "0408c2801063b805fbe09f3c5f17c6ac07db05fe63bf84a6497661d8227a5e6ac456b8b611456b6d780c0407a4d54045\
             f94fc3cf36ae611e2eaed34d209eedc8cd",
            "880D95A49D94B0698467D24582D905980CEB8DD78604784713BA8822A00DCBB69FEC1693794369F61022CDD371468512\
             AE65952977EDA9B2A1A5D17898FB833E",
            "558C2744AE98DFE3EA940CA032CB939616029B881EB1A1F3B9BDE06608B13A083041FD82FB8C828B5EB573046C7F394E\
             1CC741A6CF259BD15C913ABA1C9B4E65",
        ),
        (
            Curve::BrainpoolP384,
            "0421ee1c2fd36fdea79c6f4a5973a0721ecba075f9fbd81f246786fe03da0a83a6db295fa284579f302a1c4c7d3a0533\
             916bcad262bc1ac23b7f967bf193ed7f9699b52a48f3d105b5c13f58352ef902b47a17ea6ba13a01330d1d51a0cc7979\
             cd",
            "646F92260E27B14E6286055258E97BFF0AE630F350BC804D29B494D7DC6D688400C950B30D2180DC3AC8E68D34BB0400\
             2A882188F7EECD7E75608BEB789F007C144C236FF131BC41B9139ACFB317012FA176AF664C3FD2ACBE9A2DF99C1D3467",
            "34CD7DE0FC988D77A25E5844921AA6575D1DEEDB3F572E75C3BEC0916DA60E2851D5DEDE581EFDCDA21C71EB674865F6\
             74004960ED43F0C8C08A1A82FF4879466C4F9257D01611E481EBC5E3332337D87E3375A26C0A61BCD75DE0F99F9C2C58",
        ),
        (
            Curve::BrainpoolP512,
            "04162f2aa96e758bd211f89b657bb7ee4705abbfefe4b9d3297d1ca0f1c5990ae7e4b1e1b4969140d300985f565b472e\
             ea1e9395374be7cf1c28f68cb67dbc767ea6320e228aec298637c512ef1847eb0dd821723025d1672d306fdbb2dc2078\
             17b075e472572673c5ea4312075b23266d5d50303b4a3ed78d3c5b9e5e97ca351d",
            "22EB07E21194295047BB890924243CF6F22D52350B2F2CDB5DC0C2C00B7E8CA10422EE9F2C928727D23AA8A30FCB07CC\
             45FB3E425BDF7ADFEF0E910E49DEE0FF6DF53FCFF1306298E3157688CB61046A97A42EF6163628540D432CEAD394D5C3\
             E003677F60B9829845CA7C9F59B7604ABAE36B2C048E410E09FC081F2B128987",
            "70853E9A1858E964CEDBC215070ECDE91643E528E51309D07BBA253AA2E6D4A1CA12AD4DE9DF53BF5DF61D2D8857BDE7\
             4C8031AC83C2594DAC112A77B812181BA766551883EC009356BC90190843AC491C533C9012A750FFDBB60FE1E9E678E0\
             04052BF30F4941149E5035694521E2CCC1DAA45B71A61522EAB635D8A5BD5E10",
        ),
    ];

    #[test]
    fn what_openssl_signed_verifies() {
        for (curve, point, sha256, sha512) in OPENSSL {
            let point = unhex(point);
            let key = PublicKey::Ecdsa { curve, point: &point };
            for (hash, signature) in [(Hash::Sha256, sha256), (Hash::Sha512, sha512)] {
                let (scheme, digest, mut signature) = (Scheme::Ecdsa(hash), hash.digest(b"sample"), unhex(signature));
                assert_eq!(verify(key, scheme, &digest, &signature), Ok(()), "{curve:?} {hash}");
                let refused = verify(key, scheme, &hash.digest(b"simple"), &signature);
                assert_eq!(refused, Err(Unverified::Signature), "{curve:?} {hash}");
                for at in (0..signature.len()).step_by(13) {
                    signature[at] ^= 1;
                    assert_eq!(verify(key, scheme, &digest, &signature), Err(Unverified::Signature));
                    signature[at] ^= 1;
                }
                assert_eq!(verify(key, scheme, &digest, &signature[1..]), Err(Unverified::Signature));
            }
        }
    }

    #[test]
    fn points_off_the_curve_are_no_key() {
        let (curve, point, signature, _) = OPENSSL[0];
        let (mut point, signature, digest) = (unhex(point), unhex(signature), Hash::Sha256.digest(b"sample"));
        let check = |point: &[u8]| verify_brainpool(curve, point, &digest, &signature);
        assert_eq!(check(&point), Ok(()));
        assert_eq!(check(&point[..64]), Err(Unverified::Key));
        assert_eq!(check(&[4; 65]), Err(Unverified::Key));
        assert_eq!(check(&[0]), Err(Unverified::Key));
        point[64] ^= 1;
        assert_eq!(check(&point), Err(Unverified::Key));
        let refused = verify_brainpool(Curve::P256, &point, &digest, &signature);
        assert_eq!(refused, Err(Unverified::Algorithm));
    }

    /// Every formula at once: the order times a point is the neutral element, and adding it changes nothing.
    #[test]
    fn the_order_is_the_order() {
        for curve in [Curve::BrainpoolP256, Curve::BrainpoolP384, Curve::BrainpoolP512] {
            let domain = Domain::of(curve).unwrap();
            let zero = BoxedUint::zero_with_precision(domain.order.bits_precision());
            let neutral = domain.double_multiple(&domain.order, &zero, &domain.generator);
            assert!(bool::from(neutral.z.is_zero()), "{curve:?}");
            let one = domain.order.wrapping_sub(BoxedUint::one());
            let negative = domain.double_multiple(&one, &zero, &domain.generator);
            assert!(bool::from(domain.add(&negative, &domain.generator).z.is_zero()));
            let same = domain.add(&neutral, &domain.generator);
            assert_eq!(same.x.mul(&same.z.invert().into_option().unwrap()).retrieve(), domain.generator.x.retrieve());
        }
    }
}
