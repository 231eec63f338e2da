//! Revocation lists in messages of their own (RFC 1421, section 4.6.1.1.4).

use std::sync::Arc;

use super::text::{self, ProcType};
use crate::{
    base::{Budget, Error, Limits, Result},
    pki,
};

/// The revocation lists in the `Proc-Type: 4,CRL` messages of a file, DER each, in order; `None` when there is no such message. `place` is
/// what errors name. An error of kind `Malformed` for a header or a list that cannot be read.
pub fn revocation_lists(octets: &[u8], place: &str, limits: &Limits) -> Result<Option<Vec<Arc<[u8]>>>> {
    let budget = Budget::new(limits.clone());
    let mut lists = None;
    for block in text::blocks(octets) {
        let inside = block.inside.of(octets);
        if text::proc_type_of(inside) != Some(ProcType::Crl) {
            continue;
        }
        let refused = |error| Error::malformed(place, error);
        let (header, _) = text::read(inside, &budget).map_err(refused)?;
        let lists: &mut Vec<Arc<[u8]>> = lists.get_or_insert_default();
        for list in header.crls {
            pki::check_statement(&list).map_err(refused)?;
            lists.push(list.into());
        }
    }
    Ok(lists)
}
