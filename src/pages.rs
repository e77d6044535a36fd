//! Large pages for large swarms: what a peer needs is spread over some dozen places of a memory larger than any cache,
//! and with pages of 4 KiB the processor has to look most of them up. The system's allocator asks for large ones if it is
//! told to before the process begins, so that the process begins once more.

/// The hosts from which on it pays: beside each other at 1,001 hosts a run took 8 % less processor time and 3 % more
/// memory, at 3,001 in turns 11 % less and 4 % more; at 501 it was 7 % less and 10 % more.
const LARGE: u64 = 1_000;

/// What tells the allocator of the GNU C library, and what it is told: to ask for large pages; and to take as much at
/// once as a heap of a thread may have (64 MiB). Such a heap is advised when it is made, and would else be made small and
/// grow by less than a large page.
#[cfg(target_os = "linux")]
const TOLD: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=67108864");

/// To be called before anything is printed or written: a process that is to run a swarm of so many hosts is replaced by
/// itself with large pages. Comes back where that is done already, or the user has said something else, or the system
/// has no such pages for those who ask.
pub fn ask_for_large(hosts: u64) {
    #[cfg(target_os = "linux")]
    if hosts >= LARGE && std::env::var_os(TOLD.0).is_none() && may_be_had() {
        use std::os::unix::process::CommandExt as _;
        let mut words = std::env::args_os();
        if let (Some(name), Ok(program)) = (words.next(), std::env::current_exe()) {
            let mut again = std::process::Command::new(program);
            again.arg0(name).args(words).env(TOLD.0, TOLD.1);
            // It comes back only if it cannot be done, and then all goes on as it is.
            let _ = again.exec();
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = hosts >= LARGE;
}

#[cfg(target_os = "linux")]
fn may_be_had() -> bool {
    let text = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    text.is_ok_and(|text| !text.contains("[never]"))
}
