//! Whom a telephone wants called in its place: the header `Refer-To` (RFC 3515), and the dialog that is to be taken over there
//! (`Replaces`, RFC 3891).
//!
//! An address in a header may carry more headers, and whatever a telephone puts there would stand in a request of ours. So nothing of it
//! is handed on but a user, a host, a port, the transport, and the three parts of a dialog's name.

use std::fmt;

/// Longest `Refer-To` that is read. A name of 128 letters, a host of 253 and a dialog of three such names have room in it.
const LONGEST: usize = 2_048;
/// What may stand unescaped in a user (RFC 3261, section 25.1) and means nothing there.
const IN_USER: &[u8] = b"+*-._~!$&'()=";

/// Why a `Refer-To` names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferFault {
    #[error("Refer-To cannot be read")]
    Form,
    #[error("Refer-To names several")]
    Several,
    #[error("{0}: is no address to call")]
    Scheme(String),
    #[error("only an INVITE can be asked for, not {0}")]
    Method(String),
    #[error("the Replaces in Refer-To names no dialog")]
    Replaces,
}

/// A dialog, as the side that is asked for it knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    pub call_id: String,
    /// The tag of the side that is asked.
    pub to_tag: String,
    pub from_tag: String,
    /// Only while it rings.
    pub early_only: bool,
}

impl Replaces {
    /// Reads the value of a header `Replaces`. `None`: it names no dialog.
    pub fn read(value: &str) -> Option<Self> {
        let mut parts = value.split(';').map(str::trim);
        let call_id = parts.next().filter(|id| is_call_id(id))?.to_owned();
        let params: Vec<(&str, &str)> = parts.map(|param| param.split_once('=').unwrap_or((param, ""))).collect();
        let param = |name: &str| {
            params.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let tag = |name: &str| param(name).filter(|tag| is_token(tag)).map(str::to_owned);
        let (to_tag, from_tag) = (tag("to-tag")?, tag("from-tag")?);
        Some(Self { call_id, to_tag, from_tag, early_only: param("early-only").is_some() })
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        out.write_str(if self.early_only { ";early-only" } else { "" })
    }
}

/// Who is to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferTo {
    /// `sip:user@host`, with a port and a transport where they stand there. Whether it is one that can be called is for others to say.
    pub address: String,
    pub replaces: Option<Replaces>,
}

impl ReferTo {
    /// Reads the value of a header `Refer-To`.
    ///
    /// # Errors
    /// When it names nobody, several, or what is no telephone.
    pub fn read(value: &str) -> Result<Self, ReferFault> {
        let value = value.trim();
        if value.len() > LONGEST || !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(ReferFault::Form);
        }
        let (uri, behind) = in_brackets(value)?;
        // Without brackets a comma would have to be the next one's, and in them it is the address's.
        if is_list(behind) {
            return Err(ReferFault::Several);
        }
        let (scheme, rest) = uri.split_once(':').ok_or(ReferFault::Form)?;
        let scheme = scheme.to_ascii_lowercase();
        if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
            return Err(ReferFault::Form);
        }
        if !["sip", "sips"].contains(&scheme.as_str()) {
            return Err(ReferFault::Scheme(scheme));
        }
        let (user, rest) = rest.split_once('@').ok_or(ReferFault::Form)?;
        let (place, headers) = rest.split_once('?').unwrap_or((rest, ""));
        let mut params = place.split(';');
        let in_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
        let host = params.next().filter(|host| !host.is_empty() && host.bytes().all(in_host));
        let host = host.ok_or(ReferFault::Form)?;
        let transport = transport(params)?;
        let user = unescaped_user(user);
        let transport = transport.map(|transport| format!(";transport={transport}")).unwrap_or_default();
        Ok(Self { address: format!("{scheme}:{user}@{host}{transport}"), replaces: replaces(headers)? })
    }
}

/// The address, and what stands behind it. Telephones leave the brackets out where there is nothing in the address that would need them,
/// and where there is, too: then it is all of it.
fn in_brackets(value: &str) -> Result<(&str, &str), ReferFault> {
    let rest =
        if let Some(quoted) = value.strip_prefix('"') { after_quotes(quoted).ok_or(ReferFault::Form)? } else { value };
    let Some(open) = rest.find('<') else {
        let bare = if value.starts_with('"') { None } else { Some(value) };
        let bare = bare.ok_or(ReferFault::Form)?;
        return Ok(bare.find(',').map_or((bare, ""), |comma| bare.split_at(comma)));
    };
    // A name before it is of words, in which neither an address nor a comma could be meant.
    if rest[..open].contains([':', ',', '@']) {
        return Err(if rest[..open].contains(',') { ReferFault::Several } else { ReferFault::Form });
    }
    let inner = &rest[open + 1..];
    let close = inner.find('>').ok_or(ReferFault::Form)?;
    Ok((inner[..close].trim(), &inner[close + 1..]))
}

