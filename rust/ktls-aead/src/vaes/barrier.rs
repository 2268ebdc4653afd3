//! Keeps the compiler from undoing an order of instructions that was chosen.

/// The same bytes; but the compiler cannot know, so it reads through the result where it is written
/// and not at the top of the loop. Costs no instruction.
#[inline(always)]
#[expect(
    clippy::pointers_in_nomem_asm_block,
    reason = "the assembly is empty: it reads nothing"
)]
pub(super) fn opaque_slice<T>(places: &[T]) -> &[T] {
    #[cfg(not(miri))]
    {
        let mut first = places.as_ptr();
        // SAFETY: the empty assembly leaves the pointer as it is: it is that of `places` still.
        unsafe {
            std::arch::asm!("/* {0} */", inout(reg) first, options(nomem, nostack, preserves_flags));
            std::slice::from_raw_parts(first, places.len())
        }
    }
    #[cfg(miri)]
    places
}

/// As [`opaque_slice`].
#[inline(always)]
pub(super) fn opaque<T>(place: &T) -> &T {
    &opaque_slice(std::slice::from_ref(place))[0]
}
