//! What a tracker is told: `started` first, `completed` once and by who has completed, `stopped` last, one announce at
//! a time.

use engine::Bitfield;
use engine::peer::{Input, Output};
use engine::tracker::Event;

use super::{Checker, Sight};

#[derive(Clone, Copy, Debug, Default)]
struct Said {
    under_way: bool,
    announced: bool,
    began_complete: bool,
    /// `completed` has been said and no failure has come since.
    completed_heard: bool,
    stops: bool,
    stopped: bool,
}

pub(super) struct Announces {
    said: Vec<Said>,
}

impl Announces {
    pub fn new(peers: usize) -> Self {
        Self { said: vec![Said::default(); peers] }
    }
}

impl Checker for Announces {
    fn name(&self) -> &'static str {
        "tracker"
    }

    fn began(&mut self, sight: Sight<'_>, have: &Bitfield, _: &mut Vec<String>) {
        self.said[sight.peer] = Said { began_complete: have.is_full(), ..Said::default() };
    }

    fn input(&mut self, sight: Sight<'_>, input: &Input, _: &mut Vec<String>) {
        let said = &mut self.said[sight.peer];
        match input {
            Input::Announced(reply) => {
                said.under_way = false;
                said.completed_heard &= reply.is_ok();
            }
            Input::Stop => said.stops = true,
            _ => {}
        }
    }

    fn output(&mut self, sight: Sight<'_>, output: &Output, out: &mut Vec<String>) {
        let Output::Announce(request) = output else { return };
        let said = &mut self.said[sight.peer];
        if said.under_way && request.event != Event::Stopped {
            out.push("asks the tracker before it has answered".into());
        }
        if !said.announced && request.event != Event::Started {
            out.push("begins to announce without `started`".into());
        }
        if request.event == Event::Completed {
            if said.began_complete || !sight.table.is_complete() {
                out.push("tells the tracker that it has completed, and has not".into());
            }
            if std::mem::replace(&mut said.completed_heard, true) {
                out.push("tells the tracker twice that it has completed".into());
            }
        }
        said.stopped |= request.event == Event::Stopped;
        said.announced = true;
        said.under_way = true;
    }

    fn settled(&mut self, sight: Sight<'_>, out: &mut Vec<String>) {
        let said = &mut self.said[sight.peer];
        if std::mem::take(&mut said.stops) && said.announced && !said.stopped {
            out.push("leaves and does not tell the tracker".into());
        }
    }
}
