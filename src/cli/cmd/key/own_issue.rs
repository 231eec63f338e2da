//! Certificates that an authority of this home issued. They are its record: who has one, and which ones its list revokes.

use postseal::{
    base::Result,
    keys::{ProtocolName, Record},
    protocol::smime::{authority::authorities, record::certificate},
    report::printable,
    store::Keystore,
};

/// The name of the authority of this home that issued a certificate.
pub(super) fn issuer(record: &Record, home: &Keystore) -> Result<Option<String>> {
    if record.protocol() != ProtocolName::Smime {
        return Ok(None);
    }
    let issued = certificate(record)?;
    for authority in authorities(home)? {
        let authority = certificate(&authority)?;
        if authority.der() != issued.der() && issued.is_issued_by(&authority) {
            return Ok(Some(printable(&authority.subject().to_string())));
        }
    }
    Ok(None)
}
