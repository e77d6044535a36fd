//! The tracker's UDP (BEP 15): a packet in, at most one out.

use std::net::SocketAddr;
use std::sync::Arc;

use engine::tracker::udp::MAX_PACKET;
use tokio::net::UdpSocket;

use super::{Shared, canonical};

/// Answers until it is aborted.
pub(super) async fn serve(socket: UdpSocket, shared: Arc<Shared>) {
    let mut packet = vec![0; MAX_PACKET];
    loop {
        // An error is one of a packet that was sent before; there is always the next.
        let Ok((length, from)) = socket.recv_from(&mut packet).await else { continue };
        if let Some(answer) = answer(&packet[..length], canonical(from), &shared) {
            // A packet that cannot be sent is one that is lost.
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

fn answer(packet: &[u8], from: SocketAddr, shared: &Shared) -> Option<Vec<u8>> {
    let (tracker, rng) = &mut *shared.logic();
    shared.udp.handle(shared.clock.now(), packet, from, tracker, rng)
}
