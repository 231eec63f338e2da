//! A small authority in a throwaway folder, made by openssl, and openssl's own opinion of messages.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use tempfile::TempDir;

/// A root, an authority under it, and the certificates that it issued.
pub(crate) struct Lab {
    folder: TempDir,
    written: AtomicUsize,
}

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// Signing and encrypting mail.
    Mail,
    /// Signing mail alone.
    Signing,
    /// Servers.
    Servers,
}

impl Lab {
    /// A root and an authority.
    pub(crate) fn new() -> Lab {
        let lab = Lab {
            folder: tempfile::Builder::new().prefix("ps").tempdir().expect("a throwaway folder"),
            written: AtomicUsize::new(0),
        };
        lab.key("root", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
        lab.key("ca", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        let extensions =
            "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";
        lab.write("authority.ext", extensions);
        lab.run(&["req", "-new", "-key", "root.key", "-subj", "/O=Lab/CN=Root", "-out", "root.csr"]);
        lab.run(&[
            "x509",
            "-req",
            "-in",
            "root.csr",
            "-signkey",
            "root.key",
            "-days",
            "7300",
            "-extfile",
            "authority.ext",
            "-out",
            "root.crt",
        ]);
        lab.run(&["req", "-new", "-key", "ca.key", "-subj", "/O=Lab/CN=Authority", "-out", "ca.csr"]);
        lab.run(&[
            "x509",
            "-req",
            "-in",
            "ca.csr",
            "-CA",
            "root.crt",
            "-CAkey",
            "root.key",
            "-CAcreateserial",
            "-days",
            "7300",
            "-extfile",
            "authority.ext",
            "-out",
            "ca.crt",
        ]);
        lab
    }

    /// Makes `name.key`.
    pub(crate) fn key(&self, name: &str, algorithm: &[&str]) {
        let mut arguments = vec!["genpkey", "-out"];
        let file = format!("{name}.key");
        arguments.push(&file);
        arguments.extend(algorithm);
        self.run(&arguments);
    }

    /// Makes `name.key` and `name.crt` for `address`, valid for so many days from now.
    pub(crate) fn issue(&self, name: &str, address: &str, algorithm: &[&str], purpose: For, days: u32, more: &str) {
        self.key(name, algorithm);
        let (usage, extended) = match purpose {
            For::Mail => ("digitalSignature,keyEncipherment,keyAgreement", "emailProtection"),
            For::Signing => ("digitalSignature", "emailProtection"),
            For::Servers => ("digitalSignature,keyEncipherment,keyAgreement", "serverAuth"),
        };
        let extensions = format!(
            "basicConstraints=CA:false\nkeyUsage=critical,{usage}\nextendedKeyUsage={extended}\nsubjectAltName=email:{address}\n\
             subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n{more}"
        );
        self.write(&format!("{name}.ext"), extensions);
        let (csr, key, crt, ext) =
            (format!("{name}.csr"), format!("{name}.key"), format!("{name}.crt"), format!("{name}.ext"));
        let (public, days) = (format!("{name}.pub"), days.to_string());
        self.run(&["pkey", "-in", &key, "-pubout", "-out", &public]);
        // Keys that cannot sign have no request of their own: the authority's stands in for it.
        self.run(&["req", "-new", "-key", "ca.key", "-subj", &format!("/O=Lab/CN={name}"), "-out", &csr]);
        self.run(&[
            "x509",
            "-req",
            "-in",
            &csr,
            "-force_pubkey",
            &public,
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            &days,
            "-extfile",
            &ext,
            "-out",
            &crt,
        ]);
    }

    /// The authority's CRL, which takes `name.crt` back.
    pub(crate) fn revoked(&self, name: &str) -> Vec<u8> {
        let serial = self.run(&["x509", "-noout", "-serial", "-in", &format!("{name}.crt")]);
        let serial = String::from_utf8(serial).expect("digits").trim().replace("serial=", "");
        self.write(
            "index",
            format!("R\t400101000000Z\t260101000000Z,keyCompromise\t{serial}\tunknown\t/O=Lab/CN={name}\n"),
        );
        self.write("crl.cnf", "[ca]\ndefault_ca=d\n[d]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=30\n");
        self.run(&["ca", "-config", "crl.cnf", "-gencrl", "-keyfile", "ca.key", "-cert", "ca.crt", "-out", "crl.pem"]);
        self.run(&["crl", "-in", "crl.pem", "-outform", "DER"])
    }

    /// A person's key, certificate and chain in PKCS#12 without a passphrase, in the oldest form, which every program reads.
    pub(crate) fn pkcs12(&self, name: &str) -> PathBuf {
        let (key, crt, p12) = (format!("{name}.key"), format!("{name}.crt"), self.fresh(""));
        self.run(&[
            "pkcs12",
            "-export",
            "-legacy",
            "-inkey",
            &key,
            "-in",
            &crt,
            "-certfile",
            "ca.crt",
            "-name",
            name,
            "-passout",
            "pass:",
            "-out",
            &p12,
        ]);
        self.path(&p12)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("the file is there")
    }

    pub(crate) fn write(&self, name: &str, octets: impl AsRef<[u8]>) {
        fs::write(self.path(name), octets).expect("the throwaway folder can be written");
    }

    /// Runs openssl in the folder; panics unless it exits with 0.
    pub(crate) fn run(&self, arguments: &[&str]) -> Vec<u8> {
        self.try_run(arguments).unwrap_or_else(|said| panic!("openssl {arguments:?}: {said}"))
    }

    /// Runs openssl in the folder, or says what it said.
    pub(crate) fn try_run(&self, arguments: &[&str]) -> Result<Vec<u8>, String> {
        let output = Command::new("openssl").args(arguments).current_dir(self.folder.path()).output();
        let output = output.expect("openssl can be started");
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Writes a file of its own for each call, because tests run beside one another.
    pub(crate) fn fresh(&self, octets: impl AsRef<[u8]>) -> String {
        let name = format!("{}.eml", self.written.fetch_add(1, Ordering::Relaxed));
        self.write(&name, octets);
        name
    }

    /// What openssl reads in a signed message, if it believes it under the lab's root alone.
    pub(crate) fn verified(&self, message: impl AsRef<[u8]>) -> String {
        let message = self.fresh(message);
        text(self.run(&["cms", "-verify", "-in", &message, "-CAfile", "root.crt", "-purpose", "smimesign"]))
    }

    /// What openssl reads in an encrypted message with a person's key; `more` are further arguments.
    pub(crate) fn decrypted(&self, message: impl AsRef<[u8]>, person: &str, more: &[&str]) -> String {
        let (message, key, crt) = (self.fresh(message), format!("{person}.key"), format!("{person}.crt"));
        let arguments = ["cms", "-decrypt", "-in", &message, "-inkey", &key, "-recip", &crt];
        text(self.run(&[&arguments, more].concat()))
    }
}

fn text(octets: Vec<u8>) -> String {
    String::from_utf8(octets).expect("UTF-8")
}
