//! Paths from a certificate to a trust anchor: built and validated (RFC 5280, section 6; RFC 4158).

use std::time::SystemTime;

use super::{Certificate, PublicKey, Refusal, Revocation, search, statements::Statements};
use crate::{
    base::{Budget, Result},
    crypto::Legacy,
    mail::Address,
};

/// The input of path validation. The certificate of an anchor limits what the anchor is trusted for, as RFC 5280, section 6.2 allows: its validity,
/// critical extensions, extended key usage, name constraints, path length and policies hold for every path below it, and its CRLs count when its key
/// usage allows them. Its own signature and revocation are not checked. An anchor of version 3 that is not marked as an authority is trusted
/// only for itself.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The time of validation.
    pub at: SystemTime,
    /// The trust anchors.
    pub anchors: &'a [Certificate],
    /// Possible intermediate certificates, in any order; from the message and from the store.
    pub intermediates: &'a [Certificate],
    /// CRLs and OCSP responses, DER, of any issuer, that the owner of this machine has.
    pub revocations: &'a [&'a [u8]],
    /// CRLs and OCSP responses, DER, that came with the message. They count as the owner's do, but take back nothing that those say.
    pub enclosed: &'a [&'a [u8]],
    /// How much must be known about revocation.
    pub revocation: Revocation,
    /// The initial policy inputs.
    pub policies: Policies,
    /// What the leaf must be good for.
    pub purpose: Purpose,
    /// Whether signatures by weak or broken algorithms on the path count.
    pub legacy: Legacy,
}

/// The inputs (c) and (e) to (g) of RFC 5280, section 6.1.1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// The user-initial-policy-set as dotted object identifiers; empty is any-policy.
    pub initial: Vec<String>,
    /// initial-explicit-policy.
    pub explicit: Require,
    /// initial-policy-mapping-inhibit.
    pub inhibit_mapping: Require,
    /// initial-any-policy-inhibit.
    pub inhibit_any: Require,
}

/// Whether an indicator of RFC 5280, section 6.1.1 is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Require {
    /// It is not.
    #[default]
    Unset,
    /// It is.
    Set,
}

/// What the leaf must be good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Anything: extended key usage is not looked at.
    Any,
    /// Mail: emailProtection, or no extended key usage at all (RFC 8550, section 4.4.4).
    #[default]
    Email,
    /// Classic PEM: as mail, and certificates of version 1, which RFC 1422 knows alone, may be authorities. Its own rule in place of
    /// basicConstraints, that names are subordinate, is left to the caller.
    Hierarchy,
}

/// A path that was found valid. Made by [`validate`] alone.
#[derive(Clone, Debug)]
pub struct Path {
    pub(super) certificates: Vec<Certificate>,
    pub(super) key: PublicKey,
    pub(super) mailboxes: Vec<Address>,
    pub(super) policies: Vec<String>,
}

impl Path {
    /// From the leaf to the anchor, both included; one certificate when the leaf is an anchor.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The key of the leaf, with the parameters that it inherits (RFC 5280, section 6.1.5 (c) to (e)).
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// The mailboxes of the leaf that the path's name constraints permit: all that it names, or the path would not be valid.
    pub fn mailboxes(&self) -> &[Address] {
        &self.mailboxes
    }

    /// The authority-constrained policies as dotted object identifiers, in order; none when the leaf is an anchor.
    pub fn policies(&self) -> &[String] {
        &self.policies
    }
}

/// Finds a path from `leaf` to an anchor and validates it.
///
/// # Errors
///
/// The inner error names the certificate and the rule; the outer one means that the Budget is spent.
pub fn validate(
    leaf: &Certificate,
    question: &Question<'_>,
    budget: &mut Budget,
) -> Result<std::result::Result<Path, Refusal>> {
    let statements = match question.revocation {
        Revocation::Off => Statements::none(),
        Revocation::Hard | Revocation::Soft => Statements::read(question.revocations, question.enclosed),
    };
    validate_by(leaf, question, &statements, budget)
}

