//! Certificate policies along a path (RFC 5280, sections 6.1.2 to 6.1.5), as the graph of RFC 9618: the tree of RFC 5280 grows
//! exponentially with policies that map to one another.

use std::collections::{BTreeMap, BTreeSet};

use const_oid::db::rfc5280;
use der::asn1::ObjectIdentifier;

use super::{Certificate, Policies, Require, refusal::Rule, tlv::dotted};

/// Which policies the certificates so far agree on, from the anchor down.
#[derive(Debug)]
pub(super) struct PolicyGraph {
    levels: Vec<Level>,
    /// What the next certificate should say, and which policies of the last level expect that.
    expected: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>,
    /// After how many certificates each begins.
    explicit: u32,
    inhibit_any: u32,
    inhibit_mapping: u32,
    any_expected: Any,
    /// The policies that the anchor is limited to, if it is.
    anchor: Option<BTreeSet<Vec<u8>>>,
}

/// Whether anyPolicy is among the policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Any {
    Absent,
    Present,
}

/// The nodes of one certificate.
#[derive(Debug)]
struct Level {
    any: Any,
    /// Each policy and its parents in the level above; without parents it is a child of anyPolicy there.
    nodes: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>,
}

impl Level {
    fn is_empty(&self) -> bool {
        self.any == Any::Absent && self.nodes.is_empty()
    }
}

impl PolicyGraph {
    /// RFC 5280, section 6.1.2 (a), (d) to (f), for a path of `length` certificates below `anchor`, whose own certificate may ask for more, and
    /// may name the policies that it is trusted for (section 6.2).
    pub(super) fn new(inputs: &Policies, anchor: &Certificate, length: usize) -> Self {
        let later = u32::try_from(length).unwrap_or(u32::MAX).saturating_add(1);
        let begins =
            |require, own: Option<u32>| if require == Require::Set { 0 } else { own.unwrap_or(later).min(later) };
        let extensions = anchor.extensions();
        let constraints = extensions.policy_constraints.unwrap_or_default();
        let named = extensions.policies.as_ref();
        let limits = named.filter(|named| !named.iter().any(|policy| policy == ANY_POLICY.as_bytes()));
        PolicyGraph {
            levels: Vec::new(),
            expected: BTreeMap::new(),
            explicit: begins(inputs.explicit, constraints.explicit),
            inhibit_any: begins(inputs.inhibit_any, extensions.inhibit_any),
            inhibit_mapping: begins(inputs.inhibit_mapping, constraints.inhibit_mapping),
            any_expected: Any::Present,
            anchor: limits.map(|limits| limits.iter().cloned().collect()),
        }
    }

    /// Section 6.1.3 (d) to (f), for a certificate that is not the last.
    pub(super) fn authority(&mut self, certificate: &Certificate) -> Result<(), Rule> {
        let self_issued = certificate.is_self_issued();
        self.descend(certificate, self.inhibit_any > 0 || self_issued)?;
        self.map(certificate)?;
        // Section 6.1.4 (h) to (j).
        if !self_issued {
            for counter in [&mut self.explicit, &mut self.inhibit_mapping, &mut self.inhibit_any] {
                *counter = counter.saturating_sub(1);
            }
        }
        let extensions = certificate.extensions();
        let constraints = extensions.policy_constraints.unwrap_or_default();
        self.explicit = self.explicit.min(constraints.explicit.unwrap_or(u32::MAX));
        self.inhibit_mapping = self.inhibit_mapping.min(constraints.inhibit_mapping.unwrap_or(u32::MAX));
        self.inhibit_any = self.inhibit_any.min(extensions.inhibit_any.unwrap_or(u32::MAX));
        Ok(())
    }

