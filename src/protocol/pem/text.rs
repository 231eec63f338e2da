//! Parses an encapsulated header, and separates it from the text (RFC 1421, section 4.6).
//!
//! Also accepts the `X-` names of RFC 1113, version 2001 of RIPEM and EDGAR, bare keys and names in place of
//! certificates, and the requests of RFC 1424.

use std::borrow::Cow;

use memchr::memchr;

use super::header::{CertificateId, DekInfo, Header, KeyInfo, MicInfo, Originator, ProcType, Recipient, SharedKeyId};
use crate::{
    base::{Budget, Error, Result},
    mail::{
        encoding::{base64_decode, is_base64},
        header::first_field,
    },
};

/// Reads the content of a block: its header, and its text unchanged.
///
/// # Errors
///
/// `Malformed` names the field that cannot be read.
pub fn read<'a>(inside: &'a [u8], budget: &Budget) -> Result<(Header, &'a [u8])> {
    let (header, text) = split(inside);
    budget.header(header.len())?;
    let mut fields = fields(header);
    let first = fields.next().transpose()?.filter(|(name, _)| name == "proc-type");
    // RFC 1421, section 4.6.1.1: it must be the first field.
    let (_, value) = first.ok_or_else(|| refuse("does not begin with Proc-Type"))?;
    let mut reading = Reading::new(proc_type(&value)?);
    for field in fields {
        let (name, value) = field?;
        reading.field(&name, &value)?;
    }
    let header = reading.header;
    budget.signatures(header.originators.len())?;
    budget.session_keys(header.recipients.len())?;
    let issuers = header.originators.iter().map(|one| one.issuers.len()).max().unwrap_or(0);
    if issuers > MAX_ISSUERS {
        return Err(refuse(format!("more than {MAX_ISSUERS} certificates of issuers")));
    }
    Ok((header, text))
}

/// The processing type in the first line of a block; `None` if there is no known Proc-Type.
pub(super) fn proc_type_of(inside: &[u8]) -> Option<ProcType> {
    let (_, value) = fields(inside).next()?.ok().filter(|(name, _)| name == "proc-type")?;
    proc_type(&value).ok().map(|(_, kind)| kind)
}

/// The header, and the text after the empty line. A CRL message has no empty line and no text.
fn split(inside: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while let Some(rest) = inside.get(at..).filter(|rest| !rest.is_empty()) {
        let length = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        if rest.get(..length).is_some_and(|line| line.trim_ascii().is_empty()) {
            return (inside.get(..at).unwrap_or_default(), rest.get(length..).unwrap_or_default());
        }
        at += length;
    }
    (inside, &[])
}

/// `octets` as text, without white space around it.
fn text(octets: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(octets.trim_ascii())
}

/// Names in lower case without `X-` (RFC 1421, section 4.6), and unfolded values.
fn fields(header: &[u8]) -> impl Iterator<Item = Result<(String, String)>> + use<'_> {
    let mut rest = header;
    std::iter::from_fn(move || {
        let (raw, after) = rest.split_at_checked(first_field(rest)).filter(|(raw, _)| !raw.is_empty())?;
        rest = after;
        Some(field(raw))
    })
}

fn field(raw: &[u8]) -> Result<(String, String)> {
    if raw.starts_with(b" ") || raw.starts_with(b"\t") {
        return Err(refuse("begins with a folded line"));
    }
    let mut lines = raw.split(|octet| *octet == b'\n');
    let first = lines.next().unwrap_or_default();
    let split = memchr(b':', first).and_then(|colon| Some((first.get(..colon)?, first.get(colon + 1..)?)));
    let (name, start) = split.ok_or_else(|| refuse(format!("no field: {:?}", text(first))))?;
    let mut value = String::with_capacity(raw.len());
    value.push_str(&text(start));
    for line in lines.filter(|line| !line.is_empty()) {
        value.push(' ');
        value.push_str(&text(line));
    }
    let mut name = text(name).to_ascii_lowercase();
    if name.starts_with("x-") {
        name.drain(..2);
    }
    Ok((name, value))
}

