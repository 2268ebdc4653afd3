//! Bytes on their way in or out.

use std::fmt;

use crate::wiped::wipe;

/// A queue of bytes in one piece; memory is kept and never cleared twice.
///
/// It begins at a page. What a system copies in a read often does, too, while large blocks of many
/// allocators begin 16 bytes into one: and a copy to a place just that far into its page takes some CPUs
/// seven times as long as any other.
#[derive(Default)]
pub struct Fifo {
    memory: Vec<u8>,
    /// Where the first page begins in `memory`; `start` and `end` count from there.
    page: usize,
    start: usize,
    end: usize,
    /// It holds plaintext: what was taken out is wiped.
    wipes: bool,
}

impl Fifo {
    /// A queue that wipes what was taken out of it, and the rest when it is dropped.
    #[must_use]
    pub fn for_plaintext() -> Self {
        let mut fifo = Self::default();
        fifo.wipes = true;
        fifo
    }

    /// What is queued.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.page..][self.start..self.end]
    }

    /// What is queued, to be worked on in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.page..][self.start..self.end]
    }

    /// Bytes queued.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// True when nothing is queued.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes of memory that it keeps.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.memory.len() - self.page
    }

    /// Room for `len` more bytes behind what is queued, of any contents; [`Fifo::commit`] queues them.
    pub fn space(&mut self, len: usize) -> &mut [u8] {
        if self.capacity() - self.end < len {
            self.make_room(len);
        }
        &mut self.memory[self.page..][self.end..self.end + len]
    }

    /// Queues the first `len` bytes of the space last given.
    pub fn commit(&mut self, len: usize) {
        debug_assert!(self.end + len <= self.capacity());
        self.end += len;
    }

    /// Queues a copy of `bytes`.
    pub fn push(&mut self, bytes: &[u8]) {
        self.space(bytes.len()).copy_from_slice(bytes);
        self.commit(bytes.len());
    }

    /// Drops the first `len` bytes.
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

    /// Drops the last `len` bytes.
    pub fn truncate_by(&mut self, len: usize) {
        debug_assert!(len <= self.len());
        self.end -= len;
        self.consume(0);
    }

    /// Moves what is queued to the front, of other memory if that is not enough.
    fn make_room(&mut self, len: usize) {
        let queued = self.page + self.start..self.page + self.end;
        let need = self.len() + len;
        if need <= self.capacity() {
            self.memory.copy_within(queued.clone(), self.page);
            if self.wipes {
                let moved = self.page + self.len();
                wipe(&mut self.memory[queued.start.max(moved)..queued.end]);
            }
        } else {
            let (mut memory, page) = pages(need.max(self.capacity() + self.capacity() / 2));
            memory[page..][..self.len()].copy_from_slice(&self.memory[queued]);
            self.wipe_if_plaintext();
            (self.memory, self.page) = (memory, page);
        }
        (self.start, self.end) = (0, self.len());
    }

    /// Before its memory goes back.
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

/// Memory of empty queues, lent to those that need some.
///
/// A queue without bytes needs no memory. Who serves many queues, of which most are empty at a time, lends
/// memory before it works on one and collects it afterwards.
#[derive(Debug, Default)]
pub struct FifoPool(Vec<Fifo>);

/// Queues of memory that a pool keeps.
const KEPT: usize = 8;

impl FifoPool {
    /// Lends memory to `fifo` if it has none and there is some.
    pub fn lend(&mut self, fifo: &mut Fifo) {
        if fifo.memory.is_empty()
            && let Some(mut spare) = self.0.pop()
        {
            (fifo.memory, fifo.page) = (std::mem::take(&mut spare.memory), spare.page);
        }
    }

    /// Takes the memory of `fifo` if nothing is queued; frees it if there is enough already.
    pub fn collect(&mut self, fifo: &mut Fifo) {
        if !fifo.is_empty() || fifo.memory.is_empty() {
            return;
        }
        let spare = Fifo {
            memory: std::mem::take(&mut fifo.memory),
            page: std::mem::take(&mut fifo.page),
            ..Fifo::default()
        };
        if self.0.len() < KEPT {
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

/// Memory for `len` bytes and where in it a page begins.
fn pages(len: usize) -> (Vec<u8>, usize) {
    let memory = vec![0; len.next_multiple_of(PAGE) + PAGE];
    // An address may be unknown, to an interpreter for one.
    let page = memory.as_ptr().align_offset(PAGE).min(PAGE);
    (memory, page)
}

/// Memory begins at a multiple of this, and grows in steps of it.
const PAGE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_whatever_the_pieces() {
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
    fn it_begins_at_a_page_whenever_it_grows() {
        let mut fifo = Fifo::default();
        for len in [1, PAGE, 5 * PAGE, 1 << 20] {
            let start = fifo.space(len).as_ptr();
            assert_eq!(start.align_offset(PAGE), 0, "{len} bytes");
        }
    }

    #[test]
    fn plaintext_is_nowhere_in_its_memory_once_it_was_taken() {
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
    fn an_empty_queue_gives_its_memory_to_the_next() {
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
        for _ in 0..10 * KEPT {
            let mut fifo = Fifo::default();
            fifo.space(1);
            pool.collect(&mut fifo);
        }
        assert_eq!(pool.0.len(), KEPT);
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
