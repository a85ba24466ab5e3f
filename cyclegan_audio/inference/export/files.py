"""A pair as an ONNX file or a torch.export program: written with its card, checked, read back."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.inference.export.graph import Directions
from cyclegan_audio.inference.pair_metadata import CARD, make_card
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.models.networks.images import ImageGenerator
from cyclegan_audio.models.networks.norm import Normalised, collect_statistics, with_statistics
from cyclegan_audio.utils.atomic import atomic_path
from cyclegan_audio.utils.errors import UserError

if TYPE_CHECKING:
    import onnxruntime

ONNX, PROGRAM = ".onnx", ".pt2"
INPUT, STATISTICS = "mel", "statistics"  # the second is an input, and in the card its channels
OUTPUTS = {"fake_a": "ba", "fake_b": "ab"}  # by the direction that makes it
FOUND = {"fake_a": "statistics_a", "fake_b": "statistics_b"}  # of the generator that makes it
TOLERANCE = 1e-3  # largest difference from the generators, in the scale of the mels
MAX_BATCH, MAX_STEPS = 256, 1 << 16  # of the dynamic axes; a step is the generators' frame multiple
TRACED, CHECKED = (2, 16), (1, 21)  # batch and steps of the example, and of the check


Run = Callable[[Tensor, Tensor], tuple[Tensor, ...]]  # as `Directions`


def export_pair(pair: TranslationModel, path: Path, to: str | None = None) -> float:
    """Write `pair` for a batch and a number of frames that stay open, then compare it with the pair.

    Inputs, all float32: `mel` (B, 1, M, F) in [-1, 1], F a multiple of the pair's `frame_multiple`, and
    `statistics` (2, C), mean and variance of the C channels of all instance norms, NaN for each sample's own
    (in ONNX the default). Outputs: `fake_a` and `fake_b` of the shape of `mel`; `statistics_a` and
    `statistics_b` (B, 2, C), those of each sample on its way to them. ONNX has the card as JSON in the
    metadata `pair.json`; a torch.export program gives a tuple in this order, and has the card as an extra
    file. The file appears whole, and only if it agrees.

    Args:
        pair: on the CPU.
        path: with the suffix `.onnx` or `.pt2`.
        to: keep only the direction toward this genre; all that there are by default.

    Returns:
        The largest difference from the pair on random input of another size than the example's.

    Raises:
        UserError: another suffix, an unknown genre, generators of pictures, a package that is not installed,
            or results that differ.
    """
    if to is not None:
        pair.generator(to)
    wanted = pair.generators if to is None else [pair.direction(to)]
    outputs = [output for output, direction in OUTPUTS.items() if direction in wanted]
    writers = {ONNX: _write_onnx, PROGRAM: _write_program}
    if path.suffix not in writers:
        raise UserError(f"cannot export to {path}: the suffix says the format; use {ONNX} or {PROGRAM}")
    generators = [pair.generators[OUTPUTS[output]] for output in outputs]
    if any(isinstance(generator, ImageGenerator) for generator in generators):
        raise UserError("a model of pictures reads colours in ways that no format holds; export one of mels")
    model = Directions(generators, _example(pair, *TRACED)).eval()
    card = make_card(
        pair.genres, pair.mel, pair.window_frames, {}, {}, [OUTPUTS[output] for output in outputs]
    )
    card |= {"batches": pair.batches, "frame_multiple": pair.frame_multiple, "outputs": outputs}
    card |= {"normalisation": pair.normalisation, STATISTICS: model.n_channels}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path, single_writer=True) as part:
            run = writers[path.suffix](_program(model, pair), part, card)
            difference = _difference(generators, run, pair)
            if not difference <= TOLERANCE:
                raise UserError(
                    f"the exported file differs from the model by {difference:.2g}; it is not kept"
                )
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror or error}); choose another place") from error
    return difference


def _example(pair: TranslationModel, batch: int, steps: int) -> Tensor:
    """Random mels (batch, 1, M, F); the global random state is left alone."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, 1, pair.mel.n_mels, steps * pair.frame_multiple, generator=generator) * 2 - 1


def _program(model: Directions, pair: TranslationModel) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    frames = pair.frame_multiple * torch.export.Dim("steps", min=4, max=MAX_STEPS)
    inputs = (_example(pair, *TRACED), torch.full((2, model.n_channels), torch.nan))
    shapes = {INPUT: {0: batch, 3: frames}, STATISTICS: None}
    return torch.export.export(model, inputs, dynamic_shapes=shapes)


def _write_program(program: torch.export.ExportedProgram, path: Path, card: Mapping[str, Any]) -> Run:
    torch.export.save(program, path, extra_files={CARD: json.dumps(card)})
    program_run: Run = torch.export.load(path).module()
    return program_run


