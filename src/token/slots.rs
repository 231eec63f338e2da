//! The slots of a module.

use std::path::Path;

use cryptoki::{
    context::Pkcs11,
    error::{Error as Failed, RvError},
    slot::Slot,
};

/// All slots, with tokens and without.
///
/// The client of p11-kit says of an empty list that it has no room for it (p11-kit, issue 257), and cryptoki then asks again, without end. So that one is asked only
/// when there is a slot.
pub(super) fn slots(module: &Path, context: &Pkcs11) -> Result<Vec<Slot>, Failed> {
    let is_client = module.file_name().is_some_and(|name| name.to_string_lossy().starts_with("p11-kit-client"));
    if is_client && !has_slot_of_server(context)? {
        return Ok(Vec::new());
    }
    context.get_all_slots()
}

/// Whether the server of p11-kit has a slot.
fn has_slot_of_server(context: &Pkcs11) -> Result<bool, Failed> {
    for number in FIRST_SLOT..FIRST_SLOT + MAX_SLOTS {
        match context.get_slot_info(Slot::try_from(number)?) {
            Ok(_) => return Ok(true),
            Err(Failed::Pkcs11(RvError::SlotIdInvalid, _)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// The number of the first slot of a server. Source: p11-kit, p11-kit/proxy.c, `MAPPING_OFFSET`.
const FIRST_SLOT: u64 = 0x11;
/// Slots that are looked for: a server gives new numbers to tokens that were plugged in again.
const MAX_SLOTS: u64 = 32;