/// What stands behind a quoted text, which may have escaped quotes in it.
fn after_quotes(quoted: &str) -> Option<&str> {
    let mut escaped = false;
    let end = quoted.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some(&quoted[end + 1..])
}

/// Whether a further value stands behind the first; in quotes a comma is none.
fn is_list(behind: &str) -> bool {
    let mut quoted = false;
    behind.bytes().any(|byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    })
}

/// Of an address's parameters the one that says how it is reached. One is refused: a method that is none of ours. The others are left out.
fn transport<'a>(params: impl Iterator<Item = &'a str>) -> Result<Option<String>, ReferFault> {
    let mut transport = None;
    for param in params {
        let (name, value) = param.split_once('=').unwrap_or((param, ""));
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "method" if !value.eq_ignore_ascii_case("INVITE") => {
                return Err(ReferFault::Method(value.chars().take(20).collect()));
            }
            "transport" if !is_token(value) || transport.is_some() => return Err(ReferFault::Form),
            "transport" => transport = Some(value.to_ascii_lowercase()),
            _ => {}
        }
    }
    Ok(transport)
}

/// The dialog among an address's headers; all others are left out.
fn replaces(headers: &str) -> Result<Option<Replaces>, ReferFault> {
    let named =
        |header: &&str| header.split_once('=').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("Replaces"));
    let mut found = headers.split('&').filter(named);
    let Some((_, value)) = found.next().and_then(|header| header.split_once('=')) else { return Ok(None) };
    if found.next().is_some() {
        return Err(ReferFault::Replaces);
    }
    let read = unescaped(value).as_deref().and_then(Replaces::read);
    read.map(Some).ok_or(ReferFault::Replaces)
}

