//! What a mail brings a judge to ask, as far as its envelope and its author say: a question that is answered before takes no change of process.

use std::collections::BTreeSet;

use super::questions::{QueryForm, Question};
use crate::{
    keys::{ProtocolName, Purpose, Query, Want},
    mail::{Mail, header},
    policy::Policy,
};

/// The keys to encrypt to, and those to sign with, of each protocol that `policy` may seal the mail with.
pub(super) fn of_mail(mail: &Mail, policy: &Policy) -> Vec<Question> {
    let find = |protocol: ProtocolName, purpose, address| {
        let query = QueryForm::of(&Query::new(purpose, Want::Address(address)));
        Question::Find { protocol, query }
    };
    let sender = mail.envelope.sender.address.as_ref();
    let (mut questions, mut all) = (Vec::new(), BTreeSet::new());
    for path in mail.envelope.recipients.iter().take(MOST) {
        let protocols = policy.protocols_for(&mail.submitter, sender, &path.address);
        questions.extend(protocols.iter().map(|protocol| find(*protocol, Purpose::Encrypt, &path.address)));
        all.extend(protocols);
    }
    if let (false, Ok(author)) = (all.is_empty(), header::author(mail.message.root())) {
        questions.extend(all.into_iter().map(|protocol| find(protocol, Purpose::Sign, &author)));
    }
    questions
}

/// Recipients. Source: there are rarely more, and keys to encrypt to that no copy needs cost a look-up each.
const MOST: usize = 16;
