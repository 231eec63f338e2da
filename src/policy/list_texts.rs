//! What lists write by themselves: answers to requests, and notices to owners.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    base::{Error, Result},
    mail::Template,
};

/// One text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListText {
    /// An answer: who asks to join is a member.
    AlreadyMember,
    /// An answer: the command was carried out before.
    DoneBefore,
    /// An answer: what can be asked.
    Help,
    /// An answer: who asked to join is a member now.
    Joined,
    /// An answer: the keys of the list.
    Key,
    /// An answer: who asked to leave is no member any more.
    Left,
    /// A notice to an owner: members who get nothing of a post.
    Notice,
    /// An answer: who asks to leave is no member.
    NotMember,
    /// An answer: who asks to leave can be removed by the owner alone.
    OwnerRemoves,
}

/// The texts that are not the usual ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListTexts(BTreeMap<ListText, Arc<Template>>);

impl ListText {
    /// All.
    pub const ALL: [ListText; 9] = [
        ListText::AlreadyMember,
        ListText::DoneBefore,
        ListText::Help,
        ListText::Joined,
        ListText::Key,
        ListText::Left,
        ListText::Notice,
        ListText::NotMember,
        ListText::OwnerRemoves,
    ];

    /// The key in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            ListText::AlreadyMember => "list-already-member",
            ListText::DoneBefore => "list-done-before",
            ListText::Help => "list-help",
            ListText::Joined => "list-joined",
            ListText::Key => "list-key",
            ListText::Left => "list-left",
            ListText::Notice => "list-notice",
            ListText::NotMember => "list-not-member",
            ListText::OwnerRemoves => "list-owner-removes",
        }
    }

    /// What it may name.
    pub fn placeholders(self) -> &'static [&'static str] {
        match self {
            ListText::Notice => &["count", "id", "list", "members", "name"],
            ListText::Help => &["command", "commands", "list", "owner", "request"],
            ListText::Key => &["command", "keys", "list", "owner", "request"],
            _ => &["command", "list", "owner", "request"],
        }
    }

    /// The usual text.
    fn usual(self) -> &'static str {
        match self {
            ListText::AlreadyMember => "Subject: Re: {command} {list}\n\nYou are a member of {list} already.",
            ListText::DoneBefore => {
                "Subject: Re: {command} {list}\n\nThis command was carried out before. Nothing was changed now.\n\
                 To have it carried out again, sign a new mail."
            }
            ListText::Help => {
                "Subject: Re: {command} {list}\n\nCommands for {list} are the first line of a mail to {request} that you sign:\n\n\
                 {commands}\n\n\
                 The answer to key has the public keys of the list. The owner decides about everything else.\n\n\
                 The owner reads {owner}, and all other mail to {request}."
            }
            ListText::Joined => "Subject: Re: {command} {list}\n\nYou are a member of {list} now.",
            ListText::Key => "Subject: Re: {command} {list}\n\n{keys}",
            ListText::Left => "Subject: Re: {command} {list}\n\nYou are not a member of {list} any more.",
            ListText::Notice => {
                "Subject: {name}: not sent to {count} members\n\nThe post {id} to {list} was not sent to {count} members:\n\
                 there is no usable key.\n\n{members}"
            }
            ListText::NotMember => "Subject: Re: {command} {list}\n\nYou are not a member of {list}.",
            ListText::OwnerRemoves => {
                "Subject: Re: {command} {list}\n\nOnly the owner can remove you. Please write to {owner}."
            }
        }
    }
}

impl ListTexts {
    /// With another text in the place of the usual one.
    #[must_use]
    pub fn with(mut self, which: ListText, text: Template) -> ListTexts {
        self.0.insert(which, Arc::new(text));
        self
    }

    /// The text.
    ///
    /// # Errors
    ///
    /// `Malformed`: never, because the usual texts are of the right form.
    pub fn text(&self, which: ListText) -> Result<Arc<Template>> {
        match self.0.get(&which) {
            Some(own) => Ok(Arc::clone(own)),
            None => {
                let usual = Template::parse(which.usual(), which.placeholders());
                usual.map(Arc::new).map_err(|why| Error::malformed(which.name(), why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_texts_are_of_the_right_form() {
        for which in ListText::ALL {
            assert!(ListTexts::default().text(which).is_ok(), "{}", which.name());
        }
    }
}
