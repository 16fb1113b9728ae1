//! The part of the ONNX file format that cutting a graph needs, as protocol buffer messages.
//!
//! Field numbers are those of `onnx.proto`. What is only passed on (tensors, attributes, types) stays as the bytes it
//! came in, so that nothing in it can be lost; every other field of these messages is declared for the same reason.

use bytes::Bytes;
use prost::Message;

/// `ModelProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Model {
    #[prost(int64, optional, tag = "1")]
    pub ir_version: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub producer_name: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub producer_version: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub domain: Option<String>,
    #[prost(int64, optional, tag = "5")]
    pub model_version: Option<i64>,
    #[prost(string, optional, tag = "6")]
    pub doc_string: Option<String>,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    #[prost(bytes = "bytes", repeated, tag = "8")]
    pub opset_import: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "14")]
    pub metadata_props: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "20")]
    pub training_info: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "25")]
    pub functions: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "26")]
    pub configuration: Vec<Bytes>,
}

/// `GraphProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    /// In an order in which every node comes after those that make its inputs.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    /// `TensorProto`s; see [`tensor_name`].
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub initializer: Vec<Bytes>,
    #[prost(string, optional, tag = "10")]
    pub doc_string: Option<String>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "13")]
    pub value_info: Vec<ValueInfo>,
    #[prost(bytes = "bytes", repeated, tag = "14")]
    pub quantization_annotation: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "15")]
    pub sparse_initializer: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "16")]
    pub metadata_props: Vec<Bytes>,
}

/// `NodeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    /// Names of tensors; an empty one is an optional input that is not given.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, optional, tag = "3")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub op_type: Option<String>,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub attribute: Vec<Bytes>,
    #[prost(string, optional, tag = "6")]
    pub doc_string: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub domain: Option<String>,
    #[prost(string, optional, tag = "8")]
    pub overload: Option<String>,
    #[prost(bytes = "bytes", repeated, tag = "9")]
    pub metadata_props: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "10")]
    pub device_configurations: Vec<Bytes>,
}

/// `ValueInfoProto`: the name and type of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfo {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub r#type: Option<Bytes>,
    #[prost(string, optional, tag = "3")]
    pub doc_string: Option<String>,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub metadata_props: Vec<Bytes>,
}

/// Declares a float tensor: its name, and a name for each of its dimensions.
pub fn float_tensor(name: &str, dims: &[&str]) -> ValueInfo {
    #[derive(Clone, PartialEq, Message)]
    struct Type {
        #[prost(message, optional, tag = "1")]
        tensor: Option<Tensor>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Tensor {
        #[prost(int32, optional, tag = "1")]
        element: Option<i32>,
        #[prost(message, optional, tag = "2")]
        shape: Option<Shape>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Shape {
        #[prost(message, repeated, tag = "1")]
        dims: Vec<Dimension>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Dimension {
        #[prost(string, optional, tag = "2")]
        name: Option<String>,
    }
    const FLOAT: i32 = 1;
    let dims = dims.iter().map(|&dim| Dimension { name: Some(dim.to_owned()) });
    let shape = Some(Shape { dims: dims.collect() });
    let tensor = Some(Tensor { element: Some(FLOAT), shape });
    ValueInfo {
        name: Some(name.to_owned()),
        r#type: Some(Type { tensor }.encode_to_vec().into()),
        ..ValueInfo::default()
    }
}

impl Node {
    /// Whether an attribute holds a graph of its own (`If`, `Loop`, `Scan`), whose hidden inputs no edge list shows.
    pub fn has_subgraph(&self) -> bool {
        #[derive(Clone, PartialEq, Message)]
        struct Peek {
            #[prost(bytes = "bytes", optional, tag = "6")]
            graph: Option<Bytes>,
            #[prost(bytes = "bytes", repeated, tag = "11")]
            graphs: Vec<Bytes>,
        }
        self.attribute.iter().any(|attribute| {
            Peek::decode(attribute.clone()).is_ok_and(|peek| peek.graph.is_some() || !peek.graphs.is_empty())
        })
    }
}

/// The name in a `TensorProto`, or "" where it has none.
pub fn tensor_name(tensor: &Bytes) -> String {
    #[derive(Clone, PartialEq, Message)]
    struct Peek {
        #[prost(string, optional, tag = "8")]
        name: Option<String>,
    }
    Peek::decode(tensor.clone()).ok().and_then(|peek| peek.name).unwrap_or_default()
}
