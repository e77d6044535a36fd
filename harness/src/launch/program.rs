//! Whether the program of a setup file is there, and can be run.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::setup::Client;
use super::template;

/// Looks for the program that a client is started with, as the system would. `Err`: why it cannot be run. What
/// depends on the place of a client, as in `{dir}/mine`, is left to the start itself.
pub fn program(client: &Client) -> Result<(), String> {
    let Some(word) = client.start.command.first() else { return Err("start.command is empty".to_owned()) };
    let Ok(name) = template::fixed(word, client) else { return Ok(()) };
    let path = Path::new(&name);
    if path.is_absolute() {
        return runnable(path).map_err(|why| format!("{name} {why}"));
    }
    if name.contains('/') {
        let whole = "{setup}/";
        return Err(format!(
            "{name} is no whole path, and clients are started in folders of their own: write {whole}{name} for \
             one below the setup file's folder"
        ));
    }
    let own = client.start.env.get("PATH").and_then(|value| template::fixed(value, client).ok());
    let folders = own.map(OsString::from).or_else(|| std::env::var_os("PATH")).unwrap_or_default();
    let mut found = None;
    for folder in std::env::split_paths(&folders) {
        match runnable(&folder.join(&name)) {
            Ok(()) => return Ok(()),
            // Of a file that is there and cannot be run, rather than of those that are not there.
            Err(why) if folder.join(&name).exists() => {
                found = Some(format!("{} {why}", folder.join(&name).display()));
            }
            Err(_) => {}
        }
    }
    Err(found.unwrap_or_else(|| format!("there is no program \"{name}\" in PATH")))
}

fn runnable(path: &Path) -> Result<(), String> {
    match path.metadata() {
        Err(error) => Err(format!("cannot be run: {error}")),
        Ok(data) if data.is_dir() => Err("is a folder, and no program".to_owned()),
        Ok(data) if data.permissions().mode() & 0o111 == 0 => Err("may not be executed".to_owned()),
        Ok(_) => Ok(()),
    }
}
