//! A request over HTTP to a client's control port.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::place::Place;
use super::setup::Step;
use super::template::{Values, shown};

/// The longest it may take to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const MOST: u64 = 1 << 20;

/// Asks, and judges the answer. `Err`: what was wrong with it.
pub(super) fn ask(step: &Step, place: &Place, values: &Values) -> Result<(), String> {
    let filled = |text: &String| values.fill(text).map_err(|error| error.to_string());
    let path = filled(&step.path)?;
    let mut headers = step.headers.iter().map(filled).collect::<Result<Vec<_>, _>>()?;
    let body = step.body.as_ref().map(filled).transpose()?;
    let mut answer = exchange(place.control(), &path, &headers, body.as_deref())?;
    if let Some(token) = step.token.as_ref().filter(|_| answer.status == 409) {
        let value = answer.header(token).ok_or_else(|| format!("no {token} in its answer"))?;
        headers.push(format!("{token}: {value}"));
        answer = exchange(place.control(), &path, &headers, body.as_deref())?;
    }
    let expected = step.expect.as_deref().is_none_or(|text| answer.text.contains(text));
    match (200..300).contains(&answer.status) && expected {
        true => Ok(()),
        false => Err(format!("{path}: {}", shown(&answer.text))),
    }
}

struct Reply {
    status: u16,
    /// Head and body.
    text: String,
}

impl Reply {
    fn header(&self, name: &str) -> Option<String> {
        let lines = self.text.lines().take_while(|line| !line.is_empty());
        let mut pairs = lines.filter_map(|line| line.split_once(':'));
        let (_, value) = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value.trim().to_owned())
    }
}

/// HTTP/1.0: the answer ends with the connection.
fn exchange(addr: SocketAddr, path: &str, headers: &[String], body: Option<&str>) -> Result<Reply, String> {
    let method = if body.is_some() { "POST" } else { "GET" };
    let body = body.unwrap_or_default();
    let mut request =
        format!("{method} {path} HTTP/1.0\r\nHost: {addr}\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request.push_str(body);
    let talk = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&addr, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(MOST).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = talk().map_err(|error| format!("{addr}: {error}"))?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(Reply { status: status.ok_or("its answer is no HTTP")?, text })
}
