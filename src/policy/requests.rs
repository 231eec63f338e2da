//! What people ask of a list in mail that they signed: to be a member, to be none, for its key.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::mail::Address;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub enum Command {
    /// What can be asked.
    Help,
    /// The public keys of the list.
    Key,
    /// To become a member.
    Subscribe,
    /// To be a member no longer.
    Unsubscribe,
}

/// What the members of a list may change themselves. The owner decides of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subscription {
    /// Nothing.
    Closed,
    /// They may leave.
    Moderated,
    /// They may leave, and others may join.
    Open,
}

/// A command of a person, with the signatures that show that it is theirs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Request {
    /// The author, whom the command is about.
    pub author: Address,
    /// What is asked.
    pub command: Command,
    /// The key and the time of each signature of the author. What changes on the way does not change them.
    pub signatures: Vec<(String, SystemTime)>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub enum Carried {
    /// Nothing had to be changed.
    Already,
    /// It was carried out before, and is not again: the mail came twice, or another person sent it again.
    Before,
    /// It was carried out.
    Done,
    /// Only the owner can do it: the member is named in the configuration itself.
    Fixed,
    /// The author asked too often. Nothing was done.
    TooMany,
}

impl Command {
    /// All.
    pub const ALL: [Command; 4] = [Command::Help, Command::Key, Command::Subscribe, Command::Unsubscribe];

    /// The word in a mail.
    pub fn name(self) -> &'static str {
        match self {
            Command::Help => "help",
            Command::Key => "key",
            Command::Subscribe => "subscribe",
            Command::Unsubscribe => "unsubscribe",
        }
    }

    /// The command for `list` in the first line of a text that is not empty: `subscribe dev@example.org`. It names the list, because what is signed for
    /// one list must not count for another.
    pub fn read(text: &str, list: &Address) -> Option<Command> {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
        let mut words = line.split_ascii_whitespace();
        let (word, named) = (words.next()?, Address::parse(words.next()?).ok()?);
        let is_for_list = named.to_string().eq_ignore_ascii_case(&list.to_string()) && words.next().is_none();
        Self::ALL.into_iter().find(|command| is_for_list && word.eq_ignore_ascii_case(command.name()))
    }
}

impl Subscription {
    /// Whether the command is carried out without the owner.
    pub fn permits(self, command: Command) -> bool {
        match command {
            Command::Help | Command::Key => true,
            Command::Subscribe => self == Subscription::Open,
            Command::Unsubscribe => self >= Subscription::Moderated,
        }
    }
}

impl Request {
    /// Whether all of its signatures were made within [`REQUEST_AGE`] before `now`, or will be within a day: clocks differ.
    pub fn is_current(&self, now: SystemTime) -> bool {
        let is_current = |at: SystemTime| match now.duration_since(at) {
            Ok(age) => age <= REQUEST_AGE,
            Err(ahead) => ahead.duration() <= AHEAD,
        };
        !self.signatures.is_empty() && self.signatures.iter().all(|(_, at)| is_current(*at))
    }
}

/// How old the signature of a request may be. Source: mail servers try for five days (RFC 5321, section 4.5.4.1), and a person waits over a weekend.
pub const REQUEST_AGE: Duration = Duration::from_secs(7 * DAY);
const AHEAD: Duration = Duration::from_secs(DAY);
const DAY: u64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_its_list_and_nothing_else() {
        let list = Address::parse("dev@example.org").unwrap();
        for (text, command) in [
            ("\r\n  Subscribe <Dev@example.org>\r\n-- \r\nAlice\r\n", None),
            ("\r\n  Subscribe Dev@Example.org\r\n-- \r\nAlice\r\n", Some(Command::Subscribe)),
            ("key dev@example.org", Some(Command::Key)),
            ("unsubscribe", None),
            ("unsubscribe dev@example.org bob@example.org", None),
            ("unsubscribe ops@example.org", None),
            ("please subscribe dev@example.org", None),
            ("> unsubscribe dev@example.org", None),
            ("Hello,\nunsubscribe dev@example.org", None),
            ("", None),
        ] {
            assert_eq!(Command::read(text, &list), command, "{text:?}");
        }
    }

    #[test]
    fn old_requests_are_none() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 * DAY);
        let request = |times: &[SystemTime]| Request {
            author: Address::parse("a@example.org").unwrap(),
            command: Command::Help,
            signatures: times.iter().map(|at| ("KEY".to_owned(), *at)).collect(),
        };
        let (day, week) = (Duration::from_secs(DAY), REQUEST_AGE);
        assert!(request(&[now, now - week, now + day]).is_current(now));
        assert!(!request(&[now, now - week - Duration::from_secs(1)]).is_current(now));
        assert!(!request(&[now + day + Duration::from_secs(1)]).is_current(now));
        assert!(!request(&[]).is_current(now));
    }
}
