//! A network and a process namespace of our own: nothing that a client sends can leave, and none outlives us.

use std::process::{Command, ExitCode};

use crate::lab::IN_ISOLATION;
use crate::process::find;

/// The loopback device of a new network is down and knows 127.0.0.0/8 alone. With a network of its own on top,
/// each client has an address that none takes for its own machine.
const PREPARE: &str = "ip link set lo up && ip addr add 10.77.0.1/16 dev lo && exec \"$0\" \"$@\"";

/// Runs this program again where nothing can leave, and gives its end; `None`: it is there already, or the system
/// does not allow it.
pub fn enter() -> Option<ExitCode> {
    if std::env::var_os(IN_ISOLATION).is_some() {
        return None;
    }
    let unshare = find("unshare").and_then(|unshare| find("ip").map(|_| unshare)).ok()?;
    let user: &[&str] = match Command::new(&unshare).args(["--net", "true"]).status() {
        Ok(status) if status.success() => &[],
        _ => &["--map-root-user"],
    };
    let isolated = || {
        let mut command = Command::new(&unshare);
        command.args(user).args([
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--",
            "sh",
            "-c",
        ]);
        command.arg(PREPARE);
        command
    };
    if !isolated().arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!("no network of our own to be had: on the machine's own loopback device");
        return None;
    }
    let again = isolated()
        .arg(std::env::current_exe().ok()?)
        .args(std::env::args_os().skip(1))
        .env(IN_ISOLATION, std::process::id().to_string())
        .status();
    let code = again.ok()?.code().and_then(|code| u8::try_from(code).ok());
    Some(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
