//! Nobody loses a verified piece, nobody has one that was not verified, and whoever is connected hears of it.

use engine::Bitfield;
use engine::peer::{Event, Input, Output};
use engine::wire::Message;
use simulator::faults::What;

use super::table::Table;
use super::{Case, Checker, Sight};

pub(super) struct Pieces {
    /// What each peer had when it last ended.
    had: Vec<Option<Bitfield>>,
    /// Who has just been told that a piece is good, and must say so: piece, and to how many it did.
    heard: u32,
}

impl Pieces {
    pub fn new(case: &Case) -> Self {
        Self { had: vec![None; case.members.len()], heard: 0 }
    }
}

impl Checker for Pieces {
    fn name(&self) -> &'static str {
        "pieces"
    }

    fn began(&mut self, sight: Sight<'_>, have: &Bitfield, out: &mut Vec<String>) {
        let Some(had) = &self.had[sight.peer] else { return };
        if have.count_missing_from(had) > 0 {
            out.push("came back with pieces that it did not have".into());
        }
        let forgets =
            sight.case.befalls(sight.peer, |what| matches!(what, What::Restart { keep, .. } if *keep < 1.0));
        if !forgets && have != had {
            out.push(format!("came back with {} of its {} saved pieces", have.count(), had.count()));
        }
    }

    fn ended(&mut self, sight: Sight<'_>, _: &mut Vec<String>) {
        self.had[sight.peer] = sight.table.good.clone();
    }

    fn input(&mut self, _: Sight<'_>, input: &Input, _: &mut Vec<String>) {
        if let Input::PieceVerified { .. } = input {
            self.heard = 0;
        }
    }

    fn output(&mut self, sight: Sight<'_>, output: &Output, out: &mut Vec<String>) {
        if !sight.case.honest(sight.peer) {
            return;
        }
        let layout = &sight.case.layout;
        let has = |piece: u32| sight.table.has(piece, layout);
        match output {
            Output::Send { message: Message::Request(raw), .. } if has(raw.piece) => {
                out.push(format!("asks for piece {}, which it has verified", raw.piece));
            }
            Output::WriteBlock { block, .. } if has(block.piece().get()) => {
                out.push(format!("writes over the verified piece {}", block.piece().get()));
            }
            Output::VerifyPiece { piece } if has(piece.get()) => {
                out.push(format!("verifies piece {} again", piece.get()));
            }
            Output::ReadBlock { block, .. } if !has(block.piece().get()) => {
                out.push(format!("reads of piece {}, which is not verified", block.piece().get()));
            }
            Output::Send { message: Message::Have(piece), .. } => {
                if !has(*piece) {
                    out.push(format!("says that it has piece {piece}, which is not verified"));
                }
                self.heard += u32::from(sight.table.verified == Some(*piece));
            }
            Output::Send { message: Message::Bitfield(bytes), .. } => {
                let said = Bitfield::from_wire(layout, bytes).ok();
                if said != sight.table.good {
                    out.push("its bitfield is not what it has verified".into());
                }
            }
            Output::Send { message: Message::HaveAll, .. } if !sight.table.is_complete() => {
                out.push("says that it has everything, and has not".into());
            }
            Output::Send { message: Message::HaveNone, .. }
                if sight.table.good.as_ref().is_some_and(|good| good.count() > 0) =>
            {
                out.push("says that it has nothing, and has something".into());
            }
            Output::Event(Event::PieceCompleted(piece)) if !has(piece.get()) => {
                out.push(format!("counts piece {}, which failed its hash", piece.get()));
            }
            Output::Event(Event::Completed) if !sight.table.is_complete() => {
                out.push("takes itself for complete, and is not".into());
            }
            _ => {}
        }
    }

    fn settled(&mut self, sight: Sight<'_>, out: &mut Vec<String>) {
        let Some(piece) = sight.table.verified.filter(|_| sight.case.honest(sight.peer)) else { return };
        let ready = sight.table.conns.values().filter(|conn| conn.is_ready()).count() as u32;
        // Who was dropped for being complete as well may have heard it first.
        if self.heard < ready {
            out.push(format!("told {} of {ready} connections that it has piece {piece}", self.heard));
        }
    }

    fn finish(
        &mut self,
        case: &Case,
        tables: &[Table],
        run: &record::Run,
        out: &mut Vec<(Option<usize>, String)>,
    ) {
        for (peer, facts) in super::recorded(tables, run) {
            let table = &tables[peer];
            let had = table.good.as_ref().map_or(0, Bitfield::count);
            if case.honest(peer) && facts.pieces != had {
                out.push((Some(peer), format!("is recorded with {} pieces, and has {had}", facts.pieces)));
            }
        }
    }
}