/// As [`validate`], by statements that were read before, in place of those of `question`: for the paths of many leaves they are read once.
///
/// # Errors
///
/// As [`validate`].
pub fn validate_by(
    leaf: &Certificate,
    question: &Question<'_>,
    statements: &Statements<'_>,
    budget: &mut Budget,
) -> Result<std::result::Result<Path, Refusal>> {
    search::find(leaf, question, statements, budget)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        base::{Limits, parse_rfc3339},
        pki::{Place, Rule, tlv::Reader},
    };

    fn file(name: &str) -> Vec<u8> {
        fs::read(format!("{}/testdata/pki/{name}.der", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    fn certificate(name: &str) -> Certificate {
        Certificate::parse(&file(name)).unwrap()
    }

    fn certificates(names: &[&str]) -> Vec<Certificate> {
        names.iter().map(|name| certificate(name)).collect()
    }

    fn mesh() -> Vec<Certificate> {
        let octets = file("mesh");
        let mut reader = Reader::new(&octets, "mesh");
        let mut certificates = Vec::new();
        while !reader.is_finished() {
            certificates.push(Certificate::parse(reader.any().unwrap().whole).unwrap());
        }
        certificates
    }

    fn question<'a>(anchors: &'a [Certificate], intermediates: &'a [Certificate]) -> Question<'a> {
        Question {
            at: parse_rfc3339("2026-11-24T00:00:00Z").unwrap(),
            anchors,
            intermediates,
            revocations: &[],
            enclosed: &[],
            revocation: Revocation::Soft,
            policies: Policies::default(),
            purpose: Purpose::Email,
            legacy: Legacy::Refuse,
        }
    }

    fn judge(leaf: &str, question: &Question<'_>) -> std::result::Result<Path, Refusal> {
        validate(&certificate(leaf), question, &mut Budget::new(Limits::default())).unwrap()
    }

    /// The answer for a leaf below the root and the bounded authority.
    fn below_root(leaf: &str) -> std::result::Result<Path, Refusal> {
        let (anchors, intermediates) = (certificates(&["root"]), certificates(&["bounded", "servers"]));
        judge(leaf, &question(&anchors, &intermediates))
    }

    fn shown(mailboxes: &[Address]) -> Vec<String> {
        mailboxes.iter().map(Address::to_string).collect()
    }

    #[test]
    fn every_kind_of_key_signs_certificates() {
        for kind in ["rsa", "pss", "p521", "brainpool", "ed25519", "ed448"] {
            let (anchor, other) = (certificates(&[&format!("{kind}-root")]), certificates(&["root"]));
            let leaf = format!("{kind}-leaf");
            let path = judge(&leaf, &question(&anchor, &[])).unwrap_or_else(|refusal| panic!("{kind}: {refusal}"));
            assert_eq!(path.certificates(), [certificate(&leaf), anchor[0].clone()]);
            assert_eq!(shown(path.mailboxes()), ["alice@example.org"]);
            let refused = judge(&leaf, &question(&other, &anchor)).unwrap_err();
            assert_eq!((refused.rule(), refused.place()), (&Rule::NoIssuer, Place::Authority));
        }
    }

    #[test]
    fn a_changed_octet_anywhere_in_what_is_signed_is_refused() {
        for kind in ["rsa", "pss", "p521", "brainpool", "ed25519", "ed448"] {
            let anchors = certificates(&[&format!("{kind}-root")]);
            let good = file(&format!("{kind}-leaf"));
            // In the mailbox, and in the signature.
            let mailbox = good.windows(5).position(|octets| octets == b"alice").unwrap();
            for at in [mailbox, good.len() - 1] {
                let mut changed = good.clone();
                changed[at] ^= 1;
                let leaf = Certificate::parse(&changed).unwrap();
                let answer = validate(&leaf, &question(&anchors, &[]), &mut Budget::new(Limits::default())).unwrap();
                assert_eq!(answer.unwrap_err().rule_of_leaf(), Some(&Rule::Signature), "{kind}, octet {at}");
            }
        }
    }

    #[test]
    fn weak_signatures_count_with_legacy_alone() {
        for (kind, name) in [("rsa1024", "rsa1024-sha256"), ("sha1", "rsa2048-sha1")] {
            let anchors = certificates(&[&format!("{kind}-root")]);
            let strict = question(&anchors, &[]);
            let refused = judge(&format!("{kind}-leaf"), &strict).unwrap_err();
            assert_eq!(refused.rule(), &Rule::WeakAlgorithm(name.to_owned()));
            assert!(judge(&format!("{kind}-leaf"), &Question { legacy: Legacy::Admit, ..strict }).is_ok());
        }
    }

    #[test]
    fn names_that_the_authority_may_give() {
        for (leaf, mailboxes) in [
            ("within", &["alice@example.org", "alice@a.example.net"][..]),
            ("utf8-within", &["\u{8001}\u{5e2b}@example.org"]),
            ("subject-within", &["alice@example.org"]),
        ] {
            let path = below_root(leaf).unwrap_or_else(|refusal| panic!("{leaf}: {refusal}"));
            assert_eq!(shown(path.mailboxes()), mailboxes);
        }
        for (leaf, why) in [
            ("outside", "mailbox \"bob@example.com\" is in no permitted subtree"),
            ("excluded", "mailbox \"Mallory@example.org\" is in an excluded subtree"),
            ("excluded-address", "address 192.0.2.7 is in an excluded subtree"),
            ("utf8-outside", "mailbox \"\u{8001}\u{5e2b}@xn--bcher-kva.example\" is in no permitted subtree"),
            ("subject-outside", "mailbox \"bob@example.com\" is in no permitted subtree"),
        ] {
            assert_eq!(
                below_root(leaf).unwrap_err().rule_of_leaf(),
                Some(&Rule::NameConstraints(why.to_owned())),
                "{leaf}"
            );
        }
    }

    #[test]
    fn each_refusal_names_the_certificate_and_the_rule() {
        for (leaf, expected) in [
            (
                "server",
                "certificate \"CN=Alice\": its extended key usage does not allow mail (RFC 8550, section 4.4.4)",
            ),
            ("critical", "certificate \"CN=Alice\": critical extension 1.2.3.4 is not known (RFC 5280, section 4.2)"),
            ("expired", "certificate \"CN=Alice\": expired on 2020-01-01T00:00:00Z (RFC 5280, section 6.1.3 (a)(2))"),
            (
                "future",
                "certificate \"CN=Alice\": not valid before 2044-01-01T00:00:00Z (RFC 5280, section 6.1.3 (a)(2))",
            ),
            (
                "below-servers",
                "certificate \"O=postseal test,CN=Servers\": its extended key usage does not allow mail (RFC 8550, section 4.4.4)",
            ),
            (
                "rsa-leaf",
                "certificate \"CN=Alice\": no trust anchor and no certificate here issued it (RFC 5280, section 6.1)",
            ),
        ] {
            assert_eq!(below_root(leaf).unwrap_err().to_string(), expected);
        }
        let anchors = certificates(&["root"]);
        let any = Question { purpose: Purpose::Any, ..question(&anchors, &[]) };
        assert!(judge("server", &any).is_ok());
        let hard = Question { revocation: Revocation::Hard, ..question(&anchors, &[]) };
        assert!(matches!(judge("plain", &hard).unwrap_err().rule_of_leaf(), Some(Rule::UnknownStatus(_))));
    }

    #[test]
    fn one_persons_certificate_as_an_anchor_vouches_for_itself_alone() {
        let carol = certificates(&["carol"]);
        let path = judge("carol", &question(&carol, &[])).unwrap();
        assert_eq!(path.certificates(), carol);
        let refused = judge("below-carol", &question(&carol, &[])).unwrap_err();
        assert_eq!(refused.rule_of_leaf(), Some(&Rule::NoIssuer));
        let refused = judge("below-carol", &question(&carol, &carol)).unwrap_err();
        assert_eq!(refused.rule(), &Rule::NoIssuer);
        // A leaf may be an anchor without its issuer.
        let plain = certificates(&["plain"]);
        assert_eq!(judge("plain", &question(&plain, &[])).unwrap().certificates(), plain);
        assert!(matches!(
            judge("expired", &question(&certificates(&["expired"]), &[])).unwrap_err().rule_of_leaf(),
            Some(Rule::Expired(_))
        ));
    }

    #[test]
    fn initial_policies() {
        let anchors = certificates(&["root"]);
        let with = |initial: &[&str], explicit| {
            let initial = initial.iter().map(|&policy| policy.to_owned()).collect();
            Question { policies: Policies { initial, explicit, ..Policies::default() }, ..question(&anchors, &[]) }
        };
        assert_eq!(judge("policies", &with(&[], Require::Set)).unwrap().policies(), ["1.2.3.1", "1.2.3.2"]);
        assert!(judge("policies", &with(&["1.2.3.9", "1.2.3.2"], Require::Set)).is_ok());
        assert!(judge("policies", &with(&["1.2.3.9"], Require::Unset)).is_ok());
        let refused = judge("policies", &with(&["1.2.3.9"], Require::Set)).unwrap_err();
        assert_eq!(refused.rule_of_leaf(), Some(&Rule::NoPolicy));
        assert_eq!(judge("plain", &with(&[], Require::Set)).unwrap_err().rule_of_leaf(), Some(&Rule::NoPolicy));
    }

    #[test]
    fn cross_certificates_and_loops() {
        let mut intermediates = mesh();
        intermediates.push(certificate("mesh-exit"));
        let anchors = certificates(&["root"]);
        let path = judge("mesh-leaf", &question(&anchors, &intermediates)).unwrap();
        assert!(path.certificates().len() >= 4);
        // Nowhere to go: the mesh has 13,700 ways that lead nowhere.
        let answer =
            validate(&certificate("mesh-leaf"), &question(&anchors, &mesh()), &mut Budget::new(Limits::default()));
        let spent = answer.unwrap_err().to_string();
        assert_eq!(spent, "certification path: more than 2000 signatures to verify");
    }

    #[test]
    fn ten_thousand_issuers_of_one_name_spend_the_budget_and_no_more() {
        let (good, anchors) = (file("bounded"), certificates(&["root"]));
        let intermediates: Vec<Certificate> = (0..10_000u32)
            .map(|number| {
                let mut other = good.clone();
                // In the signature, which is not parsed before keys are tried, and in the key, which is then on no curve.
                let end = other.len();
                other[end - 4..].copy_from_slice(&number.to_be_bytes());
                let key = certificate("bounded").public_key().octets().to_vec();
                let at = good.windows(key.len()).position(|octets| octets == key).unwrap();
                other[at + 1] ^= 0x55;
                Certificate::parse(&other).unwrap()
            })
            .collect();
        let question = question(&anchors, &intermediates);
        let answer = validate(&certificate("within"), &question, &mut Budget::new(Limits::default()));
        let spent = answer.unwrap_err().to_string();
        assert_eq!(spent, "certification path: more than 2000 signatures to verify");
    }
}
