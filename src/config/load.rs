//! From a file to a [`Config`], or to all its problems. A pure function of the file, the files of tenants and the texts of pages that it names, so that a running service can load it again, and keep the
//! current configuration if the file has errors.

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use toml::de::DeTable;

use super::{
    Account, Auth, Bounces, Bounds, Config, Grade, KeySource, Level, Log, LogForm, Mention, NextProtocol, Presence,
    Problem, Security, Server, Upstream, What, Xforward, acme, audit, discovery, forwards, isolation, key_uses,
    listeners, lists,
    mailboxes::{self, Names},
    notice, page, provisioning, rate_limits,
    reader::{self, Reader, first_error},
    rules,
    table::{Document, Located, Table},
    templates, tenants,
    texts::Texts,
    tokens,
};
use crate::{
    base::{Error, Kind, Limits, Network, Result},
    crypto::Legacy,
    mail::Address,
    pki::Revocation,
    policy::{Aliases, Forwards, Lists, Mailboxes, Mode, Order, PageTexts, Pattern, Policy},
    report::authserv,
    transport::{MemoryLimit, sendmail::Program},
};

/// A configuration and its problems.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// `None` if one of the problems is an error.
    pub config: Option<Config>,
    /// In the order of lines.
    pub problems: Vec<Problem>,
}

/// Reads the file at `path`.
///
/// # Errors
///
/// `Config`: the file cannot be read, or the first error in it, as `FILE:LINE: what`.
pub fn load(path: &Path) -> Result<Config> {
    load_from(path, &Texts::of_files())
}

/// As [`load`], with the texts of files that [`Config::texts`] has: what another process of the service was configured with.
///
/// # Errors
///
/// As [`load`].
pub fn load_from(path: &Path, texts: &Texts) -> Result<Config> {
    let loaded = read_from(path, texts)?;
    loaded.config.ok_or_else(|| first_error(path, &loaded.problems))
}

/// What decides about mail.
pub(super) struct Deciding {
    pub(super) policy: Policy,
    /// What pages say.
    pub(super) page: PageTexts,
    /// The aliases as they are shown.
    pub(super) aliases: Aliases,
}

/// Reads the file at `path`, with all its problems.
///
/// # Errors
///
/// `Config`: the file cannot be read at all.
pub fn read(path: &Path) -> Result<Loaded> {
    read_from(path, &Texts::of_files())
}

fn read_from(path: &Path, texts: &Texts) -> Result<Loaded> {
    let refuse = |why: String| Error::new(Kind::Config, format!("{}: {why}", path.display()));
    let text = texts.read(path).map_err(refuse)?;
    Ok(parse(&text, path, texts))
}

/// `text` is that of the file at `path`. Relative paths in it start from its folder.
fn parse(text: &str, path: &Path, texts: &Texts) -> Loaded {
    let document = Document::new(text);
    let parsed = match DeTable::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let line = error.span().map_or(1, |span| document.line(span.start));
            document.error(line, error.message().to_lowercase());
            return Loaded { config: None, problems: document.into_problems() };
        }
    };
    let root = Table::new(&document, 1, parsed.get_ref());
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut reader = Reader { document: &document, file: path, directory, texts, mentions: Vec::new(), own: None };
    let config = reader.config(&root);
    root.finish();
    let problems = document.into_problems();
    let usable = problems.iter().all(|problem| problem.grade != Grade::Error);
    Loaded { config: config.filter(|_| usable), problems }
}

