//! The page around what is shown: no script, nothing from the network, no referrer.

use super::markup::Markup;
use crate::{crypto::Hash, mail::encoding::base64_encode};

/// Whether a browser loads the page again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refresh {
    /// It does not.
    Never,
    /// It does, after a minute.
    EachMinute,
}

/// A page with this title and content.
pub(super) fn page(title: &str, refresh: Refresh, content: Markup) -> String {
    let mut page = Markup::new(TITLE);
    page.raw("<!DOCTYPE html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n");
    page.raw("<meta http-equiv=Content-Security-Policy content=\"").text(&policy()).raw("\">\n");
    page.raw("<meta name=referrer content=no-referrer>\n<meta name=robots content=noindex>\n");
    page.raw("<meta name=viewport content=\"width=device-width, initial-scale=1\">\n");
    if refresh == Refresh::EachMinute {
        page.raw("<meta http-equiv=refresh content=60>\n");
    }
    page.element("<title>", title, "</title>\n").raw("<style>").raw(STYLE).raw("</style>\n</head>\n<body>\n<main>\n");
    page.append(content).raw("</main>\n</body>\n</html>\n");
    page.into_html()
}

/// The Content Security Policy of a page (W3C, CSP Level 3): its own style and nothing else.
pub fn policy() -> String {
    let digest = base64_encode(&Hash::Sha256.digest(STYLE.as_bytes()));
    let digest = String::from_utf8_lossy(&digest);
    let digest = digest.trim_end();
    format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
}

const STYLE: &str = include_str!("style.css");
/// Octets of the title and the policy.
const TITLE: usize = 8 * 1024;
