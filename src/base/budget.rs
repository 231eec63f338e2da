//! Bounds on everything that an attacker's data can make us do.

use std::time::Duration;

use super::{Error, Result};

/// How much one message may cost. Each default names its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Parts within parts. Source: twice the 32 that Postfix's `mime_nesting_limit` of 100 ever sees in real mail.
    pub nesting: usize,
    /// Parts in all. Source: DESIGN 8; the largest message of the mail corpora has fewer than 200.
    pub parts: usize,
    /// Cryptographic layers peeled from the root. Source: RFC 2634 triple wrapping is 3; an encrypted, compressed, signed one inside is 6.
    pub layers: usize,
    /// Signed, encrypted and packed parts and blocks that are opened below the root, to be reported. Source: as many as `signatures`.
    pub errant: usize,
    /// One header section in octets. Source: 256 KiB is Sendmail's and indymilter's header limit.
    pub header: usize,
    /// The header sections of all parts together, in octets. Source: a digest of 1,000 messages, each with 16 KiB of header.
    pub headers: usize,
    /// The message in octets. Source: signing-milter's cap of 64 MiB.
    pub message: usize,
    /// Octets out for each octet in. Source: DEFLATE cannot exceed 1032:1, and real text stays below 200:1.
    pub ratio: usize,
    /// Decompressed octets of all layers together, and decrypted octets of one, as a multiple of `message`. Source: what comes out of a layer is
    /// a message too, and one larger than `message` could not have come in.
    pub expansion: usize,
    /// Octets that are hashed for signatures, in all layers together, as a multiple of the message. Source: two digests of the text in two
    /// readings, or a triple wrap (RFC 2634, section 1.1) in one.
    pub hashed: usize,
    /// Octets that ciphers are run over, in all layers together, as a multiple of the message, each as often as the cipher is slower than AES.
    /// Source: Triple DES once, which is twelve times slower, or a triple wrap for five hidden recipients.
    pub deciphered: usize,
    /// Parameters of one structured header field. Source: RFC 2231 cuts a file name of 255 octets, percent-encoded, into 14 sections.
    pub parameters: usize,
    /// OpenPGP packets in the place of detached signatures, in all layers together, and those of a key file that belong to no key. Source: `signatures`, each of them with a few that mean nothing, in
    /// eight layers.
    pub packets: usize,
    /// OpenPGP packets of one certificate. Source: the keys that were flooded on the key servers in 2019 had 55,000 and 150,000 signatures, and were
    /// unusable.
    pub key_packets: usize,
    /// CRLs and OCSP responses that come with one layer. Source: one for each of `certificates`.
    pub revocations: usize,
    /// Octets of all of them. Source: 500,000 lines of a CRL have 12 MB, and take several times their length when they are read.
    pub revocation_octets: usize,
    /// Octets of all certificates that come with one layer. Source: four signers with paths of four, each with a signature of SLH-DSA (50 KiB).
    pub certificate_octets: usize,
    /// Octets of all copies that are encrypted of one message, as a multiple of `message`. Source: eight recipients who are hidden from one another,
    /// of the largest message; of one of 100 KiB, thousands.
    pub copies: usize,
    /// Signatures in one layer. Source: signature flooding, Schleuder #441.
    pub signatures: usize,
    /// Encrypted session keys of one layer, and those tried in one message. Source: a list of 1,000 recipients, each with one key.
    pub session_keys: usize,
    /// Memory for one Argon2 pass in octets. Source: RFC 9106, section 4, first recommended option, which RFC 9580's own examples (A.12) use.
    pub argon2_memory: usize,
    /// What deriving keys from passwords may cost in one message or key file, all tries together, in iterations of PBKDF2 with HMAC-SHA-256
    /// (`crypto::pbkdf2_cost` and its siblings): two seconds. Argon2 counts its memory in KiB times its passes, and may take four passes over
    /// `argon2_memory`: eight seconds. Source: DESIGN 8; 16 times what OWASP asks for PBKDF2, and 20 times what GnuPG's longest S2K takes.
    pub kdf_iterations: u32,
    /// The time that all look-ups of keys on the network may take together. Source: DESIGN 8.
    pub network: Duration,
    /// ASN.1 elements within elements. Source: a time stamp within a time stamp within a signed message is 40 deep.
    pub asn1_depth: usize,
    /// ASN.1 elements of one structure. Source: 1,000 recipients or 50,000 lines of a CRL have about 25,000 and 250,000.
    pub asn1_elements: usize,
    /// Certificates that come with one layer. Source: DESIGN 8; four signers with paths of four make 16.
    pub certificates: usize,
    /// Certificates of one path. Source: DESIGN 8; the longest of PKITS has eight, and RFC 4158, section 2.4 expects fewer.
    pub path_length: usize,
    /// Signatures of certificates, CRLs and OCSP responses verified for one message. Source: DESIGN 8; 20 times webpki's 100 for one
    /// path, for 20 signers.
    pub path_signatures: usize,
    /// Names compared with name constraints. Source: the 250,000 of webpki and of Go's crypto/x509.
    pub name_comparisons: usize,
}

