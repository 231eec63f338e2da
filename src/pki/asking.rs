//! Paths whose certificates' status is asked for where it is not known.

use std::sync::Arc;

use super::{Certificate, Path, Question, Refusal, Revocation, validate};
use crate::base::{Budget, Result};

/// Returns CRLs and OCSP responses, DER each, about the certificates of a path.
pub type AskStatus<'a> = dyn FnMut(&Path) -> Result<Vec<Arc<[u8]>>> + 'a;

/// As [`validate`], and `ask` is given the path that holds so far, for further CRLs and OCSP responses about its certificates. It is called again while
/// what it returns leads to another path, a few times at most; not with [`Revocation::Off`], and with [`Revocation::Hard`] not when every status is
/// known. When it returns nothing new, the result is that of [`validate`].
///
/// # Errors
///
/// As [`validate`], and those of `ask`.
pub fn validate_asking(
    leaf: &Certificate,
    question: &Question<'_>,
    budget: &mut Budget,
    ask: &mut AskStatus<'_>,
) -> Result<std::result::Result<Path, Refusal>> {
    let mut found = validate(leaf, question, budget)?;
    let mut more: Vec<Arc<[u8]>> = Vec::new();
    for _ in 0..MAX_PATHS {
        let known: Vec<&[u8]> = question.revocations.iter().copied().chain(more.iter().map(AsRef::as_ref)).collect();
        let path = match (question.revocation, &found) {
            (Revocation::Off, _) | (Revocation::Hard, Ok(_)) | (Revocation::Soft, Err(_)) => break,
            (Revocation::Soft, Ok(path)) => path.clone(),
            (Revocation::Hard, Err(_)) => {
                // The path that lacks a status, and nothing else.
                let soft = Question { revocations: &known, revocation: Revocation::Soft, ..question.clone() };
                match validate(leaf, &soft, budget)? {
                    Ok(path) => path,
                    Err(_) => break,
                }
            }
        };
        let mut news = ask(&path)?;
        news.retain(|der| !known.contains(&der.as_ref()));
        if news.is_empty() {
            break;
        }
        more.extend(news);
        let known: Vec<&[u8]> = question.revocations.iter().copied().chain(more.iter().map(AsRef::as_ref)).collect();
        found = validate(leaf, &Question { revocations: &known, ..question.clone() }, budget)?;
    }
    Ok(found)
}

/// Paths of one certificate whose status is asked for. Source: authorities have one, and another while they change their key.
const MAX_PATHS: usize = 3;
