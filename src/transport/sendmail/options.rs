//! The options of sendmail: in clusters, with attached or separate values.

use crate::base::{Error, Result};

/// The parsed command line.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// The mode of operation.
    pub mode: Mode,
    /// The source of recipients.
    pub source: Source,
    /// The end of the message.
    pub end: End,
    /// The reverse-path as given with `-f` or `-r`; empty or `<>` is the null sender.
    pub sender: Option<String>,
    /// The sender's full name: `-F`.
    pub full_name: Option<String>,
    /// The verbosity.
    pub speech: Speech,
    /// The recipients on the command line.
    pub recipients: Vec<String>,
    /// `-N`: the value of NOTIFY (RFC 3461, section 4.1).
    pub notify: Option<String>,
    /// `-R`: the value of RET (RFC 3461, section 4.3).
    pub ret: Option<String>,
    /// `-V`: the value of ENVID (RFC 3461, section 4.4).
    pub envid: Option<String>,
    /// The letter of the last `-b`.
    chosen: Option<char>,
    /// The value of `-q`.
    queue: Option<String>,
    /// `-Ac` or `-Am`: which of Sendmail 8's two queues and configurations.
    side: Option<char>,
}

/// The mode of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// Sends a message: `-bm`, or `-ba` (sendmail(8) of Sendmail 8).
    #[default]
    Deliver,
    /// An operation on the queue, the aliases or the daemon. Only the real program can do it, without a message or recipients:
    /// [`Options::errand`].
    Errand,
    /// SMTP on standard input and output: `-bs`.
    Smtp,
    /// Says what happens to mail for the recipients, and sends nothing: `-bv`.
    Verify,
}

/// The source of recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Source {
    /// The command line.
    #[default]
    Arguments,
    /// The command line, and To, Cc and Bcc: `-t`.
    Header,
}

/// The end of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum End {
    /// A line that is a single dot.
    #[default]
    Dot,
    /// The end of the input: `-i`, `-oi`.
    Input,
}

/// The verbosity after a mail was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Speech {
    /// Nothing.
    #[default]
    Silent,
    /// The actions: `-v`.
    Verbose,
}

impl Options {
    /// Parses the arguments after the program's name. Options without a meaning here are ignored.
    ///
    /// # Errors
    ///
    /// `Usage`: an unknown option, an option without its value, or a queue operation with recipients.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Options::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix('-') {
                Some("-") => options.recipients.extend(arguments.by_ref().cloned()),
                Some(cluster) if !cluster.is_empty() => options.cluster(cluster, &mut arguments)?,
                _ => options.recipients.push(argument.clone()),
            }
        }
        options.mode = match options.chosen {
            _ if options.queue.is_some() => Mode::Errand,
            None | Some('a' | 'm') => Mode::Deliver,
            Some('s') => Mode::Smtp,
            Some('v') => Mode::Verify,
            Some(_) => Mode::Errand,
        };
        // A queue operation with recipients is ambiguous: a message that is not sent would be lost without an error.
        let sends = options.source == Source::Header || !options.recipients.is_empty();
        match options.mode == Mode::Errand && sends {
            true => Err(Error::usage(format!("{}: takes no recipients, and no -t", options.errand().join(" ")))),
            false => Ok(options),
        }
    }

    /// The command line of the real program for [`Mode::Errand`], built from the parsed options alone: the operation, the queue, and the
    /// verbosity.
    pub fn errand(&self) -> Vec<String> {
        let chosen = self.chosen.filter(|letter| ERRANDS.contains(*letter)).map(|letter| format!("-b{letter}"));
        let side = self.side.map(|letter| format!("-A{letter}"));
        let queue = self.queue.as_ref().map(|value| format!("-q{value}"));
        let speech = (self.speech == Speech::Verbose).then(|| "-v".to_owned());
        [side, chosen, queue, speech].into_iter().flatten().collect()
    }

    fn cluster<'a>(&mut self, cluster: &str, rest: &mut impl Iterator<Item = &'a String>) -> Result<()> {
        let mut letters = cluster.chars();
        while let Some(letter) = letters.next() {
            let attached = letters.as_str();
            if FLAGS.contains(letter) {
                self.flag(letter);
                continue;
            }
            if OPTIONAL.contains(letter) {
                if letter == 'q' {
                    self.queue = Some(queue(attached)?);
                }
                return Ok(());
            }
            if !VALUED.contains(letter) {
                return Err(Error::usage(format!("option -{letter}: not one of sendmail's")));
            }
            let value = match attached {
                "" => rest.next().cloned(),
                attached => Some(attached.to_owned()),
            };
            let value = value.ok_or_else(|| Error::usage(format!("option -{letter}: lacks its value")))?;
            return self.valued(letter, value);
        }
        Ok(())
    }

    fn flag(&mut self, letter: char) {
        match letter {
            'i' => self.end = End::Input,
            't' => self.source = Source::Header,
            'v' => self.speech = Speech::Verbose,
            'I' => self.chosen = Some('i'),
            _ => {}
        }
    }

    fn valued(&mut self, letter: char, value: String) -> Result<()> {
        match (letter, value.as_str()) {
            ('b', mode) => {
                let letter = mode.parse().ok().filter(|letter| MODES.contains(*letter) || ERRANDS.contains(*letter));
                self.chosen = Some(letter.ok_or_else(|| Error::usage(format!("option -b{mode}: not done here")))?);
            }
            ('A', "c") => self.side = Some('c'),
            ('A', "m") => self.side = Some('m'),
            // Sendmail 8: `-oi` is `-i`; so is the long form.
            ('o', "i") | ('O', "IgnoreDots=True" | "IgnoreDots=true") => self.end = End::Input,
            ('f' | 'r', _) => self.sender = Some(value),
            ('F', _) => self.full_name = Some(value),
            ('N', _) if value.split(',').all(|word| is_one_of(word, &NOTICES)) => self.notify = Some(value),
            ('R', _) if is_one_of(&value, &RETURNED) => self.ret = Some(value),
            ('N' | 'R', _) => return Err(Error::usage(format!("option -{letter}: {value:?} is not one of its words"))),
            ('V', _) => self.envid = Some(printable("V", value)?),
            _ => {}
        }
        Ok(())
    }
}

