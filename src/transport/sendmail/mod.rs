//! A replacement for sendmail, for cron, PHP, mailx, git and other programs that run it.

mod complete;
mod options;
mod program;
mod session;

pub use complete::{Writer, qualify};
pub use options::{End, Mode, Options, Source, Speech};
pub use program::Program;

use std::io::Read;

use super::{
    Blocking, SessionId,
    filter::temporary,
    forwarding::recipients,
    rejection::rejection,
    trace::{Arrival, Endings, failure},
};
use crate::{
    base::{Budget, Error, Limits, Result},
    engine::{Handler, Outcome},
    mail::{Address, Envelope, ForwardPath, Login, Mail, Message, ReversePath, Submitter, address},
    policy::Disposition,
    report::{Cause, Fate, Metrics},
};

/// One run of the program.
pub struct Sendmail<'a> {
    /// Applies the policy.
    pub handler: &'a dyn Handler,
    /// Takes the mails.
    pub next_hop: &'a Blocking,
    /// Adds what the caller left out.
    pub writer: Writer<'a>,
    /// Limits on one message.
    pub limits: &'a Limits,
    /// The id of this run in the log.
    pub session: &'a SessionId,
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
        self.deliver(mail, 1)
    }

    /// Sends all copies of the message with this number, or returns an error that names those sent.
    fn deliver(&self, mail: Mail, number: usize) -> Result<Vec<String>> {
        let _within = self.session.message_span(number, None).entered();
        Arrival::of_submitter(&mail.submitter).log(&mail);
        let (to, metrics) = (recipients(&mail).cloned().collect::<Vec<_>>(), Metrics::default());
        let endings = Endings::new(&metrics, "sendmail");
        match self.copies(mail) {
            Ok(outcome) => self.send_copies(&outcome, &endings),
            Err((cause, error)) => {
                endings.refused(cause, &to, &rejection(&error));
                Err(error)
            }
        }
    }

    /// What the policy makes of a mail.
    fn copies(&self, mail: Mail) -> Result<Outcome, (Cause, Error)> {
        let failed = |error| {
            failure(&error);
            (Cause::Failure, temporary(error))
        };
        let outcome = self.handler.handle(mail).map_err(failed)?;
        if let Some(refusal) = outcome.local_refusal() {
            return Err((Cause::Rule, refusal));
        }
        match held(&outcome) {
            Some(held) => Err((Cause::Rule, held)),
            None => Ok(outcome),
        }
    }

    fn send_copies(&self, outcome: &Outcome, endings: &Endings<'_>) -> Result<Vec<String>> {
        let mut notes = outcome.notes.clone();
        let mut sent: Vec<String> = Vec::new();
        for mail in outcome.transactions() {
            let names = named(&mail);
            if let Err(error) = self.next_hop.send(&mail) {
                endings.answered(recipients(&mail), &error.reply());
                return Err(partly_sent(&sent, &names, &error.into()));
            }
            endings.end(Fate::Relayed, Cause::NextHop, recipients(&mail), None);
            notes.push(format!("handed over for {names}"));
            sent.push(names);
        }
        Ok(notes)
    }

    /// Says what the policy does with an empty message, one line per recipient: `-bv`. Nothing is read and nothing is sent.
    ///
    /// # Errors
    ///
    /// As [`Sendmail::send`].
    pub fn verify(&self, options: &Options) -> Result<Vec<String>> {
        let mail = self.mail(options, self.parse(b"\n".to_vec())?)?;
        let outcome = self.handler.handle(mail).map_err(temporary)?;
        let mut lines = Vec::new();
        for group in &outcome.decision.groups {
            let fate = match &group.disposition {
                Disposition::Discard => "discarded".to_owned(),
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
        Ok(Mail { envelope: Envelope { sender, recipients: paths }, submitter, message })
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

/// This program has no quarantine. The caller still has the mail.
fn held(outcome: &Outcome) -> Option<Error> {
    outcome.decision.groups.iter().find_map(|group| match &group.disposition {
        Disposition::Quarantine(why) => Some(Error::no_key(format!("to be held: {why} (rule {:?})", group.rule))),
        _ => None,
    })
}

fn partly_sent(sent: &[String], names: &str, error: &Error) -> Error {
    let words = match sent {
        [] => error.to_string(),
        sent => format!("handed over for {}, but not for {names}: {error}", sent.join(", ")),
    };
    let hint = error.hint().cloned();
    hint.into_iter().fold(Error::new(error.kind(), words), Error::with_hint)
}

fn named(mail: &Mail) -> String {
    mail.envelope.recipients.iter().map(|path| path.address.to_string()).collect::<Vec<_>>().join(", ")
}
