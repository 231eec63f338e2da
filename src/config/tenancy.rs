//! Which tenant has an address, and which one sends a mail.

use std::collections::{BTreeMap, HashMap};

use super::Config;
use crate::{
    base::{Error, Kind, Result},
    mail::{Address, ForwardPath, Mail, Submitter, address, header},
    policy::Pattern,
};

/// Whose addresses are whose.
///
/// ```
/// use postseal::{base::Result, config::{self, Owner, Tenancy}, mail::Address};
///
/// # fn main() -> Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("postseal.toml");
/// # std::fs::create_dir(folder.path().join("red")).unwrap();
/// # std::fs::write(folder.path().join("red/tenant.toml"), "home = \"home\"").unwrap();
/// std::fs::write(&path, r#"
/// home = "home"
/// hostname = "mail.provider.example"
/// local-domains = ["provider.example"]
///
/// [[tenant]]
/// name = "red"
/// domains = ["red.example"]
/// include = "red/tenant.toml"
/// "#).unwrap();
/// let config = config::load(&path)?;
/// let tenancy = Tenancy::of(&config);
/// assert_eq!(tenancy.owner(&Address::parse("ann@red.example")?), Some(Owner::Tenant(0)));
/// assert_eq!(tenancy.owner(&Address::parse("root@provider.example")?), Some(Owner::Rest));
/// assert_eq!(tenancy.owner(&Address::parse("x@elsewhere.example")?), None);
/// assert!(config.of_tenant("red")?.policy.is_local(&Address::parse("ann@red.example")?));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tenancy {
    names: Vec<String>,
    /// Tenants by their domains.
    domains: HashMap<String, usize>,
    /// Tenants by the domains that theirs are below.
    parents: HashMap<String, usize>,
    /// What else is local.
    rest: Vec<Pattern>,
}

/// Who has an address, or sends a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The file of the service, without a tenant.
    Rest,
    /// The tenant at this place of [`Config::tenants`].
    Tenant(usize),
}

impl Tenancy {
    /// That of a configuration.
    pub fn of(config: &Config) -> Tenancy {
        let mut tenancy = Tenancy { rest: config.policy.local.clone(), ..Tenancy::default() };
        for (at, tenant) in config.tenants.iter().enumerate() {
            tenancy.names.push(tenant.name.clone());
            for domain in &tenant.domains {
                match domain {
                    Pattern::Domain(domain) => drop(tenancy.domains.insert(domain.clone(), at)),
                    Pattern::Subdomains(parent) => drop(tenancy.parents.insert(parent.clone(), at)),
                    Pattern::Address(_) | Pattern::Any | Pattern::Null => {}
                }
            }
        }
        tenancy
    }

    /// Who has this address; `None`: another host.
    pub fn owner(&self, address: &Address) -> Option<Owner> {
        let domain = address.domain();
        let parents = std::iter::successors(domain.split_once('.'), |(_, parent)| parent.split_once('.'));
        let below = || parents.map(|(_, parent)| parent).find_map(|parent| self.parents.get(parent));
        let tenant = self.domains.get(domain).or_else(below).map(|at| Owner::Tenant(*at));
        let is_of_rest = || self.rest.iter().any(|pattern| pattern.covers(Some(address)));
        tenant.or_else(|| is_of_rest().then_some(Owner::Rest))
    }

    /// The name of a tenant.
    pub fn name(&self, owner: Owner) -> Option<&str> {
        match owner {
            Owner::Rest => None,
            Owner::Tenant(at) => self.names.get(at).map(String::as_str),
        }
    }

