//! Architecture and weights to ONNX graphs.
