//! The header of what a list sends.

use super::{Engine, HandlerContext, edit::Edits, marker};
use crate::{
    base::Result,
    mail::{Message, Part, address, encoding::encode_phrase, header::Field},
    policy::{Action, FromField, List, Otherwise, Posters, ReplyTo},
};

impl Engine<'_> {
    /// `message` with the fields of the list.
    ///
    /// # Errors
    ///
    /// The message is over the bounds.
    pub(super) fn written(
        &self,
        list: &List,
        message: &Message,
        results: &str,
        handler: HandlerContext<'_>,
    ) -> Result<Message> {
        let believed = handler.believed();
        let mut edits = Edits::default();
        for action in &list.rule.edits {
            match action {
                Action::AddHeader(name, value) => edits.add(name, value),
                Action::RemoveHeader(name) => edits.remove(name),
                Action::TagSubject(words) => edits.tag(words),
                _ => {}
            }
        }
        // Fields that others wrote for their lists, or that ask members for receipts.
        REMOVED.iter().for_each(|name| edits.remove(name));
        let root = message.root();
        from_and_reply_to(list, root, &mut edits);
        let (address, owner, request) = (&list.address, list.owner(), list.request());
        let description = list.description.as_deref().map(|text| format!("{} ", encode_phrase(text)));
        edits.add_raw(format!("List-Id: {}<{}>", description.unwrap_or_default(), list.id()));
        let takes_none = list.post == Posters::Moderators && list.otherwise == Otherwise::Reject;
        edits.add_raw(if takes_none { "List-Post: NO".to_owned() } else { format!("List-Post: <mailto:{address}>") });
        edits.add_raw(format!("List-Owner: <mailto:{owner}>"));
        if list.unsubscribe.is_none() {
            edits.add_raw(format!("List-Unsubscribe: <mailto:{request}?subject=unsubscribe>"));
        }
        edits.add_raw("Precedence: list".to_owned());
        edits.add_raw(results.to_owned());
        let unwanted = |field: &Field<'_>| believed.removes(field) || field.is(marker::NAME);
        let octets = edits.apply(message, unwanted).unwrap_or_else(|| message.octets().to_vec());
        self.parsed(octets)
    }
}

/// The author's field, or that of the list with the author's name; and where replies go.
fn from_and_reply_to(list: &List, root: Part<'_>, edits: &mut Edits) {
    let from = root.fields().find(|field| field.is("From"));
    let author = from.and_then(|field| address::list(&field.unfolded()).ok()?.into_iter().next());
    let named = match &list.reply_to {
        ReplyTo::Address(address) => Some(address.to_string()),
        ReplyTo::List => Some(list.address.to_string()),
        ReplyTo::Author => None,
    };
    let mut reply_to = named;
    if let (FromField::Rewrite, Some(author)) = (list.from, &author) {
        edits.remove("X-Original-From");
        edits.remove("From");
        edits.add_raw(format!("X-Original-From: {author}"));
        edits.add_raw(format!("From: {}", list.from_field(author)));
        let has_own = root.fields().any(|field| field.is("Reply-To"));
        reply_to = reply_to.or_else(|| (!has_own).then(|| author.to_string()));
    }
    if let Some(reply_to) = reply_to {
        edits.remove("Reply-To");
        edits.add_raw(format!("Reply-To: {reply_to}"));
    }
}

/// Fields that go from a post: those of other lists, and those that name or answer to the author alone.
const REMOVED: [&str; 15] = [
    "List-Id",
    "List-Post",
    "List-Owner",
    "List-Help",
    "List-Subscribe",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Archive",
    "Precedence",
    "Return-Path",
    "Bcc",
    "Resent-Bcc",
    "Disposition-Notification-To",
    "Return-Receipt-To",
    "X-Confirm-Reading-To",
];
