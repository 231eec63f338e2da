//! How CRLs are divided: distribution points, reasons, and kinds of certificates (RFC 5280, sections 4.2.1.13 and 5.2.5).

use super::{
    Certificate, Name,
    extensions::CRL_DISTRIBUTION_POINTS,
    general_name::GeneralName,
    tlv::{Element, Reader, SET, constructed, primitive},
};
use crate::base::Result;

/// A DistributionPoint of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Point {
    /// The name of its CRL, if it has one.
    names: Option<Vec<GeneralName>>,
    pub(super) reasons: Reasons,
    /// The signer of the CRL, if that is not the issuer of the certificate.
    pub(super) crl_issuers: Option<Vec<Name>>,
}

impl Point {
    /// The points that `certificate` names.
    pub(super) fn all_of(certificate: &Certificate) -> Result<Vec<Point>> {
        let Some(extension) = certificate.extensions().find(&CRL_DISTRIBUTION_POINTS) else { return Ok(Vec::new()) };
        let mut points = Reader::new(extension, "distribution points").sequence()?;
        let mut all = Vec::new();
        while !points.is_finished() {
            if all.len() == MAX_POINTS {
                return Err(points.refuse("too many of them"));
            }
            all.push(Point::read(points.sequence()?, certificate.issuer())?);
        }
        Ok(all)
    }

    /// Whether its CRL covers every reason.
    pub(super) fn is_of_all_reasons(&self) -> bool {
        self.reasons == Reasons::ALL
    }

    /// The URIs of its CRL.
    pub(super) fn urls(&self) -> impl Iterator<Item = String> + use<'_> {
        self.names.iter().flatten().filter_map(|name| match name {
            GeneralName::Uri(url) => Some(url.clone()),
            _ => None,
        })
    }

    /// The point that stands for CRLs which no point of a certificate names (RFC 5280, section 6.3.3, at the end).
    pub(super) fn of_issuer(issuer: &Name) -> Point {
        Point { names: Some(vec![GeneralName::Directory(issuer.clone())]), reasons: Reasons::ALL, crl_issuers: None }
    }

    fn read(mut fields: Reader<'_>, issuer: &Name) -> Result<Point> {
        let name = fields.optional(constructed(0))?;
        let reasons = fields.optional(primitive(1))?.map_or(Ok(Reasons::ALL), Reasons::read)?;
        let crl_issuers = match fields.optional(constructed(2))? {
            Some(names) => Some(directory_names(GeneralName::read_all(names.reader())?)),
            None => None,
        };
        fields.finish()?;
        let above = crl_issuers.as_ref().and_then(|names| names.first()).unwrap_or(issuer);
        let names = name.map(|name| point_names(name, above)).transpose()?;
        Ok(Point { names, reasons, crl_issuers })
    }
}

/// The IssuingDistributionPoint of a CRL: its scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    names: Option<Vec<GeneralName>>,
    pub(super) reasons: Reasons,
    kind: Kind,
    pub(super) issuers: Issuers,
}

/// Of which certificates a CRL speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    All,
    /// onlyContainsAttributeCerts, or kinds that exclude one another: of none that is judged here.
    Other,
    /// onlyContainsCACerts.
    Authorities,
    /// onlyContainsUserCerts.
    Users,
}

/// Of whose certificates a CRL speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Issuers {
    /// indirectCRL: it also covers the issuers that its entries name.
    Others,
    /// Of its own issuer's.
    Own,
}

impl Scope {
    /// The scope of a CRL of `issuer` without this extension: everything.
    pub(super) fn everything() -> Scope {
        Scope { names: None, reasons: Reasons::ALL, kind: Kind::All, issuers: Issuers::Own }
    }

