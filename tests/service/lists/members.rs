//! Lists of a configuration, by the program's own parts.

use std::{fs, path::Path};

use postseal::{
    config,
    policy::{Gets, List},
};

use crate::support::{handler::address, lab::Lab};

const CONFIG: &str = "home = \"home\"\nhome-must-exist = false\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\n\
quarantine = \".\"\n[[rule]]\nname = \"all\"\naction = \"clear\"\n[[list]]\naddress = \"dev@example.org\"\nowner = \"root@example.org\"\n";

fn list(lab: &Lab, lines: &str) -> List {
    lab.write("postseal.toml", format!("{CONFIG}{lines}"));
    let config = config::load(Path::new(&lab.path("postseal.toml"))).unwrap();
    config.policy.lists.of(&address("DEV@example.org")).unwrap().clone()
}

fn errors(lab: &Lab, lines: &str) -> Vec<String> {
    lab.write("postseal.toml", format!("{CONFIG}{lines}"));
    let loaded = config::read(Path::new(&lab.path("postseal.toml"))).unwrap();
    loaded.problems.iter().map(|problem| problem.message.clone()).collect()
}

#[test]
fn a_file_of_members_is_read_again_when_it_changes() {
    let lab = Lab::new();
    let list = list(&lab, "members = \"root@example.org clear\"\nmembers-file = \"dev.members\"\n");
    let read = || {
        let members = list.members.0.read()?;
        Ok::<_, postseal::base::Error>(members.iter().map(|one| one.address.to_string()).collect::<Vec<_>>())
    };
    assert!(!read().unwrap_err().is_permanent(), "not there");
    lab.write("dev.members", "# the team\n\nalice@example.org sign\nroot@example.org\n");
    assert_eq!(read().unwrap(), ["root@example.org", "alice@example.org"], "each once");
    assert_eq!(list.members.0.read().unwrap()[0].gets, Some(Gets::Clear));
    lab.write("dev.members", "bob@example.net smime pgp\n");
    assert_eq!(read().unwrap(), ["root@example.org", "bob@example.net"]);
    lab.write("dev.members", "bob@example.net\ncarol@example.net whatever\n");
    let error = read().unwrap_err();
    assert!(error.to_string().contains("line 2") && !error.is_permanent(), "{error}");
    fs::remove_file(lab.path("dev.members")).unwrap();
    assert!(read().is_err(), "what was known before does not count");
}

#[test]
fn what_cannot_be_a_list_is_an_error() {
    let lab = Lab::new();
    let one = "members = \"alice@example.org\"\n";
    assert_eq!(errors(&lab, one), Vec::<String>::new());
    for (lines, what) in [
        ("", "neither members nor members-file"),
        ("members = \"dev@example.org\"\n", "a list is no member of another"),
        ("members = \"alice@example.org whatever\"\n", "\"whatever\" is not known here"),
        (
            "members = \"alice@example.org\"\nunsubscribe = \"https://x.example/leave\"\n",
            "not an https URL with {member}",
        ),
        ("members = \"alice@example.org\"\nreply-to = \"nobody\"\n", "none of \"author\", \"list\""),
        ("members = \"alice@example.org\"\nshape = \"inline\"\n", "says shape inline"),
        ("members = \"alice@example.org clear\"\nrequire = \"encrypted\"\n", "gets them in clear"),
        (
            "members = \"alice@example.org\"\n[[list]]\naddress = \"x+y@example.org\"\nowner = \"a@x.org\"\nmembers = \"b@x.org\"\n",
            "not a name of at most",
        ),
        (
            "members = \"alice@example.org\"\n[[list]]\naddress = \"x@example.net\"\nowner = \"a@x.org\"\nmembers = \"b@x.org\"\n",
            "not in local-domains",
        ),
    ] {
        let found = errors(&lab, lines);
        assert!(found.iter().any(|one| one.contains(what)), "{lines}: {found:?}");
    }
}
