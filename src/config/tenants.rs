//! `[[tenant]]`: domains with a home, rules and administrators of their own, and the file of each.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use toml::de::DeTable;

use super::{
    Config, Grade, KeySource, Owner, Problem, audit, discovery, provisioning,
    reader::{Own, Reader, first_error},
    table::{Document, Located, Table},
};
use crate::{
    base::{Error, Kind, Result},
    mail::Address,
    policy::{Pattern, Policy},
};

/// Domains with a home, rules and administrators of their own.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its name, in the log and on the command line.
    pub name: String,
    /// Its domains. No other tenant has one of them, and they are no local domains of the rest.
    pub domains: Vec<Pattern>,
    /// Its file.
    pub file: PathBuf,
    /// What the file says, over what the file of the service says; `None` if one of its problems is an error.
    pub(super) config: Option<Box<Config>>,
    /// The problems of its file, in the order of lines.
    pub problems: Vec<Problem>,
}

impl Tenant {
    /// Its configuration.
    ///
    /// # Errors
    ///
    /// `Config`: the file cannot be read, or the first error in it, as `FILE:LINE: what`.
    pub fn config(&self) -> Result<&Config> {
        match &self.config {
            Some(config) => Ok(config),
            None => Err(first_error(&self.file, &self.problems)),
        }
    }
}

impl Config {
    /// The configuration of the tenant with this name.
    ///
    /// # Errors
    ///
    /// `Usage`: there is none. Others: as [`Tenant::config`].
    pub fn of_tenant(&self, name: &str) -> Result<&Config> {
        match self.tenants.iter().find(|tenant| tenant.name == name) {
            Some(tenant) => tenant.config(),
            None => {
                let known: Vec<&str> = self.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
                let error = Error::usage(format!("tenant {name:?}: not in the configuration"));
                Err(if known.is_empty() { error } else { error.with_hint(known.join(", ")) })
            }
        }
    }

    /// The configuration of who has an address or sends a mail.
    ///
    /// # Errors
    ///
    /// As [`Tenant::config`].
    pub fn of_owner(&self, owner: Owner) -> Result<&Config> {
        match owner {
            Owner::Rest => Ok(self),
            Owner::Tenant(at) => match self.tenants.get(at) {
                Some(tenant) => tenant.config(),
                None => Err(Error::unavailable("no such tenant")),
            },
        }
    }

    /// The domains whose mail is delivered here, those of the tenants too.
    pub fn all_local(&self) -> Vec<Pattern> {
        let of_tenants = self.tenants.iter().flat_map(|tenant| &tenant.domains);
        self.policy.local.iter().chain(of_tenants).cloned().collect()
    }
}

/// What the file of the service says of a tenant.
pub(super) struct Declared {
    line: usize,
    name: String,
    pub(super) domains: Vec<Pattern>,
    file: PathBuf,
}

/// Reads every `[[tenant]]`, but not their files.
pub(super) fn declared(reader: &Reader<'_>, root: &Table<'_>) -> Vec<Declared> {
    let mut all: Vec<Declared> = Vec::new();
    for table in root.tables("tenant") {
        let line = table.line;
        let name = table.required("name").and_then(|text| reader.document.read(&text, name));
        if table.strings("domains").is_empty() {
            reader.document.error(line, "\"domains\" is missing");
        }
        let domains: Vec<Pattern> =
            table.strings("domains").iter().filter_map(|text| reader.document.read(text, domain)).collect();
        let file = table.required("include").map(|file| reader.directory.join(file.value));
        table.finish();
        let (Some(name), Some(file)) = (name, file) else { continue };
        if all.iter().any(|other| other.name == name) {
            reader.document.error(line, format!("tenant {name}: another one has this name"));
        }
        for domain in &domains {
            if let Some(other) = all.iter().find(|other| other.domains.iter().any(|one| overlap(one, domain))) {
                reader.document.error(line, format!("tenant {name}: {domain} is of tenant {} too", other.name));
            }
        }
        all.push(Declared { line, name, domains, file });
    }
    all
}

/// Reads the files of the tenants. What is wrong in one of them is a problem of that tenant alone; that they are not apart is a problem of the file of the
/// service.
pub(super) fn read(reader: &Reader<'_>, root: &Table<'_>, service: &Config, declared: Vec<Declared>) -> Vec<Tenant> {
    apart(reader, root, service, &declared);
    declared.into_iter().map(|one| tenant(reader, one, root, service)).collect()
}

