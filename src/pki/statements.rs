//! CRLs and OCSP responses at hand.

use std::{cell::RefCell, collections::HashMap};

use super::{
    Certificate, Name, PublicKey,
    crl::Crl,
    ocsp::OcspResponse,
    status::{Asked, Origin, Worth},
};
use crate::base::{Budget, Result};

/// CRLs and OCSP responses, read and indexed once for all certificates of all paths; their entries are read when the first is asked for.
#[derive(Debug)]
pub struct Statements<'a> {
    /// By the normal form of the issuer's name.
    crls: HashMap<Vec<u8>, Vec<(Origin, Crl<'a>)>>,
    responses: Vec<OcspResponse<'a>>,
    /// Fingerprints of the CRL signers whose own paths are being looked for.
    signers: RefCell<Vec<[u8; 32]>>,
}

impl<'a> Statements<'a> {
    /// None at all.
    pub(super) fn none() -> Self {
        Statements { crls: HashMap::new(), responses: Vec::new(), signers: RefCell::new(Vec::new()) }
    }

    /// Reads the statements in the key sources, and those that came with the message. What is neither a CRL nor a successful OCSP response says
    /// nothing.
    pub fn read(owned: &[&'a [u8]], enclosed: &[&'a [u8]]) -> Self {
        let mut statements = Statements::none();
        let owned = owned.iter().map(|der| (Origin::Owner, der));
        for (origin, der) in owned.chain(enclosed.iter().map(|der| (Origin::Message, der))) {
            if let Ok(crl) = Crl::parse(der) {
                statements.crls.entry(crl.issuer().normal().to_vec()).or_default().push((origin, crl));
            } else if let Ok(response) = OcspResponse::parse(der) {
                statements.responses.push(response);
            }
        }
        statements
    }

    /// The CRLs that name `issuer` as their issuer.
    pub(super) fn of_issuer(&self, issuer: &Name) -> &[(Origin, Crl<'a>)] {
        self.crls.get(issuer.normal()).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.crls.is_empty() && self.responses.is_empty()
    }

    pub(super) fn responses(&self) -> &[OcspResponse<'a>] {
        &self.responses
    }

    /// The key of `signer`, who is not the issuer of `certificate`, for CRLs about it: its path must hold, and so must its own status.
    ///
    /// A CRL signer may publish its own status, as the issuer of a certificate in its own CRL does: there is no other source. What cannot be settled
    /// without going around in a larger circle is not settled.
    pub(super) fn signer_key(
        &self,
        signer: &Certificate,
        certificate: &Certificate,
        asked: &Asked<'_>,
        budget: &mut Budget,
    ) -> Result<Option<(PublicKey, Worth)>> {
        let fingerprint = signer.fingerprint();
        if self.signers.borrow().contains(&fingerprint) {
            return Ok((signer == certificate).then(|| (signer.public_key().clone(), Worth::Everything)));
        }
        if self.signers.borrow().len() >= DEEPEST {
            return Ok(None);
        }
        self.signers.borrow_mut().push(fingerprint);
        let key = asked.signers.key(signer, budget);
        self.signers.borrow_mut().pop();
        key
    }
}

/// Signers whose status is by CRLs of other signers, and so on. PKITS has one such below another.
const DEEPEST: usize = 8;
