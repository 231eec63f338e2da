//! `[discovery.ldap]`: a directory with keys and people.

use super::{
    Grade, Problem, SecretFrom, What,
    reader::Reader,
    table::{Located, Table},
};
use crate::discover::{Clear, Directory, Filter, LdapServer, Scheme};

/// The entries of an address, where the configuration does not say.
const FILTER: &str = "(mail={address})";

/// What the table says, and where the password is. `None`: there is no such table, or something in it is wrong, and a problem already.
pub(super) fn read(reader: &mut Reader<'_>, discovery: &Table<'_>) -> Option<(Directory, Option<SecretFrom>)> {
    let table = discovery.table("ldap")?;
    let servers = servers(reader, &table);
    let known = [("none", Clear::Allow), ("required", Clear::Refuse)];
    let clear = reader.choice(&table, "tls", Clear::Refuse, &known);
    let roots = table.string("roots").map(|place| reader.place(&place, What::File));
    let bind_dn = table.string("bind-dn").map(|dn| dn.value);
    let password = reader.secret(&table, "password");
    let base = table.required("base").map(|base| base.value);
    let filter = table.string("filter").unwrap_or(Located { line: table.line, value: FILTER.to_owned() });
    let line = filter.line;
    let filter = reader.document.read(&filter, Filter::parse);
    if filter.as_ref().is_some_and(|filter| !filter.names_address()) {
        reader.document.error(
            line,
            "filter: names neither {address} nor {local}, so that all addresses would have the same entries",
        );
    }
    if bind_dn.is_some() != table.has("password") {
        reader.document.error(table.line_of("bind-dn"), "ldap: bind-dn and password go together");
    }
    let is_clear = |server: &&LdapServer| server.scheme == Scheme::Ldap && !server.is_local();
    if clear == Clear::Allow
        && let Some(server) = servers.iter().find(is_clear)
    {
        let (line, host) = (table.line_of("tls"), &server.host);
        if bind_dn.is_some() {
            reader.document.error(line, format!("tls: the password would go to {host} in clear"));
        } else {
            let message = format!("tls: what {host} says is not protected on the way: anybody there can name keys");
            reader.document.add(Problem { line, grade: Grade::Warning, message, hint: None });
        }
    }
    table.finish();
    let directory = Directory { servers, clear, roots, bind_dn, password: None, base: base?, filter: filter? };
    Some((directory, password))
}

fn servers(reader: &Reader<'_>, table: &Table<'_>) -> Vec<LdapServer> {
    let texts = table.strings("servers");
    if texts.is_empty() {
        reader.document.error(table.line, "\"servers\" is missing");
    }
    texts.iter().filter_map(|text| reader.document.read(text, LdapServer::parse)).collect()
}
