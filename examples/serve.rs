//! Serves the listeners of a configuration file, with the library alone.
//!
//! `cargo run --example serve -- /etc/postseal/postseal.toml`

use std::env;

use postseal::{
    base::{Error, Result},
    service::Service,
};

fn main() -> Result<()> {
    let path = env::args_os().nth(1).ok_or_else(|| Error::usage("no configuration file is given"))?;
    Service::new(path).run()
}
