//! The algorithms of new keys, by the names that are typed.

use clap::{
    ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use postseal::{
    base::{Error, Result},
    crypto::{MlDsa, MlKem, SlhDsa},
    protocol::{pgp::generate::Algorithm as Pgp, smime::generate::Algorithm as Smime},
};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli::cmd) enum Algorithm {
    /// Ed25519 and X25519 (OpenPGP)
    Curve25519,
    /// Ed448 and X448 (OpenPGP, --profile rfc9580 or rfc9980)
    Curve448,
    /// For signing only (S/MIME)
    Ed25519,
    /// For signing only (S/MIME)
    Ed448,
    /// For signing only, against quantum computers (S/MIME)
    #[value(name = "ml-dsa-44")]
    MlDsa44,
    /// For signing only, against quantum computers (S/MIME)
    #[value(name = "ml-dsa-65")]
    MlDsa65,
    /// For signing only, against quantum computers (S/MIME)
    #[value(name = "ml-dsa-87")]
    MlDsa87,
    /// ML-DSA-65 with Ed25519, ML-KEM-768 with X25519 (OpenPGP, --profile rfc9980)
    #[value(name = "mldsa65-ed25519")]
    MlDsa65Ed25519,
    /// ML-DSA-87 with Ed448, ML-KEM-1024 with X448 (OpenPGP, --profile rfc9980)
    #[value(name = "mldsa87-ed448")]
    MlDsa87Ed448,
    /// For encryption only, against quantum computers (S/MIME, with --ca)
    #[value(name = "ml-kem-512")]
    MlKem512,
    /// For encryption only, against quantum computers (S/MIME, with --ca)
    #[value(name = "ml-kem-768")]
    MlKem768,
    /// For encryption only, against quantum computers (S/MIME, with --ca)
    #[value(name = "ml-kem-1024")]
    MlKem1024,
    /// S/MIME
    P256,
    /// S/MIME
    P384,
    /// S/MIME
    P521,
    Rsa2048,
    Rsa3072,
    Rsa4096,
    /// For signing only, against quantum computers, on hashes alone (S/MIME)
    #[value(name = "slh-dsa-sha2-128s")]
    SlhDsaSha2128s,
    /// As slh-dsa-sha2-128s: signs faster, 17 kB a signature
    #[value(name = "slh-dsa-sha2-128f")]
    SlhDsaSha2128f,
    /// As slh-dsa-sha2-128s: stronger, 16 kB a signature
    #[value(name = "slh-dsa-sha2-192s")]
    SlhDsaSha2192s,
    /// As slh-dsa-sha2-128s: strongest, 30 kB a signature
    #[value(name = "slh-dsa-sha2-256s")]
    SlhDsaSha2256s,
    /// On hashes alone, 8 kB a signature (OpenPGP with --profile rfc9980; S/MIME, for signing only)
    #[value(name = "slh-dsa-shake-128s")]
    SlhDsaShake128s,
    /// As slh-dsa-shake-128s: signs faster, 17 kB a signature
    #[value(name = "slh-dsa-shake-128f")]
    SlhDsaShake128f,
    /// As slh-dsa-shake-128s: strongest, 30 kB a signature
    #[value(name = "slh-dsa-shake-256s")]
    SlhDsaShake256s,
    /// For encryption only (S/MIME, with --ca)
    X25519,
    /// For encryption only (S/MIME, with --ca)
    X448,
}

/// Reads the algorithm of a key that signs the request for its own certificate.
pub(super) fn certified() -> impl TypedValueParser<Value = Algorithm> {
    let signs = |algorithm: &&Algorithm| algorithm.smime("key request").is_ok_and(|algorithm| algorithm.signs());
    let names = Algorithm::value_variants().iter().filter(signs).filter_map(ValueEnum::to_possible_value);
    PossibleValuesParser::new(names).try_map(|name| <Algorithm as ValueEnum>::from_str(&name, false))
}

impl Algorithm {
    /// For an OpenPGP key.
    pub(super) fn pgp(self) -> Result<Pgp> {
        match self {
            Algorithm::Curve25519 => Ok(Pgp::Curve25519),
            Algorithm::Curve448 => Ok(Pgp::Curve448),
            Algorithm::MlDsa65Ed25519 => Ok(Pgp::MlDsa65),
            Algorithm::MlDsa87Ed448 => Ok(Pgp::MlDsa87),
            Algorithm::SlhDsaShake128s => Ok(Pgp::SlhDsa128s),
            Algorithm::SlhDsaShake128f => Ok(Pgp::SlhDsa128f),
            Algorithm::SlhDsaShake256s => Ok(Pgp::SlhDsa256s),
            Algorithm::Rsa2048 => Ok(Pgp::Rsa2048),
            Algorithm::Rsa3072 => Ok(Pgp::Rsa3072),
            Algorithm::Rsa4096 => Ok(Pgp::Rsa4096),
            _ => Err(Error::usage("key generate: not an algorithm of OpenPGP keys here")
                .with_hint("curve25519, curve448, rsa2048, rsa3072, rsa4096, or one of --profile rfc9980")),
        }
    }

    /// For an S/MIME key.
    pub(super) fn smime(self, verb: &str) -> Result<Smime> {
        Ok(match self {
            Algorithm::Curve25519 | Algorithm::Curve448 | Algorithm::MlDsa65Ed25519 | Algorithm::MlDsa87Ed448 => {
                let name = self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
                return Err(Error::usage(format!("{verb}: {name} is two keys of OpenPGP"))
                    .with_hint("ed25519, p256, p384, p521, rsa2048, rsa3072 or rsa4096"));
            }
            Algorithm::Ed25519 => Smime::Ed25519,
            Algorithm::Ed448 => Smime::Ed448,
            Algorithm::MlDsa44 => Smime::MlDsa(MlDsa::MlDsa44),
            Algorithm::MlDsa65 => Smime::MlDsa(MlDsa::MlDsa65),
            Algorithm::MlDsa87 => Smime::MlDsa(MlDsa::MlDsa87),
            Algorithm::MlKem512 => Smime::MlKem(MlKem::MlKem512),
            Algorithm::MlKem768 => Smime::MlKem(MlKem::MlKem768),
            Algorithm::MlKem1024 => Smime::MlKem(MlKem::MlKem1024),
            Algorithm::P256 => Smime::P256,
            Algorithm::P384 => Smime::P384,
            Algorithm::P521 => Smime::P521,
            Algorithm::Rsa2048 => Smime::Rsa2048,
            Algorithm::Rsa3072 => Smime::Rsa3072,
            Algorithm::Rsa4096 => Smime::Rsa4096,
            Algorithm::SlhDsaSha2128s => Smime::SlhDsa(SlhDsa::Sha2_128s),
            Algorithm::SlhDsaSha2128f => Smime::SlhDsa(SlhDsa::Sha2_128f),
            Algorithm::SlhDsaSha2192s => Smime::SlhDsa(SlhDsa::Sha2_192s),
            Algorithm::SlhDsaSha2256s => Smime::SlhDsa(SlhDsa::Sha2_256s),
            Algorithm::SlhDsaShake128s => Smime::SlhDsa(SlhDsa::Shake128s),
            Algorithm::SlhDsaShake128f => Smime::SlhDsa(SlhDsa::Shake128f),
            Algorithm::SlhDsaShake256s => Smime::SlhDsa(SlhDsa::Shake256s),
            Algorithm::X25519 => Smime::X25519,
            Algorithm::X448 => Smime::X448,
        })
    }
}
