//! A datagram's lines.

use core::net::Ipv6Addr;

/// The first line.
pub enum Start<'a> {
    Request(&'a str),
    Status(&'a str),
}

/// Start line, headers and what stands behind them.
pub struct Message<'a> {
    pub start: Start<'a>,
    /// Names in full and in small letters; values without line ends.
    pub headers: Vec<(String, String)>,
    pub body: &'a [u8],
    /// No empty line ends the headers.
    pub unfinished: bool,
    /// The first header line that has no name, or is not UTF-8, counted from 1.
    pub unreadable: Option<usize>,
}

impl<'a> Message<'a> {
    /// `None` where the first line is no SIP's.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let ended = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = ended.map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 4..]));
        let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first = std::str::from_utf8(lines.next()?).ok()?;
        let start = if first.get(..4).is_some_and(|four| four.eq_ignore_ascii_case("SIP/")) {
            Start::Status(first)
        } else {
            let version = first.trim_end().rsplit([' ', '\t']).next()?;
            if !version.get(..4).is_some_and(|four| four.eq_ignore_ascii_case("SIP/")) {
                return None;
            }
            Start::Request(first)
        };
        let (mut headers, mut unreadable) = (Vec::<(String, String)>::new(), None);
        for (number, line) in (1..).zip(lines) {
            let Ok(line) = std::str::from_utf8(line) else {
                unreadable = unreadable.or(Some(number));
                continue;
            };
            if line.starts_with([' ', '\t']) {
                // A folded line goes on with the one before (RFC 3261, section 7.3.1).
                if let Some((_, value)) = headers.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                continue;
            }
            match line.split_once(':').map(|(name, value)| (name.trim_end(), value.trim())) {
                Some((name, value)) if super::is_token(name) => headers.push((full(name), value.to_owned())),
                // Empty lines are seen only where the empty line proper is missing.
                _ if line.is_empty() => {}
                _ => unreadable = unreadable.or(Some(number)),
            }
        }
        // A header that is empty but for its folded lines begins with a space.
        headers.iter_mut().for_each(|(_, value)| *value = value.trim().to_owned());
        Some(Self { start, headers, body, unfinished: ended.is_none(), unreadable })
    }

    /// The values of a header, in their order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(its, _)| its == name).map(|(_, value)| value.as_str())
    }
}

/// RFC 3261, section 7.3.3, as far as the name matters here.
fn full(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "v" => "via".into(),
        "f" => "from".into(),
        "t" => "to".into(),
        "i" => "call-id".into(),
        "l" => "content-length".into(),
        _ => name,
    }
}

/// Version, and host and port, of the first `Via` in a value.
pub fn sent_by(via: &str) -> Option<(&str, &str)> {
    let first = &via[..end_of_first(via)];
    let mut parts = first.splitn(3, '/');
    let (name, version, rest) = (parts.next()?.trim(), parts.next()?.trim(), parts.next()?.trim());
    let (transport, rest) = rest.split_once([' ', '\t'])?;
    let host = rest.split(';').next()?.trim();
    let read = name.eq_ignore_ascii_case("SIP") && super::is_token(transport) && !host.is_empty();
    read.then_some((version, host))
}

/// Behind the address stands `;tag=`, with white space anywhere.
pub fn has_tag(value: &str) -> bool {
    let params = value.rsplit_once('>').map_or(value, |(_, params)| params);
    let mut names = params.split(';').skip(1).filter_map(|param| param.split_once('='));
    names.any(|(name, tag)| name.trim().eq_ignore_ascii_case("tag") && !tag.trim().is_empty())
}

/// `host` or `host:port`, with an IPv6 address in brackets (RFC 5118, section 4.2).
pub fn is_place(text: &str) -> bool {
    let (host, rest) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((ip, rest)) => (ip.parse::<Ipv6Addr>().is_ok(), rest),
        None => {
            let (host, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            (!host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)), rest)
        }
    };
    let port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    host && (rest.is_empty() || rest.strip_prefix(':').is_some_and(port))
}

/// Where the first value of a list ends: the first comma outside of quotes.
pub fn end_of_first(list: &str) -> usize {
    outside(list, ',').next().unwrap_or(list.len())
}

/// Between each two separators stands something.
pub fn separated(list: &str) -> bool {
    let mut from = 0;
    let mut ends: Vec<usize> = outside(list, ',').chain(outside(list, ';')).collect();
    ends.sort_unstable();
    ends.push(list.len());
    ends.into_iter().all(|end| {
        let part = &list[from..end];
        from = (end + 1).min(list.len());
        !part.trim().is_empty()
    })
}

/// Where a separator stands outside of quotes and of angle brackets.
fn outside(text: &str, separator: char) -> impl Iterator<Item = usize> {
    let (mut quoted, mut escaped, mut inside) = (false, false, false);
    text.char_indices().filter_map(move |(at, c)| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '<' => inside = true,
            '>' => inside = false,
            _ => return (!inside && c == separator).then_some(at),
        }
        None
    })
}

/// `"Name" <scheme:address>;parameters` or `scheme:address;parameters` (RFC 3261, section 20.10). A name that ought to be in quotes and is
/// not is let pass: many telephones write it so.
pub fn names_an_address(value: &str) -> bool {
    let rest = match value.strip_prefix('"') {
        None => value,
        Some(quoted) => {
            let mut escaped = false;
            let end = quoted.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            let Some(end) = end else { return false };
            quoted[end + 1..].trim_start()
        }
    };
    let uri = match rest.split_once('<') {
        Some((_, rest)) => match rest.split_once('>') {
            Some((uri, _)) => uri,
            None => return false,
        },
        None if rest.len() < value.len() => return false,
        None => rest.split(';').next().unwrap_or_default().trim_end(),
    };
    let scheme = uri.split_once(':').filter(|(scheme, rest)| super::is_token(scheme) && !rest.is_empty());
    scheme.is_some() && !uri.contains([' ', '\t', '<', '"'])
}
