//! Dialling, from the address that is to be seen.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream, lookup_host};

/// Dials `addr`, from the address among `from` that is of its family, if there is one.
pub(crate) async fn connect(addr: SocketAddr, from: &[IpAddr]) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(&ip) = from.iter().find(|ip| ip.is_ipv4() == addr.is_ipv4()) {
        socket.bind(SocketAddr::new(ip, 0))?;
    }
    socket.connect(addr).await
}

/// Dials a host by name or address: one address after the other, until one answers.
pub(crate) async fn connect_host(host: &str, port: u16, from: &[IpAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for addr in lookup_host((host, port)).await? {
        match connect(addr, from).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
