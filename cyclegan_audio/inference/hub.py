"""Download pairs and vocoders from the Hugging Face Hub; a lack of network ends in one line at once.

The client of the Hub repeats a failed download for half a minute. So each download begins with one request
that is not repeated: it tells whether the Hub answers, which files there are, and how large they are.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from cyclegan_audio.inference.metadata import MAX_TEXT_BYTES, ModelMetadata, checksum, naming, parse_metadata
from cyclegan_audio.inference.translation_model import PAIR_FILE, weights_file
from cyclegan_audio.utils.errors import UserError, error_reason
from cyclegan_audio.utils.printing import echo
from cyclegan_audio.utils.regular_files import check_file

PREFIX = "hf:"
EXTRA = "cyclegan-audio[hub]"
LOGIN = "hf auth login"
MAX_PAIR_BYTES = 512 << 20  # of a file; the largest generator of this package has 110 MB in 16 bits
_NAME = re.compile(r"[\w.\-]{1,96}/[\w.\-]{1,96}", re.ASCII)
_RUN = re.compile(rf"{PREFIX}({_NAME.pattern})(?:@([\w.\-/]{{1,200}}))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TRY_LATER = (408, 429, 500, 502, 503, 504)  # HTTP states of a Hub that is busy or down


class UnreachableError(UserError):
    """The Hub does not answer; what was downloaded before can still be used."""


def is_hub_run(run: str | Path) -> bool:
    """Return whether a RUN names a pair on the Hub."""
    return str(run).startswith(PREFIX)


def parse_hub_run(run: str) -> tuple[str, str | None]:
    """Return OWNER/NAME and the revision of `hf:OWNER/NAME[@REVISION]`.

    Raises:
        UserError: it has another form.
    """
    match = _RUN.fullmatch(run)
    if match is None:
        raise UserError(f"{run} does not name a pair on the Hub; write {PREFIX}OWNER/NAME or ...@REVISION")
    return match[1], match[2]


def check_hub_name(name: str) -> None:
    """Check that a name has the form OWNER/NAME.

    Raises:
        UserError: it has not.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"a name on the Hub is OWNER/NAME, such as me/lofi_trap, got {name!r}")


def hub_label(folder: Path) -> str | None:
    """Return a name for files about a downloaded pair: owner, name, start of its commit; None for others."""
    repository = folder.parent.parent.name
    if folder.parent.name != "snapshots" or not repository.startswith("models--"):
        return None
    return f"{repository.removeprefix('models--').replace('--', '_')}_{folder.name[:8]}"


@lru_cache(maxsize=32)
def download_pair(run: str) -> Path:
    """Return the folder of a pair on the Hub in the client's cache; download what is missing.

    A commit that is in the cache needs no network; a branch or tag is looked up, and where the Hub cannot be
    reached its last download is used. Only `pair.json` and weights as safetensors are downloaded.

    Args:
        run: `hf:OWNER/NAME[@REVISION]`.

    Raises:
        UserError: a wrong name, no such pair, no access, no network, or a file that is missing, too large or
            damaged.
    """
    name, revision = parse_hub_run(run)
    hub_client(f"{run} needs")
    with one_line(run):
        cached = _find_cached(name, revision)
    if cached is not None and revision is not None and _COMMIT.fullmatch(revision):
        return _check_whole(cached, run)
    try:
        info = model_info(name, revision, run)
    except UnreachableError as error:
        if cached is None:
            raise
        echo(f"{error}; using {run} as downloaded before", file=sys.stderr)
        return _check_whole(cached, run)
    sizes = {file.rfilename: file.size for file in info.siblings or []}
    if cached is None or cached.name != info.sha:
        echo(f"downloading {run}", file=sys.stderr, flush=True)
    folder = _download(name, PAIR_FILE, revision, sizes, run).parent
    if folder.name != info.sha:
        raise UserError(f"{run} has changed during the download; run the same command again")
    for direction in _read_pair(folder).directions:
        _download(name, weights_file(direction), folder.name, sizes, run)
    return _check_whole(folder, run)


def download_file(name: str, file: str) -> Path:
    """Return a file of the model OWNER/NAME in the client's cache; download it once.

    Raises:
        UserError: huggingface_hub is not installed, there is no network, or no such model.
    """
    client = hub_client(f"downloading {name} needs")
    with one_line(name):
        cached = client.try_to_load_from_cache(name, file)
    if isinstance(cached, str):
        return Path(cached)
    model_info(name, None, name)
    with one_line(name):
        return Path(client.hf_hub_download(name, file))


