//! Where a certificate says that more about it can be fetched (RFC 5280, sections 4.2.1.13 and 4.2.2.1). The maker of the certificate chose the URLs.

use const_oid::db::rfc5280;
use der::asn1::ObjectIdentifier;

use super::{
    Certificate,
    distribution::Point,
    general_name::GeneralName,
    tlv::{OID, Reader},
};
use crate::base::Result;

impl Certificate {
    /// The URLs of its CRLs, of HTTP and HTTPS. Those of a part of the reasons are left out, and nothing is returned when they cannot be read.
    pub fn crl_urls(&self) -> Vec<String> {
        let points = Point::all_of(self).unwrap_or_default();
        only_http(points.iter().filter(|point| point.is_of_all_reasons()).flat_map(Point::urls))
    }

    /// The URLs of its OCSP responders, of HTTP and HTTPS.
    pub fn ocsp_urls(&self) -> Vec<String> {
        only_http(self.access(&rfc5280::ID_AD_OCSP).unwrap_or_default())
    }

    /// The URLs of the certificates of its issuer, of HTTP and HTTPS.
    pub fn issuer_urls(&self) -> Vec<String> {
        only_http(self.access(&rfc5280::ID_AD_CA_ISSUERS).unwrap_or_default())
    }

    /// The URIs of the AuthorityInfoAccess with this method.
    fn access(&self, method: &ObjectIdentifier) -> Result<Vec<String>> {
        let Some(extension) = self.extensions().find(&rfc5280::ID_PE_AUTHORITY_INFO_ACCESS) else {
            return Ok(Vec::new());
        };
        let mut descriptions = Reader::new(extension, "authority information access").sequence()?;
        let mut urls = Vec::new();
        while !descriptions.is_finished() {
            let mut description = descriptions.sequence()?;
            let kind = description.expect(OID)?;
            if let (true, GeneralName::Uri(url)) = (kind.is(method), GeneralName::read(description.any()?)?) {
                urls.push(url);
            }
        }
        Ok(urls)
    }
}

fn only_http(urls: impl IntoIterator<Item = String>) -> Vec<String> {
    let is_http = |url: &String| {
        let scheme = url.split("://").next().unwrap_or_default();
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    };
    urls.into_iter().filter(is_http).take(MAX_URLS).collect()
}

/// Of one kind, in one certificate. Source: authorities name two places.
const MAX_URLS: usize = 4;
