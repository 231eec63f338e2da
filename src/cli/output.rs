//! Output that is written whole or not at all.

use std::{
    env, fs,
    io::{self, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use postseal::base::{Error, Kind, Result, Temporary};
use tempfile::SpooledTempFile;

use super::show::progress;

/// The permissions of a new output file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// Readable by the owner alone: it holds decrypted text or a secret key.
    Owner,
    /// Set by the umask.
    Umask,
}

/// An output file or stream. Others see what is written after [`Output::commit`], and nothing without it.
pub(crate) enum Output {
    /// A new file that is renamed at the end.
    File { temporary: BufWriter<Temporary>, name: PathBuf },
    /// Standard output, a pipe or a device: written at the end.
    Stream { spool: SpooledTempFile, name: Option<PathBuf> },
}

impl Output {
    /// Standard output, or the file `name`, which must not be one of `inputs`.
    pub(crate) fn create(name: Option<&Path>, inputs: &[PathBuf], privacy: Privacy) -> Result<Self> {
        let name = match name {
            Some(name) if name.as_os_str() != "-" => name,
            _ => return Ok(Output::Stream { spool: SpooledTempFile::new(SPOOL), name: None }),
        };
        if let Some(input) = inputs.iter().find(|input| is_same(input, name)) {
            return Err(Error::usage(format!("output {}: is the input {}", name.display(), input.display())));
        }
        let existing = fs::metadata(name).ok();
        if existing.as_ref().is_some_and(|found| !found.is_file()) {
            return Ok(Output::Stream { spool: SpooledTempFile::new(SPOOL), name: Some(name.to_owned()) });
        }
        let name = named(name).map_err(|error| cannot_create(name, &error))?;
        let mode = match (privacy, existing) {
            (Privacy::Owner, _) => 0o600,
            (Privacy::Umask, Some(found)) => found.mode() & 0o777,
            (Privacy::Umask, None) => 0o666,
        };
        let folder = match name.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let temporary = Temporary::create(folder, mode).map_err(|e| cannot_create(&name, &e))?;
        Ok(Output::File { temporary: BufWriter::with_capacity(BUFFER, temporary), name })
    }

    /// Publishes what was written. A closed pipe is no error.
    pub(crate) fn commit(self) -> Result<()> {
        match self {
            Output::File { temporary, name } => {
                let temporary = temporary.into_inner().map_err(|e| Error::io(name.display(), e.error()))?;
                temporary.persist(&name).map_err(|e| cannot_create(&name, &e))
            }
            Output::Stream { mut spool, name: None } => {
                pour(&mut spool, &mut io::stdout().lock()).map_err(|e| Error::io("standard output", &e))
            }
            Output::Stream { mut spool, name: Some(name) } => {
                let mut file = fs::OpenOptions::new().write(true).open(&name).map_err(|e| cannot_create(&name, &e))?;
                pour(&mut spool, &mut file).map_err(|e| Error::io(name.display(), &e))
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let count = match self {
            Output::File { temporary, .. } => temporary.write(octets)?,
            Output::Stream { spool, .. } => spool.write(octets)?,
        };
        progress::written(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::File { temporary, .. } => temporary.flush(),
            Output::Stream { spool, .. } => spool.flush(),
        }
    }
}

fn pour(spool: &mut SpooledTempFile, to: &mut dyn Write) -> io::Result<()> {
    spool.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = spool.read(&mut buffer)?;
        if count == 0 {
            return forgive_closed_pipe(to.flush());
        }
        let written = to.write_all(&buffer[..count]);
        if written.as_ref().is_err_and(|e| e.kind() == ErrorKind::BrokenPipe) {
            return Ok(());
        }
        written?;
    }
}

/// What is written to for an output: its folder, or the device and where a large stream is kept until its end.
pub(crate) fn written_in(name: Option<&Path>) -> Vec<PathBuf> {
    match name.filter(|name| name.as_os_str() != "-") {
        None => vec![env::temp_dir()],
        Some(name) if fs::metadata(name).is_ok_and(|found| !found.is_file()) => vec![name.to_owned(), env::temp_dir()],
        Some(name) => {
            let behind = named(name).unwrap_or_else(|_| name.to_owned());
            let folder = behind.parent().filter(|folder| !folder.as_os_str().is_empty());
            vec![folder.unwrap_or(Path::new(".")).to_owned()]
        }
    }
}

/// A closed pipe is no error.
pub(crate) fn forgive_closed_pipe(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// The file behind symbolic links. The links stay, and this file is made or replaced.
fn named(name: &Path) -> io::Result<PathBuf> {
    let mut name = name.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&name) {
            // A link that begins at the root replaces all before it.
            Ok(target) => name = name.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => return Ok(fs::canonicalize(&name).unwrap_or(name)),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

fn is_same(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => a.is_file() && a.dev() == b.dev() && a.ino() == b.ino(),
        _ => false,
    }
}

fn cannot_create(name: &Path, error: &io::Error) -> Error {
    // Only the system's message: the name of the temporary file after it is of no use to the reader.
    let text = error.to_string().to_lowercase();
    let words = text.split(" (os error").next().unwrap_or_default();
    Error::new(Kind::CannotCreate, format!("{}: {words}", name.display()))
}

/// The number that Linux follows (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Up to here output to a stream is held in memory, beyond it in an unlinked file that only the owner can read.
const SPOOL: usize = 4 * 1024 * 1024;

/// Octets collected for one write to a file.
const BUFFER: usize = 64 * 1024;
