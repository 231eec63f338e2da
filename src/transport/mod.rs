//! Where mail comes in and an outcome goes out. Every transport calls [`Handler::handle`](crate::engine::Handler) and nothing else.
