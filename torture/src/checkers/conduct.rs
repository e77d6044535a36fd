//! The harness's model of what a peer may say and when, held against every honest peer.

use engine::Bitfield;
use engine::peer::{Input, Output};
use harness::conduct::Conduct;

use super::{Case, Checker, Sight};

pub(super) struct Rules {
    /// The model of each peer's current life, and how many of its breaches are told.
    models: Vec<(Conduct, usize)>,
}

impl Rules {
    pub fn new(case: &Case) -> Self {
        Self { models: case.members.iter().map(|_| (Conduct::new(case.layout), 0)).collect() }
    }
}

impl Checker for Rules {
    fn name(&self) -> &'static str {
        "conduct"
    }

    fn began(&mut self, sight: Sight<'_>, _: &Bitfield, _: &mut Vec<String>) {
        self.models[sight.peer] = (Conduct::new(sight.case.layout), 0);
    }

    fn input(&mut self, sight: Sight<'_>, input: &Input, _: &mut Vec<String>) {
        self.models[sight.peer].0.input(input);
    }

    fn output(&mut self, sight: Sight<'_>, output: &Output, out: &mut Vec<String>) {
        if !sight.case.honest(sight.peer) {
            return;
        }
        let (model, told) = &mut self.models[sight.peer];
        model.output(output);
        for breach in &model.breaches()[*told..] {
            out.push(format!("{}: {}", breach.rule, breach.by));
        }
        *told = model.breaches().len();
    }
}