    /// Reads the extension's content.
    pub(super) fn read(extension: &[u8], issuer: &Name) -> Result<Scope> {
        let mut reader = Reader::new(extension, "issuing distribution point");
        let mut fields = reader.sequence()?;
        reader.finish()?;
        let names = fields.optional(constructed(0))?.map(|name| point_names(name, issuer)).transpose()?;
        let users = flag(&mut fields, 1)?;
        let authorities = flag(&mut fields, 2)?;
        let reasons = fields.optional(primitive(3))?.map_or(Ok(Reasons::ALL), Reasons::read)?;
        let issuers = if flag(&mut fields, 4)? { Issuers::Others } else { Issuers::Own };
        let attributes = flag(&mut fields, 5)?;
        fields.finish()?;
        let kind = match (users, authorities, attributes) {
            (false, false, false) => Kind::All,
            (true, false, false) => Kind::Users,
            (false, true, false) => Kind::Authorities,
            _ => Kind::Other,
        };
        Ok(Scope { names, reasons, kind, issuers })
    }

    /// Whether a CRL of this scope is of certificates for public keys at all: numbers of attribute certificates are others.
    pub(super) fn speaks_of_certificates(&self) -> bool {
        self.kind != Kind::Other
    }

    /// Whether a CRL of this scope covers `certificate` at `point` (RFC 5280, section 6.3.3 (b)(2)).
    pub(super) fn covers(&self, certificate: &Certificate, point: &Point) -> bool {
        let kind = match self.kind {
            Kind::All => true,
            Kind::Other => false,
            Kind::Authorities => certificate.is_authority(),
            Kind::Users => !certificate.is_authority(),
        };
        kind && self.names.as_ref().is_none_or(|own| match (&point.names, &point.crl_issuers) {
            (Some(names), _) => own.iter().any(|name| is_one_of(name, names)),
            (None, Some(issuers)) => {
                own.iter().any(|name| matches!(name, GeneralName::Directory(name) if issuers.contains(name)))
            }
            (None, None) => false,
        })
    }
}

/// Reasons for which a certificate may be revoked (RFC 5280, section 4.2.1.13); bit 0 is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reasons(u16);

impl Reasons {
    /// keyCompromise to aACompromise.
    pub(super) const ALL: Reasons = Reasons(0x7f80);
    pub(super) const NONE: Reasons = Reasons(0);

    fn read(flags: Element<'_>) -> Result<Reasons> {
        let (octets, _) = flags.bits()?;
        let octet = |at: usize| octets.get(at).copied().unwrap_or(0);
        Ok(Reasons(u16::from_be_bytes([octet(0), octet(1)]) & Reasons::ALL.0))
    }

    /// Those that are in both.
    pub(super) fn and(self, other: Reasons) -> Reasons {
        Reasons(self.0 & other.0)
    }

    /// Those that are in either.
    pub(super) fn or(self, other: Reasons) -> Reasons {
        Reasons(self.0 | other.0)
    }

    /// Whether all of `other` are among these.
    pub(super) fn has(self, other: Reasons) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A DistributionPointName, below the name of the CRL's signer if it is relative.
fn point_names(name: Element<'_>, issuer: &Name) -> Result<Vec<GeneralName>> {
    let mut choice = name.reader();
    let chosen = choice.any()?;
    choice.finish()?;
    match chosen.tag {
        FULL_NAME => GeneralName::read_all(chosen.reader()),
        RELATIVE_NAME => {
            // The tag is implicit: as a SET the same octets follow it.
            let mut relative = chosen.whole.to_vec();
            relative.iter_mut().take(1).for_each(|tag| *tag = SET);
            Ok(vec![GeneralName::Directory(issuer.with_relative(&relative)?)])
        }
        _ => Err(chosen.refuse("a distribution point name that is neither full nor relative")),
    }
}

fn flag(fields: &mut Reader<'_>, number: u8) -> Result<bool> {
    fields.optional(primitive(number))?.map_or(Ok(false), |flag| flag.boolean())
}

/// Names of kinds that are not read are equal to nothing.
fn is_one_of(name: &GeneralName, names: &[GeneralName]) -> bool {
    !matches!(name, GeneralName::Other(..)) && names.contains(name)
}

pub(super) fn directory_names(names: Vec<GeneralName>) -> Vec<Name> {
    let directory = |name| match name {
        GeneralName::Directory(name) => Some(name),
        _ => None,
    };
    names.into_iter().filter_map(directory).collect()
}

/// The most that one certificate is divided among: a CRL for each of the eight reasons, in eight places.
const MAX_POINTS: usize = 64;

const FULL_NAME: u8 = constructed(0);
const RELATIVE_NAME: u8 = constructed(1);
