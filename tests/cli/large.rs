//! The memory that one large message takes, above what a small one takes: each verb holds the message, and not copies of it.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::support::{
    lab::{Done, Lab, POSTSEAL},
    requirements::present,
};

/// Octets of the message. Source: several times what a library holds of any message, and short enough for a build without optimization.
const SIZE: usize = 16 << 20;

/// A message of `octets`, nearly all of them an attachment in base64.
fn message(octets: usize) -> String {
    let body: Vec<u8> = (0_u32..).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).take(octets / 78 * 57).collect();
    let lines: Vec<String> = body.chunks(57).map(|line| STANDARD.encode(line)).collect();
    format!(
        "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: large\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n\
         --b\r\nContent-Type: application/octet-stream; name=large.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        lines.join("\r\n")
    )
}

/// The most resident memory of the program in octets, as the kernel counted it.
fn peak(lab: &Lab, arguments: &[&str]) -> usize {
    const MEASURE: &str = "import resource, subprocess, sys\n\
        code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)\n\
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\nsys.exit(code)";
    let output = lab.command("python3").args(["-c", MEASURE, POSTSEAL]).args(arguments).output();
    let done = Done::of(output.expect("python3 starts"));
    assert!(matches!(done.code, 0 | 1), "{arguments:?}: {}", done.stderr);
    done.text().trim().parse::<usize>().expect("a number") * 1024
}

/// What `verb` takes for the large message and not for the small one, as a multiple of the large one. It is said where that is more than `most`.
fn check(lab: &Lab, what: &str, most: f64, verb: impl Fn(&str) -> Vec<String>, failed: &mut Vec<String>) {
    let peak_of = |size: &str| {
        let arguments = verb(size);
        peak(lab, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (small, large) = (peak_of("small"), peak_of("large"));
    let times = large.saturating_sub(small) as f64 / SIZE as f64;
    println!("{what}: {times:.2} times the message, at most {most}");
    if times > most {
        failed.push(format!("{what} takes {times:.2} times the message instead of {most}"));
    }
}

/// An encrypted message has 1.37 times the octets of its text: base64 and lines. Decryption works in that memory. Sequoia holds chunks of 4 MiB, however long
/// a message is, where it authenticates them.
#[test]
fn no_verb_holds_copies_of_a_large_message() {
    if !present(&["python3"]) {
        return;
    }
    let lab = Lab::with_keys(&["alice", "bob"]);
    for owner in ["alice", "bob"] {
        lab.run(&["key", "generate", "-f", "smime", "--no-passphrase", &format!("{owner}@example.org")]).code(0);
    }
    lab.run(&["key", "generate", "-f", "pgp", "--profile", "rfc9580", "--no-passphrase", "carol@example.org"]).code(0);
    lab.write("small.eml", message(10_000)).write("large.eml", message(SIZE));
    let mut failed = Vec::new();
    for (form, options, most) in [
        ("pgp", "-f pgp", 1.3),
        ("aead", "-f pgp --no-self --to carol@example.org", 2.0),
        ("cbc", "-f smime --cipher aes256-cbc", 1.3),
        ("gcm", "-f smime --cipher aes256-gcm", 1.3),
    ] {
        let words = |line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        if form == "pgp" || form == "cbc" {
            let protocol = if form == "pgp" { "pgp" } else { "smime" };
            let sign = |size: &str| words(format!("sign -f {protocol} -o {size}-{form}.s {size}.eml"));
            check(&lab, &format!("sign {form}"), 1.3, sign, &mut failed);
            let verify = |size: &str| words(format!("verify {size}-{form}.s"));
            check(&lab, &format!("verify {form}"), 1.3, verify, &mut failed);
        }
        let encrypt = |size: &str| words(format!("encrypt {options} -o {size}-{form}.e {size}.eml"));
        check(&lab, &format!("encrypt {form}"), most, encrypt, &mut failed);
        let open = |size: &str| words(format!("decrypt -o {size}-{form}.d {size}-{form}.e"));
        check(&lab, &format!("decrypt {form}"), 1.7, open, &mut failed);
        assert!(lab.read(&format!("large-{form}.d")) == lab.read("large.eml"), "{form}");
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
