//! Where a dialogue is held: what its steps are to an arm. Each arm says how a remote dials, sends and waits; what a step
//! means is the same in both.

use std::sync::Arc;
use std::time::Duration;

use super::dialogue::{Act, Await, REMOTES, Serve, Step};
use super::remote::Remote;
use super::subject::Subject;

/// See the module. Remotes are numbered from 1 to [`REMOTES`].
pub(super) trait Stage {
    /// The torrent.
    fn subject(&self) -> Arc<Subject>;
    /// A remote's end.
    fn remote(&mut self, number: u8) -> &mut Remote;
    /// Whether a remote has a connection to the peer.
    fn is_open(&mut self, number: u8) -> bool;
    /// Whether nothing more is to be done: something was found, or there is no time left.
    fn is_over(&self) -> bool;
    /// A remote dials.
    fn connect(&mut self, number: u8);
    /// A remote hangs up.
    fn close(&mut self, number: u8);
    /// A remote sends bytes, in slices of so many; 0: at once.
    fn send(&mut self, number: u8, bytes: &[u8], slice: u16);
    /// Lets time pass, or until `done`.
    fn wait(&mut self, time: Duration, done: impl FnMut(&mut Self) -> bool);
    /// The longest wait for what is awaited.
    fn patience(&self) -> Duration;
    /// The longest wait for a request that is to be served so.
    fn serves(&self, how: Serve) -> Duration;
    /// Notes whether what was awaited came.
    fn awaited(&mut self, _came: bool) {}
    /// A request is about to be waited for and served.
    fn turn(&mut self) {}

    /// Does a step, but for the wait before it.
    fn act(&mut self, step: &Step) {
        let number = step.remote.clamp(1, REMOTES);
        match &step.act {
            Act::Close => return self.close(number),
            Act::Await(what) => return self.wait_for(number, *what),
            Act::Serve { count, how } => return self.serve(number, *count, *how),
            _ => {}
        }
        if !self.is_open(number) {
            // Who was closed has to dial again before it can say anything.
            let first = !std::mem::replace(&mut self.remote(number).came, true);
            if first || matches!(step.act, Act::Connect) {
                self.connect(number);
            }
        }
        let bytes = step.act.bytes(&self.subject());
        self.send(number, &bytes, step.slice);
    }

    /// [`Act::Await`].
    fn wait_for(&mut self, number: u8, what: Await) {
        let mut came = false;
        self.wait(self.patience(), |stage| {
            came = came || stage.remote(number).awaited(what);
            // Who is closed hears nothing more.
            came || !stage.is_open(number)
        });
        self.awaited(came);
    }

    /// [`Act::Serve`].
    fn serve(&mut self, number: u8, count: u16, how: Serve) {
        for _ in 0..count {
            self.turn();
            self.wait(self.serves(how), |stage| stage.remote(number).is_asked() || !stage.is_open(number));
            if self.is_over() || !self.is_open(number) {
                return;
            }
            let subject = self.subject();
            let Some(bytes) = self.remote(number).serve(how, &subject) else { return };
            self.send(number, &bytes, 0);
        }
    }
}
