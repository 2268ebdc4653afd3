//! Shortens values of a caller or a peer before error messages repeat them.

/// Returns `text` in quotes, shortened to 100 characters.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text))
}

/// Returns `text`, shortened to 100 characters.
#[must_use]
pub fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

const MAX_CHARS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_quoted_whole_or_cut_between_letters() {
        for len in [0, 1, 99, 100] {
            let text = "ü".repeat(len);
            assert_eq!(quoted(&text), format!("\"{text}\""));
            assert_eq!(shortened(&text), text);
        }
        for len in [101, 5000] {
            let cut = format!("{}…", "ü".repeat(100));
            assert_eq!(quoted(&"ü".repeat(len)), format!("\"{cut}\""));
            assert_eq!(shortened(&"ü".repeat(len)), cut);
        }
    }
}