    /// Section 6.1.3 (d) to (f) and 6.1.5 (a), (b), (g), for the last certificate: the policies that the authorities on the path allow it,
    /// in the terms of the anchor.
    pub(super) fn leaf(mut self, certificate: &Certificate, inputs: &Policies) -> Result<Vec<String>, Rule> {
        self.descend(certificate, self.inhibit_any > 0)?;
        self.explicit = self.explicit.saturating_sub(1);
        if certificate.extensions().policy_constraints.and_then(|constraints| constraints.explicit) == Some(0) {
            self.explicit = 0;
        }
        let mut any = self.levels.last().is_some_and(|last| last.any == Any::Present);
        let mut policies = self.of_authorities();
        if let Some(limits) = &self.anchor {
            policies.retain(|policy| limits.contains(policy));
            if std::mem::take(&mut any) {
                policies.extend(limits.iter().cloned());
            }
        }
        let mut policies: Vec<String> = policies.iter().map(|policy| dotted(policy)).collect();
        let wanted = match inputs.initial.as_slice() {
            [] => any || !policies.is_empty(),
            initial if initial.iter().any(|policy| policy.as_bytes() == ANY_POLICY_DOTTED) => {
                any || !policies.is_empty()
            }
            initial => any || policies.iter().any(|policy| initial.contains(policy)),
        };
        if self.explicit == 0 && !wanted {
            return Err(Rule::NoPolicy);
        }
        policies.extend(any.then(|| dotted(ANY_POLICY.as_bytes())));
        Ok(policies)
    }

    fn descend(&mut self, certificate: &Certificate, any_counts: bool) -> Result<(), Rule> {
        let mut level = Level { any: Any::Absent, nodes: BTreeMap::new() };
        let expected = std::mem::take(&mut self.expected);
        if let Some(policies) = &certificate.extensions().policies {
            // (d)(1)
            for policy in policies.iter().filter(|policy| *policy != ANY_POLICY.as_bytes()) {
                match expected.get(policy) {
                    Some(parents) => _ = level.nodes.insert(policy.clone(), parents.clone()),
                    None if self.any_expected == Any::Present => {
                        _ = level.nodes.insert(policy.clone(), BTreeSet::new())
                    }
                    None => {}
                }
            }
            // (d)(2)
            if any_counts && policies.iter().any(|policy| policy == ANY_POLICY.as_bytes()) {
                level.any = self.any_expected;
                for (policy, parents) in expected {
                    level.nodes.entry(policy).or_insert(parents);
                }
            }
        }
        // (f)
        if self.explicit == 0 && level.is_empty() {
            return Err(Rule::NoPolicy);
        }
        self.any_expected = level.any;
        self.levels.push(level);
        Ok(())
    }

    /// Section 6.1.4 (a) and (b).
    fn map(&mut self, certificate: &Certificate) -> Result<(), Rule> {
        let mut mapped: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
        for (issuer, subject) in certificate.extensions().mappings.iter().flatten() {
            if [issuer, subject].into_iter().any(|policy| policy == ANY_POLICY.as_bytes()) {
                return Err(Rule::MappedAnyPolicy);
            }
            mapped.entry(issuer).or_default().push(subject);
        }
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        if self.inhibit_mapping == 0 {
            level.nodes.retain(|policy, _| !mapped.contains_key(policy.as_slice()));
            mapped.clear();
        } else if level.any == Any::Present {
            for issuer in mapped.keys() {
                level.nodes.entry(issuer.to_vec()).or_default();
            }
        }
        for policy in level.nodes.keys() {
            let same = vec![policy.as_slice()];
            for subject in mapped.get(policy.as_slice()).unwrap_or(&same) {
                self.expected.entry(subject.to_vec()).or_default().insert(policy.clone());
            }
        }
        Ok(())
    }

    /// The valid policies of nodes below anyPolicy that the last level leads to: section 6.1.5 (g)(iii)(1).
    fn of_authorities(&self) -> BTreeSet<Vec<u8>> {
        let mut policies = BTreeSet::new();
        let mut reached: BTreeSet<&Vec<u8>> = self.levels.last().iter().flat_map(|level| level.nodes.keys()).collect();
        for level in self.levels.iter().rev() {
            let mut above = BTreeSet::new();
            for policy in reached {
                match level.nodes.get(policy) {
                    Some(parents) if parents.is_empty() => _ = policies.insert(policy.clone()),
                    Some(parents) => above.extend(parents),
                    None => {}
                }
            }
            reached = above;
        }
        policies
    }
}

const ANY_POLICY: ObjectIdentifier = rfc5280::ANY_POLICY;
const ANY_POLICY_DOTTED: &[u8] = b"2.5.29.32.0";
