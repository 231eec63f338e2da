//! The one-pass parser.
