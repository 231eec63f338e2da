//! The same decision, told step by step.

use super::{Facts, Group, Policy, groups, ruling::Why};

/// How the decision for one recipient came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The rules that did not decide, in order.
    pub passed: Vec<Passed>,
    /// What was decided, for this recipient alone.
    pub group: Group,
    /// What would have been decided if the rules that are log-only decided too, if that is something else.
    pub trial: Option<Group>,
}

/// A rule that did not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its name.
    pub rule: String,
    /// Why not, for people.
    pub why: String,
}

impl Policy {
    /// What [`Policy::decide`] does, for each recipient in the envelope's order, and why.
    pub fn explain(&self, facts: &Facts<'_>) -> Vec<Trace> {
        let walks = self.rulings(facts);
        let trace = |(recipient, walk): (&super::RecipientFacts, super::ruling::Walk)| Trace {
            passed: walk.passed.iter().filter_map(|(place, why)| self.passed(*place, why)).collect(),
            group: groups::of(self, recipient.path.clone(), &walk.ruling),
            trial: walk.trial.map(|trial| groups::of(self, recipient.path.clone(), &trial)),
        };
        facts.recipients.iter().zip(walks).map(trace).collect()
    }

    fn passed(&self, place: usize, why: &Why) -> Option<Passed> {
        let rule = self.rules.get(place)?;
        let why = match why {
            Why::Condition(condition) => format!("not so: {}", rule.conditions.get(*condition)?),
            Why::LogOnly => "log-only: it would decide, or leave the mail to the next rule".to_owned(),
            Why::Looser => {
                "it asks the message's own header, and would protect less than what is decided without it".to_owned()
            }
            Why::Next(obstacle, why) => format!("{}: {why}", obstacle.name()),
        };
        Some(Passed { rule: rule.name.clone(), why })
    }
}
