//! `validate`: holds the shipped scenarios to what theory and papers say of them, at full size.

use std::io::Write;
use std::sync::atomic::Ordering;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressStyle};
use simulator::RunError;
use simulator::validate::{self, Bench, Row, StudyError, Verdict};

use super::Outcome;
use crate::cli::Validate;
use crate::failure::{Exit, Failure};
use crate::output::note;
use crate::stop;

/// The width of the table where the terminal does not say.
const WIDTH: u16 = 100;

pub fn validate(args: &Validate, out: &mut impl Write) -> Outcome {
    let subjects: Vec<&str> = validate::subjects().collect();
    if let Some(unknown) = args.subjects.iter().find(|name| !subjects.contains(&name.as_str())) {
        let known = subjects.join(", ");
        return Err(Failure::input(format!(
            "there is no claim about `{unknown}`: there are some about {known}"
        )));
    }
    let chosen =
        subjects.iter().filter(|name| args.subjects.is_empty() || args.subjects.iter().any(|s| s == *name));
    let stop = stop::watch();
    let bar = bar(args.quiet);
    let progress = |what: &str, done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        bar.set_message(what.to_string());
        !stop.load(Ordering::Relaxed)
    };
    let bench = Bench {
        seeds: args.seeds.into(),
        seed: args.seed.unwrap_or(validate::SEED),
        jobs: super::jobs(&args.jobs),
        progress: &progress,
    };
    let mut verdicts = Vec::new();
    for subject in chosen {
        let rows = match validate::validate(subject, &bench, &[]) {
            Ok(rows) => rows,
            Err(StudyError::Run(RunError::Interrupted)) => {
                bar.finish_and_clear();
                note("interrupted: what is printed above stands");
                return Ok(Exit::Interrupted);
            }
            Err(error) => return Err(Failure::input(error.to_string())),
        };
        verdicts.extend(rows.iter().map(Row::verdict));
        bar.suspend(|| writeln!(out, "{}\n", table(&rows)).and_then(|()| out.flush()))?;
    }
    bar.finish_and_clear();
    writeln!(out, "{}", summed_up(&verdicts))?;
    // Inconclusive is no yes either: who relies on the exit code must not take it for one.
    Ok(if verdicts.iter().all(|verdict| *verdict == Verdict::Met) { Exit::Ok } else { Exit::Failed })
}

/// How many claims came out how.
fn summed_up(verdicts: &[Verdict]) -> String {
    let of = |wanted: Verdict| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    let met = of(Verdict::Met);
    if met == verdicts.len() {
        return "all met".to_owned();
    }
    let words = [
        (met, "met"),
        (of(Verdict::Missed), "missed"),
        (of(Verdict::Blind), "blind: the control holds as well"),
        (of(Verdict::Inconclusive), "inconclusive: more --seeds may decide"),
    ];
    let parts = words.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
    parts.collect::<Vec<_>>().join("; ")
}

fn bar(quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} runs, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    table.set_header(["verdict", "claim", "measured", "threshold", "control, which must fail"]);
    for row in rows {
        let control = match row.control_found.holds {
            true => format!("{}: {} (holds!)", row.control, row.control_found.measured),
            false => format!("{}: {}", row.control, row.control_found.measured),
        };
        let claim = format!("{}: {} ({})", row.id, row.claim, row.source);
        let verdict = row.verdict().to_string();
        table.add_row([verdict.as_str(), &claim, &row.found.measured, row.threshold, &control]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_summed_up() {
        use Verdict::{Inconclusive, Met, Missed};
        assert_eq!(summed_up(&[Met, Met]), "all met");
        assert_eq!(
            summed_up(&[Inconclusive, Met, Missed, Inconclusive]),
            "1 met; 1 missed; 2 inconclusive: more --seeds may decide"
        );
    }
}
