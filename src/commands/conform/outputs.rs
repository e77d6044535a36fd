//! The files that results are written to.

use std::io::Write;
use std::path::Path;

use harness::conform::report;
use harness::conform::suite::Report;

use crate::cli::Conform;
use crate::failure::Failure;
use crate::files;
use crate::output::{counted, note};

type Form = fn(&[Report]) -> Result<String, Failure>;

/// What was asked for, each in its form, at a path or `-` for standard output.
pub struct Outputs<'a> {
    forms: Vec<(&'a Path, Form)>,
    json: Option<&'a Path>,
}

fn json(reports: &[Report]) -> Result<String, Failure> {
    report::json(reports).map_err(|error| Failure::Io(format!("cannot make JSON: {error}")))
}

fn is_bare(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl<'a> Outputs<'a> {
    /// Sees that each can be written: better now than when the work is done.
    pub fn of(args: &'a Conform) -> Result<Self, Failure> {
        let all: [(&Option<_>, Form); 4] = [
            (&args.json, json),
            (&args.junit, |reports| Ok(report::junit(reports))),
            (&args.markdown, |reports| Ok(report::markdown(reports))),
            (&args.html, |reports| Ok(report::html(reports))),
        ];
        let forms = all.into_iter().filter_map(|(path, form)| Some((path.as_deref()?, form)));
        let forms: Vec<(&Path, Form)> = forms.collect();
        for (at, (path, _)) in forms.iter().enumerate() {
            if forms[..at].iter().any(|(earlier, _)| earlier == path) {
                let what = if is_bare(path) { "standard output".into() } else { path.display().to_string() };
                return Err(Failure::input(format!("two forms of the results are to go to {what}")));
            }
            if !is_bare(path) {
                files::writable(path)?;
            }
        }
        let json = args.json.as_deref().filter(|path| !is_bare(path));
        Ok(Self { forms, json })
    }

    /// Whether nothing but results is to be printed.
    pub fn is_bare(&self) -> bool {
        self.forms.iter().any(|(path, _)| is_bare(path))
    }

    /// Writes what there is so far: as JSON, from which every other form can be made.
    pub fn keep(&self, reports: &[Report]) -> Result<(), Failure> {
        match self.json {
            Some(path) => files::replace(path, json(reports)?.as_bytes()),
            None => Ok(()),
        }
    }

    /// Writes all.
    pub fn write(&self, reports: &[Report], out: &mut impl Write, quiet: bool) -> Result<(), Failure> {
        for (path, form) in &self.forms {
            let text = form(reports)?;
            if is_bare(path) {
                out.write_all(text.as_bytes())?;
                continue;
            }
            files::replace(path, text.as_bytes())?;
            if !quiet {
                note(&format!("{}: results of {}", path.display(), counted(reports.len() as u64, "client")));
            }
        }
        Ok(())
    }
}
