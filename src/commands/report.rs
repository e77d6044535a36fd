//! `report`: a record's files and summary again.

use std::io::Write;
use std::path::Path;

use super::Outcome;
use crate::cli::Report;
use crate::failure::{Exit, Failure};
use crate::files;

pub fn report(args: &Report, out: &mut impl Write) -> Outcome {
    let record = files::read_record(&args.record)?;
    let path = files::record_path(&args.record);
    let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // What is drawn beside a record is of `record.json`.
    let taken = args.out.is_none() && !path.ends_with(files::RECORD) && beside.join(files::RECORD).exists();
    if taken {
        let message =
            format!("the tables and charts in {} are of the {} there", beside.display(), files::RECORD);
        let help = format!("say with --out where those of {} are to go", path.display());
        return Err(Failure::Input(message, Some(help)));
    }
    let written = reports::write(&record, args.out.as_deref().unwrap_or(beside))?;
    if !args.quiet {
        writeln!(out, "{}", reports::table::summary(&record))?;
        written.iter().try_for_each(|path| writeln!(out, "{}", path.display()))?;
    }
    Ok(Exit::Ok)
}
