"""Export a model to ONNX or torch.export with a check of its results, and load ONNX files as models."""

import copy
import io
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.inference.metadata import (
    NO_CHECKSUM,
    check_signed,
    naming,
    parse_metadata,
    sign_content,
)
from cyclegan_audio.inference.translation_model import METADATA_FILE, TranslationModel, make_metadata
from cyclegan_audio.models.networks.images import ImageGenerator
from cyclegan_audio.models.networks.norm import (
    InstanceNorm,
    NormWithStatistics,
    collect_statistics,
    with_statistics,
)
from cyclegan_audio.utils.atomic import atomic_path
from cyclegan_audio.utils.errors import UserError, error_reason, shortened
from cyclegan_audio.utils.regular_files import check_file

if TYPE_CHECKING:
    import onnxruntime

ONNX, TORCH_EXPORT = ".onnx", ".pt2"
INPUT, STATISTICS = "mel", "statistics"  # names of the inputs; in the metadata STATISTICS is C
OUTPUTS = {"fake_a": "ba", "fake_b": "ab"}  # by the direction of the generator
STATISTICS_OUTPUTS = {"fake_a": "statistics_a", "fake_b": "statistics_b"}
TOLERANCE = 1e-3  # largest difference from the generators, of mels in [-1, 1]
MAX_BATCH, MAX_STEPS = 256, 1 << 16  # of the dynamic axes; a step is the generators' frame multiple
EXAMPLE_SIZE, CHECK_SIZE = (2, 16), (1, 21)  # batch and steps of the traced input, and of the check

MAX_ONNX_BYTES = 1 << 31  # a limit of the format
OPERATOR_NAMES = """
    Abs Add AveragePool BatchNormalization Cast Clip Concat Constant Conv ConvTranspose Div Elu Erf Exp
    Floor Gather Gemm HardSigmoid HardSwish Identity InstanceNormalization IsNaN LayerNormalization
    LeakyRelu Log MatMul Max MaxPool Min Mul Neg PRelu Pad Pow Reciprocal ReduceMean ReduceSum Relu Reshape
    Resize Shape Sigmoid Slice Softmax Softplus Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze Where
"""  # of generators: no loops, no code of others, nothing that reads files
OPERATORS = frozenset(OPERATOR_NAMES.split())

ExportedFunction = Callable[[Tensor, Tensor], tuple[Tensor, ...]]  # as `ExportGraph`


@dataclass
class _Statistics:
    """The statistics that a generator's norms receive and compute during a forward pass."""

    inputs: Tensor | None = None
    outputs: dict[int, Tensor] = field(default_factory=dict)


class ExportNorm(nn.Module):
    """`InstanceNorm` of the channels `start` to `stop` of all norm channels of its generator.

    NaN as given mean and variance selects the sample's own. The module has no branches, so that one graph
    serves both cases.
    """

    def __init__(self, statistics: _Statistics, start: int, stop: int, eps: float) -> None:
        super().__init__()
        self.statistics, self.start, self.stop, self.eps = statistics, start, stop, eps

    def forward(self, x: Tensor) -> Tensor:
        assert self.statistics.inputs is not None
        mean = _mean(x)
        sample = torch.stack([mean, _mean((x - mean[..., None, None]).square())], 1)
        self.statistics.outputs[self.start] = sample
        given = self.statistics.inputs[:, self.start : self.stop]
        mean, var = torch.where(given.isnan(), sample, given)[..., None, None].unbind(1)
        return (x - mean) * torch.rsqrt(var + self.eps)


def _mean(x: Tensor) -> Tensor:
    """Average (B, C, H, W) to (B, C), rows first: onnxruntime's sum over a whole map rounds too much."""
    return x.mean(3).mean(2)


