//! A value that can be set: how it is read from TOML, what is allowed, how it is written.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::de::DeValue;

/// A kind of value.
pub(super) trait Knob: Sized {
    /// What bounds it.
    type Limit;

    /// Reads it; `None` where it has the wrong type or lies outside of the limit.
    fn read(value: &DeValue<'_>, limit: &Self::Limit) -> Option<Self>;

    /// What is allowed, in words that follow "must be".
    fn allowed(limit: &Self::Limit) -> String;

    /// As it stands in a file; `None` where there is nothing to write.
    fn toml(&self) -> Option<String>;

    /// What the example file shows, commented out, where there is nothing to write.
    fn shown(_limit: &Self::Limit) -> String {
        String::new()
    }
}

/// Text of 1 to `most` characters.
pub(super) struct Text {
    pub(super) most: usize,
}

/// A list of at most `most` values.
pub(super) struct ListOf<L> {
    pub(super) most: usize,
    pub(super) each: L,
}

/// A value that may be absent; `example` is shown instead of it.
pub(super) struct Optional<L> {
    pub(super) each: L,
    pub(super) example: &'static str,
}

/// Quoted as TOML wants it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

macro_rules! whole_number {
    ($($type:ty),+) => { $(
        impl Knob for $type {
            type Limit = RangeInclusive<$type>;

            fn read(value: &DeValue<'_>, limit: &Self::Limit) -> Option<Self> {
                let number = value.as_integer()?;
                <$type>::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| limit.contains(number))
            }

            fn allowed(limit: &Self::Limit) -> String {
                format!("{} to {}", limit.start(), limit.end())
            }

            fn toml(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )+ };
}
whole_number!(u16, u32);

impl Knob for f32 {
    type Limit = RangeInclusive<f32>;

    fn read(value: &DeValue<'_>, limit: &Self::Limit) -> Option<Self> {
        let text = match value {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            _ => return None,
        };
        text.parse().ok().filter(|number| limit.contains(number))
    }

    fn allowed(limit: &Self::Limit) -> String {
        format!("{:?} to {:?}", limit.start(), limit.end())
    }

    fn toml(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}

impl Knob for bool {
    type Limit = ();

    fn read(value: &DeValue<'_>, (): &()) -> Option<Self> {
        value.as_bool()
    }

    fn allowed((): &()) -> String {
        "true or false".into()
    }

    fn toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Knob for String {
    type Limit = Text;

    fn read(value: &DeValue<'_>, limit: &Text) -> Option<Self> {
        value.as_str().filter(|text| (1..=limit.most).contains(&text.chars().count())).map(Self::from)
    }

    fn allowed(limit: &Text) -> String {
        format!("text of 1 to {} characters", limit.most)
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Knob for PathBuf {
    type Limit = ();

    fn read(value: &DeValue<'_>, (): &()) -> Option<Self> {
        value.as_str().filter(|text| !text.is_empty() && !text.contains('\0')).map(super::values::home_expanded)
    }

    fn allowed((): &()) -> String {
        "a path; ~/ is the home folder".into()
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.to_string_lossy()))
    }
}

impl Knob for SocketAddr {
    type Limit = ();

    fn read(value: &DeValue<'_>, (): &()) -> Option<Self> {
        value.as_str()?.parse().ok()
    }

    fn allowed((): &()) -> String {
        "an IP address with a port, as in \"0.0.0.0:8080\" or \"[::]:8080\"".into()
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

impl Knob for IpAddr {
    type Limit = ();

    fn read(value: &DeValue<'_>, (): &()) -> Option<Self> {
        value.as_str()?.parse().ok()
    }

    fn allowed((): &()) -> String {
        "IP addresses, as in \"203.0.113.7\"".into()
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

impl<T: Knob> Knob for Vec<T> {
    type Limit = ListOf<T::Limit>;

    fn read(value: &DeValue<'_>, limit: &Self::Limit) -> Option<Self> {
        let list = value.as_array().filter(|list| list.len() <= limit.most)?;
        list.iter().map(|item| T::read(item.get_ref(), &limit.each)).collect()
    }

    fn allowed(limit: &Self::Limit) -> String {
        format!("a list of at most {}: {}", limit.most, T::allowed(&limit.each))
    }

    fn toml(&self) -> Option<String> {
        Some(format!("[{}]", self.iter().filter_map(T::toml).collect::<Vec<_>>().join(", ")))
    }
}

impl<T: Knob> Knob for Option<T> {
    type Limit = Optional<T::Limit>;

    fn read(value: &DeValue<'_>, limit: &Self::Limit) -> Option<Self> {
        T::read(value, &limit.each).map(Some)
    }

    fn allowed(limit: &Self::Limit) -> String {
        T::allowed(&limit.each)
    }

    fn toml(&self) -> Option<String> {
        self.as_ref().and_then(T::toml)
    }

    fn shown(limit: &Self::Limit) -> String {
        limit.example.to_owned()
    }
}
