"""A pair as an ONNX file or a torch.export program: written with its card, checked, read back."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.errors import UserError
from cyclegan_audio.models.checkpoint import CARD, make_card
from cyclegan_audio.models.pair import TranslationPair

if TYPE_CHECKING:
    import onnxruntime

ONNX, PROGRAM = ".onnx", ".pt2"
INPUT = "mel"
OUTPUTS = {"fake_a": "ba", "fake_b": "ab"}  # by the direction that makes it
TOLERANCE = 1e-3  # largest difference from the generators, in the scale of the mels
MAX_BATCH, MAX_STEPS = 256, 1 << 16  # of the dynamic axes; a step is the generators' frame multiple
TRACED, CHECKED = (2, 16), (1, 21)  # batch and steps of the example, and of the check


class Directions(nn.Module):
    """The generators of one or both directions as one function of a mel (B, 1, M, F) in [-1, 1]."""

    def __init__(self, pair: TranslationPair, outputs: list[str]) -> None:
        super().__init__()
        self.generators = nn.ModuleList(pair.generators[OUTPUTS[name]] for name in outputs)

    def forward(self, mel: Tensor) -> tuple[Tensor, ...]:
        return tuple(generator(mel) for generator in self.generators)


def export_pair(pair: TranslationPair, path: Path, to: str | None = None) -> float:
    """Write `pair` for a batch and a number of frames that stay open, then compare it with the pair.

    ONNX: input `mel` (B, 1, M, F) float32 in [-1, 1], F a multiple of the pair's `frame_multiple`; outputs
    `fake_a` and `fake_b` of its shape; the card as JSON in the metadata `pair.json`. A torch.export program
    has the same input, gives a tuple in this order, and has the card as an extra file. The file appears
    whole, and only if it agrees.

    Args:
        pair: on the CPU.
        path: with the suffix `.onnx` or `.pt2`.
        to: keep only the direction toward this genre; all that there are by default.

    Returns:
        The largest difference from the pair on random input of another size than the example's.

    Raises:
        UserError: another suffix, an unknown genre, a package that is not installed, or results that differ.
    """
    if to is not None:
        pair.generator(to)
    wanted = pair.generators if to is None else [pair.direction(to)]
    outputs = [output for output, direction in OUTPUTS.items() if direction in wanted]
    writers = {ONNX: _write_onnx, PROGRAM: _write_program}
    if path.suffix not in writers:
        raise UserError(f"cannot export to {path}: the suffix says the format; use {ONNX} or {PROGRAM}")
    model = Directions(pair, outputs).eval()
    card = make_card(
        pair.genres, pair.mel, pair.window_frames, {}, {}, [OUTPUTS[output] for output in outputs]
    )
    card |= {"batches": pair.batches, "frame_multiple": pair.frame_multiple, "outputs": outputs}
    card["match"] = pair.match
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        run = writers[path.suffix](_program(model, pair), part, card)
        difference = _difference(model, run, pair)
        if not difference <= TOLERANCE:
            raise UserError(f"the exported file differs from the model by {difference:.2g}; it is not kept")
        os.replace(part, path)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror or error}); choose another place") from error
    finally:
        part.unlink(missing_ok=True)
    return difference


def _example(pair: TranslationPair, batch: int, steps: int) -> Tensor:
    """Random mels (batch, 1, M, F); the global random state is left alone."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, 1, pair.mel.n_mels, steps * pair.frame_multiple, generator=generator) * 2 - 1


def _program(model: Directions, pair: TranslationPair) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    frames = pair.frame_multiple * torch.export.Dim("steps", min=4, max=MAX_STEPS)
    example = _example(pair, *TRACED)
    return torch.export.export(model, (example,), dynamic_shapes={INPUT: {0: batch, 3: frames}})


def _write_program(program: torch.export.ExportedProgram, path: Path, card: Mapping[str, Any]) -> Any:
    torch.export.save(program, path, extra_files={CARD: json.dumps(card)})
    return torch.export.load(path).module()


def _write_onnx(program: torch.export.ExportedProgram, path: Path, card: Mapping[str, Any]) -> Any:
    try:
        import onnx
        import onnxscript  # noqa: F401  # torch.onnx needs it
    except ImportError as error:
        raise UserError(f"{ONNX} needs packages: pip install 'cyclegan-audio[export]'") from error
    made = torch.onnx.export(
        program, dynamo=True, input_names=[INPUT], output_names=card["outputs"], verbose=False
    )
    assert made is not None
    proto = made.model_proto
    onnx.helper.set_model_props(proto, {CARD: json.dumps(card)})
    onnx.save(proto, path)
    session = open_session(path)
    return lambda mel: [torch.from_numpy(out) for out in session.run(None, {INPUT: mel.numpy()})]


@torch.no_grad()
def _difference(model: Directions, run: Any, pair: TranslationPair) -> float:
    mel = _example(pair, *CHECKED)
    return max(float((a - b).abs().max()) for a, b in zip(model(mel), run(mel), strict=True))


def open_session(path: Path) -> "onnxruntime.InferenceSession":
    """An ONNX file, ready to run on the CPU with as many threads as torch has.

    Raises:
        UserError: onnxruntime is not installed, or the file is damaged.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"{ONNX} files need onnxruntime: pip install 'cyclegan-audio[export]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's own kinds derive from nothing narrower
        said = " ".join(str(error).split())[:80]
        raise UserError(f"{path} cannot be read as ONNX ({said}); export it again") from error


class OnnxGenerator(nn.Module):
    """One direction of an ONNX file in the place of a generator: (B, 1, M, F) to the same shape."""

    def __init__(self, session: "onnxruntime.InferenceSession", output: str, frame_multiple: int) -> None:
        super().__init__()
        self.session, self.output, self.frame_multiple = session, output, frame_multiple
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)  # says the device to who asks

    def forward(self, mel: Tensor) -> Tensor:
        feed = {INPUT: mel.detach().cpu().numpy().astype(np.float32)}
        return torch.from_numpy(self.session.run([self.output], feed)[0]).to(mel)


def load_exported(path: Path) -> TranslationPair:
    """The pair in an ONNX file that `export_pair` wrote.

    Raises:
        UserError: damaged, or not of this package.
    """
    session = open_session(path)
    try:
        card = json.loads(session.get_modelmeta().custom_metadata_map[CARD])
        generators: dict[str, nn.Module] = {
            OUTPUTS[output]: OnnxGenerator(session, output, card["frame_multiple"])
            for output in card["outputs"]
        }
        return TranslationPair(
            genres=(card["genres"][0], card["genres"][1]),
            mel=MelSettings.from_dict(card["mel"]),
            generators=generators,
            window_frames=card["window_frames"],
            config=card["config"],
            batches=card["batches"],
            match=card.get("match", {}),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(
            f"{path} was not written by python -m cyclegan_audio.export ({error!r}); export the run again"
        ) from error
