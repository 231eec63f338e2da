//! postseal beside the mail servers that are not Postfix, configured as docs/manual/mail-servers.md shows.

#[path = "milter/house.rs"]
mod house;
#[path = "postfix/lab.rs"]
mod lab;
#[path = "mail_servers/sendmail.rs"]
mod sendmail;
#[path = "mail_servers/tree.rs"]
mod tree;
