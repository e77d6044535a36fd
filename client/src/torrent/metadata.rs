//! A torrent that is known by its info-hash alone: its info dictionary comes from resume data, or from peers
//! (BEP 9). The fetch goes on while files are checked, and hands its connections to the peer then.

use std::sync::Arc;

use engine::metadata::{Fetch, FetchConfig};
use engine::peer::Input;
use engine::{InfoHash, Metainfo};

use super::check::Check;
use super::files::Done;
use super::machine::Machine;
use super::{Content, Torrent};
use crate::session::{Alert, Closed, TorrentState};
use crate::storage::ResumeData;

impl Torrent {
    /// Looks for the info dictionary in resume data first.
    pub(super) fn find_metadata(&mut self, resume: Option<ResumeData>) {
        let context = self.context.clone();
        let (info_hash, done, root) = (self.info_hash, self.done_to.clone(), self.save_path.clone());
        self.check = Some(Check::default());
        self.set_state(TorrentState::CheckingResumeData);
        self.jobs += 1;
        self.context.disk.run(0, move || {
            // What cannot be read is as good as nothing: the dictionary comes from peers then.
            let saved = || {
                let folder = context.settings.resume_folder.as_ref()?;
                ResumeData::load(&ResumeData::path(folder, info_hash)).ok()?
            };
            let resume = resume.or_else(saved).filter(|resume| resume.info_hash == info_hash);
            let info = resume.as_ref().and_then(|resume| resume.info.clone());
            let metainfo = info.filter(|info| InfoHash::of(info) == info_hash);
            let metainfo = metainfo.and_then(|info| Metainfo::from_info(&info).ok());
            let content = metainfo.and_then(|metainfo| Content::new(metainfo, &root, &context.open).ok());
            // A torrent that is gone needs to know nothing.
            let _ = done.send(Done::Loaded { resume: resume.map(Box::new), content: content.map(Box::new) });
        });
    }

    pub(super) fn on_loaded(&mut self, resume: Option<Box<ResumeData>>, content: Option<Box<Content>>) {
        self.check = None;
        if let Some(content) = content {
            self.content = Some(*content);
            return self.look(resume.map(|resume| *resume), false);
        }
        self.fetch_metadata();
    }

    /// Asks peers for it.
    pub(super) fn fetch_metadata(&mut self) {
        self.set_state(TorrentState::DownloadingMetadata);
        let config = FetchConfig::new(Arc::new(self.peer_config()));
        let seed = self.context.seed_of(self.info_hash).derive("fetch", self.epoch);
        let fetch = Fetch::new(self.info_hash, config, self.identity(), &self.known, seed);
        self.machine = Machine::Fetch(Box::new(fetch));
        if !self.paused {
            self.feed(Input::Start);
        }
    }

    /// Whether the fetch has got it by now: then files are looked at.
    pub(super) fn look_for_metadata(&mut self) {
        let Machine::Fetch(fetch) = &self.machine else { return };
        let Some(info) = fetch.info().filter(|_| self.content.is_none()) else { return };
        let content = Metainfo::from_info(info).map_err(|error| error.to_string()).and_then(|metainfo| {
            let content = Content::new(metainfo, &self.save_path, &self.context.open);
            content.map_err(|error| error.to_string())
        });
        match content {
            Ok(content) => {
                self.content = Some(content);
                self.dirty = true;
                self.alert(Alert::MetadataReceived(self.info_hash));
                self.look(None, false);
            }
            Err(error) => {
                self.alert(Alert::MetadataFailed(self.info_hash, error.clone()));
                self.error = Some(error);
                self.drop_peer();
                self.paused = true;
                self.alert(Alert::Paused(self.info_hash));
            }
        }
    }

    /// The peer takes over from the fetch, connections and all.
    pub(super) fn go_on_from(&mut self, fetch: Fetch) {
        let private = self.content.as_ref().is_some_and(|content| content.metainfo.private);
        let (handover, closed) = fetch.hand_over(private);
        for conn in closed {
            self.close(conn, Closed::NotOfTracker);
        }
        self.make_peer();
        self.feed(Input::Start);
        let now = self.context.clock.now();
        if let Machine::Peer(peer) = &mut self.machine {
            peer.take_over(now, handover);
        }
        self.drain();
        let peers = self.known.clone();
        self.feed(Input::Named { peers });
    }
}
