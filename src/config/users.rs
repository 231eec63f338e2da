//! The users file: one line per user, `NAME:$argon2id$...`, the PHC string of the password's Argon2id hash (RFC 9106). A passwd-file of Dovecot
//! with the scheme ARGON2ID has the same form.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use subtle::ConstantTimeEq;

use super::SecretFrom;
use crate::{
    base::{Error, Hint, Kind, Random, Result, Secret},
    crypto::argon2id,
    mail::Login,
    transport::smtp::Accounts,
};

/// User names and password hashes.
#[derive(Debug)]
pub struct Users {
    entries: BTreeMap<Login, Entry>,
    /// Chooses the entry that is checked for an unknown name: always the same one for the same name.
    stand_in: RandomState,
}

/// A problem with a line of a users file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// Counted from 1.
    pub(super) line: usize,
    /// The problem. It contains nothing of a password.
    pub(super) why: String,
}

#[derive(Debug)]
struct Entry {
    line: usize,
    verifier: Verifier,
}

/// A password hash with its parameters.
#[derive(Debug)]
struct Verifier {
    /// In KiB.
    memory: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    hash: Secret,
}

impl Users {
    /// Reads the file. Other users must not be able to read it.
    ///
    /// # Errors
    ///
    /// `Config`: it cannot be read, or its first problem, as `FILE:LINE: what`.
    pub fn read(path: &Path) -> Result<Users> {
        let (users, flaws) = Self::flawed(path)?;
        match flaws.into_iter().next() {
            Some(Flaw { line, why }) => {
                Err(Error::new(Kind::Config, format!("{}:{line}: {why}", path.display())).with_hint(Hint::WriteUser))
            }
            None => Ok(users),
        }
    }

    /// Reads the valid lines of the file, and finds the problems with the others.
    pub(super) fn flawed(path: &Path) -> Result<(Users, Vec<Flaw>)> {
        let octets = SecretFrom::File(path.to_owned()).read()?;
        let text = std::str::from_utf8(octets.expose());
        let text = text.map_err(|_| Error::new(Kind::Config, format!("{}: is not UTF-8", path.display())))?;
        let (users, mut flaws) = Self::parse(text);
        if users.entries.is_empty() && flaws.is_empty() {
            flaws.push(Flaw { line: 1, why: "no user is in it".to_owned() });
        }
        Ok((users, flaws))
    }

    fn parse(text: &str) -> (Users, Vec<Flaw>) {
        let (mut entries, mut flaws) = (BTreeMap::<Login, Entry>::new(), Vec::new());
        for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim_end())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match read_line(line) {
                Ok((name, verifier)) => {
                    if let Some(Entry { line, .. }) = entries.get(&name) {
                        flaws
                            .push(Flaw { line: number, why: format!("{:?} is on line {line} already", name.as_str()) });
                        continue;
                    }
                    entries.insert(name, Entry { line: number, verifier });
                }
                Err(why) => flaws.push(Flaw { line: number, why }),
            }
        }
        (Users { entries, stand_in: RandomState::new() }, flaws)
    }
}

impl Accounts for Users {
    fn has(&self, name: &Login, password: &Secret) -> bool {
        let found = self.entries.get(name);
        // An unknown name takes as long as a known one, and as the same one each time.
        let place = self.stand_in.hash_one(name) % (self.entries.len() as u64).max(1);
        let stand_in = self.entries.values().nth(usize::try_from(place).unwrap_or_default());
        let fits = found.or(stand_in).is_some_and(|entry| entry.verifier.fits(password));
        found.is_some() && fits
    }
}

/// The line for a user, without a line ending.
///
/// # Errors
///
/// `Usage`: the name or the password cannot be in such a file. `Unavailable`: there is no randomness.
pub fn user_line(name: &str, password: &Secret, random: &dyn Random) -> Result<String> {
    usable(name).map_err(|why| Error::usage(format!("user {name:?}: {why}")))?;
    if password.expose().is_empty() {
        return Err(Error::usage(format!("user {name:?}: the password is empty")));
    }
    let mut salt = vec![0; SALT];
    random.fill(&mut salt)?;
    let hash = argon2id(password, &salt, MEMORY, PASSES, LANES, HASH)?;
    let [salt, hash] = [&salt, hash.expose()].map(|octets| STANDARD_NO_PAD.encode(octets));
    Ok(format!("{name}:$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}${salt}${hash}"))
}

