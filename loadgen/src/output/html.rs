//! A run as one page that needs nothing beside it: no script, no network, light and dark.
//!
//! Everything that comes from a user or a server is escaped ([`Escaped`]), and the page forbids
//! itself to load or run anything, should that ever fail.

use std::fmt::{self, Write};

use hdrhistogram::Histogram;

use super::{ChartError, plots, summary::Summary, text};

/// The page of `summary`; `latency` holds its latencies in microseconds.
///
/// # Errors
/// When a plot cannot be drawn.
pub fn page(summary: &Summary, latency: &Histogram<u64>) -> Result<String, ChartError> {
    let mut page = String::from(HEAD);
    let title = summary.targets.first().map_or("", |target| &target.url);
    let _ = writeln!(page, "<title>Load on {}</title>", Escaped(title));
    let _ = writeln!(page, "<style>\n{STYLE}{}</style>", plots::style());
    page.push_str("</head>\n<body>\n");
    intent(&mut page, summary);
    let mut parts = text::parts(summary).into_iter();
    if summary.latency_us.is_some() {
        parts
            .by_ref()
            .take(1)
            .for_each(|part| table(&mut page, &part.header, &part.rows));
    }
    for (title, plot) in plots::of(summary, latency)? {
        let _ = writeln!(
            page,
            "<figure>\n<figcaption>{title}</figcaption>\n{plot}</figure>"
        );
    }
    let figures: Vec<_> = text::figures(summary).into_iter().map(Vec::from).collect();
    table(&mut page, &[], &figures);
    parts.for_each(|part| table(&mut page, &part.header, &part.rows));
    page.push_str("</body>\n</html>\n");
    Ok(page)
}

/// What was asked, and what casts doubt on the answer.
fn intent(page: &mut String, summary: &Summary) {
    page.push_str("<h1>");
    for (index, target) in text::targets(summary).iter().enumerate() {
        let line = if index == 0 { "" } else { "<br/>" };
        let _ = write!(page, "{line}{}", Escaped(target));
    }
    let _ = writeln!(
        page,
        "</h1>\n<p>{}<br/>\n{}<br/>\n{}, {}</p>",
        Escaped(summary.label()),
        Escaped(&text::setting(summary)),
        Escaped(&summary.started),
        Escaped(&summary.program)
    );
    for doubt in text::doubts(summary) {
        let _ = writeln!(page, "<p class=\"doubt\">{}</p>", Escaped(&doubt));
    }
}

/// Without a header when that is empty.
fn table(page: &mut String, header: &[String], rows: &[Vec<String>]) {
    page.push_str("<table>\n");
    let header = Some(header).filter(|header| !header.is_empty());
    let lines = header.map(|header| ("th", header)).into_iter();
    for (tag, cells) in lines.chain(rows.iter().map(|row| ("td", row.as_slice()))) {
        page.push_str("<tr>");
        for cell in cells {
            let class = match cell.as_str() {
                "MISSED" => " class=\"doubt\"",
                _ => "",
            };
            let _ = write!(page, "<{tag}{class}>{}</{tag}>", Escaped(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
}

/// Text between tags or within a quoted attribute.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '<' => formatter.write_str("&lt;")?,
                '>' => formatter.write_str("&gt;")?,
                '&' => formatter.write_str("&amp;")?,
                '"' => formatter.write_str("&quot;")?,
                '\'' => formatter.write_str("&#39;")?,
                // Neither HTML nor XML has them.
                control if control.is_control() => formatter.write_char('\u{fffd}')?,
                other => formatter.write_char(other)?,
            }
        }
        Ok(())
    }
}

const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\"/>
<meta http-equiv=\"Content-Security-Policy\" \
content=\"default-src 'none'; style-src 'unsafe-inline'\"/>
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>
";

const STYLE: &str =
    ":root { color-scheme: light dark; --ink: #222; --paper: #fff; --soft: #666; --grid: #ddd;
  --first: #1f6fb4; --second: #d9631e; --bad: #c62828; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ddd; --paper: #16181b; --soft: #999; --grid: #3a3d42;
    --first: #6cb2ee; --second: #f39a5f; --bad: #ff7b72; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; overflow-wrap: anywhere; }
p { color: var(--soft); }
.doubt, p.doubt { color: var(--bad); font-weight: bold; }
table { border-collapse: collapse; margin: 1.5rem 0; display: block; overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .2rem 1.2rem .2rem 0;
  border-bottom: 1px solid var(--grid); font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-weight: normal; }
figure { margin: 2rem 0; }
figcaption { font-weight: bold; }
svg { width: 100%; height: auto; }
";

#[cfg(test)]
mod tests;
