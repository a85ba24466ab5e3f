"""Export to ONNX and torch.export, and reading such files back."""
