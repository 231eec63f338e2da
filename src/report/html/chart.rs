//! A chart of stacked bars as SVG, with the same figures as a table.

use super::markup::Markup;

/// One bar: its label and the count of each group.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) counts: Vec<u64>,
}

impl Bar {
    fn sum(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Bars of `groups` from left to right, over what `unit` names. The groups are classes of the style.
pub(super) fn chart(out: &mut Markup, unit: &'static str, groups: &[&'static str], bars: &[Bar]) {
    let highest = bars.iter().map(Bar::sum).max().unwrap_or_default();
    if highest == 0 {
        return;
    }
    let top = rounded_up(highest);
    out.raw("<svg viewBox=\"0 0 720 230\" role=img aria-label=\"Messages per ")
        .raw(unit)
        .raw(", stacked by group\">\n");
    let ticks = if top > 1 { vec![0, top / 2, top] } else { vec![0, top] };
    for tick in ticks {
        let y = BASE - scaled(tick, top);
        out.raw("<line class=axis x1=\"44\" x2=\"716\" y1=\"").number(y).raw("\" y2=\"").number(y).raw("\"/>");
        out.raw("<text text-anchor=end x=\"38\" y=\"").number(y + 4).raw("\">").number(tick).raw("</text>\n");
    }
    let step = WIDTH / (bars.len() as u64).max(1);
    let width = (step * 4 / 5).clamp(1, 48);
    let labelled = (bars.len() / MAX_LABELS + 1).max(1);
    for (index, bar) in bars.iter().enumerate() {
        let x = LEFT + step * index as u64 + (step - width) / 2;
        out.element("<g><title>", &words(unit, groups, bar), "</title>");
        let mut below = 0;
        for (group, count) in groups.iter().zip(&bar.counts).filter(|(_, count)| **count > 0) {
            let (from, to) = (scaled(below, top), scaled(below + count, top));
            below += count;
            // A group with one message of many is still seen.
            let height = (to - from).max(1);
            out.raw("<rect class=").raw(group).raw(" x=\"").number(x).raw("\" width=\"").number(width);
            out.raw("\" y=\"")
                .number(BASE.saturating_sub(from + height))
                .raw("\" height=\"")
                .number(height)
                .raw("\"/>");
        }
        if index % labelled == 0 {
            out.raw("<text text-anchor=middle x=\"")
                .number(x + width / 2)
                .raw("\" y=\"222\">")
                .text(&bar.label)
                .raw("</text>");
        }
        out.raw("</g>\n");
    }
    out.raw("</svg>\n");
    legend(out, groups, bars);
    figures(out, unit, groups, bars);
}

fn legend(out: &mut Markup, groups: &[&'static str], bars: &[Bar]) {
    out.raw("<ul class=legend>\n");
    for (at, group) in groups.iter().enumerate() {
        if bars.iter().any(|bar| bar.counts.get(at).is_some_and(|count| *count > 0)) {
            out.raw("<li><svg viewBox=\"0 0 10 10\" aria-hidden=true><rect class=").raw(group);
            out.raw(" width=\"10\" height=\"10\"/></svg>").raw(group).raw("</li>\n");
        }
    }
    out.raw("</ul>\n");
}

/// The same figures in a table, for those who do not see the colours.
fn figures(out: &mut Markup, unit: &'static str, groups: &[&'static str], bars: &[Bar]) {
    out.raw("<details>\n<summary>The figures</summary>\n<div class=scroll><table>\n<tr><th>").raw(unit).raw("</th>");
    for group in groups {
        out.raw("<th class=n>").raw(group).raw("</th>");
    }
    out.raw("</tr>\n");
    for bar in bars.iter().filter(|bar| bar.sum() > 0) {
        out.element("<tr><td>", &bar.label, "</td>");
        for count in &bar.counts {
            out.raw("<td class=n>").number(*count).raw("</td>");
        }
        out.raw("</tr>\n");
    }
    out.raw("</table></div>\n</details>\n");
}

fn words(unit: &str, groups: &[&'static str], bar: &Bar) -> String {
    let counts = groups.iter().zip(&bar.counts).filter(|(_, count)| **count > 0);
    let counts: Vec<String> = counts.map(|(group, count)| format!("{count} {group}")).collect();
    format!("{unit} {}: {}", bar.label, if counts.is_empty() { "none".to_owned() } else { counts.join(", ") })
}

fn scaled(count: u64, top: u64) -> u64 {
    count.saturating_mul(HEIGHT) / top.max(1)
}

/// The next number above that reads well: one digit with zeros.
fn rounded_up(highest: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for step in [1, 2, 3, 4, 6, 8] {
            let top = unit.saturating_mul(step);
            if top >= highest {
                return top;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// Where bars begin, from the left.
const LEFT: u64 = 44;
/// All bars together.
const WIDTH: u64 = 672;
/// The line that bars stand on, from the top.
const BASE: u64 = 206;
/// The highest bar.
const HEIGHT: u64 = 190;
/// Labels that fit below the bars.
const MAX_LABELS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_ends_at_a_number_that_reads_well() {
        for (highest, top) in [(1, 1), (5, 6), (9, 10), (11, 20), (214, 300), (501, 600), (u64::MAX, u64::MAX)] {
            assert_eq!(rounded_up(highest), top);
        }
    }

    #[test]
    fn bars_stand_on_each_other() {
        let mut out = Markup::new(10_000);
        chart(&mut out, "month", &["authentic", "bad"], &[Bar { label: "2026-11".to_owned(), counts: vec![5, 5] }]);
        let html = out.into_html();
        assert!(html.contains("<rect class=authentic x=\"356\" width=\"48\" y=\"111\" height=\"95\"/>"), "{html}");
        assert!(html.contains("<rect class=bad x=\"356\" width=\"48\" y=\"16\" height=\"95\"/>"), "{html}");
        assert!(html.contains("<title>month 2026-11: 5 authentic, 5 bad</title>"), "{html}");
    }
}
