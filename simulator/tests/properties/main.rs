//! What holds in every run: the bound, the books, the digests, the seam, and that honest peers get what they
//! came for whoever is among them. Random swarms are drawn from a seed that a failure names.

#[path = "../common/mod.rs"]
mod common;

mod adversaries;
mod faults;
mod random;
mod rounds;
mod seam;