    /// Who sends a mail of a known submitter: the tenant that the login is an address of, or that has the author, where this host trusts the client.
    /// `None`: a stranger sends it, and each recipient's tenant decides.
    ///
    /// # Errors
    ///
    /// `NoKey`, not permitted: the login is of one, and the mail is by an address of another.
    pub fn sender(&self, mail: &Mail) -> Result<Option<Owner>> {
        match &mail.submitter {
            Submitter::Unknown => Ok(None),
            Submitter::Authenticated(login) => {
                let address = Address::parse(login.as_str()).ok();
                let own = address.and_then(|address| self.owner(&address)).unwrap_or(Owner::Rest);
                match self.claimed(mail).into_iter().find(|(owner, _)| *owner != own) {
                    None => Ok(Some(own)),
                    Some((other, named)) => {
                        let of =
                            |owner| self.name(owner).map_or("no tenant".to_owned(), |name| format!("tenant {name}"));
                        let what = format!("login {login} is of {}, and {named} of {}", of(own), of(other));
                        Err(Error::new(Kind::NoKey, what))
                    }
                }
            }
            Submitter::Host | Submitter::Trusted => {
                let author = header::author(mail.message.root()).ok();
                let addresses = author.iter().chain(&mail.envelope.sender.address);
                let owner = addresses.into_iter().find_map(|address| self.owner(address));
                Ok(Some(owner.unwrap_or(Owner::Rest)))
            }
        }
    }

    /// The recipients of a mail of a stranger, by who has them, in the order of the envelope. Those of other hosts are the rest's.
    pub fn recipients(&self, mail: &Mail) -> BTreeMap<Owner, Vec<ForwardPath>> {
        let mut by_owner: BTreeMap<Owner, Vec<ForwardPath>> = BTreeMap::new();
        for path in &mail.envelope.recipients {
            by_owner.entry(self.owner(&path.address).unwrap_or(Owner::Rest)).or_default().push(path.clone());
        }
        by_owner
    }

    /// Who has the addresses that a mail is by, as any reader may find them.
    fn claimed(&self, mail: &Mail) -> Vec<(Owner, String)> {
        let mut claimed = Vec::new();
        let mut claim =
            |address: &Address| claimed.extend(self.owner(address).map(|owner| (owner, format!("<{address}>"))));
        mail.envelope.sender.address.iter().for_each(&mut claim);
        let fields = mail.message.root().fields().flat_map(|field| field.readings().collect::<Vec<_>>());
        for (_, value) in fields.filter(|(name, _)| AUTHORS.contains(&name.as_str())) {
            let text = String::from_utf8_lossy(&value);
            match address::list(text.trim()) {
                Ok(list) => list.iter().for_each(|mailbox| claim(&mailbox.address)),
                // Readers differ in what they show of it: no domain in it may be another's.
                Err(_) => text
                    .split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-.".contains(c))
                    .filter_map(|word| Address::parse(&format!("x@{}", word.trim_matches('.'))).ok())
                    .for_each(|address| {
                        claimed_domain(self, &address, &mut claim);
                    }),
            }
        }
        claimed
    }
}

/// Only words that are domains of tenants count: any word can be under a pattern of the rest.
fn claimed_domain(tenancy: &Tenancy, address: &Address, claim: &mut impl FnMut(&Address)) {
    if let Some(Owner::Tenant(_)) = tenancy.owner(address) {
        claim(address);
    }
}