impl Limits {
    /// Octets of the header of a message that goes on as it came, which is read for its fields alone. Source: 1 MiB, ten times Postfix's
    /// `header_size_limit`; what is made of its fields takes up to 25 times that memory.
    pub fn unread_header(&self) -> usize {
        self.header.saturating_mul(4)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            nesting: 64,
            parts: 1_000,
            layers: 8,
            errant: 32,
            header: 256 * 1024,
            headers: 16 * 1024 * 1024,
            message: 64 * 1024 * 1024,
            ratio: 200,
            expansion: 1,
            hashed: 4,
            deciphered: 16,
            parameters: 128,
            packets: 1_000,
            key_packets: 50_000,
            revocations: 64,
            revocation_octets: 16 * 1024 * 1024,
            certificate_octets: 1024 * 1024,
            copies: 8,
            signatures: 32,
            session_keys: 1_000,
            argon2_memory: 2 * 1024 * 1024 * 1024,
            kdf_iterations: 10_000_000,
            network: Duration::from_secs(10),
            asn1_depth: 64,
            asn1_elements: 250_000,
            certificates: 64,
            path_length: 64,
            path_signatures: 2_000,
            name_comparisons: 250_000,
        }
    }
}

/// What is left of the [`Limits`] for one message. Spending more than is left is an [`Error`] of kind `Malformed`.
#[derive(Clone, Debug)]
pub struct Budget {
    limits: Limits,
    parts: usize,
    layers: usize,
    errant: usize,
    /// Octets.
    headers: usize,
    packets: usize,
    /// Octets.
    expanded: usize,
    /// Octets.
    hashed: usize,
    /// Octets.
    deciphered: usize,
    derivations: u64,
    unwrappings: usize,
    path_signatures: usize,
    name_comparisons: usize,
}

impl Budget {
    /// A full budget, for a message of any size.
    pub fn new(limits: Limits) -> Self {
        let octets = limits.message;
        Self::of_message(limits, octets)
    }

    /// A full budget for a message of so many octets: a short one may be hashed and decrypted for a shorter time.
    pub fn of_message(limits: Limits, octets: usize) -> Self {
        let counted = octets.max(SHORT);
        Budget {
            parts: limits.parts,
            layers: limits.layers,
            errant: limits.errant,
            headers: limits.headers,
            packets: limits.packets,
            expanded: limits.message.saturating_mul(limits.expansion),
            hashed: counted.saturating_mul(limits.hashed),
            deciphered: counted.saturating_mul(limits.deciphered),
            derivations: limits.kdf_iterations.into(),
            unwrappings: limits.session_keys,
            path_signatures: limits.path_signatures,
            name_comparisons: limits.name_comparisons,
            limits,
        }
    }