fn proc_type(value: &str) -> Result<(&str, ProcType)> {
    let (version, kind) = value.split_once(',').ok_or_else(|| refuse("Proc-Type without a comma"))?;
    let (version, kind) = (version.trim(), kind.trim());
    if !["3", "4", "2001"].contains(&version) {
        return Err(refuse(format!("version {version:?} is not known")));
    }
    let known = PROC_TYPES.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(kind));
    let (_, proc_type) = known.ok_or_else(|| refuse(format!("Proc-Type {kind:?} is not known")))?;
    Ok((version, proc_type))
}

/// Proc-Types of RFC 1421, section 4.6.1.1, and RFC 1424, section 2.4.
const PROC_TYPES: [(&str, ProcType); 5] = [
    ("CRL", ProcType::Crl),
    ("CRL-RETRIEVAL-REQUEST", ProcType::CrlRetrievalRequest),
    ("ENCRYPTED", ProcType::Encrypted),
    ("MIC-CLEAR", ProcType::MicClear),
    ("MIC-ONLY", ProcType::MicOnly),
];

/// Reads header fields in order. Some belong to the field before (RFC 1421, sections 4.6.2 and 4.6.4).
struct Reading {
    header: Header,
    /// The field that a following Key-Info belongs to.
    last: Last,
}

enum Last {
    Neither,
    Originator,
    Recipient,
}

impl Reading {
    fn new((version, proc_type): (&str, ProcType)) -> Self {
        let header = Header {
            version: version.to_owned(),
            proc_type,
            content_domain: None,
            dek_info: None,
            originators: Vec::new(),
            recipients: Vec::new(),
            crls: Vec::new(),
            issuers: Vec::new(),
            unknown: Vec::new(),
            unclean: Vec::new(),
        };
        Reading { header, last: Last::Neither }
    }

    fn field(&mut self, name: &str, value: &str) -> Result<()> {
        if base64_of(name, value).is_some_and(|data| !is_clean(data)) {
            self.header.unclean.push(name.to_owned());
        }
        match name {
            "proc-type" => return Err(refuse("a second Proc-Type")),
            "content-domain" => self.header.content_domain = Some(value.to_owned()),
            "dek-info" if self.header.dek_info.is_some() => return Err(refuse("a second DEK-Info")),
            "dek-info" => {
                let (algorithm, parameters) = value.split_once(',').unwrap_or((value, ""));
                let parameters = hexadecimal(parameters).ok_or_else(|| refuse("DEK-Info: not hexadecimal digits"))?;
                self.header.dek_info = Some(DekInfo { algorithm: word(algorithm), parameters });
            }
            "originator-name" => self.originator(|one| one.name.is_none()).name = Some(value.to_owned()),
            "originator-certificate" | "certificate" => {
                let one = self.originator(|one| one.certificate.is_none() && one.key.is_none());
                one.certificate = Some(base64_decode(value.as_bytes()));
            }
            "originator-key-asymmetric" => {
                let one = self.originator(|one| one.key.is_none() && one.certificate.is_none());
                one.key = Some(base64_decode(value.as_bytes()));
            }
            "originator-id-asymmetric" => {
                let id = certificate_id(name, value)?;
                self.originator(|one| one.certificate_id.is_none()).certificate_id = Some(id);
            }
            "originator-id-symmetric" => {
                let id = shared_key(value, ',');
                self.originator(|one| one == &Originator::default()).shared_key = Some(id);
            }
            // RFC 1113, section 4.6.2.1: for both kinds.
            "sender-id" | "originator-id" => {
                let id = shared_key(value, ':');
                self.originator(|one| one == &Originator::default()).shared_key = Some(id);
            }
            "issuer-certificate" => {
                let one = self.header.originators.last_mut();
                // Those of a revocation list do not concern a message.
                if let Some(one) = one {
                    one.issuers.push(base64_decode(value.as_bytes()));
                }
            }
            "mic-info" => {
                let one = self.header.originators.last_mut().ok_or_else(|| refuse("MIC-Info without an originator"))?;
                if one.mic_info.is_some() {
                    return Err(refuse("a second MIC-Info for one originator"));
                }
                one.mic_info = Some(mic_info(value)?);
            }
            "key-info" => self.key_info(value)?,
            "recipient-name" => self.recipient(|one| one.name.is_none()).name = Some(value.to_owned()),
            "recipient-key-asymmetric" => {
                self.recipient(|one| one.key.is_none()).key = Some(base64_decode(value.as_bytes()));
            }
            "recipient-id-asymmetric" => {
                let id = certificate_id(name, value)?;
                self.recipient(|one| one.certificate_id.is_none()).certificate_id = Some(id);
            }
            "recipient-id-symmetric" => {
                // RFC 1421, section 4.6.4.1: not allowed before an Originator-ID-Symmetric.
                if !self.header.originators.iter().any(|one| one.shared_key.is_some()) {
                    return Err(refuse("Recipient-ID-Symmetric before Originator-ID-Symmetric"));
                }
                let id = shared_key(value, ',');
                self.recipient(|one| one.shared_key.is_none()).shared_key = Some(id);
            }
            "recipient-id" => {
                let id = shared_key(value, ':');
                self.recipient(|one| one.shared_key.is_none()).shared_key = Some(id);
            }
            "crl" => self.header.crls.push(base64_decode(value.as_bytes())),
            "issuer" => self.header.issuers.push(base64_decode(value.as_bytes())),
            // Unknown fields have no effect, but a reader sees them.
            _ => self.header.unknown.push(name.to_owned()),
        }
        Ok(())
    }

