"""Measure speed and error of bf16 and int8: python quantised.py RUN CORPUS [--clips 35]

Paired clips of a CORPUS through generators by one thread: torch in fp32 and under bf16 autocast, the ONNX
file in fp32, and that file in int8 (onnxruntime's static quantisation of all convolutions, calibrated on
training clips, and its dynamic one). Off is the mean |difference| from fp32; times are per clip, interleaved.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.export import INPUT, OUTPUTS, OnnxGenerator, export_model, open_session
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.metrics.paired_error import MODEL
from cyclegan_audio.reports.evaluation.translations import translate_direction

CALIBRATION, ROUNDS = 20, 5
CONVOLUTIONS = ["Conv", "ConvTranspose"]
EXACT = "torch, fp32"


class Calibration(CalibrationDataReader):
    """Mels that calibrate the ranges of activations."""

    def __init__(self, mels: list[Tensor]) -> None:
        self._mels: Iterator[Tensor] = iter(mels)

    def get_next(self) -> dict[str, np.ndarray] | None:
        mel = next(self._mels, None)
        return None if mel is None else {INPUT: mel.numpy()}


class InBf16(nn.Module):
    """A generator under bf16 autocast."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator, self.frame_multiple = generator, generator.frame_multiple

    def forward(self, mel: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return self.generator(mel).float()


def variants(model: TranslationModel, to: str, folder: Path, mels: list[Tensor]) -> dict[str, nn.Module]:
    """Return the generator toward `to` by name of its runtime and precision."""
    generator, output = (
        model.generator(to),
        next(o for o, direction in OUTPUTS.items() if direction == model.direction(to)),
    )
    plain, ready, static, dynamic = (
        folder / f"{to}_{name}.onnx" for name in ("plain", "ready", "static", "dynamic")
    )
    export_model(model, plain, to)
    quant_pre_process(plain, ready, skip_symbolic_shape=True)
    kinds = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8, "per_channel": True}
    quantize_static(ready, static, Calibration(mels), op_types_to_quantize=CONVOLUTIONS, **kinds)
    quantize_dynamic(ready, dynamic, weight_type=QuantType.QUInt8)
    files = {"ONNX, fp32": plain, "ONNX, int8, static": static, "ONNX, int8, dynamic": dynamic}
    by_file = {
        n: OnnxGenerator(open_session(path), output, model.frame_multiple) for n, path in files.items()
    }
    return {EXACT: generator, "torch, bf16": InBf16(generator), **by_file}


def times_s(generators: dict[str, nn.Module], mel: Tensor) -> dict[str, float]:
    """Measure median CPU seconds."""
    taken: dict[str, list[float]] = {name: [] for name in generators}
    for _ in range(ROUNDS + 1):
        for name, generator in generators.items():
            start = time.process_time()
            generator(mel)
            taken[name].append(time.process_time() - start)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("corpus")
    parser.add_argument("--clips", type=int, default=35, help="half of the paired clips at most")
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus, model = Corpus.open(options.corpus), load_model(options.run)
    frames = corpus.clip_frames // model.frame_multiple * model.frame_multiple
    print(
        "| direction | direction | x real time, one core | off dB | paired error dB |\n|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        for to in model.targets:
            source = next(genre for genre in model.genres if genre != to)
            clips = corpus.clips(source, "train")[:CALIBRATION]
            mels = [model.mel.normalise(corpus.mel_db(clip))[None, None, :, :frames] for clip in clips]
            generators = variants(model, to, Path(folder), mels)
            seconds, exact_db = times_s(generators, mels[0]), None
            for name, generator in generators.items():
                one = replace(model, generators={model.direction(to): generator})
                direction = translate_direction(one, corpus, to, options.clips)
                fake_db = torch.stack([example.fake_db for example in direction.paired])
                exact_db = fake_db if exact_db is None else exact_db
                off, error = (
                    (fake_db - exact_db).abs().mean(),
                    direction.score(corpus.mel).error_db[MODEL].mean,
                )
                speed = frames * model.mel.frame_s / seconds[name]
                print(f"| {direction} | {name} | {speed:.0f} | {off:.2f} | {error:.2f} |", flush=True)


if __name__ == "__main__":
    main()
