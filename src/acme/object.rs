//! The JSON objects of ACME (RFC 8555, section 7.1), as far as they are read.

use serde::Deserialize;

/// Where requests go (section 7.1.1).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Directory {
    pub(super) new_nonce: String,
    pub(super) new_account: String,
    pub(super) new_order: String,
    #[serde(default)]
    pub(super) meta: Meta,
}

/// What else a directory says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub(super) terms_of_service: Option<String>,
    pub(super) external_account_required: bool,
}

/// An order (section 7.1.3).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct OrderObject {
    pub(super) status: Status,
    pub(super) error: Option<Problem>,
    #[serde(default)]
    pub(super) authorizations: Vec<String>,
    pub(super) finalize: Option<String>,
    pub(super) certificate: Option<String>,
}

/// An authorization (section 7.1.4).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Authorization {
    pub(super) identifier: Identifier,
    pub(super) status: Status,
    #[serde(default)]
    pub(super) challenges: Vec<ChallengeObject>,
}

/// Who or what a certificate is for (RFC 8823, section 3).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Identifier {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) value: String,
}

/// A challenge (section 7.1.5). `from` and `token` are those of email-reply-00 (RFC 8823, section 3).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ChallengeObject {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) url: String,
    pub(super) token: Option<String>,
    pub(super) from: Option<String>,
    pub(super) error: Option<Problem>,
}

/// How far an order or an authorization is (section 7.1.6).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Pending,
    Ready,
    Processing,
    Valid,
    /// With those that an authorization can also have: it is of no use.
    #[serde(alias = "deactivated", alias = "expired", alias = "revoked")]
    Invalid,
}

/// Why a request or a validation failed (RFC 7807, and RFC 8555, section 6.7).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) detail: String,
    pub(super) subproblems: Vec<Problem>,
}

impl Problem {
    /// The name of the error without its namespace: `badNonce`.
    pub(super) fn name(&self) -> &str {
        self.kind.rsplit(':').next().unwrap_or_default()
    }

    /// In one line. The text is the server's; [`Error`](crate::base::Error) escapes it.
    pub(super) fn line(&self) -> String {
        let first = [self.name(), &self.detail].into_iter().filter(|text| !text.is_empty()).map(str::to_owned);
        let others = self.subproblems.iter().map(|problem| problem.detail.clone()).filter(|text| !text.is_empty());
        let line = first.chain(others).collect::<Vec<_>>().join(": ");
        match line.is_empty() {
            true => "without a reason".to_owned(),
            false => line.chars().take(MAX_LINE).collect(),
        }
    }
}

/// Characters of a reason that are shown.
const MAX_LINE: usize = 500;
