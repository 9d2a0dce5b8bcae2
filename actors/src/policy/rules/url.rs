//! The host of an address, read so narrowly that every client must agree on it. What is not
//! plainly `http(s)://host[:port][/…]` has no host here: rules that tighten then call it unclear
//! and rules that allow do not match.

/// The host in lower case, without a trailing dot.
pub(super) fn host(url: &str) -> Option<String> {
    let odd = |c: char| !c.is_ascii() || c.is_ascii_control() || c == ' ' || c == '\\';
    if url.contains(odd) {
        return None;
    }
    let (scheme, rest) = url.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    if !port.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    is_plain(&host).then_some(host)
}

/// Names and dotted quads only: other spellings of numbers are read differently by clients.
fn is_plain(host: &str) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    let word = |label: &&str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    let number =
        |label: &&str| label.starts_with("0x") || label.chars().all(|c| c.is_ascii_digit());
    let octet = |label: &&str| label.parse::<u8>().is_ok_and(|n| n.to_string() == **label);
    if !labels.iter().all(|label| word(&label)) {
        return false;
    }
    match labels.last() {
        Some(last) if number(&last) => labels.len() == 4 && labels.iter().all(|l| octet(&l)),
        Some(_) => true,
        None => false,
    }
}
