//! What is taken from a judge: a process that may have been changed by the mail that it read cannot send mail to others, nor write lines of its own into a
//! dialogue.

use std::{collections::HashSet, ops::Range};

use super::{
    channel::gone,
    forms::{MailForm, OutcomeForm, undivided},
};
use crate::{
    base::{Limits, Result},
    engine::{Outcome, Posting},
    mail::{Address, Envelope, ForwardPath, Mail, Message},
    policy::{Group, List, Onward, Policy},
};

/// Whom the outcomes of one mail may name, and which lists it is for. By default none.
#[derive(Default)]
pub(super) struct Acceptance {
    addresses: HashSet<Address>,
    /// How many recipients only the judge can read: the senders in rewritten addresses.
    hidden: usize,
    lists: HashSet<Address>,
}

impl Acceptance {
    /// These recipients of an envelope, and those that `policy` makes of them.
    pub(super) fn of(recipients: &[ForwardPath], policy: &Policy) -> Acceptance {
        let mut addresses: HashSet<Address> = recipients.iter().map(|path| path.address.clone()).collect();
        let mut hidden = 0;
        let mut on_the_way: HashSet<Address> = HashSet::new();
        for delivery in policy.expand(recipients) {
            hidden += usize::from(delivery.to.is_none());
            addresses.extend(delivery.to);
            on_the_way.extend(delivery.origin.addresses().cloned());
        }
        let named = addresses.iter().chain(&on_the_way);
        let posted = named.clone().filter_map(|address| match policy.onward(address) {
            Some(Onward::List(list)) => Some(list),
            _ => None,
        });
        let asked = named.filter_map(|address| policy.lists.of_requests(address));
        let lists = posted.chain(asked).map(|list| list.address.clone()).collect();
        Acceptance { addresses, hidden, lists }
    }

    /// The members for whom these copies of a post are, those that their mail goes on to, the owners of the list, and the author of a request.
    pub(super) fn of_copies(posting: &Posting, numbers: &Range<usize>, policy: &Policy) -> Acceptance {
        let members = posting.copies.get(numbers.start..numbers.end.min(posting.copies.len())).unwrap_or_default();
        let members = members.iter().map(|(member, _)| &member.address);
        let author = posting.request.iter().map(|asked| &asked.request.author);
        let all = members.chain(&posting.list.owners).chain(author);
        let all: Vec<ForwardPath> =
            all.map(|address| ForwardPath { address: address.clone(), parameters: Vec::new() }).collect();
        Acceptance { lists: [posting.list.address.clone()].into(), ..Acceptance::of(&all, policy) }
    }

    /// Whether mail for `address` is made of this mail, as far as the service can read that.
    pub(super) fn has(&self, address: &Address) -> bool {
        self.addresses.contains(address)
    }

    /// Whether this mail may be one for the list with this address.
    pub(super) fn has_list(&self, address: &Address) -> bool {
        self.lists.contains(address)
    }

    /// The outcome that a judge says a mail with the message `came` has; `list` finds the lists.
    ///
    /// # Errors
    ///
    /// `TryAgain`: it is not that of this mail, names somebody else, or holds a control character. Others: a message is over the bounds.
    pub(super) fn outcome<'l>(
        &self,
        form: OutcomeForm,
        came: &Message,
        list: impl Fn(&Address) -> Result<&'l List>,
        limits: &Limits,
    ) -> Result<Outcome> {
        let outcome = form.outcome(came, list, limits)?;
        self.check(&outcome)?;
        Ok(outcome)
    }

    /// The copies of a post that a judge says it made.
    ///
    /// # Errors
    ///
    /// As [`Acceptance::outcome`].
    pub(super) fn copies(&self, forms: Vec<MailForm>, limits: &Limits) -> Result<Vec<Mail>> {
        let read = |form: MailForm| form.mail(|octets| undivided(octets, limits));
        let mails: Vec<Mail> = forms.into_iter().map(read).collect::<Result<_>>()?;
        self.check_recipients(mails.iter().flat_map(|mail| &mail.envelope.recipients))?;
        mails.iter().try_for_each(check_envelope)?;
        Ok(mails)
    }

    fn check(&self, outcome: &Outcome) -> Result<()> {
        let groups = outcome.decision.groups.iter();
        let named = groups.clone().flat_map(|group| &group.recipients);
        self.check_recipients(named.chain(outcome.mails.iter().flat_map(|mail| &mail.envelope.recipients)))?;
        outcome.postings.iter().try_for_each(|posting| self.check_posting(posting))?;
        let posted = outcome.postings.iter().flat_map(|posting| posting.groups());
        let trials = outcome.decision.trials.iter().map(|trial| &trial.group);
        groups.chain(posted).chain(trials).try_for_each(check_group)?;
        outcome.mails.iter().try_for_each(check_envelope)
    }

    fn check_recipients<'a>(&self, paths: impl Iterator<Item = &'a ForwardPath>) -> Result<()> {
        let mut others: HashSet<&Address> = HashSet::new();
        for path in paths {
            if !self.has(&path.address) && others.insert(&path.address) && others.len() > self.hidden {
                return Err(gone(&format_args!("it names {}, who is no recipient", path.address)));
            }
        }
        Ok(())
    }

    /// A post is one to a list that the mail is for, and its copies are for the members.
    fn check_posting(&self, posting: &Posting) -> Result<()> {
        let list = &posting.list;
        if !self.has_list(&list.address) {
            return Err(gone(&format_args!("it posts to {}, which the mail is not for", list.address)));
        }
        if !posting.copies.is_empty() {
            let members = list.members.0.read()?;
            let members: HashSet<&Address> = members.iter().map(|member| &member.address).collect();
            if let Some((other, _)) = posting.copies.iter().find(|(member, _)| !members.contains(&member.address)) {
                return Err(gone(&format_args!("it names {}, who is no member of {}", other.address, list.address)));
            }
        }
        let noticed = posting.notices.iter().flat_map(|notice| &notice.envelope.recipients);
        if let Some(other) = noticed.map(|path| &path.address).find(|address| !list.owners.contains(address)) {
            return Err(gone(&format_args!("it names {other}, who is no owner of {}", list.address)));
        }
        Ok(())
    }
}

