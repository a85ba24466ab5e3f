"""A file of published spectrograms with hostile arrays is refused in one line, before it takes all memory."""

import io
import os
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclegan_audio.corpus.sources.images import read_grey_levels
from cyclegan_audio.corpus.sources.paper_npz import PaperNpzSource
from cyclegan_audio.utils.errors import UserError

LEVELS, STARTS = np.zeros((3, 128, 189), np.uint8), "a_start_s"
CASES = {
    "texts": (STARTS, np.array(["x", "y", "z"]), "no numbers of seconds"),
    "NaN": (STARTS, np.full(3, np.nan), "no numbers of seconds"),
    "infinity": (STARTS, np.array([0, np.inf, -np.inf]), "no numbers of seconds"),
    "before the start": (STARTS, np.array([-5.0, 0, 4]), "no numbers of seconds"),
    "after 30,000 years": (STARTS, np.array([0, 4, 1e12]), "no numbers of seconds"),
    "complex": (STARTS, np.array([0j, 1, 2]), "no numbers of seconds"),
    "dates": (STARTS, np.array(["2020", "2021", "2022"], "M8[Y]"), "no numbers of seconds"),
    "objects": (STARTS, np.array([{}, {}, {}]), "cannot be read"),
    "no array": ("a", b"", "a is not uint8"),
    "no starts": (STARTS, b"", "a is not uint8"),
    "a bomb": ("a", bytes(200 << 20), "its arrays take 0.21 GB"),
}


def npy(values: np.ndarray | bytes) -> bytes:
    if isinstance(values, bytes):
        return values
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


@pytest.mark.parametrize("case", CASES)
def test_hostile_arrays_are_refused(tmp_path: Path, case: str) -> None:
    name, values, words = CASES[case]
    entries = {"a": LEVELS, STARTS: np.arange(3.0), "b": LEVELS, "b_start_s": np.arange(3.0), name: values}
    with zipfile.ZipFile(tmp_path / "mels.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for key, content in entries.items():
            archive.writestr(f"{key}.npy", npy(content))
    with pytest.raises(UserError, match=words):
        PaperNpzSource(tmp_path / "mels.npz").files()[0].digest()


@pytest.mark.parametrize("content", [None, b"", b"\x80\x04.", npy(LEVELS)])
def test_files_without_arrays_are_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "mels.npz"
    os.mkfifo(file) if content is None else file.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read as \.npz"):
        PaperNpzSource(file).files()


def test_an_image_of_many_pixels_is_refused_by_its_header(tmp_path: Path) -> None:
    Image.new("1", (9_000, 9_000)).save(tmp_path / "song 0MEL.png")
    start_s = time.process_time()
    with pytest.raises(ValueError, match="has 9000 x 9000 pixels"):
        read_grey_levels(tmp_path / "song 0MEL.png")
    assert time.process_time() - start_s < 0.5
