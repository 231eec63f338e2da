//! Certification and revocation lists by mail (RFC 1424; RFC 1421, section 4.6.1.1.4): reads and writes these messages.

use std::sync::Arc;

use super::{
    boundary,
    canonical::{self, printable},
    header::{Header, ProcType},
    text, verify,
};
use crate::{
    base::{Budget, Error, Limits, Result},
    mail::encoding::base64_decode,
    pki::{self, Certificate, Name},
};

/// The certificates, lists and requests in the PEM messages of a file.
#[derive(Debug, Default)]
pub struct Carried {
    /// Revocation lists in DER, in order.
    pub lists: Vec<Arc<[u8]>>,
    /// Certificates of originators and issuers in DER, in order.
    pub certificates: Vec<Vec<u8>>,
    /// Names of issuers whose revocation lists are requested.
    pub asked: Vec<Name>,
}

/// Reads the PEM messages in `octets`; `None` if there are none. `place` names the file in errors.
///
/// # Errors
///
/// `Malformed` if a header, a list or a name cannot be read.
pub fn carried(octets: &[u8], place: &str, limits: &Limits) -> Result<Option<Carried>> {
    let budget = Budget::new(limits.clone());
    let mut carried = None;
    for block in boundary::blocks(octets) {
        let inside = block.inside.of(octets);
        if text::proc_type_of(inside).is_none() {
            continue;
        }
        let refused = |error| Error::malformed(place, error);
        let (header, _) = text::read(inside, &budget).map_err(refused)?;
        let carried: &mut Carried = carried.get_or_insert_default();
        carried.certificates.extend(certificates(&header).map(<[u8]>::to_vec));
        for list in header.crls {
            pki::check_statement(&list).map_err(refused)?;
            carried.lists.push(list.into());
        }
        for name in &header.issuers {
            carried.asked.push(Name::parse(name).map_err(refused)?);
        }
    }
    Ok(carried)
}

/// Writes a message with `lists` and `certificates` of their issuers, for storage or as reply to a request (RFC 1424,
/// sections 3.3 and 3.6). The certificate of an issuer follows its list.
pub fn list_message(lists: &[Arc<[u8]>], certificates: &[Certificate]) -> Vec<u8> {
    let mut fields = vec!["Proc-Type: 4,CRL\r\n".to_owned()];
    let mut rest: Vec<&Certificate> = certificates.iter().collect();
    for list in lists {
        fields.push(field("CRL", list));
        let issuer = pki::list_issuer(list).ok();
        if let Some(at) = rest.iter().position(|one| Some(one.subject()) == issuer.as_ref()) {
            fields.push(field("Originator-Certificate", rest.remove(at).der()));
        }
    }
    fields.extend(rest.iter().map(|one| field("Issuer-Certificate", one.der())));
    message(&fields)
}

/// Writes a message that requests the latest revocation lists of these issuers (RFC 1424, section 3.5).
pub fn list_request(issuers: &[&Name]) -> Vec<u8> {
    let mut fields = vec!["Proc-Type: 4,CRL-RETRIEVAL-REQUEST\r\n".to_owned()];
    fields.extend(issuers.iter().map(|issuer| field("Issuer", issuer.der())));
    message(&fields)
}

/// Writes the reply to a certification request (RFC 1424, section 3.2): the request with the new certificate in place
/// of the self-signed one, and its path. Text and signature are unchanged.
///
/// # Errors
///
/// `Malformed` if `request` is not a certification request, or either of its signatures is invalid; `Usage` if the
/// certificate has another key or another name.
pub fn certification_reply(request: &[u8], certificate: &Certificate, issuers: &[Certificate]) -> Result<Vec<u8>> {
    let refuse = |reason: &str| Error::malformed("certification request", reason);
    let block = boundary::blocks(request).next().ok_or_else(|| refuse("has no pem message"))?;
    let inside = block.inside.of(request);
    let (header, text) = text::read(inside, &Budget::new(Limits::default()))?;
    if !matches!(header.proc_type, ProcType::MicClear | ProcType::MicOnly) {
        return Err(refuse("is neither MIC-CLEAR nor MIC-ONLY"));
    }
    let [originator] = header.originators.as_slice() else { return Err(refuse("does not have exactly one signer")) };
    let own = originator.certificate.as_ref().ok_or_else(|| refuse("holds no certificate"))?;
    let own = Certificate::parse(own)?;
    if !own.is_self_signed() {
        return Err(refuse("its certificate is not signed by its own key"));
    }
    let text = match header.proc_type {
        ProcType::MicClear => canonical::of_clear(text),
        _ => base64_decode(text),
    };
    if !verify::holds(originator, own.public_key(), &text) {
        return Err(refuse("its signature is not valid"));
    }
    if own.public_key().der() != certificate.public_key().der() || own.subject() != certificate.subject() {
        return Err(Error::usage("certificate: of another key or name than the request's"));
    }
    let mut fields = field("Originator-Certificate", certificate.der());
    issuers.iter().for_each(|issuer| fields.push_str(&field("Issuer-Certificate", issuer.der())));
    let (before, after) = around(inside, b"originator-certificate:").ok_or_else(|| refuse("holds no certificate"))?;
    let head = request.get(..block.inside.start).unwrap_or_default();
    let tail = request.get(block.inside.end..).unwrap_or_default();
    Ok([head, before, fields.as_bytes(), after, tail].concat())
}

/// The certificates in a header.
fn certificates(header: &Header) -> impl Iterator<Item = &[u8]> {
    header.originators.iter().flat_map(|one| one.certificate.iter().chain(&one.issuers)).map(Vec::as_slice)
}

/// The header before and after the field `name`, given in lower case with its colon.
fn around<'a>(header: &'a [u8], name: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut at = 0;
    let mut begins = None;
    for line in header.split_inclusive(|octet| *octet == b'\n') {
        let is_folded = line.starts_with(b" ") || line.starts_with(b"\t");
        match begins {
            Some(start) if !is_folded => return header.get(..start).zip(header.get(at..)),
            None if line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)) => begins = Some(at),
            _ => {}
        }
        at += line.len();
    }
    None
}

fn field(name: &str, octets: &[u8]) -> String {
    format!("{name}:\r\n{}", printable(octets, " "))
}

fn message(fields: &[String]) -> Vec<u8> {
    let (begin, end) = ("-----BEGIN PRIVACY-ENHANCED MESSAGE-----", "-----END PRIVACY-ENHANCED MESSAGE-----");
    format!("{begin}\r\n{}{end}\r\n", fields.concat()).into_bytes()
}
