//! The home under attack: damage, kills, links, other programs. Everything goes through the program.
//!
//! testdata/home: certificates, messages and a revocation list of ../shared/findings/home; a home of version 2 as an older postseal made it
//! (SQL, with its master key).

mod bundle;
mod damage;
mod erase;
mod lab;
mod odd;
mod quiet;
mod reach;
mod recipes;
mod replaced;
mod whole;
