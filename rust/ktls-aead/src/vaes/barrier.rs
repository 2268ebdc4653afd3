//! An optimization barrier, which keeps instructions in the order in which they are written.

/// Returns `slice`, but hides from the compiler that it does.
///
/// The compiler cannot move a load through the result to before this call, for instance to the top
/// of a loop. The barrier itself compiles to no instruction.
#[inline(always)]
#[expect(
    clippy::pointers_in_nomem_asm_block,
    reason = "the assembly is empty: it reads nothing"
)]
pub(super) fn opaque_slice<T>(slice: &[T]) -> &[T] {
    #[cfg(not(miri))]
    {
        let mut first = slice.as_ptr();
        // SAFETY: the assembly is empty, so the pointer is still that of `slice`, as is the length.
        unsafe {
            std::arch::asm!("/* {0} */", inout(reg) first, options(nomem, nostack, preserves_flags));
            std::slice::from_raw_parts(first, slice.len())
        }
    }
    #[cfg(miri)]
    slice
}

/// Returns `value`, but hides from the compiler that it does. See [`opaque_slice`].
#[inline(always)]
pub(super) fn opaque<T>(value: &T) -> &T {
    &opaque_slice(std::slice::from_ref(value))[0]
}
