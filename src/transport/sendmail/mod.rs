//! A replacement for sendmail, for cron, PHP, mailx, git and other programs that run it.

mod complete;
mod options;
mod program;
mod session;

pub use complete::{Writer, qualify};
pub use options::{End, Mode, Options, Source, Speech};
pub use program::Program;

use std::io::Read;

use super::{HandingOver, filter::temporary};
use crate::{
    base::{Budget, Error, Limits, Result},
    mail::{Address, Envelope, ForwardPath, Login, Mail, Message, ReversePath, Submitter, address},
    policy::Disposition,
};

/// One run of the program.
pub struct Sendmail<'a> {
    /// Applies the policy, and hands the copies over.
    pub copies: HandingOver<'a>,
    /// Adds what the caller left out.
    pub writer: Writer<'a>,
    /// Limits on one message.
    pub limits: &'a Limits,
}

impl Sendmail<'_> {
    /// Reads one message, and sends what the policy makes of it. The result has one line per action, for a log.
    ///
    /// # Errors
    ///
    /// Nothing was sent, unless the text names the recipients who have it. `Usage`: no recipients, or one that cannot be parsed. `NoKey`: the
    /// policy refuses. `TryAgain`: temporary.
    pub fn send(&self, options: &Options, input: &mut dyn Read) -> Result<Vec<String>> {
        let mail = self.mail(options, self.read(options, input)?)?;
        self.copies.deliver(mail, 1)
    }

    /// Says what the policy does with an empty message, one line per recipient: `-bv`. Nothing is read and nothing is sent.
    ///
    /// # Errors
    ///
    /// As [`Sendmail::send`].
    pub fn verify(&self, options: &Options) -> Result<Vec<String>> {
        let mail = self.mail(options, self.parse(b"\n".to_vec())?)?;
        let outcome = self.copies.handler.handle(mail).map_err(temporary)?;
        let mut lines = Vec::new();
        for group in &outcome.decision.groups {
            let fate = match &group.disposition {
                Disposition::Discard => "discarded".to_owned(),
                Disposition::Post => "posted to a list".to_owned(),
                Disposition::Quarantine(why) => format!("held: {why}"),
                Disposition::Reject(why) => format!("refused: {why}"),
                Disposition::Relay => "deliverable".to_owned(),
                Disposition::Tempfail(why) => format!("refused for now: {why}"),
            };
            lines.extend(
                group.recipients.iter().map(|path| format!("{}... {fate} (rule {:?})", path.address, group.rule)),
            );
        }
        Ok(lines)
    }

    fn read(&self, options: &Options, input: &mut dyn Read) -> Result<Message> {
        // One octet above the limit shows that the message is too large.
        let most = self.limits.message as u64 + 1;
        let mut octets = Vec::new();
        input.take(most).read_to_end(&mut octets).map_err(|error| Error::io("standard input", &error))?;
        Budget::new(self.limits.clone()).message(octets.len())?;
        if options.end == End::Dot {
            octets.truncate(before_dot(&octets));
        }
        self.parse(octets)
    }

    fn parse(&self, octets: Vec<u8>) -> Result<Message> {
        Message::received(octets, &mut Budget::new(self.limits.clone()))
    }

    fn mail(&self, options: &Options, message: Message) -> Result<Mail> {
        let own = self.addresses(self.writer.user)?.pop().ok_or_else(|| Error::usage("the user has no name"))?;
        let sender = match options.sender.as_deref().map(str::trim) {
            None => Some(own.clone()),
            Some("" | "<>") => None,
            Some(given) => self.addresses(given)?.pop(),
        };
        let message = self.parse(self.writer.complete(&message, sender.as_ref().unwrap_or(&own)))?;
        let mut addresses = Vec::new();
        for recipient in &options.recipients {
            addresses.extend(self.addresses(recipient)?);
        }
        if options.source == Source::Header {
            addresses.extend(header_recipients(&message)?);
        }
        let notify: Vec<String> = options.notify.iter().map(|value| format!("NOTIFY={value}")).collect();
        let mut paths: Vec<ForwardPath> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for address in addresses {
            if seen.insert(address.clone()) {
                paths.push(ForwardPath { address, parameters: notify.clone() });
            }
        }
        if paths.is_empty() {
            return Err(Error::usage("no recipients").with_hint("name them, or give -t and a To field"));
        }
        let ret = options.ret.iter().map(|value| format!("RET={value}"));
        let parameters = ret.chain(options.envid.iter().map(|value| format!("ENVID={value}"))).collect();
        let sender = ReversePath { address: sender, parameters };
        let submitter = self.submitter()?;
        Ok(Mail { envelope: Envelope { sender, recipients: paths }, submitter, client: None, message })
    }

    /// The calling user, as the login that rules compare.
    fn submitter(&self) -> Result<Submitter> {
        let login = Login::new(self.writer.user).ok_or_else(|| Error::usage("the user has no name"))?;
        Ok(Submitter::Authenticated(login))
    }

    /// The addresses in one argument: `bob`, `bob@example.net, carol`, `Bob <bob@example.net>`.
    fn addresses(&self, argument: &str) -> Result<Vec<Address>> {
        let mailboxes = address::list(&qualify(argument, self.writer.domain));
        let mailboxes = mailboxes.map_err(|error| Error::usage(error.to_string()))?;
        Ok(mailboxes.into_iter().map(|mailbox| mailbox.address).collect())
    }
}

/// The recipients in the header (RFC 5322, section 3.6.3). For a resent message, those of the resending (section 3.6.6).
fn header_recipients(message: &Message) -> Result<Vec<Address>> {
    let fields = || message.root().fields();
    let resent = ["Resent-To", "Resent-Cc", "Resent-Bcc"];
    let is_resent = fields().any(|field| resent.iter().any(|name| field.is(name)));
    let names = if is_resent { resent } else { ["To", "Cc", "Bcc"] };
    let mut found = Vec::new();
    for field in fields().filter(|field| names.iter().any(|name| field.is(name))) {
        let value = field.unfolded();
        if !value.is_empty() {
            found.extend(address::list(&value)?.into_iter().map(|mailbox| mailbox.address));
        }
    }
    Ok(found)
}

/// The length of the message before the first line that is a single dot.
fn before_dot(octets: &[u8]) -> usize {
    let mut at = 0;
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        if matches!(line, b"." | b".\n" | b".\r\n") {
            return at;
        }
        at += line.len();
    }
    at
}
