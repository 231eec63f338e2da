//! The `[page]` table, and the file with the texts of pages.

use std::{collections::BTreeMap, path::Path};

use toml::de::{DeTable, DeValue};

use super::{reader::Reader, table::Table, texts::Texts};
use crate::policy::{PageLanguage, PageText, PageTexts};

/// Reads `[page]`.
pub(super) fn read(reader: &Reader<'_>, root: &Table<'_>) -> PageTexts {
    let Some(table) = root.table("page") else { return PageTexts::default() };
    let own = table.string("texts").map(|file| (languages(&reader.path(&file), reader.texts), file));
    let own = own.map(|(read, file)| {
        read.unwrap_or_else(|why| {
            reader.document.error(file.line, format!("texts: {}: {why}", file.value));
            BTreeMap::new()
        })
    });
    let own = own.unwrap_or_default();
    let codes = table.strings("languages");
    table.finish();
    if codes.is_empty() {
        return PageTexts::default().replaced(&own);
    }
    let language = |code: &str| own.get(code).cloned().or_else(|| PageLanguage::known(code));
    let found = codes.iter().filter_map(|code| {
        let found = language(&code.value);
        if found.is_none() {
            let mut known: Vec<&str> = PageLanguage::codes().collect();
            known.extend(own.keys().map(String::as_str));
            let message = format!("languages: no texts in {:?}; there are {}", code.value, known.join(", "));
            reader.document.error(code.line, message);
        }
        found
    });
    PageTexts::new(found.collect())
}

impl PageTexts {
    /// The same languages, with the texts of `own` where it has them.
    fn replaced(&self, own: &BTreeMap<String, PageLanguage>) -> PageTexts {
        let texts = self.languages().iter().map(|one| own.get(&one.code).unwrap_or(one).clone());
        PageTexts::new(texts.collect())
    }
}

/// The languages in a file: a table for each, with its texts. A text that a known language lacks is the known one.
fn languages(file: &Path, texts: &Texts) -> Result<BTreeMap<String, PageLanguage>, String> {
    let text = texts.read(file)?;
    let line = |at: usize| text.bytes().take(at).filter(|octet| *octet == b'\n').count() + 1;
    let parsed = DeTable::parse(&text).map_err(|error| {
        let at = error.span().map_or(1, |span| line(span.start));
        format!("line {at}: {}", error.message().to_lowercase())
    })?;
    let mut languages = BTreeMap::new();
    for (code, value) in parsed.get_ref() {
        let at = line(code.span().start);
        let code: &str = code.get_ref();
        let DeValue::Table(texts) = value.get_ref() else {
            return Err(format!("line {at}: {code}: not a table of texts"));
        };
        for key in texts.keys() {
            if !PageText::ALL.iter().any(|text| text.name() == key.get_ref()) {
                let known: Vec<&str> = PageText::ALL.iter().map(|text| text.name()).collect();
                let at = line(key.span().start);
                return Err(format!("line {at}: {:?}: not a text; there are {}", key.get_ref(), known.join(", ")));
            }
        }
        let known = PageLanguage::known(code);
        let mut missing = None;
        let language = PageLanguage::new(code, |which| {
            let own = texts.iter().find(|(key, _)| key.get_ref() == which.name());
            let own = own.and_then(|(_, value)| value.get_ref().as_str()).map(str::to_owned);
            let found = own.or_else(|| known.as_ref().map(|known| known.text(which).to_owned()));
            missing = missing.or(found.is_none().then(|| which.name()));
            found
        });
        let missing = || format!("line {at}: {code}: {:?} is missing, or no text", missing.unwrap_or_default());
        languages.insert(code.to_owned(), language.ok_or_else(missing)?);
    }
    Ok(languages)
}
