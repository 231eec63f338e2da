//! The key of an account, and what it signs: JWS with ES256 (RFC 7515, RFC 7518).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ExternalBinding;
use crate::{
    base::{Error, Result, Secret},
    crypto::{Curve, Hash, KeyAlgorithm, Scheme, SecretKey, SoftwareKey, generate, hmac, public_of},
};

/// The key of an account: P-256.
pub(super) struct AccountKey {
    scalar: Secret,
    key: SoftwareKey,
    /// The public key as a JWK (RFC 7517), its members in the order of RFC 7638.
    jwk: Value,
}

/// An account as it is kept.
#[derive(Deserialize, Serialize)]
struct Kept {
    directory: String,
    key: String,
    url: Option<String>,
}

/// An account at an authority.
pub(super) struct Account {
    pub(super) key: AccountKey,
    /// Its URL, by which the authority knows it; `None` until it said so.
    pub(super) url: Option<String>,
}

impl Account {
    /// A new key, which the authority does not know yet.
    pub(super) fn generate() -> Result<Account> {
        let (scalar, _) = generate(KeyAlgorithm::Ecdsa(Curve::P256))?;
        Ok(Account { key: AccountKey::new(scalar)?, url: None })
    }

    /// Reads what [`Account::kept`] wrote.
    pub(super) fn read(octets: &Secret, directory: &str) -> Result<Account> {
        let damaged = || Error::damaged("acme account", "cannot be read");
        let kept: Kept = serde_json::from_slice(octets.expose()).map_err(|_| damaged())?;
        let scalar = BASE64.decode(&kept.key).map(Secret::new).map_err(|_| damaged())?;
        if kept.directory != directory {
            return Err(damaged());
        }
        Ok(Account { key: AccountKey::new(scalar)?, url: kept.url })
    }

    /// For a sealed file.
    pub(super) fn kept(&self, directory: &str) -> Secret {
        let key = BASE64.encode(self.key.scalar.expose());
        let kept = Kept { directory: directory.to_owned(), key, url: self.url.clone() };
        // Strings always serialize.
        Secret::new(serde_json::to_vec(&kept).unwrap_or_default())
    }
}

impl AccountKey {
    fn new(scalar: Secret) -> Result<AccountKey> {
        let point = public_of(KeyAlgorithm::Ecdsa(Curve::P256), &scalar)?;
        let key = SoftwareKey::elliptic(Curve::P256, &scalar, &point)?;
        let coordinates = point.get(1..33).zip(point.get(33..65));
        let (x, y) = coordinates.ok_or_else(|| Error::unavailable("acme account: its key is no point of P-256"))?;
        // Written in the order of RFC 7638, section 3, whether serde_json sorts members or keeps their order.
        let jwk = json!({ "crv": "P-256", "kty": "EC", "x": BASE64.encode(x), "y": BASE64.encode(y) });
        Ok(AccountKey { scalar, key, jwk })
    }

    /// The digest of the public key (RFC 7638), in base64url.
    pub(super) fn thumbprint(&self) -> String {
        BASE64.encode(Hash::Sha256.digest(self.jwk.to_string().as_bytes()))
    }

    /// A request (RFC 8555, section 6.2). `account` is the URL of the account; without it the public key is in the request. `None` for a payload is
    /// the empty one of POST-as-GET.
    pub(super) fn request(
        &self,
        account: Option<&str>,
        nonce: &str,
        url: &str,
        payload: Option<&Value>,
    ) -> Result<Vec<u8>> {
        let mut protected = json!({ "alg": "ES256", "nonce": nonce, "url": url });
        match account {
            Some(account) => protected["kid"] = account.into(),
            None => protected["jwk"] = self.jwk.clone(),
        }
        let payload = payload.map(Value::to_string).unwrap_or_default();
        let (signed, protected, payload) = signing_input(&protected, &payload);
        let signature = self.key.sign(Scheme::Ecdsa(Hash::Sha256), &Hash::Sha256.digest(signed.as_bytes()))?;
        Ok(flattened(&protected, &payload, &signature).to_string().into_bytes())
    }

