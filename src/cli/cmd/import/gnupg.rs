//! GnuPG's home, read through gpg and gpgsm: the format of its key store is private to gpg-agent, which also asks for passphrases.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use postseal::{
    base::{Error, Kind, Result, Secret},
    keys::{Binding, Handle, Keys as _, ProtocolName, Query, Want},
    store::Keystore,
};

use super::found::{Found, KeyFile};
use crate::cli::session::Session;

/// The keys of gpg. Those with ultimate trust are trusted for their user IDs, like keys that `key generate` makes.
pub(super) fn openpgp(directory: &Path, home: &Keystore, session: &Session) -> Result<Found> {
    let gpg = Program::new("gpg", directory)?;
    let mut found = Found::default();
    found.files.push(gpg.file("public keys", gpg.asked(&["--export"])?));
    let own = gpg.secret_keys("sec")?;
    for fingerprint in new(ProtocolName::Pgp, &own, home)? {
        gpg.take_secret(&mut found, &["--export-secret-keys", fingerprint], fingerprint, home, session)?;
    }
    let trust = gpg.asked(&["--export-ownertrust"])?;
    // "FINGERPRINT:6:", and 6 is "ultimate" (gnupg, doc/DETAILS).
    for line in String::from_utf8_lossy(trust.expose()).lines() {
        // Only for own keys: in gpg, ultimate trust also makes the certifications of a key count, which postseal does not use.
        if let Some(fingerprint) = line.strip_suffix(":6:").filter(|one| own.iter().any(|own| own == one)) {
            found.beliefs.push((ProtocolName::Pgp, Handle::parse(fingerprint)?, Binding::UserIds));
        }
    }
    Ok(found)
}

/// The keys of gpgsm. Certificates in its trustlist.txt become trust anchors.
pub(super) fn x509(directory: &Path, home: &Keystore, session: &Session) -> Result<Found> {
    let gpgsm = Program::new("gpgsm", directory)?;
    let mut found = Found::default();
    found.files.push(gpgsm.file("certificates", gpgsm.asked(&["--armor", "--export"])?));
    for fingerprint in new(ProtocolName::Smime, &gpgsm.secret_keys("crs")?, home)? {
        gpgsm.take_secret(&mut found, &["--export-secret-key-p12", fingerprint], fingerprint, home, session)?;
    }
    let path = directory.join("trustlist.txt");
    match fs::read_to_string(&path) {
        Ok(text) => {
            for fingerprint in text.lines().filter_map(trusted) {
                found.beliefs.push((ProtocolName::Smime, Handle::parse(&fingerprint)?, Binding::Anchor));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => found.left.push(Error::io(path.display(), &error)),
    }
    Ok(found)
}

/// The keys whose secret part is not here yet. gpg locks an exported key anew, so that importing it again would look like a change.
fn new<'a>(protocol: ProtocolName, fingerprints: &'a [String], home: &Keystore) -> Result<Vec<&'a str>> {
    let mut new = Vec::new();
    for fingerprint in fingerprints {
        let here = home.find(protocol, &Query::manage(Want::Handle(&Handle::parse(fingerprint)?)))?;
        if here.iter().all(|record| record.secrets().is_empty()) {
            new.push(fingerprint.as_str());
        }
    }
    Ok(new)
}

/// The SHA-1 fingerprint in a line of trustlist.txt that trusts it for S/MIME (gnupg, doc/gpg-agent): `[!]FINGERPRINT S|* [flags]`.
fn trusted(line: &str) -> Option<String> {
    let mut fields = line.split_whitespace();
    let fingerprint = fields.next().filter(|first| !first.starts_with(['#', '!']))?;
    ["S", "s", "*"].contains(&fields.next()?).then(|| fingerprint.replace(':', ""))
}

/// gpg or gpgsm with its home.
struct Program {
    name: &'static str,
    directory: PathBuf,
}

impl Program {
    fn new(name: &'static str, directory: &Path) -> Result<Program> {
        let place = directory.display();
        // gpg creates a missing home.
        if !["pubring.kbx", "pubring.gpg", "public-keys.d"].iter().any(|file| directory.join(file).exists()) {
            return Err(Error::new(Kind::NoInput, format!("{place}: no keyring of gnupg is there")));
        }
        Ok(Program { name, directory: directory.to_owned() })
    }

    /// The exported certificates.
    fn file(&self, what: &str, octets: Secret) -> KeyFile {
        KeyFile { place: format!("{}: {what}", self.directory.display()), octets, named: None }
    }