fn is_one_of(word: &str, known: &[&str]) -> bool {
    known.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// A value of `-q`: an interval, or a selection of messages (`-qRexample.org`).
fn queue(value: &str) -> Result<String> {
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"!.@_-".contains(&octet);
    match value.bytes().all(is_plain) {
        true => Ok(value.to_owned()),
        false => Err(Error::usage(format!("option -q{value}: not done here"))),
    }
}

/// A value in an SMTP command must not end the command.
fn printable(option: &str, value: String) -> Result<String> {
    match !value.is_empty() && value.bytes().all(|octet| octet.is_ascii_graphic()) {
        true => Ok(value),
        false => Err(Error::usage(format!("option -{option}: {value:?} is not printable"))),
    }
}

/// RFC 3461, section 4.1.
const NOTICES: [&str; 4] = ["delay", "failure", "never", "success"];

/// RFC 3461, section 4.3.
const RETURNED: [&str; 2] = ["full", "hdrs"];

/// Modes that are implemented here. `-ba` is `-bm` (sendmail(8) of Sendmail 8).
const MODES: &str = "amsv";

/// Modes of the real program alone: the daemon, its host status, aliases, the queue. `-bt` is not among them, because it reads commands from
/// standard input.
const ERRANDS: &str = "dDhHilpP";

/// Options without a value. Source: sendmail(8) of Sendmail 8.18, Postfix 3.9, Exim 4.98 and OpenSMTPD 7.5.
const FLAGS: &str = "cGIimnsTtUvx";

/// Options with a value that is attached, if there is one.
const OPTIONAL: &str = "dq";

/// Options with a value, attached or in the next argument.
const VALUED: &str = "ABbCDeFfhLMNoOpRrVX";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Options {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn options_come_in_every_shape() {
        let expected = Options {
            source: Source::Header,
            end: End::Input,
            sender: Some("a@x.org".to_owned()),
            full_name: Some("Al".to_owned()),
            recipients: vec!["b@x.org".to_owned()],
            ..Options::default()
        };
        for line in [
            "-t -i -f a@x.org -F Al b@x.org",
            "-ti -fa@x.org -FAl -- b@x.org",
            "-oi -oem -odb -t -ra@x.org -FAl b@x.org",
            "-t -o i -f a@x.org -F Al b@x.org -B8BITMIME -Ooption=value -C /dev/null -X log -L tag -p smtp -h 5 -em -d7",
            "b@x.org -tifa@x.org -FAl",
            "-Ax -G -U -n -m -OIgnoreDots=True -t -f a@x.org -FAl b@x.org",
        ] {
            assert_eq!(parse(line), expected, "{line}");
        }
        assert_eq!(parse("-- -f -t").recipients, ["-f", "-t"]);
        assert_eq!(parse("-").recipients, ["-"]);
    }

    #[test]
    fn modes_are_known() {
        for (line, mode) in [
            ("-bm x@y.z", Mode::Deliver),
            ("-bs", Mode::Smtp),
            ("-b s", Mode::Smtp),
            ("-bv x@y.z", Mode::Verify),
            ("-ba x@y.z", Mode::Deliver),
            ("-ba -C evil.cf -X log.php x@y.z", Mode::Deliver),
            ("-bp", Mode::Errand),
            ("-q", Mode::Errand),
            ("-q15m", Mode::Errand),
            ("-I", Mode::Errand),
        ] {
            assert_eq!(parse(line).mode, mode, "{line}");
        }
        let dsn = parse("-N success,failure -R hdrs -V id1");
        assert_eq!(
            (dsn.notify.as_deref(), dsn.ret.as_deref(), dsn.envid.as_deref()),
            (Some("success,failure"), Some("hdrs"), Some("id1"))
        );
    }

    #[test]
    fn the_real_program_gets_its_errand_alone() {
        for (line, errand) in [
            ("-bp", "-bp"),
            ("-bi -C evil.cf", "-bi"),
            ("-I -v", "-bi -v"),
            ("-bd -q30m -X log -OQueueDirectory=/tmp", "-bd -q30m"),
            ("-bm -q", "-q"),
            ("-Ac -qRexample.org -oQ/tmp -v", "-Ac -qRexample.org -v"),
            ("-A x -bp -F Al -f a@x.org -d9 -L tag", "-bp"),
            ("-bp -bi", "-bi"),
        ] {
            assert_eq!(parse(line).errand().join(" "), errand, "{line}");
        }
        for wrong in
            ["-bp -t", "-bm -q x@y.z", "-q -- x@y.z", "-bi -bd x@y.z", "-q/tmp", "-qR$(x)", "-bt", "-b", "-bpq"]
        {
            let arguments: Vec<String> = wrong.split(' ').map(str::to_owned).collect();
            assert!(Options::parse(&arguments).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_nobody_knows_is_refused() {
        for wrong in [
            &["-Z"][..],
            &["-f"],
            &["-bz"],
            &["-N", "-X/tmp/log"],
            &["-R", "bob"],
            &["-N", "never\r\nRSET"],
            &["-V", ""],
        ] {
            let arguments: Vec<String> = wrong.iter().map(|argument| (*argument).to_owned()).collect();
            assert!(Options::parse(&arguments).is_err(), "{wrong:?}");
        }
    }
}
