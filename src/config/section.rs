//! The two macros that make a section of the configuration: its struct, its defaults, its reading and its page of the
//! example file all come from one place, so they cannot drift apart.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Fault;
use super::knob::Knob;

/// Reads values and gathers what is wrong with them.
pub(super) struct Reader<'a> {
    text: &'a str,
    pub(super) faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, faults: Vec::new() }
    }

    /// The document; where its syntax is broken, what could be made out of it.
    pub(super) fn document(&mut self) -> DeTable<'a> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            self.refuse(error.span(), String::new(), String::new(), format!("not TOML: {}", error.message()));
        }
        table.into_inner()
    }

    fn refuse(&mut self, span: Option<Range<usize>>, path: String, value: String, allowed: String) {
        let line = span.map(|span| 1 + self.text[..span.start.min(self.text.len())].matches('\n').count());
        self.faults.push(Fault { path, line, value, allowed });
    }

    /// One value, or `None` where it is absent or at fault.
    pub(super) fn value<T: Knob>(
        &mut self,
        table: &DeTable<'_>,
        section: &str,
        key: &str,
        limit: &T::Limit,
        unit: &str,
    ) -> Option<T> {
        let value = table.get(key)?;
        let read = T::read(value.get_ref(), limit);
        // An empty span: the parser made the value up to go on after a fault that it has told already.
        if read.is_none() && !value.span().is_empty() {
            let path = format!("{section}.{key}");
            self.refuse(Some(value.span()), path, self.text[value.span()].to_owned(), allowed::<T>(limit, unit));
        }
        read
    }

    /// Names the keys that nothing reads.
    pub(super) fn unknown(&mut self, table: &DeTable<'_>, section: &str, known: &[&str]) {
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let (path, what) = if section.is_empty() {
                (key.get_ref().to_string(), "sections")
            } else {
                (format!("{section}.{}", key.get_ref()), "keys")
            };
            self.refuse(
                Some(key.span()),
                path,
                String::new(),
                format!("unknown; the {what} here are {}", known.join(", ")),
            );
        }
    }

    /// A section's table; nothing where it is absent or no table.
    pub(super) fn section<'t>(&mut self, table: &'t DeTable<'a>, name: &str) -> Option<&'t DeTable<'a>> {
        let value: &Spanned<DeValue<'a>> = table.get(name)?;
        let inner = value.get_ref().as_table();
        if inner.is_none() {
            self.refuse(
                Some(value.span()),
                name.to_owned(),
                self.text[value.span()].to_owned(),
                format!("a section, [{name}]"),
            );
        }
        inner
    }
}

/// What may stand there, with its unit.
fn allowed<T: Knob>(limit: &T::Limit, unit: &str) -> String {
    let range = T::allowed(limit);
    if unit.is_empty() { range } else { format!("{range} {unit}") }
}

/// A key's lines in the example file.
pub(super) fn write_key<T: Knob>(out: &mut String, docs: &[&str], key: &str, value: &T, limit: &T::Limit, unit: &str) {
    out.push('\n');
    docs.iter().for_each(|line| out.push_str(&format!("#{line}\n")));
    out.push_str(&format!("# Allowed: {}.\n", allowed::<T>(limit, unit)));
    match value.toml() {
        Some(value) => out.push_str(&format!("{key} = {value}\n")),
        None => out.push_str(&format!("# {key} = {}\n", T::shown(limit))),
    }
}

/// One section: `key: Type = default, limit, "unit";`. The comments go into the documentation and the example file.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident in $section:literal {
            $( $(#[doc = $doc:literal])+ $key:ident : $type:ty = $default:expr, $limit:expr, $unit:literal; )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $key: $type, )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $key: $default, )+ }
            }
        }

        impl $name {
            pub(in crate::config) fn read(table: &toml::de::DeTable<'_>, reader: &mut $crate::config::section::Reader<'_>) -> Self {
                #[allow(unused_imports, reason = "not every section has every kind of limit")]
                use $crate::config::knob::{ListOf, Optional, Text};
                let mut read = Self::default();
                reader.unknown(table, $section, &[$( stringify!($key) ),+]);
                $( if let Some(value) = reader.value::<$type>(table, $section, stringify!($key), &$limit, $unit) { read.$key = value; } )+
                read
            }

            pub(in crate::config) fn write(&self, out: &mut String) {
                #[allow(unused_imports, reason = "not every section has every kind of limit")]
                use $crate::config::knob::{ListOf, Optional, Text};
                out.push('\n');
                $( out.push_str(&format!("#{}\n", $about)); )+
                out.push_str(concat!("[", $section, "]\n"));
                $( $crate::config::section::write_key::<$type>(out, &[$($doc),+], stringify!($key), &self.$key, &$limit, $unit); )+
            }
        }
    };
}

/// The configuration: its sections in the order of the example file.
macro_rules! sections {
    ( $(#[doc = $about:literal])+ pub struct $name:ident { $( $key:ident : $section:ident, )+ } ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $( pub $key: $section, )+
        }

        impl $name {
            fn read(reader: &mut section::Reader<'_>) -> Self {
                let document = reader.document();
                let mut read = Self::default();
                reader.unknown(&document, "", &[$( stringify!($key) ),+]);
                $( if let Some(table) = reader.section(&document, stringify!($key)) { read.$key = $section::read(table, reader); } )+
                read
            }

            fn write(&self, out: &mut String) {
                $( self.$key.write(out); )+
            }
        }
    };
}
