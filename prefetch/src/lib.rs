//! Asks the processor for memory ahead of its use. A simulated swarm is larger than any cache, and each event
//! finds all it needs cold: to ask for the lines of the next few events while this one is handled is worth
//! more than any other change (ARCHITECTURE.md has the figure).
//!
//! A prefetch is a hint. It reads nothing, changes nothing and cannot fault, so that what a program computes
//! is the same with and without it. On processors other than x86-64 nothing is done.

use std::ops::Range;

/// The bytes that one hint brings.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// Asks for every cache line that `value` touches.
#[inline(always)]
pub fn value<T: ?Sized>(value: &T) {
    part(value, 0..usize::MAX);
}

/// Asks for a part of `value`: of its bytes those of these numbers. Of a line that an earlier part ended in nothing is
/// asked again.
#[inline(always)]
pub fn part<T: ?Sized>(value: &T, bytes: Range<usize>) {
    #[cfg(target_arch = "x86_64")]
    {
        let first = std::ptr::from_ref(value).cast::<i8>();
        // `value` may begin anywhere in its first line, unless its type says otherwise.
        let aligned = align_of_val(value) >= LINE;
        let before = if aligned { 0 } else { first.addr() % LINE };
        // The lines that have been asked for up to a byte.
        let lines = |byte: usize| if byte == 0 { 0 } else { (before + byte).div_ceil(LINE) };
        for i in lines(bytes.start)..lines(bytes.end.min(size_of_val(value))) {
            line(first.wrapping_add(i * LINE));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (value, bytes);
}

/// Asks for one element of a slice; nothing if there is none.
#[inline(always)]
pub fn element<T>(slice: &[T], at: usize) {
    if at < slice.len() {
        known(slice, at);
    }
}

/// Asks for one element of a slice that is known to be there: what is not, is a line of somebody else that is asked for in
/// vain. Of an element that is no longer than a line and may lie across two, both are asked for without a look where it
/// lies, and of a word or less the first.
#[inline(always)]
pub fn known<T>(slice: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        let first = slice.as_ptr().wrapping_add(at).cast::<i8>();
        let (size, aligned) = (size_of::<T>(), align_of::<T>() >= LINE);
        let mut asked = 0;
        while asked < size {
            line(first.wrapping_add(asked));
            asked += LINE;
        }
        if !aligned && size > size_of::<u64>() {
            line(first.wrapping_add(size - 1));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, at);
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(unsafe_code)]
fn line(at: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: the instruction needs SSE, which every x86-64 processor has; it accepts any address, accesses
    // nothing that a program could notice, and never faults.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at) };
}

#[cfg(test)]
mod tests {
    /// A hint may point anywhere, also at nothing.
    #[test]
    fn any_value_may_be_asked_for() {
        super::value(&());
        super::value::<[u64]>(&[]);
        super::value(&[7u8; 1000]);
        super::part("a few bytes", 0..3);
        super::part(&[1u8; 200], 0..0);
        super::part(&[1u8; 200], 100..300);
        super::element(&[1, 2, 3], 3);
        super::element(&[[7u8; 28]; 9], 2);
        super::element(&[()], 0);
        super::known(&[1, 2, 3], usize::MAX);
        super::known::<[u8; 200]>(&[], 7);
    }
}
