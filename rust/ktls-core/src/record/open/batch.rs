//! Many records opened in one call, their plaintexts packed into one buffer.

use crate::error::Error;
use crate::key::InnerPlaintext;
use crate::record::group::{GroupOpener, GroupRecord, GroupSize, OpenedGroup, RecordSpan};
use crate::record::{MAX_GROUP, Opener, WireRecord};
use crate::wire::ContentType;

/// One opened record of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenedRecord {
    /// The content type: the inner one in TLS 1.3.
    pub record_type: u8,
    /// Where its plaintext starts in the output.
    pub offset: usize,
    /// Bytes of plaintext.
    pub len: usize,
}

/// Why a batch ended before the last whole record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BatchStop {
    /// The last record ends a KeyUpdate: the next key is needed.
    KeyUpdate,
    /// The next plaintext does not fit.
    Full,
    /// The next record is bad.
    Bad(Error),
}

/// How far a batch came.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BatchEnd {
    /// Bytes of wire that were opened.
    pub consumed: usize,
    /// Bytes of output that hold plaintext.
    pub written: usize,
    /// Why the batch ended; `None` if every whole record was opened.
    pub stop: Option<BatchStop>,
}

/// Application data that was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct OpenedData {
    /// Number of records.
    pub(crate) records: u64,
    /// Bytes that they took on the wire.
    pub(crate) consumed: usize,
    /// Bytes of plaintext.
    pub(crate) written: usize,
}

/// A batch in progress.
pub(in crate::record) struct OpenBatch<'b, F> {
    wire: &'b [u8],
    out: &'b mut [u8],
    pub(in crate::record) progress: BatchProgress<F>,
}

/// How far a batch has come.
pub(in crate::record) struct BatchProgress<F> {
    pub(in crate::record) end: BatchEnd,
    /// Called with each opened record.
    done: F,
}

impl<'b, F: FnMut(OpenedRecord)> OpenBatch<'b, F> {
    pub(in crate::record) fn new(wire: &'b [u8], out: &'b mut [u8], done: F) -> Self {
        let progress = BatchProgress::new(done);
        Self {
            wire,
            out,
            progress,
        }
    }

    /// Returns the wire bytes that were not opened, the output behind what was written, and the
    /// progress.
    pub(in crate::record) fn split(&mut self) -> (&'b [u8], &mut [u8], &mut BatchProgress<F>) {
        let BatchEnd {
            consumed, written, ..
        } = self.progress.end;
        let (wire, out) = (&self.wire[consumed..], &mut self.out[written..]);
        (wire, out, &mut self.progress)
    }
}

impl<F: FnMut(OpenedRecord)> BatchProgress<F> {
    fn new(done: F) -> Self {
        Self {
            end: BatchEnd::default(),
            done,
        }
    }

    /// Counts an opened record of `wire_len` bytes, whose plaintext is behind those written before.
    #[inline]
    fn add(&mut self, wire_len: usize, inner: InnerPlaintext) {
        (self.done)(OpenedRecord {
            record_type: inner.record_type,
            offset: self.end.written,
            len: inner.len,
        });
        self.end.consumed += wire_len;
        self.end.written += inner.len;
    }
}

impl Opener {
    /// Opens all whole records in `wire`, their plaintexts packed into `out`, and calls `done` with
    /// each record.
    ///
    /// # Errors
    /// [`Error::KeyExpired`] while paused. An error of the peer is returned as [`BatchStop::Bad`].
    pub fn open_batch(
        &mut self,
        wire: &[u8],
        out: &mut [u8],
        done: impl FnMut(OpenedRecord),
    ) -> Result<BatchEnd, Error> {
        self.open_up_to(usize::MAX, wire, out, done)
    }

    /// Opens up to `most` whole records from the start of `wire`, even if another thread writes to
    /// `wire` meanwhile. See [`Opener::open_batch`].
    ///
    /// # Errors
    /// Returns the errors of [`Opener::open_batch`].
    pub fn open_up_to(
        &mut self,
        most: usize,
        wire: &[u8],
        out: &mut [u8],
        done: impl FnMut(OpenedRecord),
    ) -> Result<BatchEnd, Error> {
        self.check_ready()?;
        Ok(self.go_on(most, OpenBatch::new(wire, out, done)))
    }

