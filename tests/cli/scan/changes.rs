//! Conversions: copies, and Maildirs where they lie.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use super::{lab, mbox, places::maildir, totals};
use crate::support::lab::Lab;

/// Every file below a folder, with its octets and its time.
fn files(folder: &Path) -> BTreeMap<String, (Vec<u8>, i64)> {
    let entries = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    let of = |entry: walkdir::DirEntry| {
        let name = entry.path().strip_prefix(folder).unwrap().display().to_string();
        (name, (fs::read(entry.path()).unwrap(), entry.metadata().unwrap().mtime()))
    };
    entries.filter(|entry| entry.file_type().is_file()).map(of).collect()
}

/// The names without what is new in each copy: `cur :2,S`.
fn flags(files: &BTreeMap<String, (Vec<u8>, i64)>) -> Vec<(String, i64)> {
    let of = |(name, (_, time)): (&String, &(Vec<u8>, i64))| {
        let (folder, file) = name.rsplit_once('/').unwrap();
        (format!("{folder} {}", file.find(":2,").map_or("", |at| &file[at..])), *time)
    };
    let mut flags: Vec<_> = files.iter().map(of).collect();
    flags.sort();
    flags
}

#[test]
fn an_archive_is_opened() {
    let lab = lab();
    lab.write("box", mbox(&lab));
    let done = lab.run(&["scan", "--decrypt", "open", "--authserv-id", "mx.example.net", "box"]).code(0);
    assert!(done.stderr.contains("open: complete; messages read back: 6"), "{}", done.stderr);
    assert!(done.stderr.contains("unchanged: 1 (not opened by a key here)"), "{}", done.stderr);
    assert_eq!(lab.read("box"), mbox(&lab));
    let open = String::from_utf8(lab.read("open/box")).unwrap();
    assert!(open.contains("hello 2") && open.contains("hello 3") && !open.contains("hello 4"), "{open}");
    // What was signed within the encryption is told by the field of this host.
    assert_eq!(open.matches("x-pgp=pass").count(), 1);
    let expected = ["messages 6", "authentic 1", "bad 1", "unsigned 3", "closed 1", "encrypted 1"];
    assert_eq!(totals(&lab.run(&["scan", "open"]).code(0).text()), expected);
    lab.run(&["scan", "--decrypt", "open", "box"]).refused(73, "open: is there already");
}

#[test]
fn an_archive_is_sealed() {
    let lab = lab();
    lab.write("box", mbox(&lab));
    maildir(&lab, "Maildir");
    let time = UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    for name in files(&lab.path("Maildir")).keys() {
        fs::File::open(lab.path("Maildir").join(name)).unwrap().set_modified(time).unwrap();
    }
    let before = files(&lab.path("Maildir"));
    for (mailbox, copy) in [("box", "sealed/box"), ("Maildir", "sealed2")] {
        let target = copy.split('/').next().unwrap();
        let done = lab.run(&["scan", "--encrypt-to", "alice@example.org", target, mailbox]).code(0);
        assert!(done.stderr.contains("converted: 3\n"), "{}", done.stderr);
        assert!(done.stderr.contains("unchanged: 3 (encrypted already)"), "{}", done.stderr);
        // A signature still holds within.
        let scanned = lab.run(&["scan", copy]).code(0).text();
        let expected = ["messages 6", "authentic 2", "bad 1", "unsigned 2", "closed 1", "encrypted 6"];
        assert_eq!(totals(&scanned), expected, "{scanned}");
        let clear = walkdir::WalkDir::new(lab.path(target)).into_iter().map(Result::unwrap);
        for entry in clear.filter(|entry| entry.file_type().is_file()) {
            let octets = String::from_utf8(fs::read(entry.path()).unwrap()).unwrap();
            assert!(!octets.contains("hello") && !octets.contains("hallo"), "{octets}");
        }
    }
    assert_eq!(files(&lab.path("Maildir")), before, "the original is untouched");
    assert_eq!(flags(&files(&lab.path("sealed2"))), flags(&before));
}

