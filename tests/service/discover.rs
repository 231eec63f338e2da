//! Keys on the network, with real servers on loopback: nginx with a private authority, BIND with a root zone of its own.

mod http;