impl Verifier {
    /// Reads `$argon2id$v=19$m=65536,t=3,p=4$SALT$HASH`.
    fn parse(text: &str) -> Result<Verifier, String> {
        let pieces: Vec<&str> = text.split('$').collect();
        let ["", "argon2id", version, costs, salt, hash] = pieces[..] else {
            return Err("not a password by Argon2id".to_owned());
        };
        if version != "v=19" {
            return Err("not version 19 of Argon2id (RFC 9106)".to_owned());
        }
        let number = |text: &str, name: &str| text.strip_prefix(name)?.parse::<u32>().ok();
        let costs: Vec<&str> = costs.split(',').collect();
        let numbers = match costs[..] {
            [memory, passes, lanes] => (number(memory, "m="), number(passes, "t="), number(lanes, "p=")),
            _ => (None, None, None),
        };
        let (Some(memory), Some(passes), Some(lanes)) = numbers else {
            return Err("costs that are not m=KIB,t=PASSES,p=LANES".to_owned());
        };
        if memory > MAX_MEMORY || passes > MAX_PASSES || lanes > MAX_LANES {
            return Err(format!("costs beyond 2 GiB, {MAX_PASSES} passes or {MAX_LANES} lanes"));
        }
        if lanes == 0 || passes == 0 || memory < 8 * lanes {
            return Err("invalid costs (RFC 9106, section 3.1)".to_owned());
        }
        let octets = |text: &str, least: usize| {
            let octets = STANDARD_NO_PAD.decode(text).ok()?;
            Some(octets).filter(|octets| (least..=MAX_LENGTH).contains(&octets.len()))
        };
        let octets = (octets(salt, MIN_SALT), octets(hash, MIN_HASH));
        let (Some(salt), Some(hash)) = octets else {
            return Err("a salt or hash that is too short, too long, or not base64 without padding".to_owned());
        };
        Ok(Verifier { memory, passes, lanes, salt, hash: Secret::new(hash) })
    }

    fn fits(&self, password: &Secret) -> bool {
        let hash = self.hash.expose();
        let made = argon2id(password, &self.salt, self.memory, self.passes, self.lanes, hash.len());
        made.is_ok_and(|made| made.expose().ct_eq(hash).into())
    }
}

/// The name and the hash, or the problem. A problem contains nothing that may be a password.
fn read_line(line: &str) -> Result<(Login, Verifier), String> {
    let (name, rest) = line.split_once(':').ok_or("no colon between name and password")?;
    let name = usable(name)?;
    // Dovecot: user:password:uid:gid:gecos:home:shell:extra. The extra fields may restrict who may log in, and from where.
    let mut fields = rest.splitn(7, ':');
    let password = fields.next().unwrap_or_default();
    if fields.nth(5).is_some_and(|extra| !extra.trim().is_empty()) {
        return Err("extra fields, which are not supported".to_owned());
    }
    let hash = match password.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((scheme, hash)) if scheme.eq_ignore_ascii_case("ARGON2ID") => hash,
        Some(_) => return Err("a scheme that is not {ARGON2ID}".to_owned()),
        None => password,
    };
    Verifier::parse(hash).map(|verifier| (name, verifier))
}

fn usable(name: &str) -> Result<Login, String> {
    let is_plain = !name.contains([':', '\u{feff}']) && !name.contains(char::is_control);
    let is_name = !name.starts_with('#') && name.trim() == name && is_plain;
    let login = Login::new(name).filter(|_| is_name);
    login.ok_or_else(|| "not a name: empty, with a colon, a control character, or space around it".to_owned())
}

/// RFC 9106, section 4, the second recommended option: 128 bits of salt, 64 MiB, 3 passes, 4 lanes, 256 bits.
const SALT: usize = 16;
const MEMORY: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 4;
const HASH: usize = 32;

