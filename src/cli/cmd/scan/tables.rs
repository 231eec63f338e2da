//! The results of a scan: a table for people, comma-separated values for other programs.

use postseal::{
    report::printable,
    scan::{Counts, Finding, Judged, Summary},
};

/// The senders with their messages, counted, and all of them.
pub(super) fn table(summary: &Summary) -> String {
    let total = summary.total();
    let mut header = vec!["sender".to_owned(), "messages".to_owned()];
    let shown: Vec<Finding> = Finding::ALL.into_iter().filter(|finding| is_shown(*finding, total)).collect();
    header.extend(shown.iter().map(|finding| finding.name().to_owned()));
    header.extend(["encrypted".to_owned(), "keys".to_owned()]);
    let mut rows = vec![header];
    rows.extend(summary.senders().into_iter().map(|(sender, counts)| row(sender, counts, &shown)));
    let mut last = row("all", total, &shown);
    if let Some(keys) = last.last_mut() {
        *keys = total.keys.len().to_string();
    }
    rows.push(last);
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(at, cell)| match at {
            0 => format!("{cell:<0$}", widths[at]),
            _ if at + 1 == columns => cell.clone(),
            _ => format!("{cell:>0$}", widths[at]),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// The groups that every table has, and those that something is in.
fn is_shown(finding: Finding, total: &Counts) -> bool {
    matches!(finding, Finding::Authentic | Finding::Signed | Finding::Bad | Finding::Unsigned) || total.of(finding) > 0
}

fn row(sender: &str, counts: &Counts, shown: &[Finding]) -> Vec<String> {
    let number = |count: u64| if count == 0 { "-".to_owned() } else { count.to_string() };
    let sender = if sender.is_empty() { "(none)".to_owned() } else { printable(sender) };
    let mut row = vec![sender, number(counts.messages)];
    row.extend(shown.iter().map(|finding| number(counts.of(*finding))));
    row.push(number(counts.encrypted));
    let keys: Vec<String> = counts.keys.iter().take(MAX_KEYS).map(|key| printable(key)).collect();
    let more = counts.keys.len().saturating_sub(keys.len());
    row.push(keys.join(" ") + &if more > 0 { format!(" and {more} more") } else { String::new() });
    row
}

/// The names of the columns.
pub(super) const CSV_HEADER: &str = "file,id,sender,finding,encrypted,keys,error\n";

/// One message (RFC 4180).
pub(super) fn csv_line(file: &str, judged: &Judged) -> String {
    let outline = &judged.outline;
    let error = judged.error().map(ToString::to_string).unwrap_or_default();
    let cells = [
        file,
        judged.id.as_str(),
        &outline.sender,
        outline.finding.name(),
        if outline.encrypted { "yes" } else { "no" },
        &outline.keys.join(" "),
        &error,
    ];
    cells.map(cell).join(",") + "\n"
}

/// Quoted where it must be. Text that a spreadsheet would compute gets an apostrophe, because senders choose it.
fn cell(text: &str) -> String {
    let text = text.replace(['\r', '\n'], " ");
    let text = if text.starts_with(['=', '+', '-', '@', '\t']) { format!("'{text}") } else { text };
    match text.contains([',', '"']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// Keys that are named of one sender.
const MAX_KEYS: usize = 3;
