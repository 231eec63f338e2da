//! A post for the members of a list.

use serde::{Deserialize, Serialize};

use crate::{
    mail::{Address, Envelope, ForwardPath, Mail, Message, ReversePath, Submitter},
    policy::{Group, List, Member, Origin, Request},
};

/// A post that was opened once, or a request, with what each member of the list gets. Its copies are made a few at a time ([`Handler::copies`](super::Handler::copies)),
/// so that all of them are never in memory.
#[derive(Debug)]
pub struct Posting {
    pub(crate) list: List,
    pub(crate) origin: Origin,
    /// What is done for the members, who are in exactly one of them.
    pub(crate) groups: Vec<Group>,
    /// Those who get a copy, with their groups by place.
    pub(crate) copies: Vec<(Member, usize)>,
    /// What the list seals.
    pub(crate) content: Message,
    /// What goes in clear.
    pub(crate) clear: Message,
    /// The ESMTP parameters of the sender of each copy.
    pub(crate) parameters: Vec<String>,
    /// What the owners are told.
    pub(crate) notices: Vec<Mail>,
    /// What is asked, when it is no post: it is carried out when its answer is made.
    pub(crate) request: Option<Asked>,
}

/// A request, to be carried out when its answer is sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    /// The Message-ID of the mail.
    pub(crate) id: Option<String>,
}

impl Posting {
    /// The list.
    pub fn list(&self) -> &List {
        &self.list
    }

    /// How the members came to be recipients.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What is done for the members. Each is in exactly one group.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether it is a post. Otherwise it is a request, and its only mail is the answer.
    pub fn is_post(&self) -> bool {
        self.request.is_none()
    }

    /// How many mails it is: the copies, and the notices to the owners at the end; or an answer.
    pub fn mails(&self) -> usize {
        self.copies.len() + self.notices.len() + usize::from(self.request.is_some())
    }

    /// Octets that it has in memory.
    pub fn octets(&self) -> usize {
        self.content.octets().len() + self.clear.octets().len()
    }
}

impl Posting {
    /// The answer to a request, which is carried out when it is made.
    pub(super) fn of_request(list: &List, origin: Origin, message: Message, asked: Asked) -> Posting {
        Posting {
            list: list.clone(),
            origin,
            groups: Vec::new(),
            copies: Vec::new(),
            content: message.clone(),
            clear: message,
            parameters: Vec::new(),
            notices: Vec::new(),
            request: Some(asked),
        }
    }

    /// The mail with the copy for one of them.
    pub(super) fn copy_for(&self, member: Address, message: Message) -> Mail {
        let sender = ReversePath { address: Some(self.list.sender(&member)), parameters: self.parameters.clone() };
        let recipients = vec![ForwardPath { address: member, parameters: Vec::new() }];
        Mail { envelope: Envelope { sender, recipients }, submitter: Submitter::Host, client: None, message }
    }

    /// With the fields that are for this member alone, above what is sealed.
    pub(super) fn addressed(&self, octets: Vec<u8>, members: &[Member], at: usize) -> Vec<u8> {
        let (Some(url), Some(member)) = (&self.list.unsubscribe, members.get(at)) else { return octets };
        let encoded: String = member.address.to_string().bytes().map(percent).collect();
        let line_break = if octets.windows(2).any(|pair| pair == b"\r\n") { "\r\n" } else { "\n" };
        let url = url.replace("{member}", &encoded);
        let request = self.list.request();
        let fields = format!(
            "List-Unsubscribe: <{url}>, <mailto:{request}?subject=unsubscribe>{line_break}\
             List-Unsubscribe-Post: List-Unsubscribe=One-Click{line_break}"
        );
        [fields.into_bytes(), octets].concat()
    }
}

/// RFC 3986, section 2.1.
fn percent(octet: u8) -> String {
    let is_plain = octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
    if is_plain { char::from(octet).to_string() } else { format!("%{octet:02X}") }
}
