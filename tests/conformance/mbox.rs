//! Every mbox of other projects, split into messages and written again.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use postseal::{
    base::SystemClock,
    mail::mbox,
    mailbox::{
        MessageSink, MessageSource, Stored,
        mbox::{Format, MboxSink, MboxSource, Piece, Splitter},
    },
};

use crate::support::requirements::corpus;

#[test]
fn every_mbox_is_split_and_written_again() {
    let Some(folder) = corpus("") else { return };
    let found = mboxes(&folder);
    assert!(found.len() > 70, "only {} were found", found.len());
    let work = tempfile::tempdir().unwrap();
    let mut odd = Vec::new();
    for path in &found {
        let octets = fs::read(path).unwrap();
        // However the pieces are cut, they are the file.
        let mut splitter = Splitter::new(File::open(path).unwrap(), "mbox", None, LIMIT).unwrap();
        let pieces: Vec<Piece> = std::iter::from_fn(|| splitter.next().unwrap()).collect();
        assert!(pieces.iter().flat_map(Piece::octets).eq(octets.iter().copied()), "{}", path.display());
        let format = splitter.format();
        if format != Format::Cl2 {
            assert_eq!(pieces.len(), mbox::messages(&octets), "{}", path.display());
        }
        // As messages they come through a sink.
        let copy = work.path().join("copy");
        let _ = fs::remove_file(&copy);
        let messages = copied(path, &copy, format);
        assert_eq!(messages.len(), pieces.len());
        assert!(messages == contents(&copy, format), "{}", path.display());
        // With lengths, any number of empty lines may stand between messages.
        if fs::read(&copy).unwrap() != octets && format != Format::Cl2 {
            odd.push(path.strip_prefix(&folder).unwrap().display().to_string());
        }
    }
    // Those without an empty line at their end get one, and those whose lines of text begin with `From ` get a `>` there.
    println!("{} of {} were not written the same again: {odd:#?}", odd.len(), found.len());
    for path in &odd {
        let octets = fs::read(folder.join(path)).unwrap();
        let lines: Vec<&[u8]> = octets.split_inclusive(|octet| *octet == b'\n').collect();
        let from_lines = lines.iter().filter(|line| line.starts_with(b"From ")).count();
        let is_ended = octets.ends_with(b"\n\n") || octets.ends_with(b"\n\r\n");
        assert!(!is_ended || from_lines > mbox::messages(&octets), "{path}");
    }
}

/// The messages of `path`, appended to `copy` in `format`, as they are to be read there: with a line end at their end, unless a length says
/// where that is.
fn copied(path: &Path, copy: &Path, format: Format) -> Vec<Vec<u8>> {
    let mut source = MboxSource::open(path, Some(format), LIMIT).unwrap();
    let mut sink = MboxSink::open(copy, format, Arc::new(SystemClock)).unwrap();
    let mut messages = Vec::new();
    while let Some(entry) = source.next(&|_| false).unwrap() {
        let octets = entry.content.unwrap();
        sink.append(&Stored { octets: &octets, state: &entry.state }).unwrap();
        let line_end: &[u8] = if octets.ends_with(b"\n") || format == Format::Cl2 { b"" } else { b"\n" };
        messages.push([&octets, line_end].concat());
    }
    messages
}

fn contents(path: &Path, format: Format) -> Vec<Vec<u8>> {
    let mut source = MboxSource::open(path, Some(format), LIMIT).unwrap();
    std::iter::from_fn(|| source.next(&|_| false).unwrap().map(|entry| entry.content.unwrap())).collect()
}

/// Every file that is an mbox by its content.
fn mboxes(folder: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(Result::unwrap);
    let is_mbox = |path: &PathBuf| {
        let mut start = Vec::new();
        File::open(path).and_then(|file| file.take(8192).read_to_end(&mut start)).unwrap();
        mbox::label(&start[mbox::blank_lines(&start)..]).is_some()
    };
    files.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).filter(is_mbox).collect()
}

const LIMIT: usize = 64 * 1024 * 1024;
