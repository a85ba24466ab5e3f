"""Damaged and odd sound files to every output format: one line of error, or a song that is whole."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import soundfile
import torch

from cyclegan_audio import translate
from cyclegan_audio.audio.encoder import EncoderProcess
from cyclegan_audio.audio.io import OUTPUT_SUFFIXES, decode, is_lossy
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.utils.errors import USER_ERROR_EXIT_CODE, UserError
from tests.attack.mutations import (
    DAMAGES,
    NAMES,
    SOUNDS,
    head_flipped,
    make_seeds,
    with_huge_tags,
    write_odd_sound,
)
from tests.audio.test_file_tags import SOURCES, make_tagged
from tests.translation.stand_ins import pair

LIMIT_S = 60
CODEC_SLACK = 1152 + 128  # samples by which the length of a lossy file may differ, where its header is short

pytestmark = pytest.mark.filterwarnings("ignore")


@contextmanager
def time_limit(name: str) -> Iterator[None]:
    """Fail if a file takes longer than a minute."""

    def fail(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"{name} takes more than {LIMIT_S} s")

    previous = signal.signal(signal.SIGALRM, fail)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


@pytest.fixture(scope="module")
def translators() -> list[Translator]:
    tilt = torch.linspace(-0.2, 0.2, 128)[:, None]
    models = [(preset, vocoder) for vocoder in ("mask", "hybrid") for preset in ("hifi", "paper")]
    return [Translator(pair(preset, lambda x: (x + tilt).clamp(-1, 1)), voc) for preset, voc in models]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory) -> list[tuple[str, bytes]]:
    """Return a whole file of each input format, and those with tags and covers, as suffix and bytes."""
    folder = tmp_path_factory.mktemp("seeds")
    tagged = [make_tagged(tmp_path_factory.mktemp("tagged"), *form) for form in SOURCES]
    plain = make_seeds(folder)
    huge = [(suffix, with_huge_tags(plain[suffix])) for suffix in (".wav", ".mp3")]
    return [*plain.items(), *((path.suffix, path.read_bytes()) for path in tagged), *huge]


def write_mutant(folder: Path, seeds: list[tuple[str, bytes]], number: int) -> Path | None:
    """Write mutant `number`: two of three are damaged files, the others are odd sounds."""
    rng = np.random.default_rng([20, number])
    if number % 3 == 2:
        return write_odd_sound(folder, rng, list(SOUNDS)[number // 3 % len(SOUNDS)])
    suffix, data = seeds[number % len(seeds)]
    damage = (*DAMAGES, head_flipped)[number % (len(DAMAGES) + 1)]
    path = folder / f"{damage.__name__} {rng.choice(NAMES)}{suffix}"
    path.write_bytes(damage(data, rng))
    return path


def outcome(translator: Translator, source: Path, target: Path) -> str:
    """Translate a file; return "refused" after one line, else check the result and return "translated"."""
    message = ""
    try:
        with time_limit(str(source)):
            seconds = translator.translate_file(source, target, "other")
    except UserError as error:
        message = str(error)
    if message:
        assert source.name in message or target.name in message
        assert "\n" not in message
        assert not target.exists()
        return "refused"
    wave, rate = decode(source)
    got, got_rate = decode(target)
    assert (got_rate, len(got)) == (rate, len(wave))
    assert seconds == wave.shape[1] / rate
    slack = CODEC_SLACK if is_lossy(target) else 0
    assert got.shape[1] == pytest.approx(wave.shape[1], abs=slack)
    assert torch.isfinite(got).all()
    assert got.abs().max() <= 1
    return "translated"


@pytest.mark.parametrize(
    ("first", "count"),
    [(0, 40), *(pytest.param(n, 250, marks=pytest.mark.slow) for n in range(40, 1040, 250))],
)
def test_mutants_are_refused_in_one_line_or_translated_whole(translators, seeds, tmp_path, first, count):
    outcomes: Counter[str] = Counter()
    for number in range(first, first + count):
        folder = tmp_path / str(number)
        folder.mkdir()
        source = write_mutant(folder, seeds, number)
        if source is None:
            outcomes["no such file"] += 1
            continue
        target = folder / f"out{OUTPUT_SUFFIXES[number % len(OUTPUT_SUFFIXES)]}"
        translator = translators[(number % 2) + 2 * (number % 10 == 0)]
        try:
            result = outcome(translator, source, target)
            rest = {path.name for path in folder.iterdir()} - {source.name, target.name}
            assert not rest, "temporary files are left"
        except Exception as error:
            raise AssertionError(f"mutant {number}, {source.name} to {target.suffix}: {error!r}") from error
        outcomes[result] += 1
    print(dict(outcomes))
    assert min(outcomes["refused"], outcomes["translated"]) > count / 6


def test_a_batch_goes_on_after_bad_files_and_a_crash_of_the_encoder(seeds, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    whole = dict(seeds)
    for name in ("a", "crash", "z"):
        (folder / f"{name}.flac").write_bytes(whole[".flac"])
    for number, damaged in enumerate((b"", whole[".wav"][:30], whole[".mp3"][100:300])):
        (folder / f"bad {number} {NAMES[number]}.mp3").write_bytes(damaged)
    wave = np.zeros((44_100, 1), np.float32)
    for name, value in (("huge", 1e20), ("nan", np.nan)):
        wave[22_050] = value
        soundfile.write(folder / f"{name}.wav", wave, 44_100, "FLOAT")
    crash_on(monkeypatch, "crash")
    arguments = ["--to", "rnb", "--vocoder", "mask", "--device", "cpu", "--suffix", "mp3"]
    with pytest.raises(SystemExit) as caught:
        translate.main(["demo", str(folder), str(tmp_path / "out"), *arguments])
    assert caught.value.code == USER_ERROR_EXIT_CODE
    captured = capsys.readouterr()
    assert "6 of 8 songs failed; the others are translated" in captured.err.splitlines()[-1]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mp3", "z.mp3"]
    lines = [line for line in captured.out.splitlines() if "  failed: " in line]
    assert len(lines) == 6
    assert (
        sum("huge.wav has samples above 1,000,000 (full scale is 1), first at 0.500 s" in x for x in lines)
        == 1
    )
    assert sum("nan.wav has samples that are not finite numbers, first at 0.500 s" in x for x in lines) == 1
    assert sum("(the encoder crashed: SIGABRT)" in x for x in lines) == 1


def crash_on(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the encoder of the song `name` abort when it gets the first samples."""
    write = EncoderProcess.write
    songs: list[str] = []

    def write_or_crash(self: EncoderProcess, samples: np.ndarray) -> None:
        if songs[-1] == name:
            os.kill(self._process.pid, signal.SIGABRT)
        write(self, samples)

    def noted(source: Path, target: Path) -> dict[str, str]:
        songs.append(source.stem)
        return {}

    monkeypatch.setattr(EncoderProcess, "write", write_or_crash)
    monkeypatch.setattr("cyclegan_audio.translation.file_translation.tags_at_creation", noted)
