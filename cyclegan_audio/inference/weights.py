"""Read weights from files that strangers may have made, and check their sizes before memory is taken."""

import inspect
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cyclegan_audio.inference.metadata import MAX_FRAME_MULTIPLE, MAX_TEXT_BYTES, checksum
from cyclegan_audio.inference.translation_model import PAIR_FILE
from cyclegan_audio.models.networks.images import ImageGenerator
from cyclegan_audio.utils.errors import UserError, check_number, error_reason, shortened
from cyclegan_audio.utils.fields import check_value
from cyclegan_audio.utils.regular_files import check_file

MAX_FILE_BYTES = 16 << 30  # the largest model of this package, with optimizers, has under 2 GB
MAX_ARGUMENT = 2048  # of a network's constructor: channels, blocks, sizes
MIN_FRAMES = 16  # that every generator takes
INITIALISERS = {name for name in dir(nn.init) if name.endswith("_") and not name.endswith("__")}
INITIALISERS |= {"fill_", "zero_"}
MAX_HEADER_BYTES = 1 << 20  # of a safetensors file


def check_archive(path: Path) -> None:
    """Check that a checkpoint is as large as it says, and each part against its checksum.

    `torch.save` compresses nothing, so that the parts together are smaller than the file.

    Raises:
        ValueError: a part is compressed, overlaps another, is too large, or has changed.
        zipfile.BadZipFile: the file is truncated or not a checkpoint.
    """
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise ValueError("a part is compressed, which torch.save never does")
        if sum(max(part.file_size, part.compress_size) for part in parts) > path.stat().st_size:
            raise ValueError("its parts are larger than the file")
        if any(part.filename.endswith(".pkl") and part.file_size > MAX_TEXT_BYTES for part in parts):
            raise ValueError(f"its index is larger than {MAX_TEXT_BYTES >> 20} MB")
        if broken := archive.testzip():
            raise ValueError(f"the part {broken} does not match its checksum")


def read_safetensors(path: Path, max_bytes: int, expected_checksum: str | None) -> dict[str, Tensor]:
    """Read a safetensors file of at most `max_bytes` and check it against its checksum.

    Raises:
        UserError: it is too large, damaged, or has no checksum.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_file(path, max_bytes + MAX_HEADER_BYTES)
    if expected_checksum is None:
        raise UserError(f"{PAIR_FILE} has no checksum of it in checksums, save the model again")
    try:
        if checksum(path.read_bytes()) != expected_checksum:
            raise UserError(f"it does not match its checksum in {PAIR_FILE}")
        return load_file(path)  # `load` of bytes panics without memory, which no `except` of errors catches
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(f"it cannot be read ({error_reason(error)})") from error


def check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Check that the arguments of a network are plain, and no number is larger than a network can have.

    Raises:
        UserError: an argument is invalid.
    """
    for key, value in arguments.items():
        if isinstance(value, float | int) and not isinstance(value, bool):
            low = 0 if isinstance(value, int) else -MAX_ARGUMENT
            check_number(f"{name}.{key}", value, low, MAX_ARGUMENT)
        elif isinstance(value, list | tuple):
            check_arguments(f"{name}.{key}", dict(enumerate(value)))  # type: ignore[arg-type]
        elif not isinstance(value, str | bool | None):
            raise UserError(f"{name}.{key} must be a number, a text or a list, got {shortened(value)}")


def build_on_meta(name: str, build: Callable[..., nn.Module], arguments: Mapping[str, Any]) -> nn.Module:
    """Build a network that takes no memory, to learn the shapes of its weights.

    Args:
        name: its place in the configuration, for messages.
        build: its class.
        arguments: those of the class that come from a file.

    Raises:
        UserError: an argument is unknown or invalid.
    """
    check_arguments(name, arguments)
    parameters = inspect.signature(build).parameters
    for key, value in arguments.items():
        if key not in parameters:
            raise UserError(f"{name} has no argument {shortened(key)}")
        if parameters[key].annotation in (int, str, bool):
            check_value(f"{name}.{key}", value, parameters[key].annotation)
    try:
        with torch.device("meta"), _WithoutInitialisation():
            return build(**arguments).eval()
    except UserError:
        raise
    except Exception as error:  # whatever wrong arguments lead to
        raise UserError(f"{name} has invalid arguments ({error_reason(error)})") from error


class _WithoutInitialisation(TorchFunctionMode):
    """Leave out the random numbers of new weights, which on `meta` would import torch's compiler (1 s)."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        values = [*args, *(kwargs or {}).values()]  # the tensor first, by position or by name
        if getattr(func, "__name__", "") in INITIALISERS:
            return values[0]
        return func(*args, **(kwargs or {}))


def check_generator(generator: nn.Module, n_mels: int, window_frames: int) -> None:
    """Check that a generator returns mels of the shape that it gets, by a few frames.

    Raises:
        UserError: it does not.
    """
    multiple: Any = getattr(generator, "frame_multiple", None)
    check_number("the generator's frame_multiple", multiple, 1, MAX_FRAME_MULTIPLE, integer=True)
    if isinstance(generator, ImageGenerator):  # it takes mels of any shape, and long
        return
    frames = -(-min(window_frames, MIN_FRAMES) // multiple) * multiple
    mels = torch.zeros(1, 1, n_mels, frames)
    try:
        with torch.no_grad():
            shape = generator(mels).shape
    except Exception as error:  # whatever wrong sizes lead to
        raise UserError(
            f"its generator takes no mels of mel.n_mels {n_mels} and window_frames {window_frames} "
            f"({error_reason(error)})"
        ) from error
    if shape != mels.shape:
        raise UserError(f"its generator changes the shape of mels from {tuple(mels.shape)} to {tuple(shape)}")


def n_bytes(network: nn.Module) -> int:
    """Return the bytes of a network's weights in float32."""
    return sum(4 * tensor.numel() for tensor in network.state_dict().values())


def check_tensors(weights: Mapping[str, object], max_bytes: int) -> None:
    """Check that weights are ordinary dense tensors, together of at most `max_bytes`.

    A file of few bytes can describe a huge tensor by strides of 0.

    Raises:
        UserError: they are not.
    """
    for key, value in weights.items():
        if (
            type(value) not in (Tensor, nn.Parameter)
            or value.layout != torch.strided  # type: ignore[attr-defined]
            or value.is_quantized  # type: ignore[attr-defined]
            or value.is_complex()  # type: ignore[attr-defined]
            or value.is_meta  # type: ignore[attr-defined]
        ):
            raise UserError(f"the weights {shortened(key)} are no ordinary tensor")
    if sum(value.numel() * value.element_size() for value in weights.values()) > max_bytes:  # type: ignore[attr-defined]
        raise UserError("its weights are larger than the file")


def check_weights(weights: Mapping[str, Tensor], network: nn.Module) -> None:
    """Check that weights fit a network on `meta`, and are finite.

    Raises:
        UserError: they do not.
    """
    expected = network.state_dict()
    if differing := expected.keys() ^ weights.keys():
        place = "missing" if min(differing) in expected else "not part of the network"
        raise UserError(f"the weights do not fit the configuration: {shortened(min(differing))} is {place}")
    for key, value in weights.items():
        if (
            value.shape != expected[key].shape
            or value.is_floating_point() != expected[key].is_floating_point()
        ):
            raise UserError(
                f"the weights do not fit the configuration: {key} must be {tuple(expected[key].shape)}, "
                f"got {tuple(value.shape)} {value.dtype}"
            )
        if not value.float().isfinite().all():
            raise UserError(f"the weights {key} are not finite, so training has failed before")
