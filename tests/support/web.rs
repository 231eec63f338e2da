//! A web server of our own: an nginx on an address of loopback, with port 443 and a certificate of a private authority.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    certificates::{authority, certificate},
    names::loopback,
};

/// A running web server. Its documents are in `FOLDER/HOST/`.
pub(crate) struct Web {
    folder: tempfile::TempDir,
    address: Ipv4Addr,
    child: Child,
}

impl Web {
    /// Serves these hosts, each with its further nginx settings of a `server`.
    pub(crate) fn start(hosts: &[(&str, &str)]) -> Web {
        let folder = tempfile::Builder::new().prefix("web").tempdir().expect("a throwaway folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a folder that can be entered");
        let (here, address) = (folder.path().display(), loopback());
        authority(folder.path(), "ca");
        let names: Vec<&str> = hosts.iter().map(|(host, _)| *host).collect();
        certificate(folder.path(), "server", "ca", &names.join(",DNS:"));
        let mut servers = String::new();
        for (host, settings) in hosts {
            fs::create_dir(folder.path().join(host)).expect("a folder");
            servers.push_str(&format!(
                "server {{\n listen {address}:443 ssl;\n server_name {host};\n root {here}/{host};\n {settings}\n}}\n"
            ));
        }
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {here}/{kind};\n"))
            .concat();
        let configuration = format!(
            "daemon off;\nmaster_process off;\nuser root;\npid {here}/pid;\nerror_log {here}/error.log info;\nevents {{ }}\n\
             http {{\naccess_log {here}/access.log;\ndefault_type application/octet-stream;\n\
             ssl_certificate {here}/server.pem;\nssl_certificate_key {here}/server.key;\n{temporary}{servers}}}\n"
        );
        let path = folder.path().join("nginx.conf");
        fs::write(&path, configuration).expect("a file");
        let log = fs::File::create(folder.path().join("start.log")).expect("a file");
        let mut command = Command::new("nginx");
        command
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let mut web = Web { child: command.spawn().expect("nginx starts"), address, folder };
        web.wait();
        web
    }

    fn wait(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect((self.address, 443)).is_err() {
            let said = fs::read_to_string(self.path("start.log")).unwrap_or_default();
            assert!(Instant::now() < end && self.child.try_wait().expect("a state").is_none(), "nginx: {said}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A file of its folder: `ca.pem` is the certificate of the authority, `access.log` has a line for each request.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a document of a host there.
    pub(crate) fn put(&self, host: &str, path: &str, octets: impl AsRef<[u8]>) {
        let file = self.folder.path().join(host).join(path.trim_start_matches('/'));
        fs::create_dir_all(file.parent().unwrap_or(Path::new("/"))).expect("a folder");
        fs::write(file, octets).expect("a file");
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("access.log")).unwrap_or_default();
        log.lines().map(ToOwned::to_owned).collect()
    }

    /// An A record for each of these hosts.
    pub(crate) fn records(&self, hosts: &[&str]) -> String {
        hosts.iter().map(|host| format!("{host}. A {}\n", self.address)).collect()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
