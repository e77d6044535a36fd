//! The policies that a scenario may name: those that ship with the engine, and those that a program adds.

use std::sync::Arc;

use engine::choker::ChokerFactory;
use engine::picker::PickerFactory;

use super::error::{Problem, choices};

/// Chokers and pickers by name. One that is added goes before a shipped one of the same name.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    chokers: Vec<Arc<dyn ChokerFactory>>,
    pickers: Vec<Arc<dyn PickerFactory>>,
}

impl Registry {
    /// The shipped policies alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a choker, under the name that it gives itself.
    #[must_use]
    pub fn with_choker(mut self, factory: Arc<dyn ChokerFactory>) -> Self {
        self.chokers.push(factory);
        self
    }

    /// The same with a picker, under the name that it gives itself.
    #[must_use]
    pub fn with_picker(mut self, factory: Arc<dyn PickerFactory>) -> Self {
        self.pickers.push(factory);
        self
    }

    /// The choker of that name.
    pub fn choker(&self, name: &str) -> Option<Arc<dyn ChokerFactory>> {
        let added = self.chokers.iter().rev().find(|factory| factory.name() == name);
        added.map(Arc::clone).or_else(|| engine::choker::by_name(name))
    }

    /// The picker of that name.
    pub fn picker(&self, name: &str) -> Option<Arc<dyn PickerFactory>> {
        let added = self.pickers.iter().rev().find(|factory| factory.name() == name);
        added.map(Arc::clone).or_else(|| engine::picker::by_name(name))
    }

    /// The names of all chokers, the shipped ones first.
    pub fn choker_names(&self) -> Vec<&str> {
        let shipped = engine::choker::NAMES.iter().map(|(name, _)| *name);
        shipped.chain(self.chokers.iter().map(|factory| factory.name())).collect()
    }

    /// The names of all pickers, the shipped ones first.
    pub fn picker_names(&self) -> Vec<&str> {
        let shipped = engine::picker::NAMES.iter().map(|(name, _)| *name);
        shipped.chain(self.pickers.iter().map(|factory| factory.name())).collect()
    }

    pub(super) fn find_choker(
        &self,
        name: &toml::Spanned<String>,
    ) -> Result<Arc<dyn ChokerFactory>, Problem> {
        self.choker(name.get_ref()).ok_or_else(|| {
            let help = choices(name.get_ref(), &self.choker_names(), "chokers");
            Problem::at(name.span(), format!("there is no choker `{}`", name.get_ref())).help(help)
        })
    }

    pub(super) fn find_picker(
        &self,
        name: &toml::Spanned<String>,
    ) -> Result<Arc<dyn PickerFactory>, Problem> {
        self.picker(name.get_ref()).ok_or_else(|| {
            let help = choices(name.get_ref(), &self.picker_names(), "pickers");
            Problem::at(name.span(), format!("there is no picker `{}`", name.get_ref())).help(help)
        })
    }
}