def hub_client(what: str) -> Any:
    """Import huggingface_hub.

    Args:
        what: the start of the message if it is not installed, such as `downloading x needs`.

    Raises:
        UserError: it is not installed.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(f"{what} the package huggingface_hub; run: pip install '{EXTRA}'") from error
    return huggingface_hub


def model_info(name: str, revision: str | None, run: str) -> Any:
    """Ask the Hub, in one request, for the commit and the files of a model.

    Raises:
        UserError: see `one_line`.
    """
    from huggingface_hub import HfApi, constants

    with one_line(run):
        return HfApi().model_info(
            name, revision=revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT
        )


@contextmanager
def one_line(run: str) -> Iterator[None]:
    """Turn an error of the client of the Hub into one line.

    Raises:
        UnreachableError: the Hub does not answer.
        UserError: there is no such model, revision or file, or no access.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the client raises its own and its HTTP library's errors
        raise _explain(run, error) from error


def _explain(run: str, error: Exception) -> UserError:
    """Return the one line of an error of the client."""
    from huggingface_hub import constants, errors

    page = f"{constants.ENDPOINT}/{run.removeprefix(PREFIX).partition('@')[0]}"
    texts: dict[type[Exception], str] = {  # the first that fits
        errors.GatedRepoError: f"{run} needs its owner's leave; ask for it on {page}, then run: {LOGIN}",
        errors.RepositoryNotFoundError: f"there is no {run} on {constants.ENDPOINT}, or it is private; check "
        f"the name, or run: {LOGIN}",
        errors.RevisionNotFoundError: f"{run} has no such revision; see {page}/commits/main",
        errors.LocalEntryNotFoundError: "",  # no network
        errors.EntryNotFoundError: f"{run} lacks a file ({error_reason(error)}); choose another model",
        errors.HFValidationError: f"{run} does not name a model on the Hub; write {PREFIX}OWNER/NAME",
        errors.OfflineModeIsEnabled: f"the Hub is not asked for {run}: HF_HUB_OFFLINE is set; unset it",
    }
    text = next((text for kind, text in texts.items() if isinstance(error, kind)), "")
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return UnreachableError(text)
    if text:
        return UserError(text)
    if status in (401, 403):
        return UserError(f"no access to {run} (HTTP {status}); run: {LOGIN}")
    if status is not None and status not in _TRY_LATER:
        return UserError(f"the Hub refuses {run}: {error_reason(error)}")
    is_network = isinstance(error, OSError) or "TransportError" in {
        kind.__name__ for kind in type(error).__mro__
    }
    if not is_network:  # the last is of httpx
        return UserError(
            f"the client of the Hub fails for {run} ({error_reason(error)}); upgrade huggingface_hub"
        )
    reason = f"HTTP {status}" if status else error_reason(error)
    return UnreachableError(f"{constants.ENDPOINT} cannot be reached for {run} ({reason}); check the network")


def _find_cached(name: str, revision: str | None) -> Path | None:
    """Return the folder of a pair that is complete in the client's cache, and can be read."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(name, PAIR_FILE, revision=revision)
    if not isinstance(path, str):
        return None
    folder = Path(path).parent
    try:
        files = [folder / weights_file(direction) for direction in _read_pair(folder).directions]
    except UserError:  # of an older format, or damaged: its owner may have shared it anew
        return None
    return folder if all(file.is_file() for file in files) else None


def _read_pair(folder: Path) -> ModelMetadata:
    path = folder / PAIR_FILE
    with naming(path):
        check_file(path, MAX_TEXT_BYTES)
        return parse_metadata(path.read_bytes())


def _download(name: str, file: str, revision: str | None, sizes: Mapping[str, int | None], run: str) -> Path:
    """Download a file, after its size was checked, without progress bars: pairs are small.

    Raises:
        UserError: it is missing, too large, or cannot be downloaded.
    """
    from huggingface_hub import hf_hub_download, utils

    if file not in sizes:
        raise UserError(f"{run} is not a pair of cyclegan_audio: it has no {file}; choose another model")
    size, limit = sizes[file], MAX_TEXT_BYTES if file == PAIR_FILE else MAX_PAIR_BYTES
    if size is None or size > limit:
        amount = "an unknown size" if size is None else f"{size:,} bytes"
        raise UserError(f"{file} of {run} has {amount}, more than a pair can need ({limit:,}); do not use it")
    was_off = utils.are_progress_bars_disabled()
    utils.disable_progress_bars()
    try:
        with one_line(run):
            return Path(hf_hub_download(name, file, revision=revision))
    finally:
        if not was_off:
            utils.enable_progress_bars()


def _check_whole(folder: Path, run: str) -> Path:
    """Check the weights of a downloaded pair against their checksums; return the folder.

    Raises:
        UserError: they differ.
    """
    pair = _read_pair(folder)
    for file in map(weights_file, pair.directions):
        if checksum((folder / file).read_bytes()) != pair.checksums.get(file):
            raise UserError(
                f"{file} of {run} does not match its checksum in {PAIR_FILE}; to download it again, delete "
                f"{folder.parent.parent}"
            )
    return folder