    /// The originator that a field belongs to: the last one, unless its signature has come or the field does not fit.
    fn originator(&mut self, fits: impl Fn(&Originator) -> bool) -> &mut Originator {
        self.last = Last::Originator;
        let list = &mut self.header.originators;
        let at = match list.last() {
            Some(last) if last.mic_info.is_none() && fits(last) => list.len() - 1,
            _ => list.len(),
        };
        nth(list, at)
    }

    /// The recipient that a field belongs to: the last one, unless its key has come or the field does not fit.
    fn recipient(&mut self, fits: impl Fn(&Recipient) -> bool) -> &mut Recipient {
        self.last = Last::Recipient;
        let list = &mut self.header.recipients;
        let at = match list.last() {
            Some(last) if last.key_info.is_none() && fits(last) => list.len() - 1,
            _ => list.len(),
        };
        nth(list, at)
    }

    fn key_info(&mut self, value: &str) -> Result<()> {
        let info = key_info(value)?;
        let slot = match self.last {
            Last::Neither => None,
            Last::Originator => self.header.originators.last_mut().map(|one| &mut one.key_info),
            Last::Recipient => self.header.recipients.last_mut().map(|one| &mut one.key_info),
        };
        let slot =
            slot.filter(|slot| slot.is_none()).ok_or_else(|| refuse("Key-Info without originator or recipient"))?;
        *slot = Some(info);
        Ok(())
    }
}

/// The element at `at`, appended if it is the one after the last.
fn nth<T: Default>(list: &mut Vec<T>, at: usize) -> &mut T {
    list.resize_with(list.len().max(at + 1), T::default);
    let last = list.len() - 1;
    // The list is not empty now.
    #[expect(clippy::indexing_slicing, reason = "the list was made long enough in the line above")]
    &mut list[at.min(last)]
}

fn certificate_id(name: &str, value: &str) -> Result<CertificateId> {
    let (issuer, serial) = value.rsplit_once(',').ok_or_else(|| refuse(format!("{name}: no serial number")))?;
    let serial = hexadecimal(serial).ok_or_else(|| refuse(format!("{name}: an invalid serial number")))?;
    Ok(CertificateId { issuer: base64_decode(issuer.as_bytes()), serial })
}

