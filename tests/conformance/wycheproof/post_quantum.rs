//! ML-DSA and ML-KEM. Mail signs with an empty context, and never an externally computed mu.

use postseal::crypto::{MlDsa, MlKem, PostQuantumSecret, encapsulate};

use super::*;

#[test]
fn ml_dsa_verifies() {
    for set in MlDsa::ALL {
        run(&format!("mldsa_{}_verify", number(set.name())), |group, tally| {
            let key = octets(group, "publicKey");
            for test in tests(group) {
                if is_outside(test, tally) {
                    continue;
                }
                let (message, signature) = (octets(test, "msg"), octets(test, "sig"));
                let right = verify(PublicKey::MlDsa { set, key: &key }, Scheme::Pure, &message, &signature).is_ok();
                judge(test, right, tally);
            }
        });
    }
}

/// Signatures are random, so ours is verified and not compared; the public key is.
#[test]
fn ml_dsa_signs() {
    for set in MlDsa::ALL {
        for (files, field) in [("seed", "privateSeed"), ("noseed", "privateKey")] {
            run(&format!("mldsa_{}_sign_{files}_", number(set.name())), |group, tally| {
                let private = secret(group, field);
                let private = match files {
                    "seed" => PostQuantumSecret::Seed(private),
                    _ => PostQuantumSecret::Expanded(private),
                };
                let algorithm = KeyAlgorithm::MlDsa(set);
                let made = private.public(algorithm).and_then(|public| {
                    SoftwareKey::post_quantum(algorithm, &private, &public).map(|key| (key, public))
                });
                for test in tests(group) {
                    if is_outside(test, tally) {
                        continue;
                    }
                    let message = octets(test, "msg");
                    let right = made.as_ref().is_ok_and(|(key, public)| {
                        let own = PublicKey::MlDsa { set, key: public };
                        let signature = key.sign(Scheme::Pure, &message).unwrap();
                        *public == octets(group, "publicKey")
                            && verify(own, Scheme::Pure, &message, &signature).is_ok()
                            && verify(own, Scheme::Pure, &message, &octets(test, "sig")).is_ok()
                    });
                    judge(test, right, tally);
                }
            });
        }
    }
}

#[test]
fn ml_kem_opens() {
    for set in MlKem::ALL {
        let algorithm = KeyAlgorithm::MlKem(set);
        let opened = |private: &PostQuantumSecret, test: &Value| {
            let public = private.public(algorithm).ok()?;
            let key = SoftwareKey::post_quantum(algorithm, private, &public).ok()?;
            Some((key.decapsulate(&octets(test, "c")).ok()?, public))
        };
        run(&format!("mlkem_{}_test", number(set.name())), |group, tally| {
            for test in tests(group) {
                let found = opened(&PostQuantumSecret::Seed(secret(test, "seed")), test);
                judge(test, found == Some((secret(test, "K"), octets(test, "ek"))), tally);
            }
        });
        run(&format!("mlkem_{}_semi_expanded_decaps", number(set.name())), |group, tally| {
            for test in tests(group) {
                let found = opened(&PostQuantumSecret::Expanded(secret(test, "dk")), test);
                judge(test, found.is_some_and(|(found, _)| found == secret(test, "K")), tally);
            }
        });
    }
}

#[test]
fn ml_kem_expands_seeds() {
    for set in MlKem::ALL {
        run(&format!("mlkem_{}_keygen", number(set.name())), |group, tally| {
            for test in tests(group) {
                let (seed, expanded) = (secret(test, "seed"), secret(test, "dk"));
                let public = PostQuantumSecret::Both { seed, expanded }.public(KeyAlgorithm::MlKem(set));
                judge(test, public.is_ok_and(|public| public == octets(test, "ek")), tally);
            }
        });
    }
}

/// What is encapsulated is random: what counts is which keys are refused.
#[test]
fn ml_kem_encapsulates() {
    for set in MlKem::ALL {
        run(&format!("mlkem_{}_encaps", number(set.name())), |group, tally| {
            for test in tests(group) {
                judge(test, encapsulate(set, &octets(test, "ek")).is_ok(), tally);
            }
        });
    }
}

/// Whether a test is of something that mail has not.
fn is_outside(test: &Value, tally: &mut Tally) -> bool {
    let is_outside = !text(test, "ctx").is_empty() || test.get("msg").is_none();
    if is_outside {
        tally.skip("with a context, or without the message");
    }
    is_outside
}

/// `65` of `ml-dsa-65`.
fn number(name: &str) -> &str {
    name.rsplit('-').next().unwrap()
}
