//! What postseal-serve(8) has beside the options: listeners, sockets, signals, files of the service.

use roff::bold;

use super::page::Page;

/// Adds the sections.
pub(super) fn about(page: &mut Page) {
    page.section("LISTENERS")
        .text_of_section("The service opens every `[[listener]]` of the configuration. Its `kind` is one of:");
    for (kind, meaning) in LISTENERS {
        page.entry([bold(*kind)], &[(*meaning).to_owned()]);
    }
    page.section("SOCKETS").text_of_section(
        "A listener with `address = \"systemd:NAME\"` takes the socket with `FileDescriptorName=NAME` that systemd opened (`sd_listen_fds`(3)). \
         Such a socket stays open while the service restarts, and may have a port below 1024, which the service has no right to open. \
         The packages have a socket unit for each of these names; none of them is enabled by itself:",
    );
    for (unit, meaning) in UNITS {
        page.entry([bold(*unit)], &[(*meaning).to_owned()]);
    }
    page.paragraph(
        "A client of the milter can claim any login. Give the mail server a local socket that only its group can open, as the socket unit does.",
    );
    page.section("SIGNALS");
    for (signal, meaning) in SIGNALS {
        page.entry([bold(*signal)], &[(*meaning).to_owned()]);
    }
    page.section("NOTES").text_of_section(
        "The unit runs as the user `postseal` without capabilities. It can write to `/var/lib/postseal` only: the `home` and the `quarantine` of the \
         configuration have to be there. A home belongs to one user, so `postseal key` has to be run as the user `postseal` (see EXAMPLES).",
    );
}

const LISTENERS: &[(&str, &str)] = &[
    ("milter", "A filter of Postfix or Sendmail."),
    ("submission", "SMTP for users, who log in."),
    ("relay", "SMTP for other mail servers."),
    ("lmtp", "LMTP (RFC 2033), between a mail server and the mailboxes, or as a content filter."),
];

const UNITS: &[(&str, &str)] = &[
    ("postseal-milter.socket", "`systemd:milter`, /var/spool/postfix/postseal/milter, for the group postfix."),
    ("postseal-lmtp.socket", "`systemd:lmtp`, 127.0.0.1 port 10025."),
    ("postseal-relay.socket", "`systemd:relay`, port 25."),
    ("postseal-submission.socket", "`systemd:submission`, port 587, with STARTTLS."),
    ("postseal-submissions.socket", "`systemd:submissions`, port 465, with implicit TLS."),
];

const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGHUP",
        "Loads the configuration and the keys again, as a whole or not at all. With an error, the current configuration stays, and the log has `configuration-rejected`.",
    ),
    (
        "SIGTERM, SIGINT",
        "Closes the listeners, waits up to a minute for the messages in progress, and ends. A message that is not done then is still with its client.",
    ),
];