/// Fields that say whose a message is (RFC 5322, sections 3.6.2 and 3.6.6), in lower case.
const AUTHORS: [&str; 4] = ["from", "resent-from", "resent-sender", "sender"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Budget, Limits},
        mail::{Envelope, Login, Message, ReversePath},
    };

    fn tenancy() -> Tenancy {
        let domains = [("a.example", 0), ("b.example", 1)].map(|(domain, at)| (domain.to_owned(), at)).into();
        let parents = [("b.example".to_owned(), 1)].into();
        let rest = vec![Pattern::parse("example.org").unwrap()];
        Tenancy { names: vec!["a".to_owned(), "b".to_owned()], domains, parents, rest }
    }

    fn mail(submitter: Submitter, sender: &str, header: &str) -> Mail {
        let sender = ReversePath { address: Address::parse(sender).ok(), parameters: Vec::new() };
        let message =
            Message::parse(format!("{header}\r\n\r\nx\r\n").into(), &mut Budget::new(Limits::default())).unwrap();
        Mail { envelope: Envelope { sender, recipients: Vec::new() }, submitter, client: None, message }
    }

    #[test]
    fn an_address_is_of_the_tenant_with_its_domain() {
        let owner = |text: &str| tenancy().owner(&Address::parse(text).unwrap());
        assert_eq!(owner("x@a.example"), Some(Owner::Tenant(0)));
        assert_eq!(owner("x@A.EXAMPLE"), Some(Owner::Tenant(0)));
        assert_eq!(owner("x@sub.a.example"), None);
        assert_eq!(owner("x@deep.sub.b.example"), Some(Owner::Tenant(1)));
        assert_eq!(owner("x@b.example"), Some(Owner::Tenant(1)));
        assert_eq!(owner("x@bb.example"), None);
        assert_eq!(owner("x@example.org"), Some(Owner::Rest));
        assert_eq!(owner("x@example"), None);
    }

    #[test]
    fn a_login_sends_as_its_tenant_alone() {
        let login = |name: &str| Submitter::Authenticated(Login::new(name).unwrap());
        let sent = |name: &str, sender: &str, header: &str| tenancy().sender(&mail(login(name), sender, header));
        for (name, sender, header, owner) in [
            ("u@a.example", "u@a.example", "From: u@a.example", Owner::Tenant(0)),
            ("U@A.example", "", "From: other@a.example\r\nSender: u@a.example", Owner::Tenant(0)),
            ("u@a.example", "u@a.example", "From: u@elsewhere.example", Owner::Tenant(0)),
            ("u@a.example", "u@a.example", "From: \"Support of b.example\" <u@a.example>", Owner::Tenant(0)),
            ("u", "u@example.org", "From: u@example.org", Owner::Rest),
            ("u@elsewhere.example", "u@example.org", "From: u@example.org", Owner::Rest),
        ] {
            assert_eq!(sent(name, sender, header).unwrap(), Some(owner), "{name} {header}");
        }
        for (name, sender, header) in [
            ("u@a.example", "u@b.example", "From: u@a.example"),
            ("u@a.example", "u@a.example", "From: u@b.example"),
            ("u@a.example", "u@a.example", "From: u@a.example, v@B.example"),
            ("u@a.example", "u@a.example", "From: u@a.example\r\nFrom: v@sub.b.example"),
            ("u@a.example", "u@a.example", "From: u@a.example\r\nsender : v@b.example"),
            ("u@a.example", "u@a.example", "From: u@a.example\r\nResent-From: v@b.example"),
            ("u@a.example", "u@a.example", "From: <u@a.example> <v@b.example>"),
            ("u@a.example", "u@a.example", "X: y\rFrom: v@b.example"),
            ("u@a.example", "u@a.example", "From: v@example.org"),
            ("u", "u@example.org", "From: v@b.example"),
            ("u@b.example", "", "From: v@a.example"),
        ] {
            let error = sent(name, sender, header).unwrap_err();
            assert!(error.is_permanent(), "{name} {header}: {error}");
        }
    }

    #[test]
    fn a_trusted_client_sends_as_the_tenant_of_the_author() {
        for submitter in [Submitter::Trusted, Submitter::Host] {
            let owner =
                |sender: &str, header: &str| tenancy().sender(&mail(submitter.clone(), sender, header)).unwrap();
            assert_eq!(owner("u@b.example", "From: u@a.example"), Some(Owner::Tenant(0)));
            assert_eq!(owner("u@b.example", "From: u@elsewhere.example"), Some(Owner::Tenant(1)));
            assert_eq!(owner("", "From: u@elsewhere.example"), Some(Owner::Rest));
        }
        assert_eq!(tenancy().sender(&mail(Submitter::Unknown, "u@a.example", "From: u@a.example")).unwrap(), None);
    }
}
