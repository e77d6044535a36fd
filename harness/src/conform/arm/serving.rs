//! Trackers of ours on sockets, a thread for each: they answer by themselves, or hand what they are asked to the
//! case.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Answer, Question};

/// Between two looks at whether it is over.
const LOOK: Duration = Duration::from_millis(20);
/// How long a request may take to come.
const REQUEST: Duration = Duration::from_secs(5);
/// So many questions wait for the case; who asks on without end is not heard.
const MOST_WAITING: usize = 1000;
/// The longest request that is read, in bytes.
const MOST: usize = 16 << 10;

/// How trackers behave.
#[derive(Clone, Debug)]
pub enum Style {
    /// Every announce over HTTP has this body for an answer.
    Tells(Vec<u8>),
    /// The case answers, over HTTP.
    Http,
    /// The case answers, over UDP.
    Udp,
}

/// Where an answer goes.
#[derive(Debug)]
pub enum Ticket {
    /// Taken by the one who answers.
    Http(Option<TcpStream>),
    /// Whom to send to, and from which socket.
    Udp(SocketAddr, UdpSocket),
}

type Given = (usize, Question, Ticket);

/// See the module.
pub struct Server {
    urls: Vec<String>,
    questions: Receiver<Given>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// So many trackers at an address of ours, each at a port of its own.
    pub fn start(at: Ipv4Addr, many: usize, style: Style) -> io::Result<Self> {
        let (sender, questions) = sync_channel(MOST_WAITING);
        let over = Arc::new(AtomicBool::new(false));
        let (mut urls, mut threads) = (Vec::new(), Vec::new());
        for number in 0..many {
            let (sender, over) = (sender.clone(), over.clone());
            if matches!(style, Style::Udp) {
                let socket = UdpSocket::bind((at, 0))?;
                socket.set_read_timeout(Some(LOOK))?;
                urls.push(format!("udp://{}/announce", socket.local_addr()?));
                threads.push(std::thread::spawn(move || packets(number, &socket, &sender, &over)));
            } else {
                let listener = TcpListener::bind((at, 0))?;
                listener.set_nonblocking(true)?;
                urls.push(format!("http://{}/announce", listener.local_addr()?));
                let style = style.clone();
                threads.push(std::thread::spawn(move || requests(number, &listener, &style, &sender, &over)));
            }
        }
        Ok(Self { urls, questions, over, threads })
    }

    /// Their URLs.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// The next question: which tracker was asked, what, and where the answer goes.
    pub fn next(&self, within: Duration) -> Option<Given> {
        self.questions.recv_timeout(within).ok()
    }

    /// Answers. Who is gone hears nothing.
    pub fn answer(&self, ticket: &mut Ticket, answer: Answer) {
        match (ticket, answer) {
            (Ticket::Http(stream), Answer::Body(body)) => {
                if let Some(stream) = stream.take() {
                    respond(stream, &response(&body));
                }
            }
            (Ticket::Http(stream), Answer::Raw(bytes)) => {
                if let Some(stream) = stream.take() {
                    respond(stream, &bytes);
                }
            }
            (Ticket::Udp(to, socket), Answer::Packet(packet)) => {
                let _ = socket.send_to(&packet, *to);
            }
            (Ticket::Udp(to, socket), Answer::Astray(packet)) => {
                let other = socket.local_addr().and_then(|addr| UdpSocket::bind((addr.ip(), 0)));
                if let Ok(other) = other {
                    let _ = other.send_to(&packet, *to);
                }
            }
            _ => {}
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread of ours that failed has nothing more to say.
            let _ = thread.join();
        }
    }
}

fn response(body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn respond(mut stream: TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

fn packets(number: usize, socket: &UdpSocket, sender: &SyncSender<Given>, over: &AtomicBool) {
    let mut buffer = [0; 4096];
    while !over.load(Ordering::Relaxed) {
        let Ok((read, from)) = socket.recv_from(&mut buffer) else { continue };
        let Ok(socket) = socket.try_clone() else { return };
        let given = (number, Question::Udp(buffer[..read].to_vec()), Ticket::Udp(from, socket));
        if let Err(TrySendError::Disconnected(_)) = sender.try_send(given) {
            return;
        }
    }
}

fn requests(
    number: usize,
    listener: &TcpListener,
    style: &Style,
    sender: &SyncSender<Given>,
    over: &AtomicBool,
) {
    while !over.load(Ordering::Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(LOOK);
            continue;
        };
        let Some((stream, path)) = request(stream) else { continue };
        // What it wants to know of the swarm (BEP 48) is of no interest here.
        if path.starts_with("/scrape") {
            respond(stream, &response(b"d5:filesdee"));
            continue;
        }
        match style {
            Style::Tells(body) => respond(stream, &response(body)),
            Style::Http | Style::Udp => {
                let given = (number, Question::Http(path), Ticket::Http(Some(stream)));
                if let Err(TrySendError::Disconnected(_)) = sender.try_send(given) {
                    return;
                }
            }
        }
    }
}

/// Reads the head of a request: its path and query.
fn request(mut stream: TcpStream) -> Option<(TcpStream, String)> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(REQUEST)).ok()?;
    stream.set_write_timeout(Some(REQUEST)).ok()?;
    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).ok().filter(|&read| read > 0 && head.len() < MOST)?;
        head.extend_from_slice(&buffer[..read]);
    }
    let text = String::from_utf8_lossy(&head);
    let path = text.strip_prefix("GET ")?.split(' ').next()?.to_owned();
    Some((stream, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_without_end_is_not_kept_without_end() {
        let server = Server::start(Ipv4Addr::LOCALHOST, 1, Style::Udp).unwrap();
        let addr = server.urls()[0].trim_start_matches("udp://").trim_end_matches("/announce").to_owned();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for number in 0..2 * MOST_WAITING {
            socket.send_to(&number.to_be_bytes(), &addr).unwrap();
            if number % 50 == 0 {
                // So that the system drops none of them.
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        std::thread::sleep(LOOK);
        let waiting = std::iter::from_fn(|| server.questions.try_recv().ok()).count();
        assert!((1..=MOST_WAITING).contains(&waiting), "{waiting}");
    }
}
