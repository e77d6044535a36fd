//! The little of HTTP and SCGI that clients' remote controls need.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Outcome;

/// The longest a remote control may take to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// An answer over HTTP.
pub struct Reply {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Reply {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &'_ str| -> bool {
            line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name))
        };
        let found = self.head.lines().find(|at| line(at))?;
        found.split_once(':').map(|(_, value)| value.trim())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a request and reads until the other end closes, or what came is `whole`.
fn exchange(addr: SocketAddr, request: &[u8], whole: fn(&[u8]) -> bool) -> Outcome<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&addr, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(request)?;
    let (mut answer, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    while !whole(&answer) {
        match stream.read(&mut buffer)? {
            0 => break,
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(answer)
}

/// Asks by HTTP/1.0: `POST` if there is a body. `headers` are whole lines.
pub fn http(addr: SocketAddr, path: &str, headers: &[String], body: Option<&[u8]>) -> Outcome<Reply> {
    let method = if body.is_some() { "POST" } else { "GET" };
    let body = body.unwrap_or_default();
    let mut request =
        format!("{method} {path} HTTP/1.0\r\nHost: {addr}\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        request += header;
        request += "\r\n";
    }
    // Some keep the connection open for seconds all the same.
    let whole = |answer: &[u8]| reply(answer).is_ok_and(|(_, whole)| whole);
    let answer = exchange(addr, &[request.as_bytes(), b"\r\n", body].concat(), whole)?;
    Ok(reply(&answer)?.0)
}

/// An answer, and whether it is known to be all of it.
fn reply(answer: &[u8]) -> Outcome<(Reply, bool)> {
    let split = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no HTTP answer")?;
    let head = String::from_utf8_lossy(&answer[..split]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no HTTP status")?;
    let mut reply = Reply { status, head, body: answer[split + 4..].to_vec() };
    if reply.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        reply.body = unchunk(&reply.body).ok_or("broken chunks")?;
        return Ok((reply, true));
    }
    let length = reply.header("content-length").and_then(|length| length.parse().ok());
    let whole = length.is_some_and(|length: usize| reply.body.len() >= length);
    Ok((reply, whole))
}

/// A body that came in chunks although HTTP/1.0 knows none.
fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(all);
        }
        let from = line + 2;
        all.extend_from_slice(rest.get(from..from + length)?);
        rest = rest.get(from + length + 2..)?;
    }
}

/// Asks by SCGI; the answer's body.
pub fn scgi(addr: SocketAddr, body: &str) -> Outcome<String> {
    let head = format!("CONTENT_LENGTH\0{}\0SCGI\x001\0", body.len());
    let answer = exchange(addr, format!("{}:{head},{body}", head.len()).as_bytes(), |_| false)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    Ok(answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned())
}

/// Base64, for the torrents that go to remote controls.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4u32 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i as usize <= three.len() { digit.into() } else { '=' });
        }
    }
    text
}

/// A text for a URL's query.
pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
