//! A token of SoftHSM in the folder of a lab, and the program that uses it.

use std::{fs, path::PathBuf, process::Command};

use super::{
    lab::{Done, Lab, POSTSEAL},
    requirements::present,
};

/// The module of SoftHSM.
pub(crate) const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// A module that writes down what goes through it to another one.
pub(crate) const SPY: &str = "/usr/lib/x86_64-linux-gnu/pkcs11-spy.so";
/// The PIN, in the file `pin`.
pub(crate) const PIN: &str = "271828";

/// The token `mail`. It is gone while its folder has another name.
pub(crate) struct Token<'a> {
    lab: &'a Lab,
}

impl<'a> Token<'a> {
    /// `None` without SoftHSM, which is said.
    pub(crate) fn new(lab: &'a Lab) -> Option<Token<'a>> {
        if !present(&["softhsm2-util", SOFTHSM, "pkcs11-tool", SPY]) {
            return None;
        }
        fs::create_dir(lab.path("tokens")).expect("a folder for tokens");
        let configuration = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = true\n",
            lab.path("tokens").display()
        );
        lab.write("softhsm2.conf", configuration).write("pin", format!("{PIN}\n"));
        let token = Token { lab };
        token.tool(
            "softhsm2-util",
            &["--init-token", "--free", "--label", "mail", "--so-pin", "31415926", "--pin", PIN],
        );
        Some(token)
    }

    /// The name of the token, or of an object on it: `uri(";object=alice")`.
    pub(crate) fn uri(&self, more: &str) -> String {
        format!("pkcs11:token=mail{more}?module-path={SOFTHSM}")
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.lab.path("softhsm2.conf")
    }

    /// The program with the PIN.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        self.without_pin(&[&["--pin-file", "pin"], arguments].concat())
    }

    pub(crate) fn without_pin(&self, arguments: &[&str]) -> Done {
        let mut command = self.lab.command(POSTSEAL);
        command.env("SOFTHSM2_CONF", self.configuration()).args(arguments);
        Done::of(command.output().expect("postseal starts"))
    }

    /// Another program, which must succeed.
    pub(crate) fn tool(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command.current_dir(self.lab.path("")).env("SOFTHSM2_CONF", self.configuration()).args(arguments);
        let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
        let all = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&all).into_owned();
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
        said
    }

    /// Unplugs it.
    pub(crate) fn remove(&self) {
        fs::rename(self.lab.path("tokens"), self.lab.path("drawer")).expect("the folder of the token");
        fs::create_dir(self.lab.path("tokens")).expect("a folder without tokens");
    }

    /// Plugs it in again.
    pub(crate) fn restore(&self) {
        fs::remove_dir(self.lab.path("tokens")).expect("the folder without tokens");
        fs::rename(self.lab.path("drawer"), self.lab.path("tokens")).expect("the folder of the token");
    }
}