fn shared_key(value: &str, separator: char) -> SharedKeyId {
    let mut parts = value.split(separator).map(|part| part.trim().to_owned());
    let mut next = || parts.next().unwrap_or_default();
    SharedKeyId { entity: next(), authority: next(), version: next() }
}

fn mic_info(value: &str) -> Result<MicInfo> {
    let mut parts = value.splitn(3, ',');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(digest), Some(algorithm), Some(value)) => {
            Ok(MicInfo { digest: word(digest), algorithm: word(algorithm), value: base64_decode(value.as_bytes()) })
        }
        _ => Err(refuse("MIC-Info: fewer than three arguments")),
    }
}

fn key_info(value: &str) -> Result<KeyInfo> {
    let parts: Vec<&str> = value.splitn(4, ',').collect();
    match parts.as_slice() {
        [algorithm, dek] => Ok(KeyInfo::Asymmetric { algorithm: word(algorithm), dek: base64_decode(dek.as_bytes()) }),
        [algorithm, digest, dek, mic] => {
            let no_digits = || refuse("Key-Info: not hexadecimal digits");
            let dek = hexadecimal(dek).ok_or_else(no_digits)?;
            // RFC 1113 has a comma between the halves of the digest.
            let mic = hexadecimal(&mic.replace(',', "")).ok_or_else(no_digits)?;
            Ok(KeyInfo::Symmetric { algorithm: word(algorithm), digest: word(digest), dek, mic })
        }
        _ => Err(refuse("Key-Info: neither two arguments nor four")),
    }
}

/// The base64 in the value of field `name`.
fn base64_of<'a>(name: &str, value: &'a str) -> Option<&'a str> {
    match name {
        "certificate"
        | "crl"
        | "issuer"
        | "issuer-certificate"
        | "originator-certificate"
        | "originator-key-asymmetric"
        | "recipient-key-asymmetric" => Some(value),
        "originator-id-asymmetric" | "recipient-id-asymmetric" => value.rsplit_once(',').map(|(issuer, _)| issuer),
        "mic-info" => value.splitn(3, ',').nth(2),
        "key-info" => value.split_once(',').map(|(_, dek)| dek).filter(|dek| !dek.contains(',')),
        _ => None,
    }
}

/// Whether a value is only lines of base64, all of the same length except the first, which may share its line with the
/// field name, and the last. Other lines could be text that a reader shows.
fn is_clean(value: &str) -> bool {
    let lines: Vec<&str> = value.split_ascii_whitespace().collect();
    let whole = lines.get(1..lines.len().saturating_sub(1)).unwrap_or_default();
    let (length, last) = (whole.first().map_or(0, |line| line.len()), lines.last().map_or(0, |line| line.len()));
    whole.iter().all(|line| line.len() == length)
        && (whole.is_empty() || last <= length)
        && is_base64(lines.join("\n").as_bytes())
}

/// The name of an algorithm, in upper case.
fn word(text: &str) -> String {
    text.trim().to_ascii_uppercase()
}

/// Decodes hexadecimal digits, ignoring spaces. An odd first digit is an octet of its own.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits?;
    let odd = digits.len() % 2;
    let (first, pairs) = digits.split_at_checked(odd)?;
    let paired = pairs.chunks_exact(2).map(|pair| pair.iter().fold(0, |octet, digit| octet << 4 | digit));
    Some(first.iter().copied().chain(paired).collect())
}

fn refuse(reason: impl std::fmt::Display) -> Error {
    Error::malformed("pem header", reason)
}

