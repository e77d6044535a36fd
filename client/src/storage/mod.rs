//! A torrent's content in files, as its metainfo lays them out.
//!
//! - What is read or written goes by the content's offsets; files and their borders are seen to here.
//! - Files are sparse, and made when the first byte for them is written (or by [`Storage::prepare`], if they
//!   are empty). Pad files (BEP 47) are never made: they read as zeros, and what is written to them is
//!   dropped.
//! - Every call blocks: it belongs on a [`Disk`]'s threads, never on those of the runtime.
//!
//! When data is safe: [`Storage::sync`] has the system put what was written on the disk. It is called before
//! a resume file is written, and at no other time, so that the resume file never names what a loss of power
//! could take back. A process that is killed loses nothing that it has written.

mod content;
mod disk;
mod layout;
mod open;
mod resume;

pub use content::{Storage, StorageError};
pub use disk::Disk;
pub use layout::{FileMap, LayoutFault, Stored};
pub use open::OpenFiles;
pub use resume::{FileStamp, ResumeData, ResumeError};
