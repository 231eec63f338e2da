//! Our key handles and digests, compared with the bare operations of aws-lc and with Sequoia's digests.
//!
//! `cargo bench --bench crypto`; the differences are the cost of our layers.
#![allow(missing_docs)]

use std::{hint::black_box, time::Duration};

use aws_lc_rs::{
    aead::{self, LessSafeKey, Nonce, UnboundKey},
    cipher::{AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey},
    digest,
    encoding::{AsBigEndian, AsDer},
    rand::SystemRandom,
    rsa::{
        KeyPair, KeySize, Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey, PrivateDecryptingKey,
        PublicEncryptingKey, PublicKeyComponents,
    },
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use postseal::{
    base::Secret,
    crypto::{
        Aead, Cipher, Curve, Hash, KeyAlgorithm, Pkcs12Use, PublicKey, RsaComponents, Scheme, SecretKey, SoftwareKey,
        Unwrap, argon2_cost, argon2id, cbc_decrypt, cbc_encrypt, generate, pbkdf1, pbkdf1_cost, pbkdf2, pbkdf2_cost,
        pkcs12_cost, pkcs12_kdf, scrypt, scrypt_cost, verify,
    },
};
use sequoia_openpgp::types::HashAlgorithm;

fn rsa(criterion: &mut Criterion) {
    let digest = Hash::Sha256.digest(b"text");
    for (bits, size) in [(2048, KeySize::Rsa2048), (3072, KeySize::Rsa3072)] {
        let mut group = criterion.benchmark_group(format!("rsa{bits}"));
        let bare = KeyPair::generate(size).unwrap();
        let imported = digest::digest(&digest::SHA256, b"text");
        let mut signature = vec![0; bare.public_modulus_len()];
        group.bench_function("sign/aws-lc", |bencher| {
            bencher.iter(|| bare.sign_digest(&signature::RSA_PKCS1_SHA256, &imported, &mut signature).unwrap());
        });
        let public = UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, bare.public_key().as_ref());
        group.bench_function("verify/aws-lc", |bencher| {
            bencher.iter(|| public.verify_digest(&imported, &signature).unwrap());
        });

        let parts = RsaComponents::generate(bits).unwrap();
        let ours = SoftwareKey::rsa(&parts).unwrap();
        let scheme = Scheme::RsaPkcs1(Hash::Sha256);
        group.bench_function("load/ours", |bencher| bencher.iter(|| SoftwareKey::rsa(&parts).unwrap()));
        group.bench_function("sign/ours", |bencher| bencher.iter(|| ours.sign(scheme, &digest).unwrap()));
        let signature = ours.sign(scheme, &digest).unwrap();
        let public = PublicKey::Rsa { n: &parts.n, e: &parts.e };
        group.bench_function("verify/ours", |bencher| {
            bencher.iter(|| verify(public, scheme, &digest, &signature).unwrap());
        });

        let der = bare.as_der().unwrap();
        let opening = Pkcs1PrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(der.as_ref()).unwrap()).unwrap();
        let wrapping: PublicEncryptingKey = PrivateDecryptingKey::from_pkcs8(der.as_ref()).unwrap().public_key();
        let mut wrapped = vec![0; bits / 8];
        Pkcs1PublicEncryptingKey::new(wrapping).unwrap().encrypt(&[7; 35], &mut wrapped).unwrap();
        let mut plain = vec![0; bits / 8];
        group.bench_function("decrypt/aws-lc", |bencher| {
            bencher.iter(|| opening.decrypt(&wrapped, &mut plain).unwrap().len());
        });
        let components = PublicKeyComponents { n: parts.n.as_slice(), e: parts.e.as_slice() };
        let wrapping: PublicEncryptingKey = components.try_into().unwrap();
        Pkcs1PublicEncryptingKey::new(wrapping).unwrap().encrypt(&[7; 35], &mut wrapped).unwrap();
        group.bench_function("decrypt/ours", |bencher| {
            bencher.iter(|| ours.decrypt(Unwrap::RsaPkcs1, &wrapped).unwrap());
        });
        // Wrong padding must take the same time.
        wrapped[bits / 8 - 1] ^= 1;
        group.bench_function("decrypt/ours, wrong padding", |bencher| {
            bencher.iter(|| ours.decrypt(Unwrap::RsaPkcs1, &wrapped).unwrap());
        });
        group.finish();
    }
}

