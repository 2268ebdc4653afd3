//! Joins the parts of one write, so that short ones share records.

use ktls_core::wire::MAX_PLAINTEXT;
use zeroize::Zeroizing;

/// Calls `seal` with pieces that together are the bytes of all parts. All pieces but the last one
/// fill whole records. Bytes are copied only where a record spans several parts.
///
/// # Errors
/// Returns the first error of `seal`.
pub(super) fn for_each_piece<E>(
    parts: &[&[u8]],
    mut seal: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    if let [whole] = parts {
        return seal(whole);
    }
    let mut joined = Zeroizing::new(Vec::new());
    for part in parts {
        let mut rest = *part;
        if !joined.is_empty() {
            let (front, behind) = rest.split_at(rest.len().min(MAX_PLAINTEXT - joined.len()));
            joined.extend_from_slice(front);
            rest = behind;
            if joined.len() == MAX_PLAINTEXT {
                seal(&joined)?;
                joined.clear();
            }
        }
        let whole = rest.len() / MAX_PLAINTEXT * MAX_PLAINTEXT;
        let (whole, tail) = rest.split_at(whole);
        if !whole.is_empty() {
            seal(whole)?;
        }
        if !tail.is_empty() {
            // Reserved at once, because a vector that grows leaves plaintext behind.
            joined.reserve_exact(MAX_PLAINTEXT);
            joined.extend_from_slice(tail);
        }
    }
    seal(&joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(lens: &[usize]) -> (Vec<usize>, Vec<u8>, Vec<u8>) {
        let parts: Vec<Vec<u8>> = (0_u8..).zip(lens).map(|(i, &len)| vec![i; len]).collect();
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let (mut sizes, mut sealed) = (Vec::new(), Vec::new());
        for_each_piece(&slices, |piece| {
            sizes.push(piece.len());
            sealed.extend_from_slice(piece);
            Ok::<_, ()>(())
        })
        .unwrap();
        (sizes, sealed, parts.concat())
    }

    #[test]
    fn short_parts_share_records_and_long_ones_are_not_copied() {
        const M: usize = MAX_PLAINTEXT;
        for (lens, want) in [
            (&[][..], &[0][..]),
            (&[0], &[0]),
            (&[5], &[5]),
            (&[1, 2, 3], &[6]),
            (&[M, 1], &[M, 1]),
            (&[1, M], &[M, 1]),
            (&[3 * M + 7, 0, 9], &[3 * M, 16]),
            (&[10, 3 * M, 5], &[M, 2 * M, 15]),
            (&[M - 1, 1, 2], &[M, 2]),
        ] {
            let (sizes, sealed, whole) = pieces(lens);
            assert_eq!(sizes, want, "{lens:?}");
            assert_eq!(sealed, whole, "{lens:?}");
        }
    }
}