/// Letters that were escaped without need are those letters; the others stay as they are.
fn unescaped_user(user: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || IN_USER.contains(&byte);
    let mut written = String::with_capacity(user.len());
    let mut rest = user;
    while let Some(first) = rest.chars().next() {
        match escape(rest).filter(|byte| plain(*byte)) {
            Some(byte) => {
                written.push(char::from(byte));
                rest = &rest[3..];
            }
            None => {
                written.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    written
}

/// The byte that stands escaped at the beginning.
fn escape(text: &str) -> Option<u8> {
    let digits = text.strip_prefix('%')?.get(..2)?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// `None`: something is escaped that cannot be, or is no letter.
fn unescaped(text: &str) -> Option<String> {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (letter, length) = if first == '%' { (char::from(escape(rest)?), 3) } else { (first, first.len_utf8()) };
        if !letter.is_ascii() || letter.is_ascii_control() {
            return None;
        }
        written.push(letter);
        rest = &rest[length..];
    }
    Some(written)
}

/// RFC 3261, section 25.1.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

/// Likewise: a word, or two with an @ between them.
fn is_call_id(text: &str) -> bool {
    let word = |text: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~()<>:\\\"/[]?{}".contains(&byte);
        !text.is_empty() && text.bytes().all(known)
    };
    match text.split_once('@') {
        Some((local, host)) => word(local) && word(host),
        None => word(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(value: &str) -> Result<String, ReferFault> {
        ReferTo::read(value).map(|read| read.address)
    }

    #[test]
    fn an_address_is_read_as_telephones_write_it_and_nothing_else_of_it_is() {
        for (written, read) in [
            ("<sip:102@192.0.2.1>", "sip:102@192.0.2.1"),
            ("sip:102@192.0.2.1:5070", "sip:102@192.0.2.1:5070"),
            ("sip:102@192.0.2.1;transport=TCP", "sip:102@192.0.2.1;transport=tcp"),
            (
                " \"Desk, \\\"first\\\" <x>\" <SIP:desk@[2001:db8::1]:7;user=phone;lr>;x=\"a,b\"",
                "sip:desk@[2001:db8::1]:7",
            ),
            ("Desk <sips:desk@x;method=INVITE;gr=urn:uuid:1>", "sips:desk@x"),
            ("<sip:%2B4930*1@x;maddr=evil?Subject=free&Route=%3Csip:evil%3E>", "sip:+4930*1@x"),
        ] {
            assert_eq!(ReferTo::read(written), Ok(ReferTo { address: read.into(), replaces: None }), "{written}");
        }
        // What is escaped for a reason stays so, and is nobody's name.
        assert_eq!(address("<sip:a%40evil@x>").as_deref(), Ok("sip:a%40evil@x"));
        assert_eq!(address("<sip:a%0D%0AEvil:1@x>").as_deref(), Ok("sip:a%0D%0AEvil:1@x"));
    }

    #[test]
    fn what_names_nobody_is_told_why() {
        for (written, fault) in [
            ("", ReferFault::Form),
            ("desk", ReferFault::Form),
            ("<sip:desk@x", ReferFault::Form),
            ("\"Desk <sip:desk@x>", ReferFault::Form),
            ("<sip:x>", ReferFault::Form),
            ("<sip:a@>", ReferFault::Form),
            ("<sip:a@x;transport=tcp;transport=udp>", ReferFault::Form),
            ("<sip:a@x>\r\nEvil: 1", ReferFault::Form),
            ("<sip:a@x>, <sip:b@x>", ReferFault::Several),
            ("sip:a@x, sip:b@x", ReferFault::Several),
            ("sip:a@x, <sip:b@x>", ReferFault::Several),
            ("sip:a@b>c", ReferFault::Form),
            ("<tel:+4930123>", ReferFault::Scheme("tel".into())),
            ("https://example.org/", ReferFault::Scheme("https".into())),
            ("<sip:a@x;method=BYE>", ReferFault::Method("BYE".into())),
            ("<sip:a@x?Replaces=1%40x>", ReferFault::Replaces),
            ("<sip:a@x?Replaces=1%3Bto-tag%3Da%3Bfrom-tag%3Db%0D%0AEvil%3A1>", ReferFault::Replaces),
            ("<sip:a@x?Replaces=1;to-tag=a;from-tag=b&replaces=2;to-tag=a;from-tag=b>", ReferFault::Replaces),
        ] {
            assert_eq!(ReferTo::read(written), Err(fault), "{written}");
        }
    }

    #[test]
    fn the_dialog_that_is_to_be_taken_over_stands_in_the_address() {
        for written in [
            "<sip:desk@x?Replaces=1%40x%3Bto-tag%3Da%3Bfrom-tag%3Db>",
            "<sip:desk@x?Require=replaces&replaces=1@x;from-tag=b;to-tag=a>",
        ] {
            let read = ReferTo::read(written).expect("somebody");
            assert_eq!(read.address, "sip:desk@x");
            assert_eq!(read.replaces.expect("a dialog").to_string(), "1@x;to-tag=a;from-tag=b");
        }
        let early = Replaces::read(" 1@x ; To-Tag = b ; early-only ; from-tag=a").expect("a dialog");
        assert_eq!(early.to_string(), "1@x;to-tag=b;from-tag=a;early-only");
        for none in
            ["", "1@x", "1@x;to-tag=b", ";to-tag=b;from-tag=a", "1@x@y;to-tag=a;from-tag=b", "1;to-tag=a b;from-tag=c"]
        {
            assert_eq!(Replaces::read(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_of_it_ends_a_line_or_an_address(text in ".*|<?sips?:[ -~]{0,40}@[ -~]{0,40}>?", more in "[ -~]{0,60}") {
            if let Ok(ReferTo { address, replaces }) = ReferTo::read(&format!("{text}{more}")) {
                prop_assert!(address.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
                let (_, host) = address.split_once('@').expect("a user and a host");
                prop_assert!(!host.contains(['@', '?', '&', ',', '<', '>', ' ']));
                if let Some(replaces) = replaces {
                    prop_assert_eq!(Replaces::read(&replaces.to_string()), Some(replaces));
                }
            }
        }

        #[test]
        fn a_dialog_survives_the_way_through_an_address(call_id in "[a-z0-9.-]{1,20}(@[a-z0-9.]{1,20})?", to in "[A-Za-z0-9._~-]{1,20}", from in "[A-Za-z0-9._~-]{1,20}", early in any::<bool>()) {
            let dialog = Replaces { call_id, to_tag: to, from_tag: from, early_only: early };
            let escaped: String = dialog.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect();
            let read = ReferTo::read(&format!("<sip:a@x?Replaces={escaped}>"));
            prop_assert_eq!(read.map(|read| read.replaces), Ok(Some(dialog)));
        }
    }
}
