//! `[discovery]`: which sources are asked for keys, and how long their answers are kept; and from where revocations are fetched.

use std::time::Duration;

use super::{
    SecretFrom, What, directory,
    reader::Reader,
    table::{Located, Table},
};
use crate::{
    base::{Error, Kind, Network, Result},
    discover::{Dnssec, Method, Nonce, RevocationFetch, Settings},
    keys::Source,
    pki::Revocation,
};

/// What the table says.
#[derive(Default)]
pub(super) struct Read {
    /// The sources. The password of the directory is not in them.
    pub(super) settings: Settings,
    /// How long all look-ups of one message may take together, if it says.
    pub(super) timeout: Option<Duration>,
    /// Where the password of the directory is.
    pub(super) password: Option<SecretFrom>,
}

/// Reads the table.
pub(super) fn read(reader: &mut Reader<'_>, root: &Table<'_>) -> Read {
    let mut settings = Settings::default();
    let Some(table) = root.table("discovery") else { return Read::default() };
    let methods = table.strings("methods");
    if table.has("methods") {
        settings.methods = self::methods(reader, &methods);
    }
    let directory = directory::read(reader, &table);
    let needs_directory = |method: &Method| matches!(method, Method::LdapPgp | Method::LdapSmime);
    if settings.methods.iter().any(needs_directory) && !table.has("ldap") {
        reader.document.error(table.line_of("methods"), "methods: ldap needs [discovery.ldap]");
    }
    for (key, server) in [("vks-server", &mut settings.vks), ("hkp-server", &mut settings.hkp)] {
        let said = table.string(key);
        *server = said.and_then(|text| reader.document.read(&text, self::server)).unwrap_or(server.clone());
    }
    let seconds = |key| table.size(key).and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    let timeout = seconds("timeout");
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        reader.document.error(table.line_of("timeout"), "timeout: no source would be asked");
    }
    let fields = [
        ("source-timeout", &mut settings.source_timeout),
        ("keep-found", &mut settings.keep_found),
        ("keep-missing", &mut settings.keep_missing),
        ("keep-failed", &mut settings.keep_failed),
    ];
    for (key, field) in fields {
        *field = seconds(key).unwrap_or(*field);
    }
    let days = table.size("refresh").and_then(|days| u64::try_from(days).ok()).filter(|days| *days > 0);
    settings.refresh = days.map(|days| Duration::from_secs(days.saturating_mul(24 * 60 * 60)));
    let networks: Vec<Located<String>> = table.strings("allow-networks");
    settings.allowed = networks.iter().filter_map(|text| reader.document.read(text, Network::parse)).collect();
    settings.roots = table.string("roots").map(|place| reader.place(&place, What::File));
    let servers = table.strings("name-servers");
    let address = |text: &str| -> Result<_> {
        text.parse().map_err(|_| Error::new(Kind::Config, format!("{text:?}: not ADDRESS:PORT")))
    };
    settings.name_servers = servers.iter().filter_map(|text| reader.document.read(text, address)).collect();
    let anchors = table.string("dnssec-anchors").map(|place| reader.place(&place, What::File));
    let modes = [("resolver", Dnssec::Resolver), ("validate", Dnssec::Validate(anchors.clone()))];
    let names: Vec<(&'static str, usize)> = modes.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
    let at = reader.choice(&table, "dnssec", 0, &names);
    settings.dnssec = modes.into_iter().nth(at).map_or(Dnssec::Resolver, |(_, mode)| mode);
    if anchors.is_some() && settings.dnssec == Dnssec::Resolver {
        reader.document.error(table.line_of("dnssec-anchors"), "dnssec-anchors: goes with dnssec = \"validate\"");
    }
    let asks_dns = settings.methods.iter().any(|method| method.source() == Source::Dnssec);
    let far = settings.name_servers.iter().find(|server| !server.ip().is_loopback());
    if let (true, Dnssec::Resolver, Some(server)) = (asks_dns, &settings.dnssec, far) {
        let message =
            format!("name-servers: {server} is not on this machine: dnssec = \"validate\" checks signatures here");
        reader.document.error(table.line_of("name-servers"), message);
    }
    table.finish();
    let (directory, password) = directory.map_or((None, None), |(directory, password)| (Some(directory), password));
    Read { settings: Settings { directory, ..settings }, timeout, password }
}

/// `ldap` is both that a directory has.
fn methods(reader: &Reader<'_>, texts: &[Located<String>]) -> Vec<Method> {
    let both = [Method::LdapPgp, Method::LdapSmime];
    let mut known: Vec<(&'static str, &[Method])> =
        Method::ALL.iter().map(|method| (method.name(), std::slice::from_ref(method))).collect();
    known.push(("ldap", &both));
    let named = texts.iter().filter_map(|text| reader.document.word(text, "methods", &known));
    named.flatten().copied().collect()
}

/// From where the revocation status of certificates is fetched, and how.
pub(super) fn revocation_fetch(
    reader: &mut Reader<'_>,
    root: &Table<'_>,
    revocation: Revocation,
) -> (RevocationFetch, Nonce) {
    let fetch = reader.choice(root, "revocation-fetch", RevocationFetch::Off, &RevocationFetch::ALL);
    let nonce = if root.truth("ocsp-nonce").unwrap_or_default() { Nonce::Send } else { Nonce::Omit };
    if revocation == Revocation::Off && fetch != RevocationFetch::Off {
        let message = "revocation-fetch: with revocation = \"off\", what is fetched does not count";
        reader.document.error(root.line_of("revocation-fetch"), message);
    }
    (fetch, nonce)
}

/// `https://HOST`, with or without a port; `hkps://HOST` means the same.
fn server(text: &str) -> Result<String> {
    let host =
        text.strip_prefix("https://").or_else(|| text.strip_prefix("hkps://")).map(|host| host.trim_end_matches('/'));
    let host = host.filter(|host| !host.is_empty() && !host.contains(['/', '@', '?', '#']));
    host.map(|host| format!("https://{host}"))
        .ok_or_else(|| Error::new(Kind::Config, format!("{text:?}: not in the form https://HOST")))
}
