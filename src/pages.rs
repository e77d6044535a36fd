//! Large pages for large swarms: what a peer needs is spread over some dozen places of a memory larger than any cache,
//! and with pages of 4 KiB the processor has to look most of them up. The system's allocator asks for large ones if it is
//! told to before the process begins, so that the process begins once more.

/// The hosts from which on it pays: in turns at 3,001 a run took 11 % less processor time, and 4 % more memory.
const LARGE: u64 = 2_000;

/// What tells the allocator of the GNU C library.
#[cfg(target_os = "linux")]
const VARIABLE: &str = "GLIBC_TUNABLES";

/// To be called before anything is printed or written: a process that is to run a swarm of so many hosts is replaced by
/// itself with large pages. Comes back where that is done already, or the user has said something else, or the system
/// has no such pages for those who ask.
pub fn ask_for_large(hosts: u64) {
    #[cfg(target_os = "linux")]
    if hosts >= LARGE && std::env::var_os(VARIABLE).is_none() && are_for_those_who_ask() {
        use std::os::unix::process::CommandExt as _;
        let mut words = std::env::args_os();
        if let (Some(name), Ok(program)) = (words.next(), std::env::current_exe()) {
            let mut again = std::process::Command::new(program);
            again.arg0(name).args(words).env(VARIABLE, "glibc.malloc.hugetlb=1");
            // It comes back only if it cannot be done, and then all goes on as it is.
            let _ = again.exec();
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = hosts >= LARGE;
}

#[cfg(target_os = "linux")]
fn are_for_those_who_ask() -> bool {
    let text = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    text.is_ok_and(|text| text.contains("[madvise]"))
}
