//! Reads the variables of a CTranslate2 `model.bin` (binary version 6), the form in which packages ship Whisper.
//!
//! Layout, little endian: u32 version, string spec name, u32 revision, u32 count, then per variable: string name,
//! u8 rank, u32 dims[rank], u8 element type, u32 byte count, data. Aliases follow and are not needed here. A string is a
//! u16 length, which counts the closing NUL, and the bytes.

use std::collections::BTreeMap;

/// The binary version that this reader knows.
const VERSION: u32 = 6;

/// How the elements of a variable are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    F32,
    I8,
    I16,
    I32,
    F16,
    Bf16,
}

impl Element {
    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Element::F32,
            1 => Element::I8,
            2 => Element::I16,
            3 => Element::I32,
            4 => Element::F16,
            5 => Element::Bf16,
            _ => return None,
        })
    }

    fn size(self) -> usize {
        match self {
            Element::I8 => 1,
            Element::I16 | Element::F16 | Element::Bf16 => 2,
            Element::F32 | Element::I32 => 4,
        }
    }
}

/// One named array; `data` is row-major, little endian.
#[derive(Clone, Debug)]
pub struct Variable<'a> {
    pub dims: Vec<usize>,
    pub element: Element,
    pub data: &'a [u8],
}

/// The variables of one model, by name.
#[derive(Debug)]
pub struct Ct2Model<'a> {
    pub spec: &'a str,
    pub variables: BTreeMap<&'a str, Variable<'a>>,
}

impl<'a> Ct2Model<'a> {
    /// Reads a whole `model.bin`.
    ///
    /// # Errors
    /// Says what is wrong and at which byte: a cut file, another version, a size that does not fit the dimensions.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let mut cursor = Cursor { bytes, at: 0 };
        let version = cursor.u32()?;
        if version != VERSION {
            return Err(format!("binary version {version}, this program reads {VERSION}"));
        }
        let spec = cursor.string()?;
        let _revision = cursor.u32()?;
        let count = cursor.u32()?;
        let mut variables = BTreeMap::new();
        for _ in 0..count {
            let name = cursor.string()?;
            let variable = cursor.variable().map_err(|fault| format!("variable {name}: {fault}"))?;
            variables.insert(name, variable);
        }
        Ok(Ct2Model { spec, variables })
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else {
            return Err(format!(
                "cut off: {count} bytes wanted at byte {}, the file has {}",
                self.at,
                self.bytes.len()
            ));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, String> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let length = self.take(2)?;
        let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
        let at = self.at;
        let text = self.take(length)?;
        let text = text.strip_suffix(&[0]).unwrap_or(text);
        std::str::from_utf8(text).map_err(|_| format!("the name at byte {at} is not UTF-8"))
    }

    fn variable(&mut self) -> Result<Variable<'a>, String> {
        let rank = self.u8()?;
        let dims = (0..rank).map(|_| Ok(self.u32()? as usize)).collect::<Result<Vec<_>, String>>()?;
        let code = self.u8()?;
        let element = Element::from_code(code).ok_or_else(|| format!("unknown element type {code}"))?;
        let length = self.u32()? as usize;
        let expected = dims.iter().try_fold(element.size(), |product, &dim| product.checked_mul(dim));
        if expected != Some(length) {
            return Err(format!("{length} bytes do not fit the dimensions {dims:?}"));
        }
        let data = self.take(length)?;
        Ok(Variable { dims, element, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::testing::ct2_file;

    #[test]
    fn variables_are_read_with_their_dimensions() {
        let file = ct2_file(&[("a/weight", &[2, 1], 4, &[1, 2, 3, 4]), ("heads", &[], 2, &[6, 0])]);
        let model = Ct2Model::parse(&file).expect("a sound file");
        assert_eq!(model.spec, "WhisperSpec");
        assert_eq!(model.variables["a/weight"].dims, [2, 1]);
        assert_eq!(model.variables["a/weight"].element, Element::F16);
        assert_eq!(model.variables["heads"].data, [6, 0]);
    }

    #[test]
    fn a_file_cut_anywhere_is_refused_and_never_a_panic() {
        let file = ct2_file(&[("a/weight", &[2, 1], 4, &[1, 2, 3, 4])]);
        let whole_without_aliases = file.len() - 4;
        for length in 0..whole_without_aliases {
            let fault = Ct2Model::parse(&file[..length]).expect_err("a cut file");
            assert!(fault.contains("cut off"), "at {length}: {fault}");
        }
    }

    #[test]
    fn a_size_that_does_not_fit_the_dimensions_is_refused_by_name() {
        let file = ct2_file(&[("a/weight", &[3, 1], 4, &[1, 2, 3, 4])]);
        let fault = Ct2Model::parse(&file).expect_err("3 x 1 halves are 6 bytes, not 4");
        assert!(fault.contains("a/weight") && fault.contains("4 bytes"), "{fault}");
    }
}
