//! The revocation status of one certificate from all statements about it. The result does not depend on their order.
//!
//! The rules, for a certificate at a time:
//!
//! 1. A statement counts when its signature is valid and its signer is authorized by the issuer. A CRL or delta that names the certificate counts
//!    whatever its scope; one that does not name it counts within its scope.
//! 2. CRLs of one issuer, one scope and one key are a *series*. Within a series the newest list that was issued by then counts, by CRL number
//!    and then by thisUpdate (RFC 5280, section 5.2.3). So a newer complete list that does not name the certificate undoes the entry of an older
//!    list: an issuer leaves out what is no longer on hold, and what it revoked by mistake. An older list undoes nothing.
//! 3. A newer delta undoes a hold by removeFromCRL, and nothing else (RFC 5280, section 5.3.1). A delta that does not name the certificate undoes
//!    nothing.
//! 4. A list in the message undoes nothing in the owner's own lists, whatever its age.
//! 5. A revocation in one series or OCSP response is not undone by any other series or response.
//! 6. A revocation counts until it is undone, also in a list that is no longer current, or that is newer than the time in question, if the
//!    certificate was revoked by then. A hold counts only in a current list or response; after that, what was issued before it does not prove
//!    that the certificate is good.
//! 7. The certificate is good when nothing revokes it, and current statements that are not outdated prove it for every reason
//!    (RFC 5280, section 6.3.3). A list with an unsupported critical extension, or with a weak signature, does not prove anything good, but its
//!    revocations count.

use std::time::SystemTime;

use super::{
    PublicKey,
    crl::{Crl, Freshness, Listed, Understood},
    distribution::Reasons,
    status::{Origin, Reason, Revoked, Status},
};

/// The statements about one certificate so far.
#[derive(Debug, Default)]
pub(super) struct News {
    revoked: Option<Revoked>,
    /// When the latest statement was issued that has it on hold and is no longer current.
    held: Option<SystemTime>,
    /// For which reasons it is said to be good, and when that was issued.
    good: Vec<(Reasons, SystemTime)>,
}

impl News {
    /// A statement issued at `issued` revokes the certificate, and is not taken back.
    pub(super) fn bad(&mut self, revoked: Revoked, freshness: Freshness, issued: SystemTime, at: SystemTime) {
        let by_then = revoked.since <= at;
        if freshness == Freshness::Current || (by_then && revoked.reason != Reason::Hold) {
            self.revoked = self.revoked.into_iter().chain([revoked]).min_by_key(Revoked::rank);
        } else if by_then {
            self.held = self.held.max(Some(issued));
        }
    }

    /// A current statement issued at `issued`: not revoked for these reasons.
    pub(super) fn good(&mut self, reasons: Reasons, issued: SystemTime) {
        self.good.push((reasons, issued));
    }

    /// Whether something revokes the certificate.
    pub(super) fn is_bad(&self) -> bool {
        self.revoked.is_some()
    }

    /// The resulting status; `flaw` is why the lists are not sufficient, if they are not.
    pub(super) fn status(&self, flaw: Option<Flaw>) -> Status {
        if let Some(revoked) = self.revoked {
            return Status::Revoked(revoked);
        }
        let counts = |issued: SystemTime| self.held.is_none_or(|held| issued > held);
        let good = self.good.iter().filter(|(_, issued)| counts(*issued));
        let known = good.fold(Reasons::NONE, |known, (reasons, _)| known.or(*reasons));
        if known.has(Reasons::ALL) {
            return Status::Good;
        }
        let (reason, section) = match flaw {
            _ if known != Reasons::NONE => ("the CRLs leave out some reasons", "6.3.3 (e)"),
            None if self.held.is_some() => ("it was on hold, and nothing newer says otherwise", "6.3.3 (a)"),
            None => ("there is no CRL of its issuer", "6.3.3"),
            Some(Flaw::Points) => ("its distribution points cannot be read", "4.2.1.13"),
            Some(Flaw::Scope) => ("no CRL of its issuer speaks of it", "6.3.3 (b)"),
            Some(Flaw::Signature) => ("no authorized signer signed the CRL", "6.3.3 (f)"),
            Some(Flaw::Freshness) => ("the CRL is not of this time", "6.3.3 (a)"),
            Some(Flaw::Extension) => ("the CRL has a critical extension that is not known", "5.2"),
        };
        Status::Unknown(format!("{reason} (RFC 5280, section {section})"))
    }
}