#[test]
fn a_copy_that_is_not_whole_does_not_get_its_name() {
    let lab = lab();
    lab.write("box", [mbox(&lab), b"From x Mon\nSubject: no author\n\nhello\n\n".to_vec()].concat());
    let done = lab.run(&["scan", "--encrypt-to", "alice@example.org", "sealed", "box"]).code(65);
    assert!(done.stderr.contains("not converted: 1"), "{}", done.stderr);
    assert!(!lab.path("sealed").exists());
    assert!(!String::from_utf8(lab.read("sealed.incomplete/box")).unwrap().contains("no author"));
    lab.run(&["scan", "--encrypt-to", "nobody@example.org", "sealed3", "plain"]).code(77);
    assert!(!lab.path("sealed3").exists());
    // A full disk: the message that did not fit is cut off.
    lab.write("box", mbox(&lab).repeat(3));
    let done = lab.shell("ulimit -f 10; exec \"$0\" scan --annotate full box");
    assert_eq!(done.code, 74, "{}", done.stderr);
    assert!(!lab.path("full").exists());
    let left = lab.read("full.incomplete/box");
    assert!(!left.is_empty() && left.ends_with(b"\n\n"));
}

#[test]
fn copies_carry_the_results_of_this_host() {
    let lab = lab();
    lab.write(
        "forged",
        [b"Authentication-Results: mx.example.net; x-pgp=pass\n".to_vec(), lab.read("changed")].concat(),
    );
    lab.run(&["scan", "--annotate", "told", "--authserv-id", "mx.example.net", "signed", "forged"]).code(0);
    let of = |name: &str| String::from_utf8(lab.read(&format!("told/{name}"))).unwrap();
    assert!(
        of("signed").starts_with("Authentication-Results: mx.example.net;\r\n\tx-pgp=pass\r\n"),
        "{}",
        of("signed")
    );
    assert!(of("signed").ends_with(&String::from_utf8(lab.read("signed")).unwrap()));
    assert!(of("forged").contains("x-pgp=fail") && !of("forged").contains("x-pgp=pass"), "{}", of("forged"));
}

#[test]
fn a_maildir_is_converted_in_place_and_put_back() {
    let lab = lab();
    maildir(&lab, "Maildir");
    let folder = lab.path("Maildir");
    let before = files(&folder);
    let convert = |lab: &Lab| lab.run(&["scan", "--in-place", "encrypt-to=alice@example.org", "Maildir"]).code(0);
    convert(&lab);
    let mail = |files: BTreeMap<String, (Vec<u8>, i64)>| {
        files.into_iter().filter(|(name, _)| !name.contains("postseal-undo")).collect::<BTreeMap<_, _>>()
    };
    let converted = mail(files(&folder));
    assert_eq!(flags(&converted), flags(&before));
    let expected = ["messages 6", "authentic 2", "bad 1", "unsigned 2", "closed 1", "encrypted 6"];
    assert_eq!(totals(&lab.run(&["scan", "Maildir"]).code(0).text()), expected);
    // As SIGKILL leaves it: the converted message is there, and the original is not removed yet.
    fs::hard_link(folder.join("postseal-undo/1.a.host"), folder.join("cur/1.a.host:2,S")).unwrap();
    assert!(convert(&lab).stderr.contains("converted: 0\n"));
    assert_eq!(mail(files(&folder)), converted);
    // A flag that was set since stays set. A message that was deleted since stays deleted, and its original where it is kept.
    let flagged = converted.keys().find(|name| name.starts_with("cur/") && name.ends_with(":2,S")).unwrap();
    fs::rename(folder.join(flagged), folder.join(flagged.replace(":2,S", ":2,FS"))).unwrap();
    let deleted = converted.keys().find(|name| name.starts_with("new/")).unwrap();
    fs::remove_file(folder.join(deleted)).unwrap();
    let done = lab.run(&["scan", "--undo", "Maildir"]).code(1);
    assert!(
        done.stderr.contains("originals put back: 2") && done.stderr.contains("postseal-undo/3.c.host"),
        "{}",
        done.stderr
    );
    let mut expected: BTreeMap<_, _> = before.clone();
    let first = expected.remove("cur/1.a.host:2,S").unwrap();
    expected.insert("cur/1.a.host:2,FS".to_owned(), first);
    expected.remove("new/3.c.host").unwrap();
    assert_eq!(mail(files(&folder)), expected);
    lab.write("box", mbox(&lab));
    lab.run(&["scan", "--in-place", "decrypt", "box"]).refused(64, "box: not a Maildir");
    lab.run(&["scan", "--in-place", "paint", "Maildir"]).refused(64, "annotate, decrypt or encrypt-to=ADDRESS");
}
