//! Whom `conform` and `fuzz` test: what is typed is read, and looked at before anything is begun, so that what is not
//! there is one error and not one for each case.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;

use harness::conform::subject::Subject;
use harness::launch::{Client, Net, SetupError, With};
use harness::probe::{self, Absent};

use crate::failure::Failure;
use crate::files;
use crate::output::safe;

/// A setup file.
pub fn setup(path: &Path) -> Result<Client, Failure> {
    Client::read(path).map_err(|error| match error {
        SetupError::Read { error, .. } => Failure::unreadable(path, &error),
        error => Failure::input(error.to_string().trim_end().to_owned()),
    })
}

/// The torrent that a seed is to have.
pub fn torrent(path: &Path) -> Result<Subject, Failure> {
    let bytes = files::read(path, engine::metainfo::MAX_TORRENT as u64)?;
    Subject::foreign(bytes).map_err(|error| Failure::input(format!("{}: {error}", path.display())))
}

/// The seed of a torrent at `HOST:PORT`: of the addresses that a name has, the first at which one answers.
pub fn seed(address: &str, subject: &Subject, net: &Net) -> Result<SocketAddr, Failure> {
    let unknown = |why: String| {
        let why = safe(&format!("{address}: {why}"));
        Failure::input(why)
            .help("an address is HOST:PORT, as in 127.0.0.1:6881, [::1]:6881 or localhost:6881")
    };
    let mut absent = None;
    for addr in address.to_socket_addrs().map_err(|error| unknown(error.to_string()))? {
        match probe::seed(addr, subject, net) {
            Ok(()) => return Ok(addr),
            // Of one that is there, rather than of one where nobody is.
            Err(why @ Absent::Odd(..)) => absent = Some(why),
            Err(why) => absent = absent.or(Some(why)),
        }
    }
    Err(absent.map_or_else(|| unknown("the name has no address".to_owned()), failure))
}

/// Whether a client starts as its setup file says, in one of these roles at least.
pub fn starts(client: &Client, roles: &[With], net: &Net) -> Result<(), Failure> {
    probe::client(client, roles, net).map_err(failure)
}

fn failure(absent: Absent) -> Failure {
    let lines = absent.to_string();
    let lines: Vec<String> = lines.lines().map(safe).collect();
    Failure::input(lines.join("\n  ")).help(absent.help())
}