    /// Opens up to `left` more records of a batch.
    pub(in crate::record) fn go_on<F: FnMut(OpenedRecord)>(
        &mut self,
        mut left: usize,
        mut batch: OpenBatch<'_, F>,
    ) -> BatchEnd {
        while batch.progress.end.stop.is_none() && left > 0 {
            match self
                .framing
                .deframe(&batch.wire[batch.progress.end.consumed..])
            {
                Ok(Some(first)) => left -= self.open_some(first, left, &mut batch),
                Ok(None) => break,
                Err(error) => batch.progress.end.stop = Some(BatchStop::Bad(error)),
            }
        }
        batch.progress.end
    }

    /// Opens `first`, and up to `most - 1` records behind it if that takes less time. Returns how
    /// many records were opened, or 1 if the batch ends here.
    fn open_some<F: FnMut(OpenedRecord)>(
        &mut self,
        first: WireRecord<'_>,
        most: usize,
        batch: &mut OpenBatch<'_, F>,
    ) -> usize {
        let mut spans = [RecordSpan::default(); MAX_GROUP];
        let mut size = GroupSize::at_most(most);
        let (_, out, progress) = batch.split();
        if let Some(group) = self.group_opener().open(first, out, &mut spans, &mut size) {
            let accepted = self.accept(group, progress, |_| true);
            if accepted > 0 {
                return accepted;
            }
        }
        // A group does not report errors: a bad record is opened again, alone.
        self.open_alone(first, batch);
        1
    }

    fn open_alone<F: FnMut(OpenedRecord)>(
        &mut self,
        record: WireRecord<'_>,
        batch: &mut OpenBatch<'_, F>,
    ) {
        let (_, out, progress) = batch.split();
        match self.open_next(record, out) {
            Ok(inner) => {
                progress.add(record.wire_len(), inner);
                progress.end.stop = self.is_paused().then_some(BatchStop::KeyUpdate);
            }
            Err(Error::NoRoom { .. }) => progress.end.stop = Some(BatchStop::Full),
            Err(error) => progress.end.stop = Some(BatchStop::Bad(error)),
        }
    }

    /// Opens `first` and the records behind it together, their plaintexts packed into `out`, if
    /// they are application data and this takes less time than one by one. Opens nothing while
    /// paused.
    ///
    /// Ends before a record of another type, a bad record, one with more than `longest` bytes of
    /// inner plaintext, and one that does not fit. No sequence number is spent for that record, and
    /// nothing of it is left in `out`.
    pub(crate) fn open_data(
        &mut self,
        first: WireRecord<'_>,
        out: &mut [u8],
        longest: usize,
        size: &mut GroupSize,
    ) -> OpenedData {
        let mut spans = [RecordSpan::default(); MAX_GROUP];
        if self.check_ready().is_err() {
            return OpenedData::default();
        }
        let Some(group) = self.group_opener().open(first, out, &mut spans, size) else {
            return OpenedData::default();
        };
        let mut progress = BatchProgress::new(|_| {});
        let records = self.accept(group, &mut progress, |record| {
            let InnerPlaintext {
                record_type,
                inner_len,
                ..
            } = record.inner;
            record_type == ContentType::APPLICATION_DATA.0 && inner_len <= longest
        });
        OpenedData {
            records: records as u64,
            consumed: progress.end.consumed,
            written: progress.end.written,
        }
    }

    /// Accepts the records of a group up to the first that is not `wanted`, and no further than a
    /// KeyUpdate. Returns how many.
    #[inline]
    pub(in crate::record) fn accept<F: FnMut(OpenedRecord)>(
        &mut self,
        mut group: OpenedGroup<'_>,
        progress: &mut BatchProgress<F>,
        wanted: impl Fn(&GroupRecord<'_, '_>) -> bool,
    ) -> usize {
        let mut accepted = 0;
        while let Some(record) = group.next_record().filter(&wanted) {
            // Nothing below may fail: the record is spent.
            self.notice(record.inner.record_type, record.plaintext());
            progress.add(record.wire_len, record.inner);
            record.accept();
            accepted += 1;
            if self.is_paused() {
                progress.end.stop = Some(BatchStop::KeyUpdate);
                break;
            }
        }
        self.seq = self.seq.after(accepted as u64);
        accepted
    }

    /// Returns an opener for a group of the next records.
    pub(in crate::record) const fn group_opener(&self) -> GroupOpener<'_> {
        GroupOpener {
            key: &self.key,
            framing: &self.framing,
            next: self.seq,
        }
    }
}