    /// The bounds it started from.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// One more part of the message.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn part(&mut self) -> Result<()> {
        spend(&mut self.parts, "message", "parts", self.limits.parts)
    }

    /// One more cryptographic layer.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn layer(&mut self) -> Result<()> {
        spend(&mut self.layers, "message", "cryptographic layers", self.limits.layers)
    }

    /// One more part or block below the root that is opened.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn errant(&mut self) -> Result<()> {
        spend(&mut self.errant, "message", "sealed parts below the root", self.limits.errant)
    }

    /// The Budget for opening the same message once more, with other keys: it may have as many parts and layers again, and what was worked on
    /// it is spent.
    #[must_use]
    pub fn once_more(&self) -> Self {
        let Limits { parts, layers, errant, headers, packets, .. } = self.limits;
        Budget { parts, layers, errant, headers, packets, ..self.clone() }
    }

    /// One more key derived from a password, at a cost as `kdf_iterations` counts it.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn derivation(&mut self, cost: u64) -> Result<()> {
        let limit = self.limits.kdf_iterations;
        let over = || Error::over_budget("password", format!("its key derivations cost more than {limit} iterations"));
        self.derivations = self.derivations.checked_sub(cost).ok_or_else(over)?;
        Ok(())
    }

    /// The same, with the cost of key derivation allowed once for each of so many passwords that the owner gave: for stored keys, not for received
    /// messages.
    #[must_use]
    pub fn for_each_password(self, passwords: usize) -> Self {
        let passwords = u64::try_from(passwords.max(1)).unwrap_or(u64::MAX);
        Budget { derivations: self.derivations.saturating_mul(passwords), ..self }
    }

    /// Refuses a nesting deeper than the limit; `depth` counts from 1.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn depth(&self, depth: usize) -> Result<()> {
        within(depth, self.limits.nesting, "message", "levels of nested parts")
    }

    /// Refuses a header section of more octets than the limit.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn header(&self, octets: usize) -> Result<()> {
        within(octets, self.limits.header, "header", "octets")
    }

    /// The header section of one more part, of so many octets.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn header_of_part(&mut self, octets: usize) -> Result<()> {
        self.header(octets)?;
        let limit = self.limits.headers;
        spend_octets(&mut self.headers, octets, "message", || {
            format!("more than {limit} octets of header in its parts")
        })
    }

    /// The error for a header field with more parameters than the limit.
    pub fn parameters_exceeded(&self, field: &str) -> Error {
        let reason = format!("more than {} parameters", self.limits.parameters);
        Error::over_budget(format_args!("header field {field:?}"), reason)
    }

    /// Refuses a message of more octets than the limit.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn message(&self, octets: usize) -> Result<()> {
        within(octets, self.limits.message, "message", "octets")
    }

    /// Refuses what came out of `input` octets by decryption or decompression when it is out of proportion.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn expanded(&self, input: usize, output: usize) -> Result<()> {
        within(output, self.limits.message.saturating_mul(self.limits.expansion), "decompressed data", "octets")?;
        // Small inputs may expand freely: a few kilobytes of spaces are harmless.
        let allowed = input.saturating_mul(self.limits.ratio).max(1024 * 1024);
        within(output, allowed, "decompressed data", "octets for its compressed size")
    }

    /// Makes room in `octets` for `more` that come out of decompression: twice what there is, and no more than a message may have. What a vector outgrows
    /// stays beside it until it was copied.
    pub fn make_room(&self, octets: &mut Vec<u8>, more: usize) {
        let (have, room) = (octets.len(), octets.capacity());
        if room - have >= more {
            return;
        }
        let most = self.limits.message.saturating_mul(self.limits.expansion).saturating_add(more);
        let wanted = room.saturating_mul(2).min(most).max(have.saturating_add(more));
        octets.reserve_exact(wanted - have);
    }

    /// So many more octets that came out of decompression.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn decompressed(&mut self, octets: usize) -> Result<()> {
        let limit = self.limits.message.saturating_mul(self.limits.expansion);
        spend_octets(&mut self.expanded, octets, "decompressed data", || format!("more than {limit} octets"))
    }

    /// So many more octets hashed for signatures; a slow hash function counts for several.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn hashed(&mut self, octets: usize) -> Result<()> {
        let times = self.limits.hashed;
        spend_octets(&mut self.hashed, octets, "signatures", || format!("more than {times} times the message to hash"))
    }

    /// So many more octets that a cipher is run over; a slow one counts for several.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn deciphered(&mut self, octets: usize) -> Result<()> {
        let times = self.limits.deciphered;
        spend_octets(&mut self.deciphered, octets, "encrypted data", || {
            format!("more than {times} times the message to decrypt")
        })
    }

    /// One more OpenPGP packet in the place of a detached signature.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn packet(&mut self) -> Result<()> {
        spend(&mut self.packets, "signature", "packets", self.limits.packets)
    }

    /// Refuses more CRLs and OCSP responses in one layer than the limit.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn revocations(&self, count: usize) -> Result<()> {
        within(count, self.limits.revocations, "layer", "revocation lists")
    }

    /// Refuses more octets of CRLs and OCSP responses in one layer than the limit.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn revocation_octets(&self, octets: usize) -> Result<()> {
        within(octets, self.limits.revocation_octets, "layer", "octets of revocation lists")
    }

    /// Refuses more octets of certificates in one layer than the limit: what is read from one takes many times its memory.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn certificate_octets(&self, octets: usize) -> Result<()> {
        within(octets, self.limits.certificate_octets, "layer", "octets of certificates")
    }

    /// Refuses more signatures in one layer than the limit.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn signatures(&self, count: usize) -> Result<()> {
        within(count, self.limits.signatures, "layer", "signatures")
    }

    /// Refuses more encrypted session keys in one layer than the limit.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn session_keys(&self, count: usize) -> Result<()> {
        within(count, self.limits.session_keys, "layer", "encrypted session keys")
    }

    /// Refuses more octets of copies of one message than the limit.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn copies(&self, octets: usize) -> Result<()> {
        let limit = self.limits.message.saturating_mul(self.limits.copies);
        let over = || {
            Error::over_budget("message", format!("its copies have more than {limit} octets"))
                .with_hint("send it to fewer at a time")
        };
        (octets <= limit).then_some(()).ok_or_else(over)
    }

    /// Refuses more certificates in one layer than the limit.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn certificates(&self, count: usize) -> Result<()> {
        within(count, self.limits.certificates, "layer", "certificates")
    }

    /// One more try to unwrap a session key, in whatever layer, which takes as long as `cost` of the usual ones: each may cost two milliseconds, and
    /// a message may have a thousand parts.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn unwrapping(&mut self, cost: usize) -> Result<()> {
        self.unwrappings = self.unwrappings.saturating_sub(cost.saturating_sub(1));
        spend(&mut self.unwrappings, "message", "encrypted session keys to try", self.limits.session_keys)
    }

    /// Refuses ASN.1 that nests deeper than the limit; `depth` counts from 1.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn asn1_depth(&self, depth: usize) -> Result<()> {
        within(depth, self.limits.asn1_depth, "asn.1", "elements within one another")
    }

    /// Refuses a structure of more ASN.1 elements than the limit.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn asn1_elements(&self, count: usize) -> Result<()> {
        within(count, self.limits.asn1_elements, "asn.1", "elements")
    }

    /// One more signature over so many octets verified to find a certification path, which takes as long as `cost` of the usual ones; what is long to
    /// hash counts for several too.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn path_signature(&mut self, cost: usize, octets: usize) -> Result<()> {
        let more = cost.saturating_sub(1).saturating_add(octets / (256 * 1024));
        self.path_signatures = self.path_signatures.saturating_sub(more);
        spend(&mut self.path_signatures, "certification path", "signatures to verify", self.limits.path_signatures)
    }

    /// One more comparison of a name of so many octets with a name constraint; a long name counts for several.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is over the limit.
    pub fn name_comparison(&mut self, octets: usize) -> Result<()> {
        let limit = self.limits.name_comparisons;
        self.name_comparisons = self.name_comparisons.saturating_sub(octets / 256);
        spend(&mut self.name_comparisons, "certification path", "comparisons with name constraints", limit)
    }
}

