//! A directory of our own: a slapd on loopback, with a certificate of a private authority.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    certificates::{authority, certificate},
    ports::{free_port, wait_for_port},
};

/// A running server. Its entries are below [`BASE`], and a login sees them.
pub(crate) struct Directory {
    folder: tempfile::TempDir,
    /// Of `ldap://`.
    pub(crate) port: u16,
    /// Of `ldaps://`.
    pub(crate) tls_port: u16,
    child: Child,
}

/// An entry of a person: `uid`, and attributes with their values.
pub(crate) struct Entry<'a> {
    pub(crate) uid: &'a str,
    pub(crate) attributes: Vec<(&'a str, Vec<u8>)>,
}

/// Where people are.
pub(crate) const BASE: &str = "ou=people,dc=example,dc=org";
/// Who may read.
pub(crate) const READER: &str = "cn=postseal,dc=example,dc=org";
/// The reader's password.
pub(crate) const PASSWORD: &str = "let me read";

/// The attribute of the schema of PGP's key servers, and a class that has it.
const SCHEMA: &str = "\
attributetype ( 1.3.6.1.4.1.3401.8.2.11 NAME 'pgpKey' EQUALITY caseExactIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
objectclass ( 1.3.6.1.4.1.4203.666.1 NAME 'pgpPerson' SUP top AUXILIARY MAY pgpKey )
";

impl Directory {
    /// Serves these people, on ports of its own.
    pub(crate) fn start(people: &[Entry<'_>]) -> Directory {
        let folder = tempfile::Builder::new().prefix("ld").tempdir().expect("a throwaway folder");
        let here = folder.path();
        authority(here, "ca");
        certificate(here, "server", "ca", "localhost,IP:127.0.0.1");
        fs::create_dir(here.join("db")).expect("a folder");
        fs::write(here.join("pgp.schema"), SCHEMA).expect("a file");
        fs::write(here.join("people.ldif"), ldif(people)).expect("a file");
        fs::write(here.join("slapd.conf"), configuration(here)).expect("a file");
        let mut slapadd = Command::new(program("slapadd"));
        slapadd.arg("-q").arg("-f").arg(here.join("slapd.conf")).arg("-l").arg(here.join("people.ldif"));
        let added = slapadd.output().expect("slapadd starts");
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let [port, tls_port] = [free_port(), free_port()];
        let mut slapd = Command::new(program("slapd"));
        slapd.arg("-f").arg(here.join("slapd.conf")).args(["-d", "stats"]);
        slapd.args(["-h", &format!("ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{tls_port}/")]);
        let log = fs::File::create(here.join("log")).expect("a file");
        let child = slapd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("slapd starts");
        [port, tls_port].into_iter().for_each(wait_for_port);
        Directory { folder, port, tls_port, child }
    }

    /// A file of its folder: `ca.pem` is the certificate of the authority.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How many searches it has had.
    pub(crate) fn searches(&self) -> usize {
        fs::read_to_string(self.path("log")).unwrap_or_default().matches(" SRCH base=").count()
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Debian has them where not every PATH leads.
fn program(name: &str) -> PathBuf {
    Path::new("/usr/sbin").join(name)
}

fn configuration(here: &Path) -> String {
    let schema = |name: &str| format!("include /etc/ldap/schema/{name}.schema\n");
    let schemas = ["core", "cosine", "inetorgperson"].map(schema).concat();
    let here = here.display();
    format!(
        "{schemas}include {here}/pgp.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {here}/pid\n\
         TLSCertificateFile {here}/server.pem\nTLSCertificateKeyFile {here}/server.key\nTLSCACertificateFile {here}/ca.pem\n\
         database mdb\nsuffix \"dc=example,dc=org\"\nrootdn \"cn=admin,dc=example,dc=org\"\ndirectory {here}/db\n\
         limits dn.exact=\"{READER}\" size.soft=600 size.hard=600 size.prtotal=unlimited\n\
         access to attrs=userPassword by anonymous auth\naccess to * by dn.exact=\"{READER}\" read by * none\n"
    )
}

fn ldif(people: &[Entry<'_>]) -> String {
    let encoded = |octets: &[u8]| STANDARD.encode(octets);
    let mut text = format!(
        "dn: dc=example,dc=org\nobjectClass: organization\nobjectClass: dcObject\no: Example\ndc: example\n\n\
         dn: {BASE}\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: postseal\nuserPassword: {PASSWORD}\n\n"
    );
    for Entry { uid, attributes } in people {
        text.push_str(&format!(
            "dn: uid={uid},{BASE}\nobjectClass: inetOrgPerson\nobjectClass: pgpPerson\nuid: {uid}\nsn: {uid}\n"
        ));
        if !attributes.iter().any(|(name, _)| *name == "cn") {
            text.push_str(&format!("cn: {uid}\n"));
        }
        for (name, value) in attributes {
            text.push_str(&format!("{name}:: {}\n", encoded(value)));
        }
        text.push('\n');
    }
    text
}
