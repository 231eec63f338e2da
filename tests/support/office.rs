//! An authority with its own servers: a root, an issuer below it and the certificates of two people, made by openssl; nginx with the CRLs, and the
//! responder of openssl.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    lab::{Done, Lab, POSTSEAL},
    ports::{free_port, wait_for_port},
    requirements::present,
};

/// Makes a root, an authority below it and the certificates of two people. $1 is the port of the web server, $2 that of the responder.
const AUTHORITY: &str = r#"
set -e
exec 2>openssl.log
for name in root int; do
  : >$name.db; echo 01 >$name.srl; echo 01 >$name.number
  cat >$name.cnf <<X
[ca]
default_ca = d
[d]
database = $name.db
serial = $name.srl
crlnumber = $name.number
new_certs_dir = .
default_md = sha256
policy = p
default_days = 30
default_crl_days = 7
certificate = $name.pem
private_key = $name.key
unique_subject = no
[p]
commonName = supplied
X
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 60 -subj /CN=root -keyout root.key -out root.pem
printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\ncrlDistributionPoints=URI:http://127.0.0.1:%s/root.crl\n' $1 >int.ext
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=int -keyout int.key -out int.csr
openssl ca -batch -config root.cnf -in int.csr -extfile int.ext -out int.pem
for who in alice bob; do
  printf 'keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=emailProtection\nsubjectAltName=email:%s@example.org\n' $who >$who.ext
  printf 'crlDistributionPoints=URI:http://127.0.0.1:%s/int.crl\nauthorityInfoAccess=OCSP;URI:http://127.0.0.1:%s,caIssuers;URI:http://127.0.0.1:%s/int.der\n' $1 $2 $1 >>$who.ext
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$who -keyout $who.key -out $who.csr
  openssl ca -batch -config int.cnf -in $who.csr -extfile $who.ext -out $who.pem
done
mkdir www
openssl x509 -in int.pem -outform DER -out www/int.der
for name in root int; do
  openssl ca -config $name.cnf -gencrl -out $name.crl
  openssl crl -in $name.crl -outform DER -out www/$name.crl
done
"#;

/// The folder of the authority, which trusts its root, and the web server.
pub(crate) struct Office {
    pub(crate) lab: Lab,
    /// The port of the web server, and that of the responder.
    pub(crate) ports: [u16; 2],
    web: Child,
}

impl Office {
    /// `None` where a program is absent.
    pub(crate) fn open() -> Option<Office> {
        if !present(&["nginx", "openssl"]) {
            return None;
        }
        let lab = Lab::new();
        let ports = [free_port(), free_port()];
        lab.write("authority.sh", AUTHORITY).write("requests", "");
        lab.shell(&format!("sh authority.sh {} {}", ports[0], ports[1])).code(0);
        let web = nginx(&lab, "web", ports[0], "");
        lab.run(&["key", "import", "--anchor", "root.pem"]).code(0);
        lab.write(
            "fetch.toml",
            format!("home = \"home\"\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\n{DISCOVERY}"),
        );
        Some(Office { lab, ports, web })
    }

    /// `cert fetch`, with these servers allowed.
    pub(crate) fn fetch(&self, arguments: &str) -> Done {
        self.lab.shell(&format!("\"$0\" cert fetch --allow 127.0.0.0/8 {arguments}"))
    }