    /// The public key of this account, signed by the key of an account that the authority's customer has (RFC 8555, section 7.3.4).
    pub(super) fn bound(&self, to: &ExternalBinding, url: &str) -> Result<Value> {
        let unreadable = || Error::usage("external account binding: the key is not in base64url");
        let text = std::str::from_utf8(to.key.expose()).map_err(|_| unreadable())?;
        let mac_key = BASE64.decode(text.trim().trim_end_matches('=')).map(Secret::new).map_err(|_| unreadable())?;
        let protected = json!({ "alg": "HS256", "kid": to.id, "url": url });
        let (signed, protected, payload) = signing_input(&protected, &self.jwk.to_string());
        Ok(flattened(&protected, &payload, &hmac(Hash::Sha256, &mac_key, signed.as_bytes())))
    }
}

/// What is signed (RFC 7515, section 5.1), and its two parts in base64url.
fn signing_input(protected: &Value, payload: &str) -> (String, String, String) {
    let [protected, payload] = [&protected.to_string(), payload].map(|text| BASE64.encode(text));
    (format!("{protected}.{payload}"), protected, payload)
}

/// The flattened form (RFC 7515, section 7.2.2).
fn flattened(protected: &str, payload: &str, signature: &[u8]) -> Value {
    json!({ "protected": protected, "payload": payload, "signature": BASE64.encode(signature) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::unhex,
        crypto::{PublicKey, verify},
    };

    /// RFC 7515, appendix A.3.
    const SCALAR: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

    #[test]
    fn a_request_is_signed_by_the_account() {
        let account = AccountKey::new(Secret::new(BASE64.decode(SCALAR).unwrap())).unwrap();
        assert_eq!(account.jwk["x"], "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
        assert_eq!(account.jwk["y"], "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
        let text =
            format!("{{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":{},\"y\":{}}}", account.jwk["x"], account.jwk["y"]);
        assert_eq!(account.thumbprint(), BASE64.encode(Hash::Sha256.digest(text.as_bytes())));
        let request = account.request(Some("https://ca/acct/1"), "n", "https://ca/order", None).unwrap();
        let request: Value = serde_json::from_slice(&request).unwrap();
        let text = |name: &str| request[name].as_str().unwrap().to_owned();
        assert_eq!(text("payload"), "");
        let protected: Value = serde_json::from_slice(&BASE64.decode(text("protected")).unwrap()).unwrap();
        assert_eq!(
            protected,
            json!({"alg": "ES256", "kid": "https://ca/acct/1", "nonce": "n", "url": "https://ca/order"})
        );
        let point = public_of(KeyAlgorithm::Ecdsa(Curve::P256), &account.scalar).unwrap();
        let key = PublicKey::Ecdsa { curve: Curve::P256, point: &point };
        let digest = Hash::Sha256.digest(format!("{}.", text("protected")).as_bytes());
        let signature = BASE64.decode(text("signature")).unwrap();
        assert!(verify(key, Scheme::Ecdsa(Hash::Sha256), &digest, &signature).is_ok());
    }

    /// RFC 7515, appendix A.1: HS256 over other octets with this key; here the form, and that the key is read with and without padding.
    #[test]
    fn a_binding_is_signed_by_the_other_account() {
        let account = AccountKey::new(Secret::new(BASE64.decode(SCALAR).unwrap())).unwrap();
        let binding =
            |key: &str| account.bound(&ExternalBinding { id: "k1".to_owned(), key: key.into() }, "https://ca/new");
        let bound = binding("AAEC\n").unwrap();
        assert_eq!(bound, binding("AAEC").unwrap());
        let payload = BASE64.decode(bound["payload"].as_str().unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap(), account.jwk);
        let signed = format!("{}.{}", bound["protected"].as_str().unwrap(), bound["payload"].as_str().unwrap());
        let mac = hmac(Hash::Sha256, &Secret::new(unhex("000102")), signed.as_bytes());
        assert_eq!(bound["signature"], BASE64.encode(mac));
        assert!(binding("no base64!").is_err());
    }

    #[test]
    fn an_account_is_kept() {
        let mut account = Account::generate().unwrap();
        account.url = Some("https://ca/acct/1".to_owned());
        let kept = account.kept("https://ca/directory");
        let read = Account::read(&kept, "https://ca/directory").unwrap();
        assert_eq!((read.url, read.key.thumbprint()), (account.url, account.key.thumbprint()));
        assert!(Account::read(&kept, "https://other/directory").is_err());
    }
}
