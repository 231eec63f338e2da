//! The same both ways with Bouncy Castle 1.86, which `.ci/unpack-bouncy-castle` unpacks and `java` runs.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{LAB, Lab, PART, TEXT};
use crate::support::requirements::{missing, present};

/// The jars, in the folder POSTSEAL_BOUNCY_CASTLE or in target/bouncy-castle.
fn jars() -> Option<String> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bouncy-castle");
    let folder: PathBuf = env::var_os("POSTSEAL_BOUNCY_CASTLE").map_or_else(default, PathBuf::from);
    let jars = ["bcprov", "bcpkix", "bcutil"].map(|jar| folder.join(format!("usr/share/java/{jar}.jar")));
    let is_here = jars.iter().all(|jar| jar.is_file());
    (is_here || missing(&format!("Bouncy Castle at {} (POSTSEAL_BOUNCY_CASTLE)", folder.display())))
        .then(|| jars.map(|jar| jar.to_string_lossy().into_owned()).join(":"))
}

impl Lab {
    /// Does these jobs with Bouncy Castle, all in one process: see BouncyCastle.java.
    fn bouncy_castle(&self, jars: &str, jobs: &[String]) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/BouncyCastle.java");
        let mut java = Command::new("java");
        java.args(["-XX:TieredStopAtLevel=1", "-cp", jars]).arg(source).current_dir(self.folder.path());
        let mut child =
            java.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("java starts");
        child.stdin.take().expect("a pipe").write_all(jobs.join("\n").as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
        assert!(said.starts_with(b"1.86"), "{}", String::from_utf8_lossy(&said));
    }

    /// The CMS object in a message, and a message around a CMS object.
    fn unwrap(&self, message: &str, object: &str) {
        let text = fs::read_to_string(self.path(message)).unwrap();
        let (_, body) = text.split_once("\r\n\r\n").expect("a header and a body");
        fs::write(self.path(object), STANDARD.decode(body.replace("\r\n", "")).expect("base64")).unwrap();
    }

    fn wrap(&self, object: &str, kind: &str, from: &str) -> String {
        let body = STANDARD.encode(fs::read(self.path(object)).unwrap());
        let lines: Vec<&str> = body.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let message = format!("{object}.eml");
        self.write(
            &message,
            &format!(
                "From: {from}@example.org\r\nTo: bob@example.org\r\nMIME-Version: 1.0\r\n\
                 Content-Type: application/pkcs7-mime; smime-type={kind}; name=smime.p7m\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
                lines.join("\r\n")
            ),
        );
        message
    }
}

const SIGNERS: [&str; 3] = ["dsa44", "dsa65", "dsa87"];
const READERS: [&str; 3] = ["kem512", "kem768", "kem1024"];

#[test]
fn signatures_and_ciphertexts_go_both_ways() {
    let Some(lab) = LAB.as_ref() else { return };
    let Some(jars) = jars().filter(|_| present(&["java", "javac"])) else { return };
    lab.write("bc.part", PART);
    let mut jobs: Vec<String> = Vec::new();
    for name in SIGNERS {
        let message = lab.message(name, "bouncy@castle.example");
        lab.postseal(&["sign", "-f", "smime", "--opaque", "-o", &format!("{name}.bc.eml"), &message]);
        lab.unwrap(&format!("{name}.bc.eml"), &format!("{name}.ours.p7m"));
        jobs.push(format!("verify {name}.ours.p7m {name}.crt {name}.bc.read"));
        jobs.push(format!("sign {name}.key {name}.crt bc.part {name}.bc.p7m"));
    }
    // To the keys after quantum computers alone, and together with one of RSA.
    let all = [READERS.as_slice(), &["rsa"]].concat();
    for (kind, names) in [("gcm", READERS.as_slice()), ("cbc", &all)] {
        let everybody: Vec<String> = names.iter().map(|name| format!("{name}@example.org")).collect();
        let message = lab.message("dsa65", &everybody.join(", "));
        lab.postseal(&["encrypt", "-f", "smime", "--no-self", "-o", &format!("{kind}.bc.eml"), &message]);
        lab.unwrap(&format!("{kind}.bc.eml"), &format!("{kind}.ours.p7m"));
        jobs.extend(READERS.map(|name| format!("decrypt {name}.key {kind}.ours.p7m {name}.{kind}.bc.read")));
    }
    for name in READERS {
        jobs.push(format!("encrypt {name}.crt bc.part {name}.auth.bc.p7m"));
        jobs.push(format!("envelop {name}.crt bc.part {name}.env.bc.p7m"));
    }
    lab.bouncy_castle(&jars, &jobs);

    for job in jobs.iter().filter(|job| job.ends_with(".bc.read")) {
        let read = fs::read_to_string(lab.path(job.rsplit(' ').next().unwrap())).unwrap();
        assert!(read.contains(TEXT), "{job}: {read}");
    }
    for name in SIGNERS {
        let said = lab.postseal(&["verify", &lab.wrap(&format!("{name}.bc.p7m"), "signed-data", name)]);
        assert!(said.contains(": authentic"), "{name}: {said}");
    }
    for name in READERS {
        for (file, kind) in [("auth", "authEnveloped-data"), ("env", "enveloped-data")] {
            let sealed = lab.wrap(&format!("{name}.{file}.bc.p7m"), kind, "dsa65");
            assert!(lab.postseal(&["decrypt", &sealed]).contains(TEXT), "{name} {kind}");
        }
    }
}
