//! Starting with bytes that were read from TCP before the socket was made.

use super::{RxListRecord, SocketRx};
use crate::socket::SocketShared;
use crate::wiped_memory::WipedBytes;
use crate::wire::ContentType;

impl SocketRx {
    /// Adds bytes that were read from TCP before there was this direction: application data of
    /// records that were opened, which is delivered first, and wire bytes that were not. Call it
    /// before anything else.
    pub fn preload(&mut self, plaintext: WipedBytes, sealed: &[u8], shared: &SocketShared) {
        if !plaintext.is_empty() {
            let record_type = ContentType::APPLICATION_DATA.0;
            self.opened
                .push_back(RxListRecord::new(record_type, plaintext));
        }
        self.space(sealed.len()).copy_from_slice(sealed);
        self.fed(sealed.len(), shared);
    }
}