impl Reader<'_> {
    /// `None` if a required key is missing. That is a problem already.
    fn config(&mut self, root: &Table<'_>) -> Option<Config> {
        let keys = self.keys(root);
        let passphrases = self.secret(root, "passphrases");
        let tokens = tokens::read(self, root);
        let marker = self.secret(root, "marker");
        let hostname = root.required("hostname").and_then(|name| self.document.read(&name, hostname));
        let (revocation, legacy) = self.checks(root);
        let quarantine = root.string("quarantine").map(|place| self.place(&place, What::Directory));
        let mut bounds = self.bounds(root);
        let mut discovery = discovery::read(self, root);
        (discovery.settings.revocation_fetch, discovery.settings.nonce) =
            discovery::revocation_fetch(self, root, revocation);
        bounds.message.network = discovery.timeout.unwrap_or(bounds.message.network);
        let trusted = root.table("trusted");
        let networks = |key| {
            let texts = trusted.as_ref().map(|trusted| trusted.strings(key)).unwrap_or_default();
            texts.iter().filter_map(|text| self.document.read(text, Network::parse)).collect::<Vec<_>>()
        };
        let (clients, peers) = (networks("networks"), networks("peers"));
        let own = root.string("authserv-id").and_then(|name| self.document.read(&name, self::hostname));
        let authserv_id = own.or_else(|| hostname.clone());
        let authserv_ids = self.authserv_ids(trusted.as_ref(), authserv_id.as_deref());
        let local = self.patterns(&root.strings("local-domains"));
        let Deciding { policy, page, aliases } = self.deciding(root, trusted.as_ref(), bounds.message.message, local);
        let declared = tenants::declared(self, root);
        let all_local = declared.iter().flat_map(|tenant| &tenant.domains).chain(&policy.local).cloned();
        let all_local: Vec<Pattern> = all_local.collect();
        let rate_limits = rate_limits::read(self, root);
        if let Some(trusted) = trusted {
            trusted.finish();
        }
        let known = [clients.as_slice(), peers.as_slice()].concat();
        let notice = notice::read(self, root, &all_local, hostname.as_deref());
        let provisioning = provisioning::read(self, root);
        let expiry_notice = notice::expiry(self, root, hostname.as_deref());
        let acme = acme::read(self, root);
        let audit = audit::read(self, root);
        let listeners = listeners::read(self, root, &known);
        let upstream = root.table("upstream").and_then(|table| self.upstream(table));
        if let Some(Upstream::SmartHost { account: Some(_), .. }) = &upstream
            && listeners.iter().any(|listener| listener.auth == Auth::Relay)
        {
            let line = root.line_of("upstream");
            self.document.error(line, "upstream: its login, and auth = \"relay\" of a listener, exclude each other");
        }
        if let Some(Upstream::SmartHost { server: Server::Tcp(server), .. }) = &upstream
            && let Some(own) = listeners.iter().find(|listener| listener.endpoint.takes(*server))
        {
            let message = format!("upstream: smart-host {server} is the listener at {}", own.endpoint);
            self.document.error(root.line_of("upstream"), message);
        }
        if policy.forwards.iter().next().is_some()
            && let Some(Upstream::SmartHost { protocol: NextProtocol::Lmtp, .. }) = &upstream
        {
            let key = if root.has("forward") { "forward" } else { "list" };
            let message = format!("{key}: upstream speaks LMTP, and delivers to mailboxes of this host alone");
            self.document.error(root.line_of(key), message);
        }
        let sendmail = root.table("sendmail").and_then(|table| self.sendmail(table));
        let log = self.log(root);
        let known = [("off", Bounces::Off), ("on", Bounces::On)];
        let bounces = self.choice(root, "bounces", Bounces::On, &known);
        let (templates, texts) = templates::read(self, root);
        let policy = Policy { lists: policy.lists.writing(texts), ..policy };
        let isolation = isolation::read(self, root);
        let key_uses = key_uses::read(self, root);
        let metrics = root.string("metrics").and_then(|text| self.document.read(&text, monitor));
        let config = Config {
            tenants: Vec::new(),
            tenant: None,
            keys,
            tokens,
            passphrases,
            hostname: hostname?,
            authserv_id: authserv_id?,
            authserv_ids,
            marker,
            revocation,
            legacy,
            discovery: discovery.settings,
            directory_password: discovery.password,
            policy,
            trusted: clients,
            peers,
            aliases,
            isolation,
            key_uses,
            path: self.file.to_owned(),
            texts: self.texts.clone(),
            listeners,
            upstream,
            sendmail,
            quarantine,
            notice,
            bounces,
            templates,
            expiry_notice,
            page,
            provisioning,
            audit,
            acme,
            bounds,
            rate_limits,
            log,
            metrics,
            mentions: std::mem::take(&mut self.mentions),
        };
        let tenants = tenants::read(self, root, &config, declared);
        Some(Config { tenants, ..config })
    }

    /// What certificates and algorithms must be.
    pub(super) fn checks(&self, root: &Table<'_>) -> (Revocation, Legacy) {
        let known = [("off", Revocation::Off), ("soft", Revocation::Soft), ("hard", Revocation::Hard)];
        let revocation = self.choice(root, "revocation", Revocation::Soft, &known);
        let known = [("refuse", Legacy::Refuse), ("admit", Legacy::Admit)];
        (revocation, self.choice(root, "legacy", Legacy::Refuse, &known))
    }

    /// Everything that decides about mail, for these local domains.
    pub(super) fn deciding(
        &mut self,
        root: &Table<'_>,
        trusted: Option<&Table<'_>>,
        max_size: usize,
        local: Vec<Pattern>,
    ) -> Deciding {
        let Names { aliases, mailboxes, expanded } = mailboxes::read(self.document, root);
        let policy = Policy { mailboxes, aliases: expanded, local, ..self.policy(root, trusted, max_size) };
        let page = page::read(self, root);
        let mut policy = forwards::read(self, root, policy);
        for rule in policy.rules.iter_mut().filter(|rule| rule.says(Order::Encrypt)) {
            rule.sealing.page = Some(page.clone());
        }
        let policy = lists::read(self, root, policy);
        self.warn_of_log_only(root, &policy);
        Deciding { policy, page, aliases }
    }

    /// Hosts whose Authentication-Results are trusted. The name that this service writes is never one of them, because everybody knows it.
    fn authserv_ids(&self, trusted: Option<&Table<'_>>, own: Option<&str>) -> Vec<String> {
        let texts = trusted.map(|trusted| trusted.strings("authserv-ids")).unwrap_or_default();
        let admitted = texts.iter().filter(|text| {
            let is_own = own.is_some_and(|own| authserv::is_same(own, &text.value));
            if is_own {
                self.document
                    .error(text.line, format!("authserv-ids: {:?} is the authserv-id of this service", text.value));
            }
            !is_own
        });
        admitted.filter_map(|text| self.document.read(text, hostname)).collect()
    }

    fn policy(&mut self, root: &Table<'_>, trusted: Option<&Table<'_>>, max_size: usize) -> Policy {
        let mut identities = BTreeMap::new();
        if let Some(table) = root.table("identities") {
            for (name, patterns) in table.named() {
                let Some(login) = self.document.read(&name, reader::login) else { continue };
                if identities.contains_key(&login) {
                    self.document
                        .error(name.line, format!("identities: {:?} is the same name as another here", name.value));
                }
                identities.insert(login, self.signers(&patterns));
            }
        }
        let trusted = trusted.map(|trusted| trusted.strings("sign-as")).unwrap_or_default();
        let trusted = self.signers(&trusted);
        let (rules, obstacles) = rules::read(self, root);
        Policy {
            mode: rules::mode(self, root),
            local: Vec::new(),
            identities,
            trusted,
            rules,
            obstacles,
            max_size,
            mailboxes: Mailboxes::default(),
            aliases: Default::default(),
            forwards: Forwards::default(),
            lists: Lists::default(),
        }
    }

    /// Addresses that this service alone delivers to get no mail while it is log-only.
    fn warn_of_log_only(&self, root: &Table<'_>, policy: &Policy) {
        let has = [
            ("aliases", !policy.aliases.is_empty()),
            ("forward", root.has("forward")),
            ("list", policy.lists.iter().next().is_some()),
        ];
        for (key, _) in has.into_iter().filter(|(_, has)| *has && policy.mode == Mode::LogOnly) {
            let message =
                format!("{key}: not followed while mode is log-only: the next server gets the mail for these");
            self.document.add(Problem { line: root.line_of(key), grade: Grade::Warning, message, hint: None });
        }
    }

    /// Patterns of addresses that a user may sign as.
    fn signers(&mut self, texts: &[Located<String>]) -> Vec<Pattern> {
        for text in texts {
            if let Ok(Pattern::Address(address)) = Pattern::parse(&text.value) {
                self.mentions.push(Mention { line: text.line, what: What::Signer(address) });
            }
        }
        self.patterns(texts)
    }

    fn bounds(&self, root: &Table<'_>) -> Bounds {
        let mut bounds =
            Bounds { message: Limits::default(), recipients: 1_000, connections: 1_000, work: 64, memory: 0 };
        let Some(table) = root.table("limits") else {
            return Bounds { memory: MEMORY, ..bounds };
        };
        let fields = [
            ("message", &mut bounds.message.message),
            ("recipients", &mut bounds.recipients),
            ("connections", &mut bounds.connections),
            ("work", &mut bounds.work),
        ];
        for (key, field) in fields {
            *field = table.size(key).unwrap_or(*field);
            if *field == 0 {
                self.document.error(table.line_of(key), format!("{key}: no message would be accepted"));
            }
        }
        let least = MemoryLimit::least(bounds.message.message);
        bounds.memory = table.size("memory").unwrap_or_else(|| least.max(MEMORY));
        if bounds.memory < least {
            let reason = format!("memory: less than {least}, eight times the largest message");
            self.document.error(table.line_of("memory"), reason);
        }
        table.finish();
        bounds
    }

    /// `[[keys]]`, or `home` alone.
    pub(super) fn keys(&mut self, root: &Table<'_>) -> Vec<KeySource> {
        let presence = match root.truth("home-must-exist") {
            Some(false) => Presence::Optional,
            _ => Presence::Required,
        };
        // Both are read in any case: they are among the known keys.
        let tables = root.tables("keys");
        if !root.has("keys") {
            let home = root.required("home").map(|home| KeySource::Home(self.path(&home), presence));
            return home.into_iter().collect();
        }
        if root.string("home").is_some() {
            let hint = Some("make it an entry of its own: [[keys]] and home = ... below it".into());
            let message = "home: cannot stand beside [[keys]]".to_owned();
            let line = root.line_of("home");
            self.document.add(Problem { line, grade: Grade::Error, message, hint });
        }
        let mut keys: Vec<KeySource> = Vec::new();
        for table in tables {
            let (file, home, line) = (table.string("file"), table.string("home"), table.line);
            table.finish();
            let source = match (file, home) {
                (Some(file), None) => KeySource::File(self.place(&file, What::File)),
                (None, Some(home)) => KeySource::Home(self.path(&home), presence),
                _ => {
                    self.document.error(line, "keys: either file = ... or home = ...");
                    continue;
                }
            };
            let is_home = |source: &KeySource| matches!(source, KeySource::Home(..));
            if is_home(&source) && keys.iter().any(is_home) {
                self.document
                    .error(line, "keys: a second home; there can be one, for what is learned is written there");
            }
            keys.push(source);
        }
        keys
    }

    fn upstream(&mut self, table: Table<'_>) -> Option<Upstream> {
        let (host, lmtp) = (table.string("smart-host"), table.string("lmtp"));
        let mx = table.truth("mx").unwrap_or_default();
        let security = self.choice(
            &table,
            "tls",
            Security::Opportunistic,
            &[("none", Security::None), ("opportunistic", Security::Opportunistic), ("required", Security::Required)],
        );
        let (login, password) = (table.string("login"), self.secret(&table, "password"));
        let xforward = table.truth("xforward");
        let line = table.line;
        let (login_line, xforward_line) = (table.line_of("login"), table.line_of("xforward"));
        let is_half = login.is_some() != table.has("password");
        table.finish();
        if is_half {
            self.document.error(login_line, "upstream: login and password go together");
        }
        let protocol = if lmtp.is_some() { NextProtocol::Lmtp } else { NextProtocol::Smtp };
        if let Some(lmtp) = &lmtp
            && (host.is_some() || mx || login.is_some())
        {
            let message = "upstream: lmtp stands alone: no smart-host, no mx = true, no login";
            self.document.error(lmtp.line, message);
            return None;
        }
        match (host.or(lmtp), mx) {
            (Some(host), false) => {
                let server = self.document.read(&host, |text| server(text, self.directory))?;
                let account = login.zip(password).map(|(name, password)| Account { name: name.value, password });
                if account.is_some() && security != Security::Required && !server.is_local() {
                    let message = "login: a password goes to another machine with tls = \"required\" only";
                    self.document.error(login_line, message);
                }
                // Clients are named to servers on this machine, and to others if the configuration says so.
                let xforward = if xforward.unwrap_or(server.is_local()) { Xforward::On } else { Xforward::Off };
                Some(Upstream::SmartHost { server, protocol, security, account, xforward })
            }
            (None, true) if xforward == Some(true) => {
                self.document.error(xforward_line, "xforward: goes with smart-host");
                None
            }
            (None, true) if login.is_none() => Some(Upstream::Mx),
            (None, true) => {
                self.document.error(login_line, "login: goes with smart-host");
                None
            }
            _ => {
                self.document.error(line, "upstream: one of smart-host, lmtp and mx = true");
                None
            }
        }
    }

    fn sendmail(&mut self, table: Table<'_>) -> Option<Program> {
        let path = table.required("program").map(|program| self.place(&program, What::File));
        let arguments = table.strings("arguments").into_iter().map(|argument| argument.value).collect();
        table.finish();
        Some(Program { path: path?, arguments })
    }

    fn log(&self, root: &Table<'_>) -> Log {
        let usual = Log { level: Level::Info, form: LogForm::Text, syslog: SYSLOG.into() };
        let Some(table) = root.table("log") else { return usual };
        let levels =
            [("debug", Level::Debug), ("info", Level::Info), ("warning", Level::Warning), ("error", Level::Error)];
        let level = self.choice(&table, "level", Level::Info, &levels);
        let form = self.choice(&table, "form", LogForm::Text, &[("json", LogForm::Json), ("text", LogForm::Text)]);
        let syslog = table.string("syslog").map_or(usual.syslog, |text| self.directory.join(text.value));
        table.finish();
        Log { level, form, syslog }
    }
}

