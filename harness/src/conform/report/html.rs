//! The matrix of clients and cases as one HTML page that needs nothing else.

use std::fmt::Write as _;

use super::{escaped, sections, seen};
use crate::conform::run::Result;
use crate::conform::suite::Report;

const STYLE: &str = "body{font:14px/1.4 sans-serif;margin:2em}table{border-collapse:collapse}\
td,th{border:1px solid #ccc;padding:.2em .5em;text-align:left;vertical-align:top}th{position:sticky;top:0;background:#fff}\
.pass{background:#e6f4e6}.info{background:#eef3fa}.warn{background:#fdf3d0}.fail,.crash,.hang{background:#f8d7d7}\
.stuck{background:#e8e0ee}.skip{color:#999}code{font-size:13px}small{color:#555}";

/// See the module.
pub fn html(reports: &[Report]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Conformance</title><style>{STYLE}</style>\n\
         <h1>Conformance</h1>\n"
    );
    // Writing to a string cannot fail.
    for report in reports {
        let _ = write!(out, "<p><b>{}</b>: {}", escaped(&report.title()), escaped(&report.summary()));
        for made in &report.made {
            let (date, by, options) = (escaped(&made.date), escaped(&made.by), escaped(&made.options));
            let _ = write!(out, "<br><small>{date}, swarmlab {by}, <code>{options}</code></small>");
        }
        out.push_str("</p>\n");
    }
    for section in sections(reports) {
        let (name, about) = (escaped(section.name), escaped(section.about));
        let _ = write!(out, "<h2>{name}: {about}</h2>\n<table><tr><th>case<th>");
        for report in reports {
            let _ = write!(out, "<th>{}", escaped(&report.title()));
        }
        out.push('\n');
        for row in section.rows {
            table_row(&mut out, row, reports);
        }
        out.push_str("</table>\n");
    }
    out.push_str("</html>\n");
    out
}

fn table_row(out: &mut String, row: &Result, reports: &[Report]) {
    let _ = write!(
        out,
        "<tr><td><code>{}</code><br><small>{}</small><td>{}",
        escaped(&row.id),
        escaped(&row.description),
        row.requirement
    );
    for report in reports {
        let result = report.results.iter().find(|result| result.id == row.id);
        let _ = match result {
            Some(result) => write!(
                out,
                "<td class=\"{0}\">{0}<br><small>{1}</small>",
                result.verdict.to_string().to_lowercase(),
                escaped(&seen(result))
            ),
            None => write!(out, "<td>"),
        };
    }
    out.push('\n');
}
