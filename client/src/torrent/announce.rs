//! The torrent's announces: carried to the first tracker that answers, tier by tier (BEP 12 is the
//! engine's; here is only the asking).

use std::sync::Arc;

use engine::InfoHash;
use engine::peer::Input;
use engine::tracker::{AnnounceError, AnnounceReply, AnnounceRequest, Failure, Retry, Tiers};

use super::Torrent;
use super::peers::Event;
use crate::session::{Alert, Context};
use crate::tracker;

impl Torrent {
    pub(super) fn announce(&mut self, request: AnnounceRequest) {
        while self.announces.try_join_next().is_some() {}
        let Some(tiers) = self.tiers.clone() else {
            let error = AnnounceError::unanswered("there is no tracker");
            self.inputs.push_back(Input::Announced(Err(error)));
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
        reply: Result<Box<AnnounceReply>, AnnounceError>,
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

/// Asks one tracker after the other until one answers. If none does, the peer hears when there will be one to
/// ask, as far as they have said (BEP 31).
async fn ask(
    context: &Arc<Context>,
    torrent: InfoHash,
    mut tiers: Tiers,
    request: &AnnounceRequest,
) -> (Result<Box<AnnounceReply>, AnnounceError>, Tiers) {
    let mut last = AnnounceError::unanswered("every tracker asks to be left alone");
    while let Some(url) = tiers.next(context.clock.now()).map(str::to_owned) {
        let error = match tracker::announce(context, &url, request).await {
            Ok(reply) => {
                tiers.succeeded();
                let warning = reply.warning.clone();
                context.alert(Alert::TrackerReply { torrent, url, peers: reply.peers.len(), warning });
                return (Ok(Box::new(reply)), tiers);
            }
            Err(error) => error,
        };
        context.alert(Alert::TrackerError { torrent, url, error: error.to_string() });
        last = error.into();
        tiers.failed(context.clock.now(), last.retry());
    }
    let retry = tiers.retry(context.clock.now());
    let reason = match last {
        _ if retry == Retry::Unsaid => return (Err(AnnounceError::Unanswered(last.to_string())), tiers),
        AnnounceError::Refused(failure) => failure.reason,
        AnnounceError::Unanswered(reason) => reason,
    };
    (Err(Failure { reason, retry }.into()), tiers)
}