/// Reports what is of two tenants, or of a tenant and of the rest.
fn apart(reader: &Reader<'_>, root: &Table<'_>, service: &Config, declared: &[Declared]) {
    let mut folders: Vec<(&str, PathBuf)> = Vec::new();
    for Declared { line, name, domains, file } in declared {
        for domain in domains {
            if let Some(local) = service.policy.local.iter().find(|local| overlap(local, domain)) {
                let message = format!("tenant {name}: {domain} is in local-domains too ({local})");
                reader.document.error(*line, message);
            }
        }
        for login in service.policy.identities.keys() {
            let address = Address::parse(login.as_str()).ok();
            if address.is_some() && domains.iter().any(|domain| domain.covers(address.as_ref())) {
                let message = format!("identities: {login} is a login of tenant {name}, and stands in its file");
                reader.document.error(root.line_of("identities"), message);
            }
        }
        // A folder that is not there has nothing in it.
        let Ok(folder) = without_links(folder(file)) else { continue };
        let within = |place: &Path| without_links(place).is_ok_and(|place| place.starts_with(&folder));
        if let Some(other) = folders.iter().find(|(_, other)| other.starts_with(&folder) || folder.starts_with(other)) {
            let message =
                format!("tenant {name}: {} and the folder of tenant {} are not apart", folder.display(), other.0);
            reader.document.error(*line, message);
        }
        if within(reader.directory) {
            let message = format!("tenant {name}: {} has the configuration of the service in it", folder.display());
            reader.document.error(*line, message);
        }
        for source in &service.keys {
            let (KeySource::File(place) | KeySource::Home(place, _)) = source;
            if within(place) {
                let message = format!("tenant {name}: {} is in its folder, and not its own", place.display());
                reader.document.error(*line, message);
            }
        }
        folders.push((name, folder));
    }
}

fn tenant(reader: &Reader<'_>, declared: Declared, root: &Table<'_>, service: &Config) -> Tenant {
    let Declared { name, domains, file, .. } = declared;
    let (config, problems) = match reader.texts.read(&file) {
        Err(message) => (None, vec![Problem { line: 0, grade: Grade::Error, message, hint: None }]),
        Ok(text) => {
            let inherited = ["marker", "quarantine"].into_iter().filter(|key| root.has(key)).collect();
            parse(&text, &name, &domains, &file, inherited, service)
        }
    };
    Tenant { name, domains, file, config: config.map(Box::new), problems }
}

/// `inherited` are keys of the file of the service that others need beside them.
fn parse(
    text: &str,
    name: &str,
    domains: &[Pattern],
    file: &Path,
    inherited: Vec<&'static str>,
    service: &Config,
) -> (Option<Config>, Vec<Problem>) {
    let document = Document::new(text);
    let parsed = match DeTable::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let line = error.span().map_or(1, |span| document.line(span.start));
            document.error(line, error.message().to_lowercase());
            return (None, document.into_problems());
        }
    };
    let root = Table::new(&document, 1, parsed.get_ref()).inheriting(inherited);
    let directory = folder(file);
    let own = Own { name: name.to_owned(), folder: without_links(directory).unwrap_or_else(|_| directory.into()) };
    let texts = &service.texts;
    let mut reader = Reader { document: &document, file, directory, texts, mentions: Vec::new(), own: Some(own) };
    let config = reader.of_tenant(&root, name, domains, service);
    root.reserve(OF_THE_SERVICE, "is for the whole service, and stands in its file alone");
    root.finish();
    let problems = document.into_problems();
    let usable = problems.iter().all(|problem| problem.grade != Grade::Error);
    (usable.then_some(config), problems)
}

impl Reader<'_> {
    /// What the file of a tenant says. What it does not say is as in `service`, or as in a file without it where it would be the rest's own.
    fn of_tenant(&mut self, root: &Table<'_>, name: &str, domains: &[Pattern], service: &Config) -> Config {
        let keys = self.keys(root);
        let passphrases = self.secret(root, "passphrases");
        let (revocation, legacy) = self.checks(root);
        let mut bounds = service.bounds.clone();
        let mut discovery = discovery::read(self, root);
        (discovery.settings.revocation_fetch, discovery.settings.nonce) =
            discovery::revocation_fetch(self, root, revocation);
        if let Some(table) = root.table("discovery") {
            table.reserve(&["allow-networks"], "opens networks of the service, and stands in its file alone");
        }
        // No tenant holds up the work of all for longer than the service does by itself.
        bounds.message.network =
            discovery.timeout.map_or(bounds.message.network, |own| own.min(bounds.message.network));
        let trusted = root.table("trusted");
        let deciding = self.deciding(root, trusted.as_ref(), bounds.message.message, domains.to_vec());
        if let Some(trusted) = trusted {
            trusted.reserve(
                &["authserv-ids", "networks", "peers"],
                "is for the whole service, and stands in its file alone",
            );
            trusted.finish();
        }
        self.strangers(root, name, &deciding.policy);
        let texts = service.policy.lists.texts.clone();
        let policy = Policy { lists: deciding.policy.lists.writing(texts), ..deciding.policy };
        Config {
            tenant: Some(name.to_owned()),
            keys,
            // A module is code that runs in the service.
            tokens: Vec::new(),
            passphrases,
            revocation,
            legacy,
            discovery: discovery.settings,
            directory_password: discovery.password,
            policy,
            aliases: deciding.aliases,
            page: deciding.page,
            provisioning: provisioning::read(self, root),
            audit: audit::read(self, root),
            acme: None,
            expiry_notice: None,
            bounds,
            mentions: std::mem::take(&mut self.mentions),
            ..service.clone()
        }
    }

    /// Reports logins and aliases that are never this tenant's.
    fn strangers(&self, root: &Table<'_>, name: &str, policy: &Policy) {
        for login in policy.identities.keys() {
            if !Address::parse(login.as_str()).is_ok_and(|address| policy.is_local(&address)) {
                let message =
                    format!("identities: {login} is no address in a domain of tenant {name}: it never logs in here");
                self.document.error(root.line_of("identities"), message);
            }
        }
        for alias in policy.aliases.keys().filter_map(|alias| Address::parse(alias).ok()) {
            if !policy.is_local(&alias) {
                let message = format!("aliases: {alias} is not in a domain of tenant {name}");
                self.document.error(root.line_of("aliases"), message);
            }
        }
    }
}