    /// The program with a configuration that allows these servers.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        let mut command = self.lab.command(POSTSEAL);
        Done::of(command.env("POSTSEAL_CONFIG", "fetch.toml").args(arguments).output().expect("postseal starts"))
    }

    /// The paths that the web server was asked for, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        let text = String::from_utf8(self.lab.read("requests")).expect("UTF-8");
        text.lines().map(str::to_owned).collect()
    }

    /// How often the responder was asked, in the last [`Office::with_responder`].
    pub(crate) fn questions(&self) -> usize {
        let text = fs::read(self.lab.path("questions")).unwrap_or_default();
        // The first was whether it is there.
        String::from_utf8_lossy(&text).matches("OCSP Request Data").count().saturating_sub(1)
    }

    /// Stops the web server.
    pub(crate) fn close(&mut self) {
        let _ = self.web.kill();
        let _ = self.web.wait();
    }

    /// Runs `work` while openssl's responder answers, signing as `signer`, with further options.
    pub(crate) fn with_responder(&self, signer: &str, options: &[&str], work: impl FnOnce()) {
        let mut command = Command::new("openssl");
        command.args(["ocsp", "-index", "int.db", "-CA", "int.pem", "-text", "-out", "questions", "-port"]);
        command.arg(self.ports[1].to_string());
        command.args(["-rsigner", &format!("{signer}.pem"), "-rkey", &format!("{signer}.key")]).args(options);
        let command = command.current_dir(self.lab.path("")).stdout(Stdio::null()).stderr(Stdio::null());
        let _responder = Running(command.spawn().expect("openssl starts"));
        // It serves one connection at a time: one that only looks whether it listens would be in the way of the first question.
        let ready = format!(
            "for _ in $(seq 200); do openssl ocsp -noverify -issuer int.pem -cert bob.pem -url http://127.0.0.1:{} && exit; sleep 0.05; done 2>&1; exit 1",
            self.ports[1]
        );
        self.lab.shell(&ready).code(0);
        work();
    }

    /// Runs `work` while a web server answers every question to the responder with the octets of one file.
    pub(crate) fn with_replay(&self, file: &str, work: impl FnOnce()) {
        let settings = format!("access_log off; location / {{ error_page 403 405 =200 /{file}; }}");
        let _replay = Running(nginx(&self.lab, "replay", self.ports[1], &settings));
        work();
    }

    /// Runs `work` while the responder takes connections and says nothing.
    pub(crate) fn with_silence(&self, work: impl FnOnce()) {
        let _silent = TcpListener::bind(("127.0.0.1", self.ports[1])).expect("the port is free");
        work();
    }

    /// Revokes a certificate, and publishes the list.
    pub(crate) fn revoke(&self, who: &str) {
        let revoke = format!("openssl ca -config int.cnf -revoke {who}.pem 2>/dev/null");
        self.lab.shell(&revoke).code(0);
        self.publish("");
    }

    /// Publishes a new list of the issuer, with these options of `openssl ca -gencrl`.
    pub(crate) fn publish(&self, options: &str) {
        let list = format!(
            "openssl ca -config int.cnf -gencrl {options} 2>/dev/null | openssl crl -outform DER -out new.crl && mv new.crl www/int.crl"
        );
        self.lab.shell(&list).code(0);
    }

    /// Writes mail from alice to carol, signed by openssl with the certificate of alice and of its issuer, into a file.
    pub(crate) fn write_mail(&self, name: &str) {
        let sign = format!(
            "printf 'Content-Type: text/plain\\r\\n\\r\\nhello\\r\\n' | openssl cms -sign -binary -signer alice.pem -inkey alice.key -certfile int.pem \
             -from alice@example.org -to carol@example.org -subject hello -out {name} && sed -i 's/\\r*$/\\r/' {name}"
        );
        self.lab.shell(&sign).code(0);
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.close();
    }
}

/// Serves the folder `www` of a lab.
pub(crate) fn web(lab: &Lab, port: u16) -> Running {
    Running(nginx(lab, "web", port, ""))
}

/// A program that is stopped when this is dropped.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a configuration says so that these servers may be asked.
pub(crate) const DISCOVERY: &str = "[discovery]\nallow-networks = [\"127.0.0.0/8\"]\nsource-timeout = 1\n";

/// Serves the folder `www` at a port, with further settings. The paths of the requests are in the file `requests`.
fn nginx(lab: &Lab, name: &str, port: u16, settings: &str) -> Child {
    let here = lab.path("");
    let here = here.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {here}/{name}-{kind};\n"))
        .concat();
    let configuration = format!(
        "daemon off;\nmaster_process off;\nuser root;\npid {here}/{name}.pid;\nerror_log {here}/{name}.log;\nevents {{ }}\nhttp {{\n\
         log_format path $uri;\naccess_log {here}/requests path;\ndefault_type application/octet-stream;\n{temporary}\
         server {{\nlisten 127.0.0.1:{port};\nroot {here}/www;\n{settings}\n}}\n}}\n"
    );
    lab.write(&format!("{name}.conf"), configuration);
    let mut command = Command::new("nginx");
    command.arg("-p").arg(lab.path("")).arg("-c").arg(lab.path(&format!("{name}.conf")));
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nginx starts");
    wait_for_port(port);
    child
}

/// Waits until it holds, for 10 seconds at most.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within 10 seconds");
        thread::sleep(Duration::from_millis(20));
    }
}
