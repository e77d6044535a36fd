//! The torrent's announces: carried to the first tracker that answers, tier by tier (BEP 12 is the
//! engine's; here is only the asking).

use std::sync::Arc;

use engine::InfoHash;
use engine::peer::Input;
use engine::tracker::{AnnounceReply, AnnounceRequest, Tiers};

use super::Torrent;
use super::peers::Event;
use crate::session::{Alert, Context};
use crate::tracker;

impl Torrent {
    pub(super) fn announce(&mut self, request: AnnounceRequest) {
        while self.announces.try_join_next().is_some() {}
        let Some(tiers) = self.tiers.clone() else {
            self.inputs.push_back(Input::Announced(Err("there is no tracker".to_owned())));
            return;
        };
        let (context, events, torrent) = (self.context.clone(), self.events_to.clone(), self.info_hash);
        self.announced += 1;
        let number = self.announced;
        self.announces.spawn(async move {
            let (reply, tiers) = ask(&context, torrent, tiers, &request).await;
            // A torrent that is gone needs to know nothing.
            let _ = events.send(Event::Announced { number, reply, tiers }).await;
        });
    }

    pub(super) fn on_announced(
        &mut self,
        number: u64,
        reply: Result<Box<AnnounceReply>, String>,
        tiers: Tiers,
    ) {
        self.tiers = Some(tiers);
        // What was asked before the last question is not the answer to that.
        if number != self.announced {
            return;
        }
        if let Ok(reply) = &reply
            && let (Some(seeds), Some(others)) = (reply.complete, reply.incomplete)
        {
            self.swarm = Some((seeds, others));
        }
        self.feed(Input::Announced(reply));
    }
}

/// Asks one tracker after the other until one answers.
async fn ask(
    context: &Arc<Context>,
    torrent: InfoHash,
    mut tiers: Tiers,
    request: &AnnounceRequest,
) -> (Result<Box<AnnounceReply>, String>, Tiers) {
    loop {
        let url = tiers.current().to_owned();
        let error = match tracker::announce(context, &url, request).await {
            Ok(reply) => {
                tiers.succeeded();
                let warning = reply.warning.clone();
                context.alert(Alert::TrackerReply { torrent, url, peers: reply.peers.len(), warning });
                return (Ok(Box::new(reply)), tiers);
            }
            Err(error) => error.to_string(),
        };
        context.alert(Alert::TrackerError { torrent, url, error: error.clone() });
        if !tiers.failed() {
            return (Err(error), tiers);
        }
    }
}