/// Why a CRL does not settle a status; a later one came further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flaw {
    Scope,
    Signature,
    Freshness,
    Extension,
    Points,
}

/// A CRL or delta that counts, as it concerns one certificate.
#[derive(Debug)]
pub(super) struct List<'l, 'a> {
    pub(super) crl: &'l Crl<'a>,
    pub(super) origin: Origin,
    /// The key that signed it.
    pub(super) key: PublicKey,
    /// The reasons that it covers for the certificate.
    pub(super) reasons: Reasons,
    pub(super) listed: Option<Listed>,
}

impl List<'_, '_> {
    fn was_issued_by(&self, at: SystemTime) -> bool {
        self.crl.freshness(at) != Freshness::Future
    }

    fn is_of_series(&self, other: &List<'_, '_>) -> bool {
        self.crl.is_of_series(other.crl) && self.key == other.key
    }

    /// Whether revocations in the older list `other` no longer count (rules 2 to 4).
    fn takes_back(&self, other: &List<'_, '_>, revoked: &Revoked, at: SystemTime) -> bool {
        let unsaid = match (self.crl.is_delta(), &self.listed) {
            (false, Some(Listed::Revoked(_))) => false,
            (false, None | Some(Listed::Removed)) => true,
            (true, listed) => revoked.reason == Reason::Hold && *listed == Some(Listed::Removed),
        };
        unsaid
            && self.origin >= other.origin
            && self.crl.understood() == Understood::Wholly
            && self.was_issued_by(at)
            && self.is_of_series(other)
            && self.crl.is_newer_than(other.crl)
    }

    /// Whether a list issued by then replaces this one (rule 2).
    fn is_outdated_by(&self, other: &List<'_, '_>, at: SystemTime) -> bool {
        !other.crl.is_delta()
            && other.was_issued_by(at)
            && other.is_of_series(self)
            && other.crl.is_newer_than(self.crl)
    }

    /// Whether this is a current delta that brings the complete list `other` up to date (RFC 5280, section 5.2.4).
    fn refreshes(&self, other: &List<'_, '_>, at: SystemTime) -> bool {
        self.crl.freshness(at) == Freshness::Current && self.crl.updates(other.crl) && self.key == other.key
    }
}

/// Adds the statements of `lists` to `news`; returns why they are not sufficient, if they are not.
pub(super) fn tell(lists: &[List<'_, '_>], at: SystemTime, news: &mut News) -> Option<Flaw> {
    let mut flaw = None;
    for list in lists {
        let mut deltas = lists.iter().filter(|other| other.refreshes(list, at)).peekable();
        // With a current delta an old CRL is as good as a current one (RFC 5280, section 5.2.4).
        let freshness = if deltas.peek().is_some() { Freshness::Current } else { list.crl.freshness(at) };
        if let Some(Listed::Revoked(revoked)) = &list.listed
            && !lists.iter().any(|other| other.takes_back(list, revoked, at))
        {
            news.bad(*revoked, freshness, list.crl.this_update(), at);
            flaw = flaw.max((freshness != Freshness::Current).then_some(Flaw::Freshness));
        } else if list.crl.is_delta() || lists.iter().any(|other| list.is_outdated_by(other, at)) {
            // It proves nothing good, and the list that replaces it tells what is missing.
        } else if freshness != Freshness::Current {
            flaw = flaw.max(Some(Flaw::Freshness));
        } else {
            let (mut issued, mut understood) = (list.crl.this_update(), list.crl.understood());
            for delta in deltas {
                issued = issued.max(delta.crl.this_update());
                if delta.crl.understood() == Understood::Partly {
                    understood = Understood::Partly;
                }
            }
            match understood {
                Understood::Partly => flaw = flaw.max(Some(Flaw::Extension)),
                Understood::Wholly => news.good(list.reasons, issued),
            }
        }
    }
    flaw
}
