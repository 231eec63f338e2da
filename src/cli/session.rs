//! Keys, time and bounds, made from the options of every verb when first needed.

use std::{
    cell::OnceCell,
    collections::BTreeSet,
    env, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use postseal::{
    base::{Budget, Clock, Error, FixedClock, Kind, Limits, Result, Secret, SystemClock, SystemRandom, parse_rfc3339},
    config::{self, Config, KeySource, Presence, Token},
    crypto::{Legacy, SecretKey},
    discover::{DirectAccess, Discovery, NetworkAccess, Settings, StatusLocal, Statuses},
    engine::{Engine, OpenedParts, Opening, Within, page::Page},
    keys::{
        Chain, Handle, KeyState, Keys, Memory, Passphrases, ProtocolName, Query, Record, StatementStore, Tokens, Want,
    },
    mail::{Address, Message},
    pki::Revocation,
    protocol::{Context, Role, Seal, Sealed, pem, smime::revocation_files},
    sandbox::Sandbox,
    service::{
        CapabilityStore, Environment, OpenSources, TOKEN_LIMIT, open_tokens, record_choices, with_network,
        with_statuses,
    },
    store::{self, Keystore},
    token::OpenTokens,
};

use super::{args::Common, ask, input, pins::PinsOfRun, prompt, servers, show, values};

/// One run of the program.
pub(crate) struct Session {
    common: Common,
    /// Of a configuration; without one, there is the home alone.
    sources: Option<Vec<KeySource>>,
    /// The tokens of a configuration.
    known_tokens: Vec<Token>,
    /// The tenant that the keys are of. Its home could name any module for a token, and the service loads none for it either.
    tenant: Option<String>,
    /// The sources on the network, if they may be asked.
    network: Option<Settings>,
    /// What asks the network; `None`: this process.
    access: Option<Arc<dyn NetworkAccess>>,
    /// From where the status of certificates is fetched for a verdict, if it is.
    fetches: Option<Settings>,
    /// From where a configuration says that it is fetched.
    configured_fetches: Option<Settings>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    none: Memory,
    given: OnceCell<Vec<Secret>>,
    passphrases: OnceCell<Arc<Passphrases>>,
    tokens: OnceCell<Arc<OpenTokens>>,
    home: OnceCell<Arc<Keystore>>,
    keys: OnceCell<Chain>,
    asked: OnceCell<Arc<AskedPassword>>,
    discovery: OnceCell<Arc<Discovery>>,
    statuses: OnceCell<Arc<Statuses>>,
}

impl Session {
    /// Checks the options. Reads no file.
    pub(crate) fn new(common: Common) -> Result<Self> {
        let clock: Arc<dyn Clock> = match &common.at {
            Some(time) => Arc::new(FixedClock(parse_rfc3339(time)?)),
            None => Arc::new(SystemClock),
        };
        let limits = Limits { message: common.max_size, ..Limits::default() };
        Ok(Session {
            common,
            sources: None,
            known_tokens: Vec::new(),
            tenant: None,
            network: None,
            access: None,
            fetches: None,
            configured_fetches: None,
            clock,
            limits,
            none: Memory::new(),
            given: OnceCell::new(),
            passphrases: OnceCell::new(),
            tokens: OnceCell::new(),
            home: OnceCell::new(),
            keys: OnceCell::new(),
            asked: OnceCell::new(),
            discovery: OnceCell::new(),
            statuses: OnceCell::new(),
        })
    }

    /// A session with the keys, limits and checks of a configuration file. `--home` takes precedence, but not over that of a tenant: one home is never
    /// that of several.
    pub(crate) fn configured(&self, config: &Config) -> Result<Session> {
        let common = Common {
            max_size: config.bounds.message.message,
            legacy: self.common.legacy || config.legacy == Legacy::Admit,
            home: self.common.home.clone().filter(|_| config.tenant.is_none()),
            revocation: match config.revocation {
                Revocation::Hard => values::Revocation::Hard,
                Revocation::Off => values::Revocation::Off,
                Revocation::Soft => values::Revocation::Soft,
            },
            ..self.common.clone()
        };
        let session = Session::new(common)?;
        let limits = Limits { network: config.bounds.message.network, ..session.limits };
        let (sources, network) = (Some(config.keys.clone()), config.network()?);
        let configured_fetches = config.status_settings().cloned();
        let known_tokens = config.tokens.clone();
        let tenant = config.tenant.clone();
        let given = self.given.clone();
        let session = Session { sources, known_tokens, tenant, network, configured_fetches, limits, given, ..session };
        if let Some(passphrases) = &config.passphrases {
            let lines = Passphrases::of_lines(passphrases.read()?.expose());
            return Ok(Session { given: lines.into(), ..session });
        }
        Ok(session)
    }

    /// The same session, which asks the network by `access`; `None`: by itself.
    pub(crate) fn asking(self, access: Option<Arc<dyn NetworkAccess>>) -> Session {
        Session { access, ..self }
    }

    /// What asks the network by `settings`.
    fn access(&self, settings: &Settings) -> Arc<dyn NetworkAccess> {
        self.access.clone().unwrap_or_else(|| Arc::new(DirectAccess::new(settings)))
    }

    /// A session that may ask the network for keys: the sources of a configuration, with its keys, or the usual sources.
    pub(crate) fn discovering(&self, config: Option<&Config>) -> Result<Session> {
        Ok(match config {
            Some(config) => Session { network: Some(config.sources()?), ..self.configured(config)? },
            None => Session { network: Some(Settings::default()), ..Session::new(self.common.clone())? },
        })
    }

    /// The same session, which fetches the status of certificates as its configuration says.
    pub(crate) fn fetching_as_configured(self) -> Session {
        Session { fetches: self.configured_fetches.clone(), ..self }
    }

    /// A session with the same keys that fetches the status of certificates, by these settings, within `network` for each message.
    pub(crate) fn fetching(&self, settings: Settings, network: Duration) -> Result<Session> {
        let session = Session::new(self.common.clone())?;
        let limits = Limits { network, ..session.limits };
        Ok(Session { fetches: Some(settings), limits, ..session })
    }

    /// What fetches the status of certificates in a session that [does so](Session::fetching).
    pub(crate) fn statuses(&self) -> Result<&Arc<Statuses>> {
        self.keys()?;
        self.statuses.get().ok_or_else(|| Error::usage("the status of certificates is not fetched"))
    }

    /// The sources on the network of a session that [may ask them](Session::discovering).
    pub(crate) fn discovery(&self) -> Result<&Arc<Discovery>> {
        self.keys()?;
        self.discovery.get().ok_or_else(|| Error::usage("the network is not asked"))
    }

    /// A full budget for one message.
    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.limits.clone())
    }

    /// The clock of this run, for what outlives the session.
    pub(crate) fn shared_clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The clock of this run.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Waits until this time, unless `--at` stopped the clock: a change that was made within the same second as another counts a second later.
    pub(crate) fn wait_until(&self, time: SystemTime) {
        if self.common.at.is_none() {
            std::thread::sleep(time.duration_since(self.clock.now()).unwrap_or_default());
        }
    }

    /// Opens and judges a message, and stores the author's announced capabilities in the home.
    pub(crate) fn open(&self, message: Message) -> Result<Opening> {
        let opening = self.engine(self.keys()?).open(message)?;
        CapabilityStore::new(self.learning_home()?).learn(opening.verdict().announcements(), self.clock.now());
        Ok(opening)
    }

    /// The signed and encrypted messages in the payload of a message, each judged by itself.
    pub(crate) fn within(&self, opening: &Opening) -> Result<Vec<Within>> {
        Ok(self.engine(self.keys()?).within(opening))
    }

    /// Decrypts the encrypted parts of a message in place.
    pub(crate) fn open_parts(&self, octets: Vec<u8>) -> Result<OpenedParts> {
        let message = Message::parse(octets, &mut self.budget())?;
        self.engine(self.keys()?).open_parts(&message)
    }

    /// What a handler needs besides its configuration.
    pub(crate) fn environment(mut self) -> Result<Environment> {
        let (legacy, home) = (self.legacy(), self.learning_home()?);
        let keys = Arc::new(self.keys.take().unwrap_or_else(|| Chain::new(Vec::new(), store::merge))) as Arc<dyn Keys>;
        let fetches = self.configured_fetches.as_ref();
        let statuses = fetches.map(|settings| self.statuses_by(settings, Arc::clone(&keys))).transpose()?;
        let discovery = self.discovery.take().filter(|_| self.common.at.is_none());
        let (clock, random) = (self.clock, Arc::new(SystemRandom));
        Ok(Environment { keys, home, discovery, statuses, clock, random, legacy })
    }

    /// Where learned capabilities are stored: in the home, unless mail is judged as of another time.
    fn learning_home(&self) -> Result<Option<Arc<Keystore>>> {
        self.keys()?;
        Ok(self.home.get().filter(|_| self.common.at.is_none()).cloned())
    }

    /// The context of the engine.
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

    /// Makes a message that brings a page.
    pub(crate) fn page(&self, message: &Message, how: &Page<'_>) -> Result<Vec<u8>> {
        self.engine_without_keys().page(message, how)
    }

    /// Whether a usable key of `address` is here to encrypt to.
    pub(crate) fn can_encrypt_to(&self, address: &Address, protocol: ProtocolName) -> Result<bool> {
        let states = self.engine(self.keys()?).key_states(address, Role::Recipient, &BTreeSet::from([protocol]))?;
        Ok(states.values().all(KeyState::is_usable))
    }

    /// Whether a certificate with this fingerprint or key ID is here.
    pub(crate) fn has_key(&self, id: &str) -> Result<bool> {
        let (keys, handle) = (self.keys()?, Handle::parse(id)?);
        for protocol in [ProtocolName::Pgp, ProtocolName::Smime] {
            if !keys.find(protocol, &Query::manage(Want::Handle(&handle)))?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// An engine without keys. No home is opened.
    pub(crate) fn engine_without_keys(&self) -> Engine<'_> {
        self.engine(&self.none)
    }

    /// The home that the command line names.
    pub(crate) fn named_home(&self) -> Option<PathBuf> {
        self.common.home.clone()
    }

    /// The home. Its folder is made by the first write.
    pub(crate) fn home(&self) -> Result<Keystore> {
        match self.place_of_home()? {
            Some(place) => self.home_at(&place),
            None => self.home_at(&self.home_directory()?),
        }
    }

    /// Passphrases from the file or descriptor, or typed at the terminal.
    pub(crate) fn passphrases(&self) -> Result<Arc<Passphrases>> {
        if let Some(found) = self.passphrases.get() {
            return Ok(Arc::clone(found));
        }
        let given = self.given_passphrases()?;
        let passphrases = if ask::is_possible() && given.is_empty() {
            Passphrases::asking(given, Box::new(prompt::Prompt))
        } else {
            Passphrases::new(given)
        };
        Ok(Arc::clone(self.passphrases.get_or_init(|| Arc::new(passphrases))))
    }

    /// The tokens of this run. None is asked before a key on it is used.
    pub(crate) fn tokens(&self) -> &Arc<OpenTokens> {
        self.tokens.get_or_init(|| {
            let tokens = open_tokens(&self.known_tokens, Arc::new(PinsOfRun::new(self.common.pin_file.clone())));
            // A person takes longer to find a PIN.
            Arc::new(if ask::is_possible() { tokens } else { tokens.answering_within(TOKEN_LIMIT) })
        })
    }

    /// The lines of `--passphrase-file` or `--passphrase-fd`, or what `--passphrase-command` prints, or the lines of the file that
    /// `POSTSEAL_PASSPHRASE_FILE` names; read once because a pipe cannot be read twice.
    pub(crate) fn given_passphrases(&self) -> Result<Vec<Secret>> {
        if let Some(given) = self.given.get() {
            return Ok(given.clone());
        }
        let descriptor = self.common.passphrase_fd.map(|number| PathBuf::from(format!("/proc/self/fd/{number}")));
        let file = self.common.passphrase_file.clone().or(descriptor);
        let (place, octets) = match (file, &self.common.passphrase_command) {
            (None, Some(command)) => {
                let option = "--passphrase-command";
                (format!("{option} {command:?}"), servers::printed(option, command)?)
            }
            (file, _) => {
                let set = || env::var_os("POSTSEAL_PASSPHRASE_FILE").filter(|file| !file.is_empty()).map(PathBuf::from);
                let Some(file) = file.or_else(set) else { return Ok(Vec::new()) };
                (file.display().to_string(), Secret::new(input::octets(Some(&file), &self.budget())?))
            }
        };
        let lines = Passphrases::of_lines(octets.expose());
        if lines.is_empty() {
            return Err(Error::new(Kind::NoInput, format!("{place}: no passphrase in it")));
        }
        Ok(self.given.get_or_init(|| lines).clone())
    }

    /// From now on the password of a message is asked for, when none is given and somebody can be asked.
    pub(crate) fn ask_for_password(&self) -> Result<()> {
        if self.given_passphrases()?.is_empty() && ask::is_possible() {
            self.asked.get_or_init(Arc::default);
        }
        Ok(())
    }

    /// Whether the password of a message is asked for, should it need one.
    pub(crate) fn asks_for_password(&self) -> bool {
        self.asked.get().is_some()
    }

    /// Whether a password of a message was asked for; the answer is forgotten, so that the next time it is asked for again.
    pub(crate) fn forget_password(&self) -> bool {
        let forgotten = |asked: &Arc<AskedPassword>| asked.typed.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.asked.get().and_then(forgotten).is_some()
    }

    /// The keys of this run, with the trust anchors, CRLs and OCSP responses that its options name.
    pub(crate) fn keys(&self) -> Result<&Chain> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let tokens = self.tenant.is_none().then(|| Arc::clone(self.tokens()) as Arc<dyn Tokens>);
        let opened = OpenSources::with_tokens(&self.sources()?, &self.passphrases()?, &self.limits, tokens)?;
        opened.skipped.iter().for_each(|skipped| show::warning(skipped));
        let beside: &dyn Keys = opened.home.as_deref().map_or(&self.none, |home| home);
        let mut given = self.load(&self.common.keys, beside)?;
        self.given_passphrases()?.into_iter().for_each(|password| given.add_password(password));
        for name in &self.common.crls {
            let octets = input::octets(Some(name), &self.budget())?;
            let place = name.display().to_string();
            self.statements(&octets, &place)?.into_iter().for_each(|der| given.add_revocation(der));
        }
        let mut chain: Vec<Arc<dyn Keys>> = vec![Arc::new(given)];
        chain.extend(opened.keys);
        chain.extend(self.asked.get().map(|asked| Arc::clone(asked) as Arc<dyn Keys>));
        if let Some(home) = opened.home {
            home.change_as(&self.common.words);
            self.home.get_or_init(|| home);
        }
        let mut keys = Chain::new(chain, store::merge);
        if !self.common.anchors.is_empty() {
            keys = keys.with_anchors(self.certificates(&self.common.anchors)?);
        }
        if let Some(settings) = &self.network {
            let home = self.place_of_home()?;
            let (access, clock, rows) = (self.access(settings), self.shared_clock(), self.home.get());
            let (all, discovery) = with_network(keys, settings, home.as_deref(), rows, access, clock, &self.limits);
            if let Some(home) = self.home.get() {
                record_choices(&discovery, home);
            }
            self.discovery.get_or_init(|| discovery);
            keys = all;
        }
        if let Some(settings) = &self.fetches {
            let keys_here: Arc<dyn Keys> = Arc::new(keys);
            let statuses = self.statuses_by(settings, Arc::clone(&keys_here))?;
            keys = with_statuses(keys_here, self.statuses.get_or_init(|| statuses));
        }
        Ok(self.keys.get_or_init(|| keys))
    }

    /// What fetches the status of certificates by `settings`, and keeps it in the home.
    fn statuses_by(&self, settings: &Settings, keys: Arc<dyn Keys>) -> Result<Arc<Statuses>> {
        let local = StatusLocal {
            keys,
            network: self.access(settings),
            store: self.home.get().map(|home| Arc::clone(home) as Arc<dyn StatementStore>),
            home: self.place_of_home()?,
            findings: self.home.get().and_then(Keystore::findings),
            clock: self.shared_clock(),
            random: Arc::new(SystemRandom),
            legacy: self.legacy(),
            limits: self.limits.clone(),
        };
        Ok(Statuses::new(settings.clone(), local))
    }

    /// Where the home is, if there is one among the places with keys.
    fn place_of_home(&self) -> Result<Option<PathBuf>> {
        Ok(self.sources()?.into_iter().find_map(|source| match source {
            KeySource::Home(place, _) => Some(place),
            _ => None,
        }))
    }

    /// What the keys of this run take of this machine, for a verb that gives up the rest. `None` where that is not known before: a program prints
    /// the passphrase, or a part of the home is elsewhere: on a server, or on a token.
    pub(crate) fn sandbox(&self) -> Result<Option<Sandbox>> {
        if self.common.passphrase_command.is_some() {
            return Ok(None);
        }
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let options = [&self.common.keys, &self.common.anchors, &self.common.crls].into_iter().flatten().cloned();
        let mut files: Vec<PathBuf> = options.chain(self.common.passphrase_file.clone()).collect();
        files.extend(set("POSTSEAL_PASSPHRASE_FILE"));
        files.extend(self.common.passphrase_fd.map(|number| PathBuf::from(format!("/proc/self/fd/{number}"))));
        files.extend(config::credentials_directory());
        let mut sandbox = Sandbox::new();
        for source in self.sources()? {
            match source {
                KeySource::File(file) => files.push(file),
                KeySource::Home(home, _) if has_links(&home) => return Ok(None),
                KeySource::Home(home, _) => {
                    // A home that cannot be read is an error of the look-up to come.
                    let beside = self.home_at(&home).and_then(|home| home.files_beside());
                    let Ok(Some(beside)) = beside else { return Ok(None) };
                    files.extend(beside);
                    sandbox = sandbox.writes(home);
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(files.into_iter().fold(sandbox, Sandbox::reads)))
    }

    /// The limits for one file.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The CRLs and OCSP responses in a file: in messages of PEM, in PEM blocks, or DER.
    pub(crate) fn statements(&self, octets: &[u8], place: &str) -> Result<Vec<Arc<[u8]>>> {
        match pem::services::carried(octets, place, &self.limits)? {
            Some(carried) if carried.lists.is_empty() => Err(Error::malformed(place, "holds no CRL")),
            Some(carried) => Ok(carried.lists),
            None => revocation_files::read(octets, place),
        }
    }

    /// The certificates in files, in order.
    pub(crate) fn certificates(&self, files: &[PathBuf]) -> Result<Vec<Arc<Record>>> {
        self.load(files, &self.none)?.find(ProtocolName::Smime, &Query::manage(Want::All))
    }

    /// Whether weak and broken algorithms are accepted.
    pub(crate) fn legacy(&self) -> Legacy {
        if self.common.legacy { Legacy::Admit } else { Legacy::Refuse }
    }

    /// How certificates are checked for revocation.
    pub(crate) fn revocation(&self) -> Revocation {
        match self.common.revocation {
            values::Revocation::Hard => Revocation::Hard,
            values::Revocation::Off => Revocation::Off,
            values::Revocation::Soft => Revocation::Soft,
        }
    }

    /// Where keys are, in order: as the configuration says, with `--home` in the place of its home, or the home of the command line.
    fn sources(&self) -> Result<Vec<KeySource>> {
        let Some(mut sources) = self.sources.clone() else {
            return match self.known_home()? {
                // The keys of this run are enough, as for a user without a home directory.
                None if !self.common.keys.is_empty() => Ok(Vec::new()),
                None => self.home_directory().map(|home| vec![KeySource::Home(home, Presence::Optional)]),
                Some(home) => Ok(vec![KeySource::Home(home, Presence::Optional)]),
            };
        };
        if self.common.home.is_some() {
            let home = self.home_directory()?;
            let configured = sources.iter_mut().find_map(|source| match source {
                KeySource::Home(place, _) => Some(place),
                _ => None,
            });
            match configured {
                Some(configured) => *configured = home,
                None => sources.insert(0, KeySource::Home(home, Presence::Required)),
            }
        }
        Ok(sources)
    }

    fn home_at(&self, home: &Path) -> Result<Keystore> {
        let home = Keystore::open_home(home, self.passphrases()?, &self.limits)?
            .with_credentials(config::credentials_directory())
            .with_tokens(Some(Arc::clone(self.tokens()) as Arc<dyn Tokens>));
        home.change_as(&self.common.words);
        Ok(home)
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

    /// The home of `--home`.
    pub(crate) fn given_home(&self) -> Option<&Path> {
        self.common.home.as_deref()
    }

    /// The folder of the home, which may not be there.
    pub(crate) fn home_directory(&self) -> Result<PathBuf> {
        self.known_home()?.ok_or_else(|| {
            Error::new(Kind::Config, "no home directory is known").with_hint("give --home or set POSTSEAL_HOME")
        })
    }

    /// The folder of the home; `None` where neither an option nor the environment says where that is.
    fn known_home(&self) -> Result<Option<PathBuf>> {
        if let Some(home) = &self.common.home {
            // An empty value comes from a variable that was not set. It does not mean the current folder.
            return match home.as_os_str().is_empty() {
                true => Err(Error::usage("--home: is empty")),
                false => Ok(Some(home.clone())),
            };
        }
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(home) = set("POSTSEAL_HOME") {
            return Ok(Some(home));
        }
        let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
        Ok(data.map(|data| data.join(Path::new("postseal"))))
    }
}

/// Whether a file of the folder is a symbolic link.
fn has_links(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_type()).any(|kind| kind.is_ok_and(|kind| kind.is_symlink()))
}

/// A password for the message, asked for at the terminal when a message is encrypted to one.
#[derive(Default)]
struct AskedPassword {
    typed: Mutex<Option<Secret>>,
}

impl Keys for AskedPassword {
    fn find(&self, _: ProtocolName, _: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        Ok(Vec::new())
    }

    fn secret(&self, _: &Record, _: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        Ok(None)
    }

    fn passwords(&self) -> Result<Vec<Secret>> {
        let mut typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
        if typed.is_none() {
            *typed = ask::secret("passphrase of the message: ")?;
        }
        Ok(typed.iter().cloned().collect())
    }
}