/// Source: RFC 9106, section 3.1, asks for a salt of 8 octets at least. The PHC string format has a maximum of 64.
const MIN_SALT: usize = 8;
const MIN_HASH: usize = 16;
const MAX_LENGTH: usize = 64;
/// In KiB: 2 GiB, the first recommended option of RFC 9106, section 4.
const MAX_MEMORY: u32 = 2 * 1024 * 1024;
/// Far above any recommendation, and still done within a minute.
const MAX_PASSES: u32 = 100;
const MAX_LANES: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemRandom;

    /// Written by `doveadm pw -s ARGON2ID`, Dovecot 2.3.19; the password is "correct horse".
    const DOVECOT: &str =
        "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$dbQrunOA0TlGcdZH69iqdA$Iy6xK+DWQjNuEamcJahfSz9JD0JKlpC5gU8qxd9lpU8";
    /// The reference implementation's test vector; the password is "password".
    const REFERENCE: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    fn parse(text: &str) -> (Users, Vec<String>) {
        let (users, flaws) = Users::parse(text);
        (users, flaws.into_iter().map(|Flaw { line, why }| format!("{line}: {why}")).collect())
    }

    #[test]
    fn hashes_of_other_programs_and_our_own_are_verified() {
        let own = user_line("Carol", &Secret::from("tr:ou$bador"), &SystemRandom).unwrap();
        let text = format!("# users\r\nalice@example.org:{DOVECOT}:::::\r\n\r\nbob:{REFERENCE}\n{own}");
        let (users, flaws) = parse(&text);
        assert_eq!(flaws, Vec::<String>::new());
        let has =
            |users: &Users, name: &str, password: &str| users.has(&Login::new(name).unwrap(), &Secret::from(password));
        assert!(has(&users, "Alice@Example.ORG", "correct horse"));
        assert!(has(&users, "bob", "password"));
        assert!(has(&users, "carol", "tr:ou$bador"));
        for (name, password) in
            [("bob", "Password"), ("bob", ""), ("bob", "password\0"), ("bo", "password"), ("# users", "")]
        {
            assert!(!has(&users, name, password), "{name:?} {password:?}");
        }
        // The password of the stand-in entry does not log an unknown name in.
        let (one, _) = parse(&format!("bob:{REFERENCE}"));
        assert!(!has(&one, "eve", "password"));
        assert!(!has(&parse("").0, "eve", ""));
    }

    #[test]
    fn every_problem_has_its_line_and_no_password() {
        let (salt, hash) = ("c29tZXNhbHQ", "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4");
        for (line, why) in [
            ("alice", "no colon between name and password"),
            (":x", "not a name: empty, with a colon, a control character, or space around it"),
            (" alice:x", "not a name: empty, with a colon, a control character, or space around it"),
            ("alice:", "not a password by Argon2id"),
            ("alice:sesame", "not a password by Argon2id"),
            ("alice:$6$sesame$x", "not a password by Argon2id"),
            ("alice:{PLAIN}sesame", "a scheme that is not {ARGON2ID}"),
            (&format!("alice:$argon2i$v=19$m=8,t=1,p=1${salt}${hash}"), "not a password by Argon2id"),
            (&format!("alice:$argon2id$v=16$m=8,t=1,p=1${salt}${hash}"), "not version 19 of Argon2id (RFC 9106)"),
            (&format!("alice:$argon2id$v=19$t=1,m=8,p=1${salt}${hash}"), "costs that are not m=KIB,t=PASSES,p=LANES"),
            (&format!("alice:$argon2id$v=19$m=8,t=0,p=1${salt}${hash}"), "invalid costs (RFC 9106, section 3.1)"),
            (&format!("alice:$argon2id$v=19$m=8,t=1,p=2${salt}${hash}"), "invalid costs (RFC 9106, section 3.1)"),
            (
                &format!("alice:$argon2id$v=19$m=4294967295,t=1,p=1${salt}${hash}"),
                "costs beyond 2 GiB, 100 passes or 64 lanes",
            ),
            (
                &format!("alice:$argon2id$v=19$m=8,t=1,p=1${salt}=${hash}"),
                "a salt or hash that is too short, too long, or not base64 without padding",
            ),
            (
                &format!("alice:$argon2id$v=19$m=8,t=1,p=1${salt}$AAAA"),
                "a salt or hash that is too short, too long, or not base64 without padding",
            ),
            (&format!("alice:{REFERENCE}::::::allow_nets=192.0.2.0/24"), "extra fields, which are not supported"),
        ] {
            let (users, flaws) = parse(&format!("bob:{REFERENCE}\n{line}\n"));
            assert_eq!(flaws, [format!("2: {why}")], "{line}");
            assert_eq!(users.entries.len(), 1);
            assert!(!why.contains("sesame"));
        }
        let twice = parse(&format!("bob:{REFERENCE}\n\nBOB:{REFERENCE}\n")).1;
        assert_eq!(twice, ["3: \"bob\" is on line 1 already"]);
        assert!(parse(&format!("bob:{REFERENCE}:1000:1000::/home/bob:/bin/sh:")).1.is_empty());
    }

    #[test]
    fn invalid_names_and_passwords_make_no_line() {
        let line = |name: &str, password: &str| user_line(name, &Secret::from(password), &SystemRandom);
        assert_eq!(line("a:b", "x").unwrap_err().kind(), Kind::Usage);
        let error = line("alice", "").unwrap_err();
        assert_eq!(error.to_string(), "user \"alice\": the password is empty");
        assert_ne!(line("alice", "x").unwrap(), line("alice", "x").unwrap(), "the salt is random");
    }
}
