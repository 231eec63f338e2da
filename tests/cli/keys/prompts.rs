//! What is asked at a terminal. Python's pty module plays the person: it waits for each prompt, and types the answer.

use super::MESSAGE;
use crate::support::{
    lab::Lab,
    requirements::present,
    token::{PIN, Token},
};

/// Runs a command on a terminal, waits for each prompt and types the answer to it; prints what the terminal showed, and the exit code.
const PERSON: &str = r#"
import json, os, pty, signal, sys
script, command = json.loads(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    # As at a terminal, whatever the tests were started under.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvp(command[0], command)
shown = b""
def read():
    global shown
    try:
        octets = os.read(terminal, 4096)
    except OSError:
        octets = b""
    shown += octets
    return octets != b""
for prompt, answer in script:
    while prompt.encode() not in shown and read():
        pass
    place = shown.find(prompt.encode())
    if place < 0:
        sys.exit("%r came instead of %r" % (shown, prompt))
    sys.stdout.write(shown[:place + len(prompt)].decode())
    shown = shown[place + len(prompt):]
    os.write(terminal, answer.encode())
while read():
    pass
_, status = os.waitpid(pid, 0)
sys.stdout.write(shown.decode())
print("SIGNAL %d" % os.WTERMSIG(status) if os.WIFSIGNALED(status) else "EXIT %d" % os.WEXITSTATUS(status))
"#;

/// What a terminal shows while `answers` are typed, each after its prompt; `None` without python.
fn typed(lab: &Lab, line: &str, answers: &[(&str, &str)]) -> Option<String> {
    if !present(&["python3"]) {
        return None;
    }
    lab.write("person.py", PERSON);
    lab.write("script", serde_json::to_string(answers).expect("JSON"));
    let done = lab.shell(&format!("export TERM=dumb; python3 person.py \"$(cat script)\" sh -c '{line}' \"$0\""));
    Some(done.code(0).text().replace('\r', ""))
}

fn locked() -> Lab {
    let lab = Lab::new();
    lab.write("pass", "correct horse\n").write("m.eml", MESSAGE);
    lab.run(&["key", "generate", "--passphrase-file", "pass", "alice@example.org"]).code(0);
    lab
}

#[test]
fn a_prompt_names_the_key_and_counts_the_tries() {
    let lab = locked();
    let prompt = "of alice@example.org, to sign m.eml: ";
    let answers =
        [(prompt, "wrong\n"), ("wrong passphrase, 2 tries left", ""), (prompt, "correct hoose\u{7f}\u{7f}\u{7f}rse\n")];
    let Some(said) = typed(&lab, "\"$0\" sign -o s.eml m.eml", &answers) else { return };
    assert!(said.contains("passphrase for key ") && said.ends_with("EXIT 0\n"), "{said}");
    assert!(!said.contains("horse") && !said.contains("wrong\n"), "what is typed is not shown: {said}");
    lab.run(&["verify", "s.eml"]).code(0);

    let answers = [(prompt, "a\n"), ("2 tries left", ""), (prompt, "b\n"), ("1 try left", ""), (prompt, "c\n")];
    let said = typed(&lab, "\"$0\" sign -o t.eml m.eml", &answers).expect("python is here");
    assert!(said.contains("no tries left") && said.ends_with("EXIT 77\n"), "{said}");
    // And where nobody can be asked, the reason is that.
    let refused = lab.shell("setsid \"$0\" sign m.eml < /dev/null").code(77).stderr;
    assert!(refused.contains("there is no terminal to ask at"), "{refused}");
}

#[test]
fn ctrl_c_leaves_the_terminal_as_it_was() {
    let lab = locked();
    let line = "\"$0\" sign m.eml; echo \"code $?\"; stty -a | tr \" \" \"\\n\" | grep -x -e echo -e icanon -e isig";
    let Some(said) = typed(&lab, line, &[("to sign m.eml: ", "half\u{3}")]) else { return };
    // The shell ends by the signal too, unless it ignores it.
    let trapped =
        typed(&lab, &format!("trap : INT; {line}"), &[("to sign m.eml: ", "half\u{3}")]).expect("python is here");
    assert!(
        trapped.contains("code 130") && trapped.contains("\necho\n") && trapped.contains("\nisig\n"),
        "{trapped}{said}"
    );
    let ignored =
        typed(&lab, &format!("trap \"\" INT; {line}"), &[("to sign m.eml: ", "half\u{3}")]).expect("python is here");
    assert!(ignored.contains("code 130") && ignored.contains("\necho\n"), "{ignored}");
}

#[test]
fn the_pin_of_a_token_is_asked_for() {
    let lab = Lab::new();
    let Some(token) = Token::new(&lab) else { return };
    lab.write("m.eml", MESSAGE);
    token.run(&["key", "generate", "--token", &token.uri(""), "--algorithm", "p256", "alice@example.org"]).code(0);
    let line = format!("SOFTHSM2_CONF={} \"$0\" sign -o s.eml m.eml", token.configuration().display());
    let prompt = "token=mail: ";
    let Some(said) = typed(&lab, &line, &[(prompt, &format!("{PIN}\n"))]) else { return };
    assert!(said.contains("PIN of pkcs11:") && said.ends_with("EXIT 0\n"), "{said}");
    assert!(!said.contains(PIN), "what is typed is not shown: {said}");
    lab.run(&["verify", "s.eml"]).code(0);
    let said = typed(&lab, &line, &[(prompt, "161803\n")]).expect("python is here");
    assert!(said.contains("token mail: its PIN is wrong") && said.ends_with("EXIT 77\n"), "{said}");
}

#[test]
fn the_password_of_a_message_is_asked_for() {
    let lab = Lab::new();
    lab.write("m.eml", MESSAGE);
    for format in ["pgp", "smime"] {
        let encrypt = format!("\"$0\" encrypt -f {format} --password -o e.eml m.eml");
        let answers = [("new passphrase for the message: ", "swordfish\n"), ("the same again: ", "swordfish\n")];
        let Some(said) = typed(&lab, &encrypt, &answers) else { return };
        assert!(said.ends_with("EXIT 0\n"), "{said}");
        let prompt = "passphrase of the message: ";
        let answers = [(prompt, "x\n"), ("wrong passphrase, 2 tries left", ""), (prompt, "swordfish\n")];
        let said = typed(&lab, "\"$0\" decrypt -o d.eml e.eml", &answers).expect("python is here");
        assert!(said.ends_with("EXIT 0\n"), "{said}");
        assert!(String::from_utf8_lossy(&lab.read("d.eml")).contains("At noon."));
        let differ = [("new passphrase for the message: ", "swordfish\n"), ("the same again: ", "swordfisch\n")];
        let said = typed(&lab, &encrypt, &differ).expect("python is here");
        assert!(said.contains("the two passphrases differ") && said.ends_with("EXIT 64\n"), "{said}");
    }
    lab.run(&["encrypt", "--password", "m.eml"]).refused(64, "there is no terminal to ask for a passphrase");
}

#[test]
fn a_passphrase_comes_from_a_command_or_the_environment() {
    let lab = locked();
    lab.run(&["--passphrase-command", "cat pass", "sign", "m.eml"]).code(0);
    lab.run(&["--passphrase-command", "exit 3", "sign", "m.eml"]).refused(77, "exit status: 3");
    lab.run(&["--passphrase-command", ":", "sign", "m.eml"]).refused(66, "no passphrase in it");
    lab.shell("POSTSEAL_PASSPHRASE_FILE=pass \"$0\" sign m.eml").code(0);
    lab.write("wrong", "x\n");
    // The option is nearer than the environment.
    lab.shell("POSTSEAL_PASSPHRASE_FILE=wrong \"$0\" --passphrase-file pass sign m.eml").code(0);
    lab.shell("POSTSEAL_PASSPHRASE_FILE=wrong \"$0\" sign m.eml").refused(77, "no passphrase fits");
}

#[test]
fn a_new_passphrase_says_what_it_is_for() {
    let lab = locked();
    let answers = [
        ("passphrase for key ", "correct horse\n"),
        ("new passphrase for key ", "battery staple\n"),
        ("the same again: ", "battery staple\n"),
    ];
    let Some(said) = typed(&lab, "\"$0\" key passphrase alice@example.org", &answers) else { return };
    assert!(said.contains("has a new passphrase") && said.ends_with("EXIT 0\n"), "{said}");
    lab.write("new", "battery staple\n");
    lab.run(&["--passphrase-file", "new", "sign", "m.eml"]).code(0);
}

/// The passphrase of the new key is not asked for once more to sign the request.
#[test]
fn a_request_asks_for_the_new_passphrase_alone() {
    let lab = Lab::new();
    let answers = [("new passphrase for the new key: ", "battery staple\n"), ("the same again: ", "battery staple\n")];
    let line = "\"$0\" key request --algorithm p256 -o a.csr alice@example.org";
    let Some(said) = typed(&lab, line, &answers) else { return };
    assert!(!said.contains("passphrase for key") && said.ends_with("EXIT 0\n"), "{said}");
    assert!(String::from_utf8_lossy(&lab.read("a.csr")).starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
}

#[test]
fn a_passphrase_to_share_is_typed_or_made() {
    let lab = Lab::new();
    lab.write("m.eml", MESSAGE);
    let line = "\"$0\" encrypt --page -o p.eml m.eml";
    let prompt = "passphrase to share with bob@example.org (empty: one is made): ";
    let Some(said) = typed(&lab, line, &[(prompt, "\n")]) else { return };
    let made = said.lines().find(|line| line.len() == 24 && line.matches('-').count() == 4);
    assert!(made.is_some() && said.contains("not by mail") && said.ends_with("EXIT 0\n"), "{said}");
    let page = String::from_utf8(lab.read("p.eml")).unwrap();
    assert!(page.contains("message.html") && !page.contains(made.unwrap()));
    for (answers, why) in [
        (&[(prompt, "correct horse\n"), ("the same again: ", "correct house\n")][..], "the two passphrases differ"),
        (&[(prompt, "horse\n")], "too easy to guess"),
    ] {
        let said = typed(&lab, line, answers).expect("python is here");
        assert!(said.contains(why) && said.ends_with("EXIT 64\n"), "{said}");
    }
}
