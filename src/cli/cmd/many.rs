//! Several messages in one run: where each comes from, and where its result goes.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use postseal::base::{Error, Kind, Result};

use crate::cli::{args::ManyFiles, input, show};

/// One message, and the place of its result.
pub(crate) struct Place {
    /// The file that is read; `None`: standard input.
    pub(crate) input: Option<PathBuf>,
    /// The file that is written; `None`: standard output.
    pub(crate) output: Option<PathBuf>,
}

impl Place {
    /// The name of the message in reports.
    pub(crate) fn label(&self) -> String {
        input::label(self.input.as_ref())
    }

    /// What must not be overwritten.
    pub(crate) fn inputs(&self) -> &[PathBuf] {
        self.input.as_slice()
    }
}

/// The messages that are named on the command line.
pub(crate) fn places(files: &ManyFiles) -> Result<Vec<Place>> {
    match (&files.output_dir, files.input.as_slice()) {
        (None, [] | [_]) => Ok(vec![Place { input: files.input.first().cloned(), output: files.output.clone() }]),
        (None, _) => Err(Error::usage("more than one message").with_hint("--output-dir DIR takes the results")),
        (Some(folder), inputs) => {
            let outputs = outputs(folder, inputs)?;
            let pairs = inputs.iter().zip(outputs);
            Ok(pairs.map(|(input, output)| Place { input: Some(input.clone()), output: Some(output) }).collect())
        }
    }
}

/// The file in `folder` for each input. The folder is made.
pub(crate) fn outputs(folder: &Path, inputs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if inputs.is_empty() {
        return Err(Error::usage("--output-dir: no FILE is given"));
    }
    let mut taken: BTreeMap<PathBuf, &PathBuf> = BTreeMap::new();
    let mut outputs = Vec::with_capacity(inputs.len());
    for input in inputs {
        let name = input.file_name().ok_or_else(|| Error::usage(format!("{}: is no file", input.display())))?;
        let output = folder.join(name);
        if let Some(other) = taken.insert(output.clone(), input) {
            let both = format!("{} and {}", other.display(), input.display());
            return Err(Error::usage(format!("{both} would both be written to {}", output.display())));
        }
        outputs.push(output);
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::new(Kind::CannotCreate, Error::io(folder.display(), &error).to_string()))
        }
        _ => Ok(outputs),
    }
}

/// Does the work for each message. With several, an error of one is printed, the others are done all the same, and the exit code is that of the
/// first error.
pub(crate) fn each(places: &[Place], work: impl Fn(&Place) -> Result<()>) -> Result<ExitCode> {
    if let [place] = places {
        return work(place).map(|()| ExitCode::SUCCESS);
    }
    let mut failed = None;
    for place in places {
        if let Err(error) = work(place) {
            failed.get_or_insert(show::exit_code(error.kind()));
            show::error(&error.of(&place.label()));
        }
    }
    Ok(failed.map_or(ExitCode::SUCCESS, ExitCode::from))
}
