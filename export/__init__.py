"""From a trained network to one ONNX file that the runtime trusts."""
