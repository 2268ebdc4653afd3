//! Ethernet frames with IPv4 and TCP headers.

/// A frame of a host. Host 0 is the client at port 49152, host 1 the server at port 443.
#[derive(Debug)]
pub(super) struct EthernetFrame<'a> {
    from: usize,
    flags: FrameFlags,
    /// The offset of its bytes in the host's stream.
    offset: u64,
    /// The offset that it acknowledges in the other host's stream.
    acked: u64,
    bytes: &'a [u8],
}

/// The kind of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FrameFlags {
    Syn,
    SynAck,
    Ack,
    Data,
}

impl<'a> EthernetFrame<'a> {
    pub(super) const fn new(
        from: usize,
        flags: FrameFlags,
        offset: u64,
        acked: u64,
        bytes: &'a [u8],
    ) -> Self {
        Self {
            from,
            flags,
            offset,
            acked,
            bytes,
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let (near, far) = (self.from as u8 + 1, 2 - self.from as u8);
        let mut out = vec![2, 0, 0, 0, 0, far, 2, 0, 0, 0, 0, near, 8, 0];
        out.extend(self.ip_header(near, far));
        out.extend(self.tcp_header(near, far));
        out.extend_from_slice(self.bytes);
        out
    }

    fn ip_header(&self, near: u8, far: u8) -> Vec<u8> {
        let len = (IP_LEN + TCP_LEN + self.bytes.len()) as u16;
        let mut header = vec![0x45, 0];
        header.extend_from_slice(&len.to_be_bytes());
        // No identification, do not fragment, 64 hops, TCP.
        header.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
        header.extend_from_slice(&[10, 0, 0, near, 10, 0, 0, far]);
        let sum = checksum(&[&header]);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header
    }

    fn tcp_header(&self, near: u8, far: u8) -> Vec<u8> {
        let ports: [u16; 2] = if self.from == 0 {
            [49152, 443]
        } else {
            [443, 49152]
        };
        let (bits, seq, ack) = match self.flags {
            FrameFlags::Syn => (0x02, ISN, 0),
            FrameFlags::SynAck => (0x12, ISN, first(0)),
            FrameFlags::Ack => (0x10, first(self.offset), first(self.acked)),
            FrameFlags::Data => (0x18, first(self.offset), first(self.acked)),
        };
        let mut header = Vec::new();
        for port in ports {
            header.extend_from_slice(&port.to_be_bytes());
        }
        header.extend_from_slice(&seq.to_be_bytes());
        header.extend_from_slice(&ack.to_be_bytes());
        header.extend_from_slice(&[0x50, bits, 0xff, 0xff, 0, 0, 0, 0]);
        let len = (TCP_LEN + self.bytes.len()) as u16;
        let [high, low] = len.to_be_bytes();
        let pseudo = [10, 0, 0, near, 10, 0, 0, far, 0, 6, high, low];
        let sum = checksum(&[&pseudo, &header, self.bytes]);
        header[16..18].copy_from_slice(&sum.to_be_bytes());
        header
    }
}

/// Returns the sequence number of a stream offset. Only here are offsets truncated to 32 bits,
/// where they wrap.
const fn first(offset: u64) -> u32 {
    ISN.wrapping_add(1).wrapping_add(offset as u32)
}

/// Returns the checksum of RFC 1071 over `parts`, of which all but the last must have an even
/// length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

const IP_LEN: usize = 20;
const TCP_LEN: usize = 20;
/// The initial sequence number: near the end of the range, so that numbers wrap in every capture.
const ISN: u32 = u32::MAX - 1000;