fn hostname(text: &str) -> Result<String> {
    let wrong = |_| Error::new(Kind::Config, format!("hostname {text:?}: not the name of a host"));
    let plain = text.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.'));
    let address = if plain { Address::parse(&format!("x@{text}")) } else { Err(Error::usage("")) };
    address.map(|address| address.domain().to_owned()).map_err(wrong)
}

fn socket(text: &str) -> Result<SocketAddr> {
    text.parse().map_err(|_| {
        Error::new(Kind::Config, format!("address {text:?}: not an address and a port"))
            .with_hint("127.0.0.1:10025, [::1]:10025")
    })
}

/// Source: syslog(3).
const SYSLOG: &str = "/dev/log";

/// An address and a port of loopback.
fn monitor(text: &str) -> Result<SocketAddr> {
    let address = socket(text)?;
    if !address.ip().is_loopback() {
        let why = format!("metrics {text:?}: not a loopback address, and the page has no login and no TLS");
        return Err(Error::new(Kind::Config, why)
            .with_hint("127.0.0.1:9095; for other machines a reverse proxy with a login can pass it on"));
    }
    Ok(address)
}

/// `127.0.0.1:25`, `[::1]:25`, `mail.example.org:25`, `unix:/run/postseal/upstream`.
fn server(text: &str, directory: &Path) -> Result<Server> {
    let named = |(host, port): (&str, &str)| {
        let numeric = host.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
        Some(Server::Named(hostname(host).ok().filter(|_| !numeric)?, port.parse().ok()?))
    };
    let parsed = match text.strip_prefix("unix:") {
        Some(path) => Some(Server::Unix(directory.join(path))),
        None => text.parse().ok().map(Server::Tcp).or_else(|| text.rsplit_once(':').and_then(named)),
    };
    parsed.ok_or_else(|| {
        Error::new(Kind::Config, format!("server {text:?}: not an address with a port"))
            .with_hint("127.0.0.1:10025, [::1]:10025, mail.example.org:25, unix:/run/postseal/upstream")
    })
}

/// The default memory for messages. Source: the minimum for messages of 64 MiB, which a small machine has.
const MEMORY: usize = 512 * 1024 * 1024;
