"""The network in torch, and its way into one ONNX file."""
