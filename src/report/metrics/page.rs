//! The counters as a page for Prometheus (text exposition format 0.0.4).

use std::{fmt::Write as _, time::Duration};

use super::{BUCKETS, Ended, KeyFigures, Metrics, Readiness, Times};

impl Metrics {
    /// The metrics as a page for Prometheus.
    pub fn page(&self) -> String {
        let figures = self.figures();
        let mut page = Page::default();
        page.head("postseal_connections", "gauge", "open connections");
        page.lines(figures.connections.iter().map(|(listener, (open, _))| (format!("listener=\"{listener}\""), *open)));
        page.head("postseal_connections_total", "counter", "connections so far");
        page.lines(
            figures.connections.iter().map(|(listener, (_, total))| (format!("listener=\"{listener}\""), *total)),
        );
        page.head("postseal_mail_octets_total", "counter", "octets of mails handled");
        page.lines(figures.mails.iter().map(|(listener, mails)| (format!("listener=\"{listener}\""), mails.octets)));
        page.head("postseal_messages_total", "counter", "messages handled, by standing");
        page.lines(
            figures.messages.iter().map(|((listener, standing), count)| {
                (format!("listener=\"{listener}\",standing=\"{standing}\""), *count)
            }),
        );
        page.head("postseal_recipients_total", "counter", "recipients by direction and what the rules decided");
        page.lines(figures.recipients.iter().map(|((listener, direction, disposition), count)| {
            (format!("listener=\"{listener}\",direction=\"{direction}\",disposition=\"{disposition}\""), *count)
        }));
        page.head("postseal_recipients_ended_total", "counter", "recipients by what became of them");
        page.lines(figures.ends.iter().map(|((listener, fate, cause), count)| {
            (format!("listener=\"{listener}\",fate=\"{fate}\",by=\"{cause}\""), *count)
        }));
        page.head("postseal_next_hop_replies_total", "counter", "answers of the next hop by class");
        page.lines(figures.replies.iter().map(|(class, count)| (format!("class=\"{class}\""), *count)));
        page.head("postseal_messages_waiting", "gauge", "messages that wait for memory or a worker");
        page.lines(figures.waiting.iter().map(|(listener, count)| (format!("listener=\"{listener}\""), *count)));
        page.head("postseal_limits_reached_total", "counter", "clients, logins and messages turned away by a limit");
        page.lines(
            figures
                .limits
                .iter()
                .map(|((listener, limit), count)| (format!("listener=\"{listener}\",limit=\"{limit}\""), *count)),
        );
        page.head("postseal_failures_total", "counter", "mails that could not be handled");
        page.lines(
            figures
                .failures
                .iter()
                .map(|((listener, kind), count)| (format!("listener=\"{listener}\",kind=\"{kind}\""), *count)),
        );
        page.head("postseal_not_opened_total", "counter", "recipients for whom a message could not be opened");
        page.lines(figures.not_opened.iter().map(|(listener, count)| (format!("listener=\"{listener}\""), *count)));
        page.head("postseal_log_only_total", "counter", "recipients by what rules that are log-only would have done");
        page.lines(figures.trials.iter().map(|((listener, rule, disposition), count)| {
            let rule = rule.replace('\\', "\\\\").replace('"', "\\\"");
            (format!("listener=\"{listener}\",rule=\"{rule}\",disposition=\"{disposition}\""), *count)
        }));
        page.head("postseal_logins_total", "counter", "logins by result");
        page.lines(
            figures
                .logins
                .iter()
                .map(|((listener, result), count)| (format!("listener=\"{listener}\",result=\"{result}\""), *count)),
        );
        page.head("postseal_acme_total", "counter", "what was done to get certificates from an authority");
        page.lines(figures.enrolments.iter().map(|(what, count)| (format!("result=\"{what}\""), *count)));
        page.head("postseal_audit_failures_total", "counter", "decisions that could not be written into the audit log");
        page.lines([(String::new(), figures.audit_failures)].into_iter());
        page.head("postseal_bounces_total", "counter", "delivery status notifications to senders, by result");
        page.lines(figures.bounces.iter().map(|(result, count)| (format!("result=\"{result}\""), *count)));
        page.head("postseal_tenant_messages_total", "counter", "messages that a tenant has a part in, by result");
        page.lines(
            figures
                .tenants
                .iter()
                .map(|((tenant, result), count)| (format!("tenant=\"{tenant}\",result=\"{result}\""), *count)),
        );
        page.head("postseal_reloads_total", "counter", "reloads of the configuration by result");
        page.lines(figures.reloads.iter().map(|(result, count)| (format!("result=\"{result}\""), *count)));
        page.head("postseal_processes_ended_total", "counter", "processes that ended before their work was done");
        page.lines(Ended::ALL.into_iter().map(|which| {
            let count = figures.processes_ended.get(which.name()).copied().unwrap_or_default();
            (format!("role=\"{}\"", which.name()), count)
        }));
        page.head("postseal_key_uses_total", "counter", "uses of secret keys for mail by protocol and operation");
        page.lines(figures.key_uses.iter().map(|((protocol, operation), count)| {
            (format!("protocol=\"{protocol}\",operation=\"{operation}\""), *count)
        }));
        page.head("postseal_key_limits_reached_total", "counter", "uses of secret keys that were refused, by limit");
        page.lines(figures.key_limits.iter().map(|(per, count)| (format!("per=\"{per}\""), *count)));
        page.head("postseal_ready", "gauge", "1 if the key sources can be read, as /readyz");
        page.lines(
            figures.readiness.iter().map(|readiness| (String::new(), u64::from(*readiness == Readiness::Ready))),
        );
        page.head(
            "postseal_expiring_keys",
            "gauge",
            "own addresses whose key to sign with expires within so many days",
        );
        page.lines(figures.keys.iter().flat_map(|keys| {
            let counts = KeyFigures::DAYS.into_iter().zip(keys.expiring);
            counts.map(|(days, count)| (format!("days=\"{days}\""), count as u64))
        }));
        page.head("postseal_oldest_crl_age_seconds", "gauge", "age of the oldest CRL, of the newest of each issuer");
        let age = figures.keys.and_then(|keys| keys.age_of_oldest_crl);
        page.lines(age.iter().map(|age| (String::new(), age.as_secs())));
        page.head("postseal_clock_skew_seconds", "gauge", "how far the clock of the database is from this machine's");
        page.lines(figures.clock_skew.iter().map(|skew| (String::new(), skew.as_secs())));
        page.head("postseal_handle_seconds", "histogram", "time to handle a mail");
        for (listener, mails) in &figures.mails {
            page.histogram(&format!("listener=\"{listener}\""), &mails.times);
        }
        page.head(
            "postseal_revocation_fetches_total",
            "counter",
            "attempts to fetch CRLs and OCSP responses by outcome",
        );
        page.lines(
            figures
                .fetches
                .iter()
                .map(|((kind, outcome), count)| (format!("kind=\"{kind}\",outcome=\"{outcome}\""), *count)),
        );
        page.head("postseal_revocation_fetch_seconds", "histogram", "time to fetch a CRL or an OCSP response");
        for (kind, times) in &figures.fetch_times {
            page.histogram(&format!("kind=\"{kind}\""), times);
        }
        page.head("postseal_lookups_total", "counter", "look-ups of keys on the network by source and outcome");
        page.lines(
            figures
                .lookups
                .iter()
                .map(|((source, outcome), count)| (format!("source=\"{source}\",outcome=\"{outcome}\""), *count)),
        );
        page.head("postseal_lookup_seconds", "histogram", "time that a source took to answer a look-up of keys");
        for (source, times) in &figures.lookup_times {
            page.histogram(&format!("source=\"{source}\""), times);
        }
        page.text
    }
}

#[derive(Default)]
struct Page {
    text: String,
    name: &'static str,
}

impl Page {
    fn head(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn lines(&mut self, figures: impl Iterator<Item = (String, u64)>) {
        let name = self.name;
        figures.for_each(|(labels, figure)| match labels.as_str() {
            "" => self.line(format_args!("{name} {figure}")),
            labels => self.line(format_args!("{name}{{{labels}}} {figure}")),
        });
    }

    fn histogram(&mut self, labels: &str, times: &Times) {
        let name = self.name;
        for (count, limit) in times.buckets.iter().zip(BUCKETS) {
            let seconds = Duration::from_millis(limit).as_secs_f64();
            self.line(format_args!("{name}_bucket{{{labels},le=\"{seconds}\"}} {count}"));
        }
        self.line(format_args!("{name}_bucket{{{labels},le=\"+Inf\"}} {}", times.count));
        self.line(format_args!("{name}_sum{{{labels}}} {}", times.sum.as_secs_f64()));
        self.line(format_args!("{name}_count{{{labels}}} {}", times.count));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}
