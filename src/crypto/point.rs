//! Points of elliptic curves, from their short form to the one that everything here computes with (SEC 1, section 2.3.4).

use crypto_bigint::{
    BoxedUint, Odd, Resize,
    modular::{BoxedMontyForm, BoxedMontyParams},
};

use super::{Curve, brainpool};

/// The point in uncompressed form. What is no compressed point of the curve comes back unchanged, and is refused when it is used.
pub fn uncompressed(curve: Curve, point: &[u8]) -> Vec<u8> {
    expanded(curve, point).unwrap_or_else(|| point.to_vec())
}

fn expanded(curve: Curve, point: &[u8]) -> Option<Vec<u8>> {
    let (parity, octets) = point.split_first()?;
    let is_odd = match parity {
        2 => false,
        3 => true,
        _ => return None,
    };
    if octets.len() != curve.length() {
        return None;
    }
    let [prime, a, b] = equation(curve).map(|hex| BoxedUint::from_str_radix_vartime(hex, 16).ok());
    let prime = prime?;
    let bits = prime.bits_precision();
    let x = BoxedUint::from_be_slice_vartime(octets);
    if x >= prime {
        return None;
    }
    let params = BoxedMontyParams::new_vartime(Odd::new(prime.clone()).into_option()?);
    let element = |number: BoxedUint| BoxedMontyForm::new(number.resize(bits), &params);
    let (x, a, b) = (element(x), element(a?), element(b?));
    let square = &(&(&x.square() + &a) * &x) + &b;
    // Every prime here is 3 modulo 4, so that this power of a square is a root of it: (p + 1) / 4, which is (p >> 2) + 1.
    let root = square.pow(&(prime.shr_vartime(2)? + BoxedUint::one().resize(bits)));
    if root.square() != square {
        return None;
    }
    let y = if root.retrieve().bit_vartime(0) == is_odd { root } else { -root };
    let mut whole = vec![4];
    whole.extend_from_slice(octets);
    let y = y.retrieve().to_be_bytes();
    whole.extend_from_slice(y.get(y.len().checked_sub(octets.len())?..)?);
    Some(whole)
}

/// `p`, `a` and `b` of `y^2 = x^3 + ax + b` modulo `p`. SP 800-186, section 3.2.1, and RFC 5639.
fn equation(curve: Curve) -> [&'static str; 3] {
    match curve {
        Curve::BrainpoolP256 | Curve::BrainpoolP384 | Curve::BrainpoolP512 => brainpool::equation(curve),
        Curve::P256 => [
            "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
            "ffffffff00000001000000000000000000000000fffffffffffffffffffffffc",
            "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
        ],
        Curve::P384 => [
            "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
            "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000fffffffc",
            "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
        ],
        Curve::P521 => [
            "1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
             ffffffffffffffffffffffffffffffff",
            "1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
             fffffffffffffffffffffffffffffffc",
            "51953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073\
             573df883d2c34f1ef451fd46b503f00",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `openssl ecparam -genkey -name NAME`, and its point by `openssl ec -conv_form`.
    const POINTS: [(Curve, &str); 6] = [
        (
            Curve::BrainpoolP256,
            "04427327edd2acd3b742209c445ca80b43853663b00778391d329d48023241c1846e13bda483a6b333a9f699767223fc\
             3544fbf51871adba5e1f0bb86bb20a32c0",
        ),
        (
            Curve::BrainpoolP384,
            "0445d8155770076b68b8c51d4e4c316cf14f1ad1be223316a6dee3fd61997f5896e7b11542bcd66678934fc6c5f76822\
             a52d36606487d2e153a7e22cf7f126153751aee91ee994e68c58d631891ab4bcc9a18a00f2d9b566c922bbdadcca71a9\
             49",
        ),
        (
            Curve::BrainpoolP512,
            "045f054db9bb1e03f50705e0e82e33648ff86ffefca73f19ca949702489d32db4929c3063cb84d41683a5df208a60006\
             12f3348f0da2b682f378a67b7c35c274622e2b4ba62a7e0412aa9c6e1d98ba98bfcae502ae8823925157ae6e78bd44d9\
             cc1d1c42582918b8ad25bee87159f364829cd38dcbd00774d4c1eadf88c1ac3fcc",
        ),
        (
            Curve::P256,
            "04fff1671eb46198965034bc0f7c7774a6edc9c5eb784da1a157f0cc23e5c9ed43e2b82dcfee473399e26a1a84b72637\
             8c4a87918ef7ba283a98adf006174e4239",
        ),
        (
            Curve::P384,
            "04e053ed01b420d236ea9fdb132ba5f5f56235088dcc5377346b0952b9cf36303161059d8a766e76d5ad3cfd746bba6f\
             437587493e33bf2c2dddb09806d925194ed5d09955ae900f7fd91a05496eb8d0346f467e697e522e11547dca42823fa1\
             78",
        ),
        (
            Curve::P521,
            "0401cad25f854f0050cee05ba1dfaa9ef5574d290f9414934618577b25e4908b2f37aace13e43eb6363f8e3cccbae105\
             2773a79612157e56798664d669a4c99da925e10172b1c089769dee7c084ea04541112882abb5ff13bb8f21cafbbd2b58\
             0555632552b625e9a6d75eef337083745967066ab647682bc7e15f15b847e4b0b54893ae55",
        ),
    ];

    fn octets(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn short_points_become_long_ones() {
        for (curve, hex) in POINTS {
            let whole = octets(hex);
            let (x, y) = whole[1..].split_at(curve.length());
            let parity = 2 + (y.last().unwrap() & 1);
            assert_eq!(uncompressed(curve, &[&[parity], x].concat()), whole, "{curve:?}");
            // The other root.
            let other = uncompressed(curve, &[&[5 - parity], x].concat());
            assert_eq!(other[..=curve.length()], whole[..=curve.length()]);
            assert_ne!(other, whole);
            assert_eq!(uncompressed(curve, &whole), whole);
            for odd in
                [&[4u8][..], &[2], &[], &[&[2], y, &[0]].concat(), &[&[2], &vec![0xff; curve.length()][..]].concat()]
            {
                assert_eq!(uncompressed(curve, odd), odd);
            }
        }
    }
}