/// Whether an address can be in both.
fn overlap(one: &Pattern, other: &Pattern) -> bool {
    // An address, or one below a domain, that a pattern is about.
    let within = |pattern: &Pattern| match pattern {
        Pattern::Address(address) => Some(address.clone()),
        Pattern::Domain(domain) => Address::parse(&format!("x@{domain}")).ok(),
        Pattern::Subdomains(parent) => Address::parse(&format!("x@x.{parent}")).ok(),
        Pattern::Any | Pattern::Null => None,
    };
    let is_within =
        |inner: &Pattern, outer: &Pattern| within(inner).is_some_and(|address| outer.covers(Some(&address)));
    one == other || is_within(one, other) || is_within(other, one)
}

/// A word of the log and of the command line, and a part of the names of credentials.
fn name(text: &str) -> Result<String> {
    let is_plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    if !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err(Error::new(Kind::Config, format!("name {text:?}: not 1 to {MAX_NAME} of a-z, 0-9 and \"-\"")))
}

fn domain(text: &str) -> Result<Pattern> {
    match Pattern::parse(text)? {
        pattern @ (Pattern::Domain(_) | Pattern::Subdomains(_)) => Ok(pattern),
        Pattern::Address(_) | Pattern::Any | Pattern::Null => {
            Err(Error::new(Kind::Config, format!("domains: {text:?} is not a domain"))
                .with_hint("example.org, or .example.org for what is below it"))
        }
    }
}

fn folder(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

/// The empty path is the current folder.
fn without_links(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path })
}

impl Own {
    /// Whether a place that the file of the tenant names is in the folder of that file, also where the name leads through links.
    pub(super) fn has(&self, text: &Located<String>, place: &Path) -> bool {
        let is_plain = !Path::new(&text.value).components().any(|part| part == std::path::Component::ParentDir);
        let known = place.ancestors().find_map(|part| without_links(part).ok());
        is_plain && known.is_some_and(|known| known.starts_with(&self.folder))
    }
}

/// Keys that the file of a tenant does not have.
const OF_THE_SERVICE: &[&str] = &[
    "acme",
    "authserv-id",
    "bounces",
    "expiry-notice",
    "hostname",
    "isolation",
    "key-uses",
    "limits",
    "listener",
    "local-domains",
    "log",
    "marker",
    "metrics",
    "notice",
    "quarantine",
    "rate-limit",
    "sendmail",
    "templates",
    "tenant",
    "token",
    "upstream",
];

/// Source: a label of a domain name has up to 63 characters, and lines of the log stay readable.
const MAX_NAME: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_overlap_where_an_address_is_in_both() {
        for (one, other, both) in [
            ("a.example", "a.example", true),
            ("A.example", "a.EXAMPLE", true),
            ("a.example", "b.example", false),
            ("a.example", ".a.example", false),
            ("x.a.example", ".a.example", true),
            (".x.a.example", ".a.example", true),
            (".a.example", ".a.example", true),
            (".a.example", ".b.example", false),
            (".ba.example", ".a.example", false),
            ("bob@a.example", "a.example", true),
            ("bob@b.example", "a.example", false),
            ("*", "a.example", true),
            ("<>", "a.example", false),
        ] {
            let [first, second] = [one, other].map(|text| Pattern::parse(text).unwrap());
            assert_eq!(overlap(&first, &second), both, "{one} {other}");
            assert_eq!(overlap(&second, &first), both, "{other} {one}");
        }
    }

    #[test]
    fn names_are_words() {
        for bad in ["", "A", "a b", "a.b", "a/b", "\u{e4}", &"a".repeat(MAX_NAME + 1)] {
            assert!(name(bad).is_err(), "{bad}");
        }
        assert_eq!(name("tenant-1").unwrap(), "tenant-1");
        assert!(domain("*").is_err() && domain("a@a.example").is_err() && domain("<>").is_err());
    }
}
