//! The home under attack: damage, kills, links, other programs. Everything goes through the program.
//!
//! testdata/home: certificates, messages and a revocation list of ../shared/findings/home; a home of version 2 as an older postseal made it
//! (SQL, with its master key).

#[path = "home/damage.rs"]
mod damage;
#[path = "home/erase.rs"]
mod erase;
#[path = "home/lab.rs"]
mod lab;
#[path = "home/odd.rs"]
mod odd;
#[path = "home/quiet.rs"]
mod quiet;
#[path = "home/reach.rs"]
mod reach;
#[path = "home/recipes.rs"]
mod recipes;
#[path = "home/whole.rs"]
mod whole;