fn ed25519(criterion: &mut Criterion) {
    let digest = Hash::Sha512.digest(b"text");
    let mut group = criterion.benchmark_group("ed25519");
    let bare = Ed25519KeyPair::generate().unwrap();
    let public = bare.public_key().as_ref().to_vec();
    group.bench_function("sign/aws-lc", |bencher| bencher.iter(|| bare.sign(&digest)));
    let signature = bare.sign(&digest);
    let key = UnparsedPublicKey::new(&signature::ED25519, &public);
    group.bench_function("verify/aws-lc", |bencher| bencher.iter(|| key.verify(&digest, signature.as_ref()).unwrap()));

    let seed = Secret::new(bare.seed().unwrap().as_be_bytes().unwrap().as_ref().to_vec());
    let ours = SoftwareKey::ed25519(&seed, &public).unwrap();
    group.bench_function("load/ours", |bencher| bencher.iter(|| SoftwareKey::ed25519(&seed, &public).unwrap()));
    group.bench_function("sign/ours", |bencher| bencher.iter(|| ours.sign(Scheme::EdDsa, &digest).unwrap()));
    group.bench_function("verify/ours", |bencher| {
        bencher.iter(|| verify(PublicKey::Ed25519(&public), Scheme::EdDsa, &digest, signature.as_ref()).unwrap());
    });
    group.finish();
}

fn ecdsa(criterion: &mut Criterion) {
    let (scheme, digest) = (Scheme::Ecdsa(Hash::Sha256), Hash::Sha256.digest(b"text"));
    let mut group = criterion.benchmark_group("p256");
    let bare = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let imported = digest::digest(&digest::SHA256, b"text");
    group.bench_function("sign/aws-lc", |bencher| bencher.iter(|| bare.sign_digest(&imported).unwrap()));
    let signature = bare.sign_digest(&imported).unwrap();
    let public = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, bare.public_key().as_ref());
    group.bench_function("verify/aws-lc", |bencher| {
        bencher.iter(|| public.verify_digest(&imported, signature.as_ref()).unwrap());
    });

    let (scalar, point) = generate(KeyAlgorithm::Ecdsa(Curve::P256)).unwrap();
    let ours = SoftwareKey::elliptic(Curve::P256, &scalar, &point).unwrap();
    group.bench_function("load/ours", |bencher| {
        bencher.iter(|| SoftwareKey::elliptic(Curve::P256, &scalar, &point).unwrap());
    });
    group.bench_function("sign/ours", |bencher| bencher.iter(|| ours.sign(scheme, &digest).unwrap()));
    let signature = ours.sign(scheme, &digest).unwrap();
    let public = PublicKey::Ecdsa { curve: Curve::P256, point: &point };
    group.bench_function("verify/ours", |bencher| {
        bencher.iter(|| verify(public, scheme, &digest, &signature).unwrap());
    });
    group.finish();
}

