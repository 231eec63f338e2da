//! The page of `verify --html`.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use postseal::{
    base::{Error, Result},
    engine::{Opening, Within},
    mail::Message,
    report::{
        Report,
        html::{Exhibit, MessagePage},
    },
};

use super::next;
use crate::cli::{
    cmd::key::tree,
    output::{Output, Privacy},
    session::Session,
};

/// A page that is being made.
pub(super) struct Page {
    output: Output,
    page: MessagePage,
    is_on_standard_output: bool,
}

impl Page {
    /// The page `name`, which is written at the end. Its owner alone may read it: it shows the text of mail, decrypted where a key is here.
    pub(super) fn create(name: &Path, inputs: &[PathBuf]) -> Result<Page> {
        let output = Output::create(Some(name), inputs, Privacy::Owner)?;
        Ok(Page { output, page: MessagePage::default(), is_on_standard_output: name.as_os_str() == "-" })
    }

    /// Whether the page is what is printed.
    pub(super) fn is_on_standard_output(&self) -> bool {
        self.is_on_standard_output
    }

    /// Adds a message with those in it.
    pub(super) fn add(
        &mut self,
        label: &str,
        message: Option<&Message>,
        (opening, within): (&Opening, &[Within]),
        session: &Session,
    ) -> Result<()> {
        let within: Vec<Report<'_>> = within.iter().map(Within::report).collect();
        let next = next::step_on_page(opening, label, session)?;
        self.page.add(&Exhibit {
            report: Report { within: &within, ..opening.report(label) },
            message,
            payload: opening.payload(),
            errant_in_payload: opening.errant_in_payload(),
            keys: &tree::of_signers(opening, session)?,
            next: next.as_ref(),
        });
        Ok(())
    }

    /// Adds a message that could not be read.
    pub(super) fn add_error(&mut self, label: &str, error: &Error) {
        self.page.add_error(label, error);
    }

    /// Writes the page.
    pub(super) fn commit(mut self) -> Result<()> {
        let written = self.output.write_all(self.page.finish().as_bytes());
        written.map_err(|error| Error::io("output", &error))?;
        self.output.commit()
    }
}
