//! What the process with the keys keeps: reading, the files that it changes, and the servers that it speaks with.

use std::path::Path;

use crate::{
    config::Config,
    sandbox::Sandbox,
    store::{Server, servers},
};

/// What `config` takes. `home` takes the place of its home.
pub(super) fn rights(config: &Config, home: Option<&Path>) -> Sandbox {
    let tenants: Vec<&Config> = config.tenants.iter().filter_map(|tenant| tenant.config().ok()).collect();
    let homes = home.or_else(|| config.home()).into_iter().chain(tenants.iter().filter_map(|tenant| tenant.home()));
    let mut sandbox = Sandbox::storing();
    for home in homes {
        // Opening a home says what is wrong with it.
        for server in servers(home).unwrap_or_default() {
            sandbox = match server {
                Server::Local => sandbox.connects_locally(),
                Server::Port(port) => sandbox.connects(port),
            };
        }
        sandbox = sandbox.writes(home);
    }
    for config in std::iter::once(config).chain(tenants) {
        // Requests are remembered beside it, also those of lists that nobody joins.
        let members = config.policy.lists.iter().filter_map(|list| list.members.0.file());
        let audit = config.audit.as_ref().and_then(|audit| audit.path.as_deref());
        // They are replaced by others of their names.
        for folder in members.chain(audit).filter_map(Path::parent) {
            sandbox = sandbox.writes(if folder == Path::new("") { Path::new(".") } else { folder });
        }
    }
    if let Some(acme) = &config.acme {
        sandbox = sandbox.connects(port(&acme.server)).connects(HTTPS);
    }
    if config.tokens.is_empty() {
        return sandbox;
    }
    // A module writes and connects where its maker likes.
    sandbox.writes("/").connects_everywhere().connects_locally()
}

/// The port of an https URL.
fn port(url: &str) -> u16 {
    let authority = url.split('/').nth(2).unwrap_or_default();
    authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(HTTPS)
}

const HTTPS: u16 = 443;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_urls() {
        let ports = ["https://ca.test/directory", "https://ca.test:14000/dir", "https://[2001:db8::1]:8443/", "x"];
        assert_eq!(ports.map(port), [443, 14_000, 8_443, 443]);
    }
}