/// In place, as messages are: each turn works on what the one before left.
fn ciphers(criterion: &mut Criterion) {
    let length = 1024 * 1024;
    let (key, iv, size) = (Secret::new(vec![7; 32]), [9; 16], "1 MiB");
    let bare = || UnboundCipherKey::new(&AES_256, key.expose()).unwrap();

    let mut group = criterion.benchmark_group("aes256-cbc");
    group.throughput(Throughput::Bytes(length as u64));
    let mut data = vec![0; length];
    let encrypting = EncryptingKey::cbc(bare()).unwrap();
    group.bench_function(BenchmarkId::new("encrypt/aws-lc", size), |bencher| {
        bencher.iter(|| {
            let context = EncryptionContext::Iv128((&iv).into());
            encrypting.less_safe_encrypt(black_box(&mut data), context).unwrap()
        });
    });
    let decrypting = DecryptingKey::cbc(bare()).unwrap();
    group.bench_function(BenchmarkId::new("decrypt/aws-lc", size), |bencher| {
        bencher
            .iter(|| decrypting.decrypt(black_box(&mut data), DecryptionContext::Iv128((&iv).into())).unwrap().len());
    });
    let mut whole = vec![0; length];
    group.bench_function(BenchmarkId::new("encrypt and decrypt/ours", size), |bencher| {
        bencher.iter(|| {
            cbc_encrypt(Cipher::Aes256, &key, &iv, black_box(&mut whole)).unwrap();
            cbc_decrypt(Cipher::Aes256, &key, &iv, black_box(&mut whole)).unwrap();
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("aes256-gcm");
    group.throughput(Throughput::Bytes(length as u64));
    let bare = LessSafeKey::new(UnboundKey::new(&aead::AES_256_GCM, key.expose()).unwrap());
    let nonce = || Nonce::assume_unique_for_key([5; 12]);
    group.bench_function(BenchmarkId::new("seal/aws-lc", size), |bencher| {
        bencher.iter(|| bare.seal_in_place_separate_tag(nonce(), aead::Aad::empty(), black_box(&mut data)).unwrap());
    });
    group.bench_function(BenchmarkId::new("seal/ours", size), |bencher| {
        bencher.iter(|| Aead::Aes256Gcm.seal(&key, [5; 12], b"", black_box(&mut data)).unwrap());
    });
    // Whole tags are aws-lc's work, short ones are not.
    for tag_length in [16, 12] {
        group.bench_function(
            BenchmarkId::new(format!("seal and open, {tag_length} octets of tag/ours"), size),
            |bencher| {
                bencher.iter(|| {
                    let tag = Aead::Aes256Gcm.seal(&key, [5; 12], b"", black_box(&mut whole)).unwrap();
                    Aead::Aes256Gcm.open(&key, &[5; 12], b"", black_box(&mut whole), &tag[..tag_length]).unwrap();
                });
            },
        );
    }
    group.finish();
}

fn hashes(criterion: &mut Criterion) {
    let mut data = vec![0; 1024 * 1024];
    aws_lc_rs::rand::SecureRandom::fill(&SystemRandom::new(), &mut data).unwrap();
    let rows = [
        (Hash::Sha1, &digest::SHA1_FOR_LEGACY_USE_ONLY, HashAlgorithm::SHA1),
        (Hash::Sha256, &digest::SHA256, HashAlgorithm::SHA256),
        (Hash::Sha512, &digest::SHA512, HashAlgorithm::SHA512),
    ];
    for (hash, algorithm, sequoia) in rows {
        let mut group = criterion.benchmark_group(hash.name());
        group.throughput(Throughput::Bytes(data.len() as u64));
        let size = "1 MiB";
        group.bench_function(BenchmarkId::new("aws-lc", size), |bencher| {
            bencher.iter(|| digest::digest(algorithm, black_box(&data)));
        });
        group.bench_function(BenchmarkId::new("ours", size), |bencher| bencher.iter(|| hash.digest(black_box(&data))));
        group.bench_function(BenchmarkId::new("sequoia", size), |bencher| {
            bencher.iter(|| {
                let mut context = sequoia.context().unwrap().for_digest();
                context.update(black_box(&data));
                context.into_digest().unwrap()
            });
        });
        group.finish();
    }
}

/// Units of `Budget::derivation` in a second, for each way to derive a key from a password: none may fall far below five millions.
fn derivations(criterion: &mut Criterion) {
    use Hash::{Md2, Md5, Ripemd160, Sha1, Sha224, Sha256, Sha384, Sha512};
    let password = Secret::from("correct horse");
    let mut group = criterion.benchmark_group("derivation");
    group.sample_size(10);
    let mut bench = |name: String, units: u64, work: &dyn Fn()| {
        group.throughput(Throughput::Elements(units));
        group.bench_function(name, |bencher| bencher.iter(work));
    };
    let iterations = 50_000;
    for hash in [Md2, Md5, Ripemd160, Sha1, Sha224, Sha256, Sha384, Sha512] {
        bench(format!("pbkdf2 {hash}"), pbkdf2_cost(hash, iterations, 20), &|| {
            drop(pbkdf2(hash, &password, b"salt", iterations, 20).unwrap());
        });
        bench(format!("pbkdf1 {hash}"), pbkdf1_cost(hash, iterations), &|| {
            drop(pbkdf1(hash, &password, b"salt", iterations, 16).unwrap());
        });
        bench(format!("pkcs12 {hash}"), pkcs12_cost(hash, iterations, 20), &|| {
            drop(pkcs12_kdf(hash, Pkcs12Use::Mac, &password, b"salt", iterations, 20));
        });
    }
    for (cost, block) in [(1 << 14, 8), (1 << 17, 8), (1 << 10, 1024), (1 << 17, 1)] {
        bench(format!("scrypt {cost} {block}"), scrypt_cost(cost, block, 1), &|| {
            drop(scrypt(&password, b"salt", cost, block, 1, 32).unwrap());
        });
    }
    for (memory, passes) in [(1 << 21, 1), (1 << 16, 3), (1 << 10, 255)] {
        bench(format!("argon2 {memory} {passes}"), argon2_cost(memory.into(), passes), &|| {
            drop(argon2id(&password, b"saltsalt", memory, passes, 4, 32).unwrap());
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500)).sample_size(30);
    targets = rsa, ed25519, ecdsa, ciphers, hashes, derivations
}
criterion_main!(benches);
