"""Compare the CPU time and output of a generator pass in eager mode and exported: speed.py RUN

Medians of interleaved rounds with one thread.

python experiments/008_neural_vocoder/speed.py RUN
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.export import OnnxGenerator, export_model, open_session

ROUNDS = 7
FRAMES = 344

torch.set_num_threads(1)
model = load_model(sys.argv[1])
mel = torch.rand(1, 1, model.mel.n_mels, FRAMES, generator=torch.Generator().manual_seed(0)) * 2 - 1


def bf16(x: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return model.generators["ab"](x).float()


with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
    plain, int8 = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
    with torch.inference_mode(False):
        export_model(model, plain, to=model.genres[1])
    quantize_dynamic(plain, int8, weight_type=QuantType.QUInt8)
    generators = {"eager fp32": model.generators["ab"], "eager bf16": bf16}
    for name, path in (("onnx fp32", plain), ("onnx int8", int8)):
        generators[name] = OnnxGenerator(open_session(path), "fake_b", model.frame_multiple)
    truth = model.generators["ab"](mel)
    taken: dict[str, list[float]] = {name: [] for name in generators}
    for number in range(ROUNDS + 1):
        for name, generator in generators.items():
            start = time.process_time()
            out = generator(mel)
            if number:
                taken[name].append(time.process_time() - start)
    db = (model.mel.max_db - model.mel.min_db) / 2
    print(
        "| generator | CPU ms a pass | spread | of eager fp32 | mean difference, dB |\n|---|---|---|---|---|"
    )
    for name, seconds in taken.items():
        middle, base = statistics.median(seconds), statistics.median(taken["eager fp32"])
        spread = (max(seconds) - min(seconds)) / middle
        difference_db = float((generators[name](mel) - truth).abs().mean()) * db
        print(f"| {name} | {1000 * middle:.0f} | {spread:.0%} | {middle / base:.2f} | {difference_db:.3f} |")
