//! What the options of every verb amount to: keys, time, bounds. Built when first needed.

use std::{
    cell::OnceCell,
    env,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    sync::Arc,
};

use postseal::{
    base::{
        Budget, Clock, Error, FixedClock, Kind, Limits, Random, Result, Secret, SystemClock, SystemRandom,
        parse_rfc3339,
    },
    config::Config,
    crypto::Legacy,
    engine::{Engine, Hook, OpenedParts, Opening, Setup},
    keys::{Ask, Chain, Keys, Memory, Passphrases, ProtocolName, Record, Want},
    mail::Message,
    pki::Revocation,
    protocol::{Context, Seal, Sealed, pem, smime::statements},
    store::{self, Home},
};

use super::{
    args::{self, Common},
    input,
    notebook::{Attentive, Notebook},
    show,
};

/// One run of the program.
pub(crate) struct Session {
    common: Common,
    clock: Box<dyn Clock>,
    limits: Limits,
    none: Memory,
    given: OnceCell<Vec<Secret>>,
    passphrases: OnceCell<Arc<Passphrases>>,
    home: OnceCell<Arc<Home>>,
    keys: OnceCell<Chain>,
}

impl Session {
    /// Reads nothing yet, but refuses options that make no sense.
    pub(crate) fn new(common: Common) -> Result<Self> {
        let clock: Box<dyn Clock> = match &common.at {
            Some(time) => Box::new(FixedClock(parse_rfc3339(time)?)),
            None => Box::new(SystemClock),
        };
        let limits = Limits { message: common.max_size, ..Limits::default() };
        Ok(Session {
            common,
            clock,
            limits,
            none: Memory::new(),
            given: OnceCell::new(),
            passphrases: OnceCell::new(),
            home: OnceCell::new(),
            keys: OnceCell::new(),
        })
    }

    /// A session with the keys, bounds and judgement that a configuration file names; `--home` still wins.
    pub(crate) fn configured(&self, config: &Config) -> Result<Session> {
        let common = Common {
            home: self.common.home.clone().or_else(|| Some(config.home.clone())),
            max_size: config.bounds.message.message,
            legacy: self.common.legacy || config.legacy == Legacy::Admit,
            revocation: match config.revocation {
                Revocation::Hard => args::Revocation::Hard,
                Revocation::Off => args::Revocation::Off,
                Revocation::Soft => args::Revocation::Soft,
            },
            ..self.common.clone()
        };
        let session = Session::new(common)?;
        if let Some(passphrases) = &config.passphrases {
            let lines = Passphrases::of_lines(passphrases.read()?.expose());
            return Ok(Session { given: lines.into(), ..session });
        }
        Ok(session)
    }