def _write_onnx(program: torch.export.ExportedProgram, path: Path, card: Mapping[str, Any]) -> Run:
    try:
        import onnx
        import onnxscript  # noqa: F401  # torch.onnx needs it
    except ImportError as error:
        raise UserError(f"{ONNX} needs packages: pip install 'cyclegan-audio[export]'") from error
    names = [*card["outputs"], *(FOUND[output] for output in card["outputs"])]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages that are not needed here
    made = torch.onnx.export(
        program, dynamo=True, input_names=[INPUT, STATISTICS], output_names=names, verbose=False
    )
    assert made is not None
    proto = made.model_proto
    own = np.full((2, card[STATISTICS]), np.nan, np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(own, STATISTICS))  # what is not given
    onnx.helper.set_model_props(proto, {CARD: json.dumps(card)})
    onnx.save(proto, path)
    session = open_session(path)
    return lambda *inputs: tuple(
        torch.from_numpy(out)
        for out in session.run(names, dict(zip([INPUT, STATISTICS], map(_array, inputs), strict=True)))
    )


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy().astype(np.float32)


@torch.no_grad()
def _difference(generators: list[nn.Module], run: Run, pair: TranslationModel) -> float:
    """The largest difference from the generators, by a sample's own statistics and by those of another."""
    mel, other = _example(pair, *CHECKED), _example(pair, *TRACED)[:1] / 2
    differences = []
    for place, generator in enumerate(generators):
        statistics = collect_statistics(generator, [other])
        own = torch.full((2, sum(len(mean) for mean, _ in statistics.values())), torch.nan)
        given = run(other, own)[len(generators) + place][0]
        expected = generator(mel), with_statistics(generator, statistics)(mel)
        got = run(mel, own)[place], run(mel, given)[place]
        differences += [float((a - b).abs().max()) for a, b in zip(expected, got, strict=True)]
    return max(differences)


def open_session(path: Path) -> "onnxruntime.InferenceSession":
    """An ONNX file, ready to run on the CPU by the threads that call it.

    Raises:
        UserError: onnxruntime is not installed, or the file is damaged.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"{ONNX} files need onnxruntime: pip install 'cyclegan-audio[export]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # whoever has several cores has a window for each
    options.log_severity_level = 3  # below errors it warns of an input that has a default
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's own kinds derive from nothing narrower
        said = " ".join(str(error).split())[:80]
        raise UserError(f"{path} cannot be read as ONNX ({said}); export it again") from error


class OnnxGenerator(Normalised):
    """One direction of an ONNX file in the place of a generator: (B, 1, M, F) to the same shape.

    For `collect_statistics` and `with_statistics` it is one norm of all its channels.
    """

    def __init__(self, session: "onnxruntime.InferenceSession", output: str, frame_multiple: int) -> None:
        super().__init__()
        self.session, self.output, self.frame_multiple = session, output, frame_multiple
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)  # says the device to who asks

    def forward(self, mel: Tensor) -> Tensor:
        feed, wanted = {INPUT: _array(mel)}, [self.output]
        if self.fixed is not None:
            feed[STATISTICS] = _array(torch.stack(self.fixed))
        if self.record is not None:
            wanted.append(FOUND[self.output])
        fake, *found = (
            torch.from_numpy(out).to(mel) for out in self.session.run(wanted, feed, _only_wanted())
        )
        if self.record is not None:
            mean, var = found[0].unbind(1)
            self.record.append((mean, var))
        return fake

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnnxGenerator":
        return type(self)(self.session, self.output, self.frame_multiple)


def _only_wanted() -> "onnxruntime.RunOptions":
    """Leave out what leads to other outputs, such as the other direction."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return options


def load_exported(path: Path) -> TranslationModel:
    """The pair in an ONNX file that `export_pair` wrote.

    Raises:
        UserError: damaged, not of this package, or from before files carried statistics.
    """
    session = open_session(path)
    try:
        card = json.loads(session.get_modelmeta().custom_metadata_map[CARD])
        if STATISTICS not in card:
            raise UserError(
                f"{path} was exported by an older version, which had no statistics of a whole piece; "
                "export the run again"
            )
        generators: dict[str, nn.Module] = {
            OUTPUTS[output]: OnnxGenerator(session, output, card["frame_multiple"])
            for output in card["outputs"]
        }
        return TranslationModel(
            genres=(card["genres"][0], card["genres"][1]),
            mel=MelSpectrogram.from_dict(card["mel"]),
            generators=generators,
            window_frames=card["window_frames"],
            config=card["config"],
            batches=card["batches"],
            normalisation=card.get("normalisation", {}),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(
            f"{path} was not written by cyclegan-audio export ({error!r}); export the run again"
        ) from error
