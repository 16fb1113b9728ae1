//! As much of ONNX as holds the weights: the named float tensors (`initializer`) of a model's graph.
//!
//! A model is a protobuf message; its fields are skipped by wire type (protobuf.dev, "Encoding"), so that whatever
//! else the file holds does not matter. Field numbers are those of `onnx.proto3`.

use std::collections::HashMap;

use super::VadFault;

/// `ModelProto.graph`
const MODEL_GRAPH: u64 = 7;
/// `GraphProto.initializer`
const GRAPH_INITIALIZER: u64 = 5;
/// `TensorProto.name`
const TENSOR_NAME: u64 = 8;
/// `TensorProto.raw_data`: little-endian numbers
const TENSOR_RAW_DATA: u64 = 9;

/// The graph's tensors by name; those kept in another form than raw bytes have no bytes here.
pub(super) fn tensors(file: &[u8]) -> Result<HashMap<&str, &[u8]>, VadFault> {
    let mut found = HashMap::new();
    let mut model = Fields::of(file, 0);
    while let Some((number, graph)) = model.next()? {
        if number != MODEL_GRAPH {
            continue;
        }
        let mut graph = Fields::of(graph.bytes, graph.at);
        while let Some((number, tensor)) = graph.next()? {
            if number == GRAPH_INITIALIZER {
                let (name, raw) = tensor_of(tensor)?;
                found.insert(name, raw);
            }
        }
    }
    Ok(found)
}

fn tensor_of(tensor: Value<'_>) -> Result<(&str, &[u8]), VadFault> {
    let (mut name, mut raw): (&str, &[u8]) = ("", &[]);
    let mut fields = Fields::of(tensor.bytes, tensor.at);
    while let Some((number, value)) = fields.next()? {
        match number {
            TENSOR_NAME => {
                name = std::str::from_utf8(value.bytes).map_err(|_| VadFault::Malformed { at: value.at })?;
            }
            TENSOR_RAW_DATA => raw = value.bytes,
            _ => {}
        }
    }
    Ok((name, raw))
}

/// A length-delimited value, or no bytes where the field is a number; `at` is its place in the file.
#[derive(Clone, Copy)]
struct Value<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The fields of one protobuf message.
struct Fields<'a> {
    message: &'a [u8],
    next: usize,
    base: usize,
}

impl<'a> Fields<'a> {
    fn of(message: &'a [u8], base: usize) -> Self {
        Self { message, next: 0, base }
    }

    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, VadFault> {
        if self.next == self.message.len() {
            return Ok(None);
        }
        let key = self.varint()?;
        let (length, at) = match key & 7 {
            0 => {
                self.varint()?;
                (0, self.next)
            }
            1 => (8, self.next),
            2 => {
                let length = self.varint()?;
                (usize::try_from(length).map_err(|_| self.astray())?, self.next)
            }
            5 => (4, self.next),
            _ => return Err(self.astray()),
        };
        let end = at.checked_add(length).filter(|end| *end <= self.message.len()).ok_or(self.astray())?;
        self.next = end;
        let bytes = if key & 7 == 2 { &self.message[at..end] } else { &[] };
        Ok(Some((key >> 3, Value { bytes, at: self.base + at })))
    }

    fn varint(&mut self) -> Result<u64, VadFault> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.message.get(self.next).ok_or(self.astray())?;
            self.next += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.astray())
    }

    fn astray(&self) -> VadFault {
        VadFault::Malformed { at: self.base + self.next }
    }
}
