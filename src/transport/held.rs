//! What is known of a held message.

use serde::{Deserialize, Serialize};

use crate::{
    base::Result,
    mail::{Address, Envelope, ForwardPath, ReversePath},
};

/// What is known of a held message, as `ID.json` has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Held {
    /// Its name here: the time and eight random characters.
    pub id: String,
    /// When it was held (RFC 3339).
    pub time: String,
    /// Why.
    pub reason: String,
    /// The envelope sender; `None` is the null sender.
    pub from: Option<String>,
    /// ESMTP parameters of the sender.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_parameters: Vec<String>,
    /// The recipients that it is held for.
    pub to: Vec<HeldFor>,
    /// Octets of the message.
    pub octets: u64,
}

/// A recipient of a held message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct HeldFor {
    /// The address.
    pub address: String,
    /// ESMTP parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
}

impl Held {
    /// The envelope that it came with.
    pub(super) fn envelope(&self) -> Result<Envelope> {
        let address = self.from.as_deref().map(Address::parse).transpose()?;
        let recipient =
            |to: &HeldFor| Ok(ForwardPath { address: Address::parse(&to.address)?, parameters: to.parameters.clone() });
        let sender = ReversePath { address, parameters: self.from_parameters.clone() };
        Ok(Envelope { sender, recipients: self.to.iter().map(recipient).collect::<Result<_>>()? })
    }
}

impl HeldFor {
    /// The recipient of a path.
    pub(super) fn of(path: &ForwardPath) -> HeldFor {
        HeldFor { address: path.address.to_string(), parameters: path.parameters.clone() }
    }
}