fn spend(left: &mut usize, place: &str, what: &str, limit: usize) -> Result<()> {
    match left.checked_sub(1) {
        Some(rest) => {
            *left = rest;
            Ok(())
        }
        None => Err(Error::over_budget(place, format!("more than {limit} {what}"))),
    }
}

fn spend_octets(left: &mut usize, octets: usize, place: &str, reason: impl FnOnce() -> String) -> Result<()> {
    match left.checked_sub(octets) {
        Some(rest) => {
            *left = rest;
            Ok(())
        }
        None => {
            // Once over the limit, nothing more fits.
            *left = 0;
            Err(Error::over_budget(place, reason()))
        }
    }
}

fn within(value: usize, limit: usize, place: &str, what: &str) -> Result<()> {
    if value > limit {
        return Err(Error::over_budget(place, format!("more than {limit} {what}")));
    }
    Ok(())
}

/// Octets that a short message is counted as. A few milliseconds of work.
const SHORT: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// A CRL of 64 MiB costs as much as 257 signatures over a certificate.
    #[test]
    fn long_octets_cost_more() {
        let mut budget = Budget::new(Limits::default());
        let paid = (0..100).take_while(|_| budget.path_signature(1, 64 * 1024 * 1024).is_ok()).count();
        assert_eq!(paid, 7);
        let mut budget = Budget::new(Limits::default());
        let paid = (0..9_000).take_while(|_| budget.path_signature(1, 1_000).is_ok()).count();
        assert_eq!(paid, 2_000);
    }
}
