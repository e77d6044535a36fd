//! `report`: a record's files and summary again.

use std::io::Write;
use std::path::Path;

use super::Outcome;
use crate::cli::Report;
use crate::failure::Exit;
use crate::files;

pub fn report(args: &Report, out: &mut impl Write) -> Outcome {
    let record = files::read_record(&args.record)?;
    let path = files::record_path(&args.record);
    let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = reports::write(&record, args.out.as_deref().unwrap_or(beside))?;
    if !args.quiet {
        writeln!(out, "{}", reports::table::summary(&record))?;
        written.iter().try_for_each(|path| writeln!(out, "{}", path.display()))?;
    }
    Ok(Exit::Ok)
}
