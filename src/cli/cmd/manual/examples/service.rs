//! The verbs for mail on its way: the service, its logs, lists and configuration.

use super::entry::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        environment: &[(
            "XDG_STATE_HOME",
            "The folder with the folder `postseal` of the state files. Without it, ~/.local/state is.",
        )],
        ..entry(
            "fetch",
            "What was fetched is kept in a state file, so that a run that was interrupted can be repeated. With `--config`, the messages go through the rules.",
            &[(
                "Copy new mail to a Maildir:",
                "postseal fetch imaps://bob%40example.org@imap.example.org/INBOX --to maildir:Mail --password-file pass",
            )],
            &["watch", "scan"],
        )
    },
    entry(
        "watch",
        "A lost connection is made again. SIGTERM ends it after the current message.",
        &[(
            "Decrypt what arrives, in the mailbox itself:",
            "postseal watch imaps://bob%40example.org@imap.example.org/INBOX --append --delete --config postseal.toml --for bob@example.org --password-file pass",
        )],
        &["fetch"],
    ),
    entry(
        "filter",
        "The message goes from standard input to standard output, or with `--reinject` to the next server. The exit status is one of sysexits.h, as mail servers know it.",
        &[(
            "Decrypt mail for bob, as the rules say:",
            "postseal filter --config postseal.toml --from alice@example.org -- bob@example.org < message.eml",
        )],
        &["sendmail", "config explain"],
    ),
    entry(
        "sendmail",
        "By the name `sendmail`, the program is this verb; by the names `mailq` and `newaliases` it runs the real program. Faults of this machine are temporary errors (75): the caller keeps the mail.",
        &[("Send a message to the recipients in its header:", "postseal sendmail -t -i < message.eml")],
        &["filter", "serve"],
    ),
    entry(
        "serve",
        "It stays in the foreground, logs to standard error, and needs no privileges except to read its keys.",
        &[
            ("Run it by hand:", "postseal serve --config postseal.toml"),
            (
                "Make a key, check the configuration, and start the service:",
                "runuser -u postseal -- postseal --home /var/lib/postseal key generate --no-passphrase alice@example.org\n\
                 runuser -u postseal -- postseal config check /etc/postseal/postseal.toml\n\
                 systemctl enable --now postseal-milter.socket postseal.service",
            ),
        ],
        &["config", "log", "quarantine"],
    ),
    entry(
        "log",
        "",
        &[
            ("What became of alice's mail:", "postseal log alice@example.org log"),
            ("The same, from the journal:", "journalctl -u postseal -o cat | postseal log alice@example.org"),
        ],
        &["serve"],
    ),
    entry(
        "audit",
        "Each change of the home is one line of its audit log, and the configuration adds decisions on mail. Each line is bound to the line before it.",
        &[("Record changes from now on, and check the record:", "postseal audit init\npostseal audit verify")],
        &["key", "serve"],
    ),
    entry("audit init", "", &[("Record the changes of the home:", "postseal audit init")], &["audit verify"]),
    entry(
        "audit head",
        "Kept elsewhere, it shows that no entry is missing at the end.",
        &[("Print the last entry's number and hash:", "postseal audit head")],
        &["audit verify"],
    ),
    entry("audit show", "", &[("Who trusted which key:", "postseal audit show --event trust")], &[]),
    entry(
        "audit verify",
        "Exit status 1: an entry was changed, removed, inserted or moved.",
        &[("Check the log of the home:", "postseal audit verify")],
        &["audit head"],
    ),
    entry("audit export", "", &[("All entries for another system:", "postseal audit export --format ecs")], &[]),
    entry("audit rotate", "", &[("Begin a new file, for cron:", "postseal audit rotate")], &[]),
    entry("quarantine", "", &[("List what is held:", "postseal quarantine list --config postseal.toml")], &["serve"]),
    entry("quarantine list", "", &[("List what is held:", "postseal quarantine list --config postseal.toml")], &[]),
    entry(
        "quarantine show",
        "",
        &[("Show one of them:", "postseal quarantine show --config postseal.toml 20261130T021000Z-aaaaaaaa")],
        &[],
    ),
    entry(
        "quarantine release",
        "",
        &[(
            "Send one to its recipients:",
            "postseal quarantine release --config postseal.toml 20261130T021000Z-aaaaaaaa",
        )],
        &[],
    ),
    entry(
        "quarantine delete",
        "",
        &[("Delete one:", "postseal quarantine delete --config postseal.toml 20261130T021000Z-aaaaaaaa")],
        &[],
    ),
    entry(
        "quarantine expire",
        "",
        &[(
            "Delete what is older than a month, for cron:",
            "postseal quarantine expire --config postseal.toml --older-than 30d",
        )],
        &[],
    ),
    entry("list", "", &[("Check a list:", "postseal list check --config postseal.toml dev")], &["serve"]),
    entry("list check", "", &[("Check a list:", "postseal list check --config postseal.toml dev")], &[]),
    entry(
        "list post",
        "",
        &[(
            "Post a message that the mail server holds:",
            "postseal list post --config postseal.toml dev < message.eml",
        )],
        &["quarantine"],
    ),
    entry("config", "", &[("Check a configuration:", "postseal config check postseal.toml")], &["serve"]),
    entry(
        "config check",
        "",
        &[("Check a configuration:", "postseal config check postseal.toml")],
        &["config explain"],
    ),
    entry(
        "config diff",
        "",
        &[(
            "Which mails of a log would be decided otherwise by another configuration:",
            "postseal config diff postseal.toml postseal.toml day.log",
        )],
        &["config test", "config explain", "log"],
    ),
    entry(
        "config init",
        "",
        &[(
            "Write a configuration for Postfix:",
            "postseal config init postfix --hostname mail.example.org -o new.toml",
        )],
        &["config check"],
    ),
    entry(
        "config explain",
        "",
        &[(
            "What happens to mail from alice to bob:",
            "postseal config explain --config postseal.toml alice@example.org bob@example.org",
        )],
        &["config check"],
    ),
    entry(
        "config test",
        "",
        &[("Decide the cases of a file:", "postseal config test --config postseal.toml cases.toml")],
        &["config diff", "config explain"],
    ),
    entry(
        "config user",
        "",
        &[("Add a user to a users file:", "postseal config user --passphrase-file pass alice >> users")],
        &["serve"],
    ),
];
