//! Any arguments, one a line, as those of sendmail: read or refused, and no recipient comes out that was not given.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postseal::transport::sendmail::Options;

fuzz_target!(|octets: &[u8]| {
    let text = String::from_utf8_lossy(octets);
    let arguments: Vec<String> = text.lines().map(str::to_owned).collect();
    let Ok(options) = Options::parse(&arguments) else { return };
    assert!(options.recipients.iter().all(|recipient| arguments.contains(recipient)));
    assert_eq!(Options::parse(&arguments).ok(), Some(options));
});
