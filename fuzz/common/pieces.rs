//! A head that comes in pieces, for the targets that look for its end.

/// Scans the head as it grows by `size` bytes. Bytes that it has seen are spoilt before the next call, except the last
/// one, which the scanner may look back at: a scanner that looked at more would find something else, and take quadratic
/// time.
pub fn scan_in_pieces<E>(
    bytes: &[u8],
    size: usize,
    mut scan: impl FnMut(&[u8]) -> Result<Option<usize>, E>,
) -> Result<Option<usize>, E> {
    let mut seen = Vec::new();
    for piece in bytes.chunks(size) {
        let spoilt = seen.len().saturating_sub(1);
        seen[..spoilt].fill(0);
        seen.extend_from_slice(piece);
        let found = scan(&seen);
        if !matches!(found, Ok(None)) {
            return found;
        }
    }
    Ok(None)
}