/// # Errors
///
/// `TryAgain`: the envelope holds a control character.
fn check_envelope(mail: &Mail) -> Result<()> {
    let Envelope { sender, recipients } = &mail.envelope;
    let parameters = |path: &ForwardPath| path.parameters.clone();
    let words = sender.parameters.iter().cloned().chain(recipients.iter().flat_map(parameters));
    let addresses = sender.address.iter().chain(recipients.iter().map(|path| &path.address));
    check_words(words.chain(addresses.map(ToString::to_string)))
}

fn check_group(group: &Group) -> Result<()> {
    let said = [Some(group.rule.as_str()), group.cause.as_deref(), group.disposition.reason()];
    check_words(said.into_iter().flatten().map(str::to_owned))
}

fn check_words(mut words: impl Iterator<Item = String>) -> Result<()> {
    if words.any(|word| word.chars().any(char::is_control)) {
        return Err(gone(&"a control character where none may be"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        sync::Arc,
        time::{Duration, SystemTime},
    };

    use super::{
        super::{answers::Told, questions::Question},
        *,
    };
    use crate::{
        base::Budget,
        isolation::Answers,
        keys::{Memory, UseClient},
        mail::{ReversePath, Submitter},
        policy::{
            Command, FixedMembers, FromField, Gets, Lists, Member, Members, Origin, Otherwise, Posters, ReplyTo,
            Request, Rule, Subscription, WithoutKey,
        },
    };

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn member(text: &str) -> Member {
        Member { address: address(text), gets: None, protocols: Vec::new() }
    }

    fn list(name: &str) -> List {
        List {
            address: address(name),
            owners: vec![address("owner@example.net")],
            description: None,
            members: Members(Arc::new(FixedMembers([member("one@example.net"), member("two@example.net")].into()))),
            post: Posters::Anybody,
            otherwise: Otherwise::Reject,
            moderators: Vec::new(),
            requires: BTreeSet::new(),
            gets: Gets::Sign,
            without_key: WithoutKey::Skip,
            rule: Rule::default(),
            from: FromField::Keep,
            reply_to: ReplyTo::Author,
            subscription: Subscription::Moderated,
            unsubscribe: None,
        }
    }

    fn policy() -> Policy {
        let mut lists = Lists::default();
        lists.insert(list("dev@example.org"));
        lists.insert(list("other@example.org"));
        Policy {
            mode: Default::default(),
            local: Vec::new(),
            identities: Default::default(),
            trusted: Vec::new(),
            rules: Vec::new(),
            obstacles: Default::default(),
            max_size: 1 << 20,
            mailboxes: Default::default(),
            aliases: Default::default(),
            forwards: Default::default(),
            lists,
        }
    }

    fn message() -> Message {
        Message::received(b"From: a@example.org\r\n\r\nx\r\n".to_vec(), &mut Budget::new(Limits::default())).unwrap()
    }

    fn mail(to: &str) -> Mail {
        let recipients = vec![ForwardPath { address: address(to), parameters: Vec::new() }];
        Mail {
            envelope: Envelope { sender: ReversePath::default(), recipients },
            submitter: Submitter::Host,
            client: None,
            message: message(),
        }
    }

    fn posting(name: &str, to: &[&str], notices: &[&str]) -> Posting {
        Posting {
            list: list(name),
            origin: Origin::default(),
            groups: Vec::new(),
            copies: to.iter().map(|one| (member(one), 0)).collect(),
            content: message(),
            clear: message(),
            parameters: Vec::new(),
            notices: notices.iter().map(|one| mail(one)).collect(),
            request: None,
        }
    }

    #[test]
    fn a_post_is_for_the_list_of_the_mail_and_its_members() {
        let acceptance = |to: &str| Acceptance::of(&mail(to).envelope.recipients, &policy());
        let said =
            |to: &str, posting: &Posting| acceptance(to).check_posting(posting).map_err(|error| error.to_string());
        let post = posting("dev@example.org", &["one@example.net", "two@example.net"], &["owner@example.net"]);
        for to in ["dev@example.org", "Dev@Example.ORG", "dev-request@example.org"] {
            assert_eq!(said(to, &post), Ok(()), "{to}");
        }
        for (to, posting, why) in [
            ("other@example.org", post, "it posts to dev@example.org, which the mail is not for"),
            (
                "dev@example.org",
                posting("dev@example.org", &["one@example.net", "mallory@evil.example"], &[]),
                "it names mallory@evil.example, who is no member of dev@example.org",
            ),
            (
                "dev@example.org",
                posting("dev@example.org", &[], &["one@example.net"]),
                "it names one@example.net, who is no owner of dev@example.org",
            ),
        ] {
            assert_eq!(said(to, &posting), Err(format!("another process of the service: {why}")));
        }
    }

    #[test]
    fn copies_are_for_the_members_whose_they_are() {
        let mut post = posting("dev@example.org", &["one@example.net", "two@example.net"], &[]);
        let said = |post: &Posting, to: &str| {
            let acceptance = Acceptance::of_copies(post, &(0..1), &policy());
            acceptance.copies(vec![MailForm::of(&mail(to))], &Limits::default()).map(|mails| mails.len())
        };
        assert_eq!(said(&post, "one@example.net"), Ok(1));
        assert_eq!(said(&post, "owner@example.net"), Ok(1));
        assert!(said(&post, "two@example.net").is_err(), "their copy is another one");
        assert!(said(&post, "carol@example.net").is_err());
        let request = Request { author: address("carol@example.net"), command: Command::Help, signatures: Vec::new() };
        post.request = Some(crate::engine::Asked { request, id: None });
        assert_eq!(said(&post, "carol@example.net"), Ok(1), "the answer to a command");
    }

    #[test]
    fn a_judge_changes_no_more_of_a_list_than_a_signed_mail_can() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let answers = Answers::new(Arc::new(Memory::new()), policy().lists);
        let acceptance = Acceptance::of(&mail("dev@example.org").envelope.recipients, &policy());
        let ask = |list: &str, command, signed: &[SystemTime]| {
            let signatures = signed.iter().map(|at| ("key".to_owned(), *at)).collect();
            let request = Request { author: address("carol@example.net"), command, signatures };
            let mut told = Told::default();
            told.next_message(UseClient::stranger(None), now);
            let question = Question::CarryOut { list: address(list), request };
            answers.answer(&question, &mut told, &acceptance).unwrap_err().to_string()
        };
        let not_here = "members of a list: they cannot be changed here";
        assert_eq!(ask("dev@example.org", Command::Unsubscribe, &[now]), not_here, "as far as it goes");
        let refused = "lists: a judge asks for what no signed mail can";
        assert_eq!(ask("dev@example.org", Command::Subscribe, &[now]), refused, "the list is moderated");
        assert_eq!(ask("dev@example.org", Command::Unsubscribe, &[]), refused);
        let old = now - Duration::from_secs(30 * 24 * 60 * 60);
        assert_eq!(ask("dev@example.org", Command::Unsubscribe, &[now, old]), refused);
        let other = "lists: a judge asks for one that its message is not for";
        assert_eq!(ask("other@example.org", Command::Unsubscribe, &[now]), other);
        for question in [Question::Members(address("other@example.org")), Question::TakesRequests(address("x@y.org"))] {
            let error = answers.answer(&question, &mut Told::default(), &acceptance).unwrap_err();
            assert_eq!(error.to_string(), other);
        }
        let members = Question::Members(address("dev@example.org"));
        assert!(answers.answer(&members, &mut Told::default(), &acceptance).is_ok());
    }
}