    /// The fingerprints of keys with a secret part; `kind` is the record type of the listing (gnupg, doc/DETAILS).
    fn secret_keys(&self, kind: &str) -> Result<Vec<String>> {
        let list = self.asked(&["--list-secret-keys", "--with-colons"])?;
        let list = String::from_utf8_lossy(list.expose()).into_owned();
        let (mut fingerprints, mut is_next) = (Vec::new(), false);
        for line in list.lines() {
            let mut fields = line.split(':');
            match fields.next() {
                Some(first) if first == kind => is_next = true,
                // The tenth field is the fingerprint; that of the primary key comes first.
                Some("fpr") if is_next => {
                    fingerprints.extend(fields.nth(8).map(str::to_owned));
                    is_next = false;
                }
                _ => {}
            }
        }
        Ok(fingerprints)
    }

    /// Exports a secret key, locked with its own passphrase: none, one of the given ones, or the one that gpg-agent asks for at the terminal.
    fn take_secret(
        &self,
        found: &mut Found,
        arguments: &[&str],
        fingerprint: &str,
        home: &Keystore,
        session: &Session,
    ) -> Result<()> {
        let none = [Secret::new(Vec::new())];
        let given = session.given_passphrases()?;
        for passphrase in none.iter().chain(&given) {
            let loopback = ["--pinentry-mode", "loopback", "--passphrase-fd", "0"];
            if let Ok(octets) = self.exported(&[&loopback[..], arguments].concat(), passphrase, home)? {
                found.files.push(self.file(&format!("secret key {fingerprint}"), octets));
                return Ok(());
            }
        }
        let mut why = String::new();
        if given.is_empty() && io::stderr().is_terminal() {
            match self.exported(arguments, &none[0], home)? {
                Ok(octets) => {
                    found.files.push(self.file(&format!("secret key {fingerprint}"), octets));
                    return Ok(());
                }
                Err(said) => why = said,
            }
        }
        let reason = if why.is_empty() { "it is on a card, or no passphrase fits".to_owned() } else { why };
        let error = Error::no_key(format!("secret key {fingerprint} in {}: {reason}", self.directory.display()));
        found.left.push(error.with_hint("give its passphrase with --passphrase-file"));
        Ok(())
    }

    /// An exported secret key, or what the program said. gpgsm 2.2 writes a PKCS#12 file about once in 170 that neither openssl nor postseal can open, so a file
    /// that cannot be read is asked for again.
    fn exported(&self, arguments: &[&str], passphrase: &Secret, home: &Keystore) -> Result<Result<Secret, String>> {
        let mut tries = 3;
        loop {
            let output = self.run(arguments, passphrase)?;
            if !output.status.success() || output.stdout.is_empty() {
                return Ok(Err(last_line(&output)));
            }
            let octets = Secret::new(output.stdout);
            tries -= 1;
            if tries == 0 || home.read(&[(self.name, octets.expose())]).is_ok_and(|read| read.lost.is_empty()) {
                return Ok(Ok(octets));
            }
        }
    }

    /// Its output; an error when it fails.
    fn asked(&self, arguments: &[&str]) -> Result<Secret> {
        let output = self.run(arguments, &Secret::new(Vec::new()))?;
        if output.status.success() {
            return Ok(Secret::new(output.stdout));
        }
        Err(Error::malformed(self.directory.display(), format!("{}: {}", self.name, last_line(&output))))
    }

    fn run(&self, arguments: &[&str], input: &Secret) -> Result<Output> {
        let mut command = Command::new(self.name);
        command.arg("--homedir").arg(&self.directory).args(["--batch", "--no-tty"]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            Error::unavailable(format!("{}: {}", self.name, error.to_string().to_lowercase()))
                .with_hint(format!("install it: {} itself says what is in its home", self.name))
        })?;
        if let Some(mut pipe) = child.stdin.take() {
            // The program may close its standard input without reading it.
            let _ = pipe.write_all(&[input.expose(), b"\n"].concat());
        }
        child.wait_with_output().map_err(|error| Error::io(self.name, &error))
    }
}

fn last_line(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    postseal::report::printable(said.lines().last().unwrap_or("it failed").trim_start_matches("gpg: ")).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_are_those_for_mail_or_everything() {
        let fingerprint = "FD:3C:CA:40:D1:C4:77:00:57:B5:CB:C9:8D:12:5F:53:23:39:0D:24";
        let plain = Some(fingerprint.replace(':', ""));
        assert_eq!(trusted(&format!("{fingerprint} S relax")), plain);
        assert_eq!(trusted(&format!("  {fingerprint} * ")), plain);
        for line in [
            format!("!{fingerprint} S"),
            format!("# {fingerprint} S"),
            format!("{fingerprint} P"),
            fingerprint.to_owned(),
        ] {
            assert_eq!(trusted(&line), None, "{line}");
        }
    }
}
