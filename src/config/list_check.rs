//! What the members of a list would get now.

use std::fmt::Write;

use super::explain::words;
use crate::{
    base::{Error, Kind, Result},
    engine::Engine,
    mail::Address,
    policy::{Action, Disposition, List, Policy},
    protocol::Role,
};

/// One line for each member of the list with this name or address: what they would get now, and why not more; then what should be checked.
///
/// # Errors
///
/// `NoInput`: there is no such list, or more than one. Others: the members or the keys cannot be read.
pub fn check_list(policy: &Policy, engine: &Engine<'_>, name: &str) -> Result<String> {
    let list = list_named(policy, name)?;
    let signing = engine.key_states(&list.address, Role::Signer, &list.rule.protocols.iter().copied().collect())?;
    let (mut text, mut warnings) = (String::new(), String::new());
    let [mut encrypted, mut signed, mut clear, mut nothing] = [0; 4];
    for (member, group, states) in engine.members_of(list, policy)? {
        let gets = match &group.disposition {
            Disposition::Relay => {
                let words: Vec<String> =
                    group.actions.iter().flat_map(|action| words(action, &signing, Some(&states))).collect();
                match group.actions.first() {
                    Some(Action::SignAndEncrypt(_)) => encrypted += 1,
                    Some(Action::Sign(_)) => signed += 1,
                    _ => clear += 1,
                }
                words.join("; ")
            }
            other => {
                nothing += 1;
                let why = group.cause.as_deref().or(other.reason()).map(|why| format!(": {why}"));
                format!("nothing ({}){}", other.name(), why.unwrap_or_default())
            }
        };
        let obstacle = group.obstacle.map(|one| format!(" ({})", one.name())).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}: {gets}{obstacle}", member.address);
    }
    for protocol in list.rule.protocols.iter().filter(|one| !signing.get(one).is_some_and(|state| state.is_usable())) {
        let _ = writeln!(warnings, "warning: {} has no {} key to sign with", list.address, protocol.name());
    }
    for owner in &list.owners {
        let states = engine.key_states(owner, Role::Recipient, &list.rule.protocols.iter().copied().collect())?;
        if !states.values().any(|state| state.is_usable()) {
            let _ = writeln!(warnings, "warning: owner {owner} has no key: notices name no members");
        }
    }
    let all = encrypted + signed + clear + nothing;
    let counts = format!("{encrypted} encrypted, {signed} signed, {clear} in clear, {nothing} nothing");
    Ok(format!("{text}{warnings}{}: {all} members: {counts}\n", list.address))
}

/// The list with this address, or the only one with this name before the `@`.
///
/// # Errors
///
/// `NoInput`: there is no such list, or more than one.
pub fn list_named<'p>(policy: &'p Policy, name: &str) -> Result<&'p List> {
    let by_address = Address::parse(name).ok().and_then(|address| policy.lists.of(&address));
    let mut by_name = policy.lists.iter().filter(|list| list.address.local().eq_ignore_ascii_case(name));
    let known = || policy.lists.iter().map(|list| list.address.to_string()).collect::<Vec<_>>().join(", ");
    match (by_address, by_name.next(), by_name.next()) {
        (Some(list), ..) | (None, Some(list), None) => Ok(list),
        (None, None, _) => Err(Error::new(Kind::NoInput, format!("list {name:?}: not in the configuration"))
            .with_hint(format!("known here: {}", known()))),
        (None, Some(_), Some(_)) => {
            Err(Error::new(Kind::NoInput, format!("list {name:?}: more than one has this name")).with_hint(known()))
        }
    }
}