class ExportedGenerator(nn.Module):
    """Copy of a generator whose norm statistics are an input and an output.

    Args:
        generator: (B, 1, M, F) to the same shape, with instance norms.
        example: an input of it.

    Attributes:
        n_channels: C, channels of all its norms, in the order of `named_modules`; without norms one that
            has no effect.
    """

    def __init__(self, generator: nn.Module, example: Tensor) -> None:
        super().__init__()
        self.generator = copy.deepcopy(generator)
        self.statistics = _Statistics()
        self.n_channels = 0
        for name, (mean, _) in collect_statistics(generator, [example]).items():
            norm = self.generator.get_submodule(name)
            assert isinstance(norm, InstanceNorm)
            start, self.n_channels = self.n_channels, self.n_channels + len(mean)
            self.generator.set_submodule(name, ExportNorm(self.statistics, start, self.n_channels, norm.eps))
        self.has_norms = self.n_channels > 0
        self.n_channels = max(1, self.n_channels)

    def forward(self, mel: Tensor, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Return the translation (B, 1, M, F), and mean and variance (B, 2, C) of its norms' inputs.

        Args:
            mel: (B, 1, M, F) in [-1, 1].
            statistics: (2, C), mean and variance to normalise by; NaN for each sample's own.
        """
        self.statistics.inputs = statistics
        try:
            fake = self.generator(mel)
            if not self.has_norms:
                return fake, torch.stack([_mean(mel)] * 2, 1) * 0
            outputs = self.statistics.outputs
            return fake, torch.cat([outputs[start] for start in sorted(outputs)], 2)
        finally:
            self.statistics.inputs, self.statistics.outputs = None, {}


class ExportGraph(nn.Module):
    """The function that is exported: generators of one or both directions, equal in size.

    Attributes:
        n_channels: C, of the norms of one generator.
    """

    def __init__(self, generators: list[nn.Module], example: Tensor) -> None:
        super().__init__()
        self.generators = nn.ModuleList(ExportedGenerator(generator, example) for generator in generators)
        (self.n_channels,) = {int(exported.n_channels) for exported in self.generators}  # type: ignore[arg-type]

    def forward(self, mel: Tensor, statistics: Tensor) -> tuple[Tensor, ...]:
        """Return all translations, then all statistics; see `ExportedGenerator`."""
        fakes, outputs = zip(*(generator(mel, statistics) for generator in self.generators), strict=True)
        return (*fakes, *outputs)


def export_model(model: TranslationModel, path: Path, to: str | None = None) -> float:
    """Export `model` with a dynamic batch size and number of frames, and check the results.

    Inputs, all float32: `mel` (B, 1, M, F) in [-1, 1], F a multiple of the model's `frame_multiple`, and
    `statistics` (2, C), mean and variance of the C channels of all instance norms, NaN for each sample's own
    (the default in ONNX). Outputs: `fake_a` and `fake_b` of the shape of `mel`; `statistics_a` and
    `statistics_b` (B, 2, C), those that each sample had in the generator. The metadata is JSON: in ONNX the
    property `model.json`, in a torch.export program an extra file of that name. The program returns a tuple
    in this order. The file is written only if the results agree.

    Args:
        model: on the CPU.
        path: output file with the suffix `.onnx` or `.pt2`.
        to: export only the direction toward this genre; by default all.

    Returns:
        The largest difference from the model on random input of another size than the traced one's.

    Raises:
        UserError: another suffix, an unknown genre, generators of images, a missing package, or results
            that differ.
    """
    writers = {ONNX: _write_onnx, TORCH_EXPORT: _write_torch_export}
    outputs = _outputs_of(model, to)
    if path.suffix not in writers:
        raise UserError(f"cannot export to {path}; the file name must end in {ONNX} or {TORCH_EXPORT}")
    generators = [model.generators[OUTPUTS[output]] for output in outputs]
    if any(isinstance(generator, ImageGenerator) for generator in generators):
        raise UserError(
            "a model with generator=images cannot be exported: no format supports its colour conversion"
        )
    graph = ExportGraph(generators, _random_mels(model, *EXAMPLE_SIZE)).eval()
    metadata = _export_metadata(model, outputs, graph.n_channels)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path, single_writer=True) as part:
            exported = writers[path.suffix](_trace(graph, model), part, metadata)
            difference = _largest_difference(generators, exported, model)
            if not difference <= TOLERANCE:
                raise UserError(
                    f"the exported results differ from the model's by {difference:.2g} "
                    f"(at most {TOLERANCE:g}); the file was not kept"
                )
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror or error}); choose another place") from error
    return difference


def _outputs_of(model: TranslationModel, to: str | None) -> list[str]:
    """Return the names of the outputs toward genre `to`, or of all."""
    if to is not None:
        model.generator(to)  # raises if there is none
    directions = model.generators if to is None else [model.direction(to)]
    return [output for output, direction in OUTPUTS.items() if direction in directions]


def _export_metadata(model: TranslationModel, outputs: list[str], n_channels: int) -> dict[str, Any]:
    directions = [OUTPUTS[output] for output in outputs]
    metadata = make_metadata(model.genres, model.mel, model.window_frames, {}, {}, directions)
    metadata |= {"batches": model.batches, "frame_multiple": model.frame_multiple, "outputs": outputs}
    metadata |= {"normalisation": model.normalisation, STATISTICS: n_channels}
    return metadata | {"checksum": NO_CHECKSUM}


def _random_mels(model: TranslationModel, batch: int, steps: int) -> Tensor:
    """Draw mels (batch, 1, M, F) without changing the global random state."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, 1, model.mel.n_mels, steps * model.frame_multiple, generator=generator) * 2 - 1


def _trace(graph: ExportGraph, model: TranslationModel) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    frames = model.frame_multiple * torch.export.Dim("steps", min=4, max=MAX_STEPS)
    inputs = (_random_mels(model, *EXAMPLE_SIZE), torch.full((2, graph.n_channels), torch.nan))
    shapes = {INPUT: {0: batch, 3: frames}, STATISTICS: None}
    return torch.export.export(graph, inputs, dynamic_shapes=shapes)


def _write_torch_export(
    program: torch.export.ExportedProgram, path: Path, metadata: Mapping[str, Any]
) -> ExportedFunction:
    content = io.BytesIO()  # torch's own writer of files ends the process on a full disk
    torch.export.save(program, content, extra_files={METADATA_FILE: json.dumps(metadata)})
    path.write_bytes(content.getbuffer())
    function: ExportedFunction = torch.export.load(path).module()
    return function


def _write_onnx(
    program: torch.export.ExportedProgram, path: Path, metadata: Mapping[str, Any]
) -> ExportedFunction:
    try:
        import onnx
        import onnxscript  # noqa: F401  # torch.onnx needs it
    except ImportError as error:
        raise UserError(f"{ONNX} needs packages: pip install 'cyclegan-audio[export]'") from error
    names = [*metadata["outputs"], *(STATISTICS_OUTPUTS[output] for output in metadata["outputs"])]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages that are not needed here
    converted = torch.onnx.export(
        program, dynamo=True, input_names=[INPUT, STATISTICS], output_names=names, verbose=False
    )
    assert converted is not None
    proto = converted.model_proto
    default = np.full((2, metadata[STATISTICS]), np.nan, np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(default, STATISTICS))
    onnx.helper.set_model_props(proto, {METADATA_FILE: json.dumps(metadata)})
    path.write_bytes(content := sign_content(proto.SerializeToString()))
    session = open_session(content, path)
    return lambda *inputs: tuple(
        torch.from_numpy(out)
        for out in session.run(names, dict(zip([INPUT, STATISTICS], map(_to_numpy, inputs), strict=True)))
    )


def _to_numpy(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy().astype(np.float32)


@torch.no_grad()
def _largest_difference(
    generators: list[nn.Module], exported: ExportedFunction, model: TranslationModel
) -> float:
    """Compare with the generators, by a sample's own statistics and by those of another sample."""
    mel, other = _random_mels(model, *CHECK_SIZE), _random_mels(model, *EXAMPLE_SIZE)[:1] / 2
    differences = []
    for index, generator in enumerate(generators):
        statistics = collect_statistics(generator, [other])
        n_channels = sum(len(mean) for mean, _ in statistics.values())
        no_statistics = torch.full((2, max(1, n_channels)), torch.nan)
        other_statistics = exported(other, no_statistics)[len(generators) + index][0]
        expected = generator(mel), with_statistics(generator, statistics)(mel)
        actual = exported(mel, no_statistics)[index], exported(mel, other_statistics)[index]
        differences += [float((a - b).abs().max()) for a, b in zip(expected, actual, strict=True)]
    return max(differences)


def open_session(content: bytes, path: Path) -> "onnxruntime.InferenceSession":
    """Open the content of an ONNX file to run on the CPU by the calling threads.

    Raises:
        UserError: onnxruntime is not installed, or the file is damaged.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"{ONNX} files need onnxruntime: pip install 'cyclegan-audio[export]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # callers run one window on each core
    options.log_severity_level = 3  # lower levels warn of an input with a default
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base class
        raise UserError(f"{path} cannot be read as ONNX ({error_reason(error)}); export it again") from error


class OnnxGenerator(NormWithStatistics):
    """One direction of an ONNX file as a generator: (B, 1, M, F) to the same shape.

    For `collect_statistics` and `with_statistics` it is one norm of all its channels.
    """

    def __init__(self, session: "onnxruntime.InferenceSession", output: str, frame_multiple: int) -> None:
        super().__init__()
        self.session, self.output, self.frame_multiple = session, output, frame_multiple
        self.device_marker = nn.Parameter(torch.empty(0), requires_grad=False)  # callers read its device

    def forward(self, mel: Tensor) -> Tensor:
        feed, names = {INPUT: _to_numpy(mel)}, [self.output]
        if self.fixed is not None:
            feed[STATISTICS] = _to_numpy(torch.stack(self.fixed))
        if self.record is not None:
            names.append(STATISTICS_OUTPUTS[self.output])
        try:
            outputs = self.session.run(names, feed, _skip_other_outputs())
        except Exception as error:  # onnxruntime's errors have no common base class
            reason = error_reason(error)
            raise UserError(f"the ONNX model cannot be run ({reason}); export it again") from error
        fake, *statistics = (torch.from_numpy(out).to(mel) for out in outputs)
        if fake.shape != mel.shape:
            raise UserError(
                f"the ONNX model changes the shape of mels from {tuple(mel.shape)} to {tuple(fake.shape)}; "
                "export it again"
            )
        if self.record is not None:
            mean, var = statistics[0].unbind(1)
            self.record.append((mean, var))
        return fake

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnnxGenerator":
        return type(self)(self.session, self.output, self.frame_multiple)


def _skip_other_outputs() -> "onnxruntime.RunOptions":
    """Return options that do not compute other outputs, such as the other direction."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return options


def load_onnx(path: Path) -> TranslationModel:
    """Load the model of an ONNX file of `export_model`.

    Raises:
        UserError: the file is damaged, not of this package, or of an old version without checksum.
    """
    with naming(path):
        check_file(path, MAX_ONNX_BYTES)
        content = path.read_bytes()
        metadata = parse_metadata(_checked_metadata(content))
        for name in ("outputs", "frame_multiple", STATISTICS):
            if getattr(metadata, name) is None:
                raise UserError(f"{name} is missing")
        assert metadata.outputs is not None
        assert metadata.frame_multiple is not None
        session = open_session(content, path)
        generators: dict[str, nn.Module] = {
            OUTPUTS[output]: OnnxGenerator(session, output, metadata.frame_multiple)
            for output in metadata.outputs
        }
        return metadata.build_model(generators, MelSpectrogram.from_dict(metadata.mel))


def _checked_metadata(content: bytes) -> str:
    """Return the metadata of an ONNX file, whose graph and checksum are checked before it is run.

    Raises:
        UserError: the file is damaged, refers to other files, or has operators that no generator has.
    """
    try:
        import onnx
    except ImportError as error:
        raise UserError(f"{ONNX} files need packages: pip install 'cyclegan-audio[export]'") from error
    try:
        proto = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's errors
        raise UserError("it cannot be read as ONNX; export it again") from error
    check_signed(content)
    tensors = [attribute.t for node in proto.graph.node for attribute in node.attribute]
    tensors += [*proto.graph.initializer, *(sparse.values for sparse in proto.graph.sparse_initializer)]
    if any(tensor.external_data for tensor in tensors):
        raise UserError("its weights are in other files; export the run again")
    operators = {f"{node.domain}{node.op_type}" for node in proto.graph.node}
    if unknown := operators - OPERATORS:
        raise UserError(f"it has operators that no generator has ({shortened(min(unknown))})")
    return next((prop.value for prop in proto.metadata_props if prop.key == METADATA_FILE), "")
