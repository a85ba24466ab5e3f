"""Inference: load trained and pretrained models, translate clips of mels, export to ONNX and torch.export."""
