//! Dialogues of which the engine does not come to an end, within one call that nobody can interrupt: each is held in a
//! process of its own, which can be ended.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::clock::Clock;
use harness::fuzz::{Arm, Dialogue, Finding};
use tempfile::NamedTempFile;

/// How long a dialogue may take there: most take milliseconds.
const LIMIT: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);
/// The most candidates that are held.
const TRIES: u32 = 100;

/// This program, called once for each dialogue.
pub struct Processes {
    program: PathBuf,
    limit: Duration,
    /// Where the dialogue goes: made for it, so that nobody else can have put something under its name.
    file: NamedTempFile,
}

impl Processes {
    /// This program, wherever it is.
    pub fn new() -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        Self::of(program, LIMIT).map_err(|error| error.to_string())
    }

    fn of(program: PathBuf, limit: Duration) -> std::io::Result<Self> {
        let file = tempfile::Builder::new().prefix("swarmlab-").suffix(".dialogue").tempfile()?;
        Ok(Self { program, limit, file })
    }

    /// Whether it ends in time.
    fn ends(&self, child: &mut Child) -> Result<bool, std::io::Error> {
        let clock = Clock::start();
        loop {
            if child.try_wait()?.is_some() {
                return Ok(true);
            }
            if clock.past(self.limit) {
                child.kill()?;
                child.wait()?;
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Arm for Processes {
    fn hold(&mut self, dialogue: &Dialogue) -> Result<Option<Finding>, String> {
        let held = || {
            std::fs::write(self.file.path(), dialogue.to_string())?;
            let mut command = Command::new(&self.program);
            command.args(["fuzz", "--quiet", "--replay"]).arg(self.file.path());
            let mut child =
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            self.ends(&mut child)
        };
        match held() {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some(Finding::Hang)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn tries(&self, _: &Finding) -> u32 {
        TRIES
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use harness::fuzz::{Campaign, campaign};

    use super::*;

    #[test]
    fn what_hangs_is_cut_down_to_what_makes_it_hang() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("engine");
        // Hangs on whatever has a cancel in it.
        let script = "#!/bin/sh\nif grep -q ' cancel ' \"$4\"; then exec sleep 600; fi\n";
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let drawn = (0..1000).filter_map(|number| Campaign::new(3).draw(number));
        let mut drawn = drawn.filter(|drawn| drawn.to_string().contains(" cancel ") && drawn.steps.len() > 5);
        let drawn = drawn.next().unwrap();
        let mut processes = Processes::of(program, Duration::from_millis(500)).unwrap();
        let found = campaign::cut(0, drawn, Finding::Hang, &mut processes, |_| true);
        assert_eq!(found.shrunk.steps.len(), 1, "{}", found.shrunk);
        assert!(found.shrunk.to_string().contains(" cancel "));
    }
}
