//! Judges and converts the messages of mailboxes, many at a time.
//!
//! [`run()`] takes messages out of a [`MessageSource`](crate::mailbox::MessageSource), works on them on all cores, and gives the results out in the
//! order of the source. [`judge()`] is such work, and [`Conversion`] another.

mod convert;
mod copy;
mod harvest;
mod in_place;
mod judge;
mod month;
mod outline;
mod run;
mod state_file;
mod summary;

pub use convert::{Conversion, Converted};
pub use copy::Copy;
pub use harvest::{Harvest, carried};
pub use in_place::{InPlace, Undone, undo};
pub use judge::{Judged, judge};
pub use month::Month;
pub use outline::{Finding, Outline};
pub use run::run;
pub use state_file::StateFile;
pub use summary::{Counts, Summary};
