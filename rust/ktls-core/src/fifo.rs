//! A queue of bytes, such as those to be sent or those received.

use std::fmt;

use crate::error::Error;
use crate::wiped_memory::wipe;

/// A queue of bytes in contiguous memory. The memory is reused, and cleared only when it is
/// allocated.
///
/// The queue starts at a page boundary. The system often copies what it reads from page boundaries,
/// too, while many allocators start large blocks 16 bytes after one. If source and destination are
/// at slightly different offsets of their pages, some CPUs copy seven times slower (4K aliasing).
#[derive(Default)]
pub struct Fifo {
    memory: Vec<u8>,
    /// The offset of the first page in `memory`. `start` and `end` count from there.
    page_start: usize,
    start: usize,
    end: usize,
    /// Whether the queue holds plaintext, so that removed bytes are wiped.
    wipes: bool,
}

impl Fifo {
    /// Creates a queue that wipes bytes when they are removed and when it is dropped.
    #[must_use]
    pub fn for_plaintext() -> Self {
        let mut fifo = Self::default();
        fifo.wipes = true;
        fifo
    }

    /// Returns the queued bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.page_start..][self.start..self.end]
    }

    /// Returns the queued bytes, to be changed in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.page_start..][self.start..self.end]
    }

    /// Returns the number of queued bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Returns `true` if nothing is queued.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Returns the size in bytes of the queue's memory.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.memory.len() - self.page_start
    }

    /// Returns `len` bytes of memory after the queued ones, with any contents. [`Fifo::commit`]
    /// queues them.
    pub fn space(&mut self, len: usize) -> &mut [u8] {
        if self.capacity() - self.end < len {
            self.make_room(len);
        }
        &mut self.memory[self.page_start..][self.end..self.end + len]
    }

    /// Makes sure that [`Fifo::space`] has this many bytes.
    ///
    /// # Errors
    /// [`Error::NoMemory`] if there is no memory for them. Nothing changed then.
    pub fn reserve(&mut self, len: usize) -> Result<(), Error> {
        let need = self.grown(len);
        if need > self.capacity() {
            // The probe is freed at once. Zeroed memory cannot be asked for without aborting.
            let probe = Vec::<u8>::new().try_reserve_exact(need.saturating_add(2 * PAGE));
            probe.map_err(|_| Error::NoMemory { bytes: need })?;
        }
        self.space(len);
        Ok(())
    }

    /// Queues the first `len` bytes of the memory that [`Fifo::space`] returned last.
    pub fn commit(&mut self, len: usize) {
        debug_assert!(self.end + len <= self.capacity());
        self.end += len;
    }

    /// Queues a copy of `bytes`.
    pub fn push(&mut self, bytes: &[u8]) {
        self.space(bytes.len()).copy_from_slice(bytes);
        self.commit(bytes.len());
    }

    /// Removes the first `len` bytes.
    pub fn consume(&mut self, len: usize) {
        debug_assert!(len <= self.len());
        if self.wipes {
            wipe(&mut self.bytes_mut()[..len]);
        }
        self.start += len;
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Removes the last `len` bytes.
    pub fn truncate_by(&mut self, len: usize) {
        debug_assert!(len <= self.len());
        self.end -= len;
        self.consume(0);
    }

    /// Moves the queued bytes to the front, or to new memory if there is not enough.
    fn make_room(&mut self, len: usize) {
        let queued = self.page_start + self.start..self.page_start + self.end;
        let need = self.grown(len);
        if need <= self.capacity() {
            self.memory.copy_within(queued.clone(), self.page_start);
            if self.wipes {
                let moved = self.page_start + self.len();
                wipe(&mut self.memory[queued.start.max(moved)..queued.end]);
            }
        } else {
            let (mut memory, page_start) = allocate_pages(need);
            memory[page_start..][..self.len()].copy_from_slice(&self.memory[queued]);
            self.wipe_if_plaintext();
            (self.memory, self.page_start) = (memory, page_start);
        }
        (self.start, self.end) = (0, self.len());
    }

    /// Returns the capacity of a queue with room for `len` more bytes: this one, or half as much
    /// again at least.
    fn grown(&self, len: usize) -> usize {
        let need = self.len().saturating_add(len);
        if need <= self.capacity() {
            self.capacity()
        } else {
            need.max(self.capacity() + self.capacity() / 2)
        }
    }

    /// Wipes plaintext before the memory is freed.
    fn wipe_if_plaintext(&mut self) {
        if self.wipes {
            wipe(self.bytes_mut());
        }
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        self.wipe_if_plaintext();
    }
}

/// A pool of memory for queues that are empty most of the time.
///
/// An empty queue needs no memory. A user of many queues lends memory to a queue before it works on
/// it, and collects the memory afterwards.
#[derive(Debug, Default)]
pub struct FifoPool(Vec<Fifo>);

