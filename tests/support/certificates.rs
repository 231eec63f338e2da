//! Certificates of TLS servers, made by openssl.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use super::postfix::run_with;

/// A certificate authority: `NAME.pem`, `NAME.key`.
pub(crate) fn authority(folder: &Path, name: &str) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", &format!("/CN={name}")]);
    good(run_with(
        openssl.args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")]).current_dir(folder),
        b"",
    ));
}

/// A server's certificate: `NAME.pem`, `NAME.key`.
pub(crate) fn certificate(folder: &Path, name: &str, issuer: &str, host: &str) {
    let [key, request, extensions, out] = ["key", "csr", "ext", "pem"].map(|ending| format!("{name}.{ending}"));
    fs::write(folder.join(&extensions), format!("subjectAltName=DNS:{host}\nbasicConstraints=CA:FALSE\n"))
        .expect("a file");
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server", "-keyout", &key, "-out", &request]);
    good(run_with(openssl.current_dir(folder), b""));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "x509",
        "-req",
        "-days",
        "2",
        "-CAcreateserial",
        "-in",
        &request,
        "-extfile",
        &extensions,
        "-out",
        &out,
    ]);
    openssl.args(["-CA", &format!("{issuer}.pem"), "-CAkey", &format!("{issuer}.key")]);
    good(run_with(openssl.current_dir(folder), b""));
}

fn good(output: Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
