//! A key log file in the format of `SSLKEYLOGFILE`, for Wireshark and similar tools.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ktls_core::shortened;
use rustix::fs::OFlags;
use rustls::KeyLog;
use zeroize::Zeroizing;

use crate::error::system_reason;

use crate::error::HandshakeError;

/// Appends one line per secret. A line that cannot be written does not affect the connection.
#[derive(Debug)]
pub(super) struct KeyLogFile {
    path: PathBuf,
    file: File,
    reported: AtomicBool,
}

impl KeyLogFile {
    /// Opens or creates the file. A new file is readable by its owner only.
    pub(super) fn open(path: &Path) -> Result<Self, HandshakeError> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(NONBLOCK)
            .open(path);
        let file = file.map_err(|error| {
            let path = shortened(&path.to_string_lossy());
            let why = system_reason(&error);
            HandshakeError::config(format!("the key log {path} cannot be opened: {why}"))
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            reported: AtomicBool::new(false),
        })
    }

    /// Returns the message about a failed write the first time, and `None` afterwards.
    fn report_once(&self, error: &io::Error) -> Option<String> {
        let path = self.path.display();
        (!self.reported.swap(true, Ordering::Relaxed)).then(|| {
            format!(
                "ktls_fast: the key log {path} cannot be written; going on without it: {}",
                system_reason(error)
            )
        })
    }
}

/// A FIFO without a reader is refused when it is opened, and a full one loses lines: neither
/// blocks.
const NONBLOCK: i32 = OFlags::NONBLOCK.bits() as i32;

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        // One write per line: with O_APPEND, lines of several threads and processes do not mix.
        let line = format_line(label, client_random, secret);
        let written = (&self.file).write_all(&line);
        if let Some(text) = written.err().and_then(|error| self.report_once(&error)) {
            // If standard error fails too, there is no other place for the message.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }
}

/// Formats `LABEL <client random> <secret>`. The capacity is exact: growing would leave a copy of
/// the secret behind.
fn format_line(label: &str, client_random: &[u8], secret: &[u8]) -> Zeroizing<Vec<u8>> {
    let len = label.len() + 2 * (client_random.len() + secret.len()) + 3;
    let mut line = Zeroizing::new(Vec::with_capacity(len));
    line.extend_from_slice(label.as_bytes());
    for bytes in [client_random, secret] {
        line.push(b' ');
        line.extend(bytes.iter().flat_map(|byte| hex(*byte)));
    }
    line.push(b'\n');
    line
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [
        DIGITS[usize::from(byte >> 4)],
        DIGITS[usize::from(byte & 15)],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_label_random_secret() {
        let line = format_line("CLIENT_RANDOM", &[0x00, 0xff], &[0x1a]);
        assert_eq!(&**line, b"CLIENT_RANDOM 00ff 1a\n");
        assert_eq!(line.len(), line.capacity());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_reported_once() {
        let log = KeyLogFile::open(Path::new("/dev/full")).unwrap();
        let error = (&log.file).write_all(b"x").unwrap_err();
        let text = log.report_once(&error).unwrap();
        assert!(text.contains("/dev/full cannot be written"), "{text}");
        assert_eq!(log.report_once(&error), None);
    }
}