/// Source: RFC 1422, section 3.3: IPRA, PCA, and the authorities of one organization. The default limit is 64
/// certificates.
const MAX_ISSUERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::Limits, protocol::pem::boundary};

    fn budget() -> Budget {
        Budget::new(Limits::default())
    }

    /// RFC 1113, section 4.6, shortened: one boundary for both ends, names with `X-`, colons in identifiers.
    #[test]
    fn the_form_of_rfc_1113() {
        let text = "-----PRIVACY-ENHANCED MESSAGE BOUNDARY-----\nX-Proc-Type: 3,ENCRYPTED\nX-DEK-Info: DES-CBC,F8143EDE5960C597\n\
                    X-Sender-ID: linn@ccy.bbn.com::\nX-Recipient-ID: linn@ccy.bbn.com:ptf-kmc:3\n\
                    X-Key-Info: DES-ECB,RSA-MD2,9FD3AAD2F2691B9A,B70665BB9BF7CBCD,\n A60195DB94F727D3\n\nLLrH\n\
                    -----PRIVACY-ENHANCED MESSAGE BOUNDARY-----\n";
        let found: Vec<_> = boundary::blocks(text.as_bytes()).collect();
        assert_eq!(found.len(), 1);
        let (header, body) = read(found[0].inside.of(text.as_bytes()), &budget()).unwrap();
        assert_eq!((header.version.as_str(), body), ("3", &b"LLrH\n"[..]));
        let id = header.recipients[0].shared_key.as_ref().unwrap();
        assert_eq!(
            (id.entity.as_str(), id.authority.as_str(), id.version.as_str()),
            ("linn@ccy.bbn.com", "ptf-kmc", "3")
        );
        let Some(KeyInfo::Symmetric { mic, .. }) = &header.recipients[0].key_info else { panic!("no shared key") };
        assert_eq!(mic.len(), 16);
    }

    #[test]
    fn unreadable_fields_are_named() {
        for (header, reason) in [
            ("", "does not begin with Proc-Type"),
            ("Content-Domain: RFC822\nProc-Type: 4,MIC-ONLY\n", "does not begin with Proc-Type"),
            (" folded\n", "begins with a folded line"),
            ("Proc-Type: 4\n", "Proc-Type without a comma"),
            ("Proc-Type: 5,MIC-CLEAR\n", "version \"5\" is not known"),
            ("Proc-Type: 4,MIC\n", "Proc-Type \"MIC\" is not known"),
            ("Proc-Type: 4,MIC-ONLY\nProc-Type: 4,ENCRYPTED\n", "a second Proc-Type"),
            ("Proc-Type: 4,ENCRYPTED\nDEK-Info: DES-CBC,xy\n", "DEK-Info: not hexadecimal digits"),
            ("Proc-Type: 4,MIC-ONLY\nMIC-Info: RSA-MD5,RSA,AA==\n", "MIC-Info without an originator"),
            ("Proc-Type: 4,MIC-ONLY\nOriginator-Name: a\nMIC-Info: RSA-MD5\n", "MIC-Info: fewer than three arguments"),
            ("Proc-Type: 4,ENCRYPTED\nKey-Info: RSA,AA==\n", "Key-Info without originator or recipient"),
            (
                "Proc-Type: 4,ENCRYPTED\nRecipient-ID-Symmetric: a,b,c\n",
                "Recipient-ID-Symmetric before Originator-ID-Symmetric",
            ),
            ("Proc-Type: 4,ENCRYPTED\nRecipient-Name: a\nKey-Info: RSA\n", "Key-Info: neither two arguments nor four"),
            ("Proc-Type: 4,MIC-ONLY\nno field\n", "no field: \"no field\""),
        ] {
            let error = read(header.as_bytes(), &budget()).unwrap_err();
            assert_eq!(error.to_string(), format!("pem header: {reason}"), "{header:?}");
        }
    }

    #[test]
    fn hexadecimal_of_odd_length() {
        assert_eq!(hexadecimal(" 66 "), Some(vec![0x66]));
        assert_eq!(hexadecimal("1 66"), Some(vec![1, 0x66]));
        assert_eq!(hexadecimal("6g"), None);
    }
}