    /// A full budget for one message.
    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.limits.clone())
    }

    /// The clock of this run.
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Opens and judges, and keeps in the home what the message tells of its author's program.
    pub(crate) fn open(&self, message: Message) -> Result<Opening> {
        let opening = self.engine(self.keys()?).open(message)?;
        self.notebook()?.keep(opening.verdict());
        Ok(opening)
    }

    /// Opens the encrypted parts of a message in their places.
    pub(crate) fn open_parts(&self, octets: Vec<u8>) -> Result<OpenedParts> {
        let message = Message::parse(octets, &mut self.budget())?;
        self.engine(self.keys()?).open_parts(&message)
    }

    /// What handles mail by a configuration, and learns from it, for as long as the program runs.
    pub(crate) fn handler(self, config: &Config) -> Result<Attentive<Hook>> {
        let notebook = self.notebook()?;
        Ok(Attentive::new(Hook::new(self.setup(config)?), notebook))
    }

    /// Where what mail tells is kept: in the home, unless it is judged by another time than now.
    pub(crate) fn notebook(&self) -> Result<Notebook> {
        self.keys()?;
        Ok(Notebook::new(self.home.get().filter(|_| self.common.at.is_none()).cloned()))
    }

    /// Everything that handling mail by a configuration needs.
    pub(crate) fn setup(self, config: &Config) -> Result<Setup> {
        let (legacy, revocation) = (self.legacy(), self.revocation());
        self.keys()?;
        let keys = self.keys.into_inner().map_or_else(|| Arc::new(self.none) as Arc<dyn Keys>, |keys| Arc::new(keys));
        let marker = match &config.marker {
            Some(marker) => {
                let secret = marker.read()?;
                if secret.expose().len() < SHORTEST_MARKER {
                    let what = format!("marker: {marker} has fewer than {SHORTEST_MARKER} octets");
                    return Err(Error::new(Kind::Config, what).with_hint("openssl rand -hex 32 makes one"));
                }
                secret
            }
            None => {
                let mut octets = vec![0; 32];
                SystemRandom.fill(&mut octets)?;
                Secret::new(octets)
            }
        };
        Ok(Setup {
            keys,
            clock: self.clock.into(),
            random: Arc::new(SystemRandom),
            legacy,
            revocation,
            limits: config.bounds.message.clone(),
            policy: config.policy.clone(),
            name: config.hostname.clone(),
            authserv_ids: config.authserv_ids.clone(),
            marker,
        })
    }

    /// What an engine is made from.
    pub(crate) fn context(&self) -> Result<Context<'_>> {
        Ok(self.context_with(self.keys()?))
    }

    /// Seals.
    pub(crate) fn seal(
        &self,
        protocol: ProtocolName,
        message: &Message,
        how: &Seal,
        out: &mut dyn io::Write,
    ) -> Result<Sealed> {
        self.engine(self.keys()?).seal(protocol, message, how, out)
    }

    /// An engine for what needs no key; no home is looked for.
    pub(crate) fn engine_without_keys(&self) -> Engine<'_> {
        self.engine(&self.none)
    }

    /// The directory where keys are kept, made when `key` first writes to it.
    pub(crate) fn home(&self) -> Result<Home> {
        self.home_at(&self.home_directory()?)
    }

    /// Passphrases from the file or descriptor, and the person at the terminal, if there is one.
    pub(crate) fn passphrases(&self) -> Result<Arc<Passphrases>> {
        if let Some(found) = self.passphrases.get() {
            return Ok(Arc::clone(found));
        }
        let given = self.given_passphrases()?;
        let passphrases = if io::stderr().is_terminal() && given.is_empty() {
            Passphrases::asking(given, Box::new(Prompt))
        } else {
            Passphrases::new(given)
        };
        Ok(Arc::clone(self.passphrases.get_or_init(|| Arc::new(passphrases))))
    }

    /// The lines of `--passphrase-file` or `--passphrase-fd`, read once: a pipe gives them but once.
    pub(crate) fn given_passphrases(&self) -> Result<Vec<Secret>> {
        if let Some(given) = self.given.get() {
            return Ok(given.clone());
        }
        let descriptor = self.common.passphrase_fd.map(|number| PathBuf::from(format!("/proc/self/fd/{number}")));
        let Some(file) = self.common.passphrase_file.clone().or(descriptor) else { return Ok(Vec::new()) };
        let octets = Secret::new(input::octets(Some(&file), &self.budget())?);
        let lines = Passphrases::of_lines(octets.expose());
        if lines.is_empty() {
            return Err(Error::new(Kind::NoInput, format!("{}: no passphrase in it", file.display())));
        }
        Ok(self.given.get_or_init(|| lines).clone())
    }

    /// The keys of this run, with the anchors and statements about revocation that its options name.
    pub(crate) fn keys(&self) -> Result<&Chain> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        // One that is not there is empty.
        let home = Arc::new(self.home()?);
        let mut given = self.load(&self.common.keys, home.as_ref())?;
        self.given_passphrases()?.into_iter().for_each(|password| given.add_password(password));
        for name in &self.common.crls {
            let octets = input::octets(Some(name), &self.budget())?;
            let place = name.display().to_string();
            self.statements(&octets, &place)?.into_iter().for_each(|der| given.add_revocation(der));
        }
        let home = Arc::clone(self.home.get_or_init(|| home));
        let sources: Vec<Arc<dyn Keys>> = vec![Arc::new(given), home];
        let mut keys = Chain::new(sources, store::merge);
        if !self.common.anchors.is_empty() {
            keys = keys.with_anchors(self.certificates(&self.common.anchors)?);
        }
        Ok(self.keys.get_or_init(|| keys))
    }

    /// What one file may cost.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The CRLs and OCSP responses in a file: in messages of PEM, in PEM blocks, or DER.
    pub(crate) fn statements(&self, octets: &[u8], place: &str) -> Result<Vec<Arc<[u8]>>> {
        match pem::services::carried(octets, place, &self.limits)? {
            Some(carried) if carried.lists.is_empty() => Err(Error::malformed(place, "holds no CRL")),
            Some(carried) => Ok(carried.lists),
            None => statements::read(octets, place),
        }
    }

    /// The certificates in files, in order.
    pub(crate) fn certificates(&self, files: &[PathBuf]) -> Result<Vec<Arc<Record>>> {
        self.load(files, &self.none)?.find(ProtocolName::Smime, &Want::All)
    }

    /// Whether weak and broken algorithms count.
    pub(crate) fn legacy(&self) -> Legacy {
        if self.common.legacy { Legacy::Admit } else { Legacy::Refuse }
    }

    /// How much must be known about revocation.
    pub(crate) fn revocation(&self) -> Revocation {
        match self.common.revocation {
            args::Revocation::Hard => Revocation::Hard,
            args::Revocation::Off => Revocation::Off,
            args::Revocation::Soft => Revocation::Soft,
        }
    }

    fn home_at(&self, home: &Path) -> Result<Home> {
        let credentials = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Ok(Home::open(home, self.passphrases()?, &self.limits)?.with_credentials(credentials))
    }

    fn load(&self, names: &[PathBuf], beside: &dyn Keys) -> Result<Memory> {
        let mut files = Vec::new();
        for name in names {
            files.push((name.display().to_string(), input::octets(Some(name), &self.budget())?));
        }
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(place, octets)| (place.as_str(), octets.as_slice())).collect();
        let loaded = store::load_beside(&files, &self.passphrases()?, &self.limits, beside)?;
        loaded.skipped.iter().for_each(|skipped| show::warning(skipped));
        Ok(loaded.keys)
    }

    fn engine<'a>(&'a self, keys: &'a dyn Keys) -> Engine<'a> {
        Engine::new(self.context_with(keys), self.limits.clone())
    }

    fn context_with<'a>(&'a self, keys: &'a dyn Keys) -> Context<'a> {
        Context {
            keys,
            clock: self.clock(),
            random: &SystemRandom,
            legacy: self.legacy(),
            revocation: self.revocation(),
        }
    }

    fn home_directory(&self) -> Result<PathBuf> {
        if let Some(home) = &self.common.home {
            // Of a variable that was not set: another home is meant than the one that such a name would be.
            return match home.as_os_str().is_empty() {
                true => Err(Error::usage("--home: is empty")),
                false => Ok(home.clone()),
            };
        }
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(home) = set("POSTSEAL_HOME") {
            return Ok(home);
        }
        let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
        let data = data.ok_or_else(|| {
            Error::new(Kind::Config, "no home directory is known").with_hint("give --home or set POSTSEAL_HOME")
        })?;
        Ok(data.join(Path::new("postseal")))
    }
}

/// Somebody at the terminal.
#[derive(Debug)]
struct Prompt;

impl Ask for Prompt {
    fn ask(&self, what: &str) -> Result<Option<Secret>> {
        let prompt = format!("passphrase for {}: ", postseal::report::printable(what));
        let typed = show::progress::quietly(|| rpassword::prompt_password(prompt));
        Ok(typed.ok().filter(|typed| !typed.is_empty()).map(|typed| Secret::new(typed.into_bytes())))
    }
}

/// Octets. Source: `HandlerContext::marker`; an outsider may try offline whatever he finds in a copy.
const SHORTEST_MARKER: usize = 16;