/// The most queues whose memory a pool keeps.
const MAX_KEPT: usize = 8;
/// The size in bytes of the largest queue whose memory a pool keeps.
const MAX_KEPT_SIZE: usize = 2 << 20;

impl FifoPool {
    /// Lends memory to `fifo` if it has none and the pool has some.
    pub fn lend(&mut self, fifo: &mut Fifo) {
        if fifo.memory.is_empty()
            && let Some(mut spare) = self.0.pop()
        {
            (fifo.memory, fifo.page_start) = (std::mem::take(&mut spare.memory), spare.page_start);
        }
    }

    /// Takes the memory of `fifo` if nothing is queued. Frees it if it is large or the pool is
    /// full.
    pub fn collect(&mut self, fifo: &mut Fifo) {
        if !fifo.is_empty() || fifo.memory.is_empty() {
            return;
        }
        let spare = Fifo {
            memory: std::mem::take(&mut fifo.memory),
            page_start: std::mem::take(&mut fifo.page_start),
            ..Fifo::default()
        };
        if self.0.len() < MAX_KEPT && spare.capacity() <= MAX_KEPT_SIZE {
            self.0.push(spare);
        }
    }
}

impl From<&[u8]> for Fifo {
    fn from(bytes: &[u8]) -> Self {
        let mut fifo = Self::default();
        fifo.push(bytes);
        fifo
    }
}

impl fmt::Debug for Fifo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fifo({} bytes)", self.len())
    }
}

/// Allocates memory for `len` bytes. Returns it with the offset of the first page boundary in it.
fn allocate_pages(len: usize) -> (Vec<u8>, usize) {
    let memory = vec![0; len.next_multiple_of(PAGE) + PAGE];
    // The alignment may be unknown, for example to Miri.
    let page_start = memory.as_ptr().align_offset(PAGE).min(PAGE);
    (memory, page_start)
}

/// Queues start at a multiple of this, and grow in steps of it.
const PAGE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_for_any_pieces() {
        let (mut fifo, mut want) = (Fifo::default(), Vec::new());
        for n in 0..200_usize {
            let piece: Vec<u8> = (0..n * 7).map(|i| (i + n) as u8).collect();
            fifo.push(&piece);
            want.extend_from_slice(&piece);
            assert_eq!(fifo.bytes(), want);
            let taken = fifo.len() / 3;
            fifo.consume(taken);
            want.drain(..taken);
        }
        assert_eq!(fifo.bytes(), want);
    }

    #[test]
    fn a_queue_that_grows_starts_at_a_page() {
        let mut fifo = Fifo::default();
        for len in [1, PAGE, 5 * PAGE, 1 << 20] {
            let start = fifo.space(len).as_ptr();
            assert_eq!(start.align_offset(PAGE), 0, "{len} bytes");
        }
    }

    #[test]
    fn plaintext_is_wiped_once_it_was_taken() {
        let mut fifo = Fifo::for_plaintext();
        for len in [10, 5000, 100, 3000, 20_000, 1] {
            fifo.push(&vec![b'p'; len]);
            fifo.consume(len / 2);
            let plain = fifo.memory.iter().filter(|&&byte| byte == b'p').count();
            assert_eq!(plain, fifo.len());
        }
        fifo.consume(fifo.len());
        assert!(fifo.memory.iter().all(|&byte| byte == 0));
    }

    #[test]
    fn the_next_queue_reuses_the_memory_of_an_empty_one() {
        let (mut pool, mut first, mut second) =
            (FifoPool::default(), Fifo::default(), Fifo::default());
        first.push(&[1; 100]);
        pool.collect(&mut first);
        assert_eq!(first.bytes(), [1; 100]);
        first.consume(100);
        let capacity = first.capacity();
        pool.collect(&mut first);
        assert_eq!(first.capacity(), 0);
        pool.lend(&mut second);
        assert_eq!((second.capacity(), second.len()), (capacity, 0));
    }

    #[test]
    fn a_pool_keeps_a_bounded_number_of_queues() {
        let mut pool = FifoPool::default();
        for _ in 0..10 * MAX_KEPT {
            let mut fifo = Fifo::default();
            fifo.space(1);
            pool.collect(&mut fifo);
        }
        assert_eq!(pool.0.len(), MAX_KEPT);
    }

    #[test]
    fn a_pool_keeps_no_large_queue() {
        let (mut pool, mut fifo) = (FifoPool::default(), Fifo::default());
        fifo.space(MAX_KEPT_SIZE + 1);
        pool.collect(&mut fifo);
        assert_eq!((pool.0.len(), fifo.capacity()), (0, 0));
    }

    #[test]
    fn a_part_of_the_space_may_be_committed() {
        let mut fifo = Fifo::default();
        fifo.space(10)[..2].copy_from_slice(b"ab");
        fifo.commit(2);
        fifo.push(b"cd");
        assert_eq!(fifo.bytes(), b"abcd");
    }
}
