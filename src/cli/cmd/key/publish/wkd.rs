//! A Web Key Directory as files (draft-koch-openpgp-webkey-service-22, sections 3.1 and 4.5).

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use postseal::{
    base::{Error, Kind, Result, Temporary},
    mail::{Address, directory_name},
};

use super::choice::Published;

/// The forms of the URL (draft-koch-openpgp-webkey-service-22, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli::cmd::key) enum Layout {
    /// The web server is openpgpkey.DOMAIN. It can serve many domains
    Advanced,
    /// The web server is DOMAIN
    Direct,
}

/// Writes the keys below `root`; returns a line with address, fingerprint and URL for each. All files are written before the first takes the place of an older
/// one.
pub(super) fn write(root: &Path, layout: Layout, keys: &[Published]) -> Result<String> {
    let base = root.join(".well-known/openpgpkey");
    let mut files: BTreeMap<PathBuf, &[u8]> = BTreeMap::new();
    let mut lines = String::new();
    let first = keys.first().map(|one| one.address.domain());
    for Published { address, record, key } in keys {
        let domain = host(address)?;
        let (folder, prefix) = match layout {
            Layout::Advanced => (base.join(domain), format!("openpgpkey.{domain}/.well-known/openpgpkey/{domain}")),
            Layout::Direct if first != Some(domain) => {
                return Err(Error::usage(format!("{address}: a direct directory has one domain only"))
                    .with_hint("publish each domain into a folder of its own, or use --layout advanced"));
            }
            Layout::Direct => (base.clone(), format!("{domain}/.well-known/openpgpkey")),
        };
        let name = directory_name(address);
        let policy = folder.join("policy");
        if !policy.exists() {
            files.insert(policy, b"");
        }
        if files.insert(folder.join("hu").join(&name), &key.octets).is_some() {
            // Addresses that differ in case only are one file.
            continue;
        }
        lines.push_str(&format!(
            "{address}  {}  https://{prefix}/hu/{name}?l={}\n",
            record.fingerprint(),
            address.local()
        ));
    }
    let mut written = Vec::new();
    for (path, octets) in files {
        let temporary = prepared(&path, octets).map_err(|error| cannot_create(&path, &error))?;
        written.push((temporary, path));
    }
    for (temporary, path) in written {
        temporary.persist(&path).map_err(|error| cannot_create(&path, &error))?;
    }
    Ok(lines)
}

/// The domain, as a host name that can be a folder too.
fn host(address: &Address) -> Result<&str> {
    let domain = address.domain();
    let is_host = |label: &str| {
        !label.is_empty() && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
    };
    match domain.split('.').all(is_host) {
        true => Ok(domain),
        false => Err(Error::usage(format!("{address}: its domain is no host name"))),
    }
}

/// The octets in a file that everyone can read, beside `path`.
fn prepared(path: &Path, octets: &[u8]) -> io::Result<Temporary> {
    let folder = path.parent().unwrap_or(Path::new("."));
    readable_folder(folder)?;
    let mut temporary = Temporary::create(folder, 0o644)?;
    temporary.write_all(octets)?;
    // Whatever the umask is: the web server is another user.
    fs::set_permissions(temporary.path(), Permissions::from_mode(0o644))?;
    temporary.sync()?;
    Ok(temporary)
}

/// Makes the folder and those above it that do not exist, readable for everyone.
fn readable_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    readable_folder(folder.parent().unwrap_or(Path::new("")))?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o755))),
    }
}

fn cannot_create(path: &Path, error: &io::Error) -> Error {
    Error::new(Kind::CannotCreate, Error::io(path.display(), error).to_string())
}
