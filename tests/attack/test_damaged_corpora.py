"""Damage a corpus in many ways: reading ends in one line or with the true data, and `prepare` mends it."""

import json
import os
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.manifest_file import COLUMNS, SPLITS, read_manifest, write_manifest
from cyclegan_audio.corpus.preparation.writer import prepare_corpus
from cyclegan_audio.data.audio_datamodule import AudioSegmentDataModule
from cyclegan_audio.data.datamodule import UnpairedMelDataModule
from cyclegan_audio.utils.checked_json import read_checked_json, write_checked_json
from cyclegan_audio.utils.errors import UserError
from tests.attack.corpus_damages import (
    GENRES,
    SETTINGS,
    damage_by_seed,
    flip,
    outcome,
    read_all,
    truncate,
)
from tests.corpus.folder_state import folder_hashes


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seeds", [range(40), pytest.param(range(40, 1040), marks=pytest.mark.slow)])
def test_damaged_files_are_refused_or_read_true_and_prepare_mends_them(original, tmp_path, seeds):
    n_refused = 0
    for seed in seeds:
        folder = shutil.copytree(original.folder, tmp_path / "corpus")
        description = damage_by_seed(folder, seed)
        try:
            data, message = outcome(lambda folder=folder: read_all(folder))
            assert message or data == original.data
            n_refused += bool(message)
            original.prepare(folder)
            assert read_all(folder) == original.data
        except BaseException as error:
            error.add_note(description)
            raise
        shutil.rmtree(folder)
    assert n_refused > len(seeds) / 2  # damages of records do not concern a training


def test_fifty_flipped_bits_in_each_mel_are_named_and_mended(original, damaged, caplog):
    rng = np.random.default_rng(0)
    paths = sorted((damaged / "mels").iterdir())
    for path in paths:
        flip(path, rng, 50, first=128)
    data_module = UnpairedMelDataModule(damaged, *GENRES, frame_multiple=4)
    with pytest.raises(
        UserError, match=r"song \d\.wav at 0(\.5)? s in .*mels.*checksum differs; run its pre"
    ):
        data_module.setup()
    original.prepare(damaged)
    for number in range(3):
        for genre in GENRES:
            assert f"{genre}: song {number}.wav is prepared again, as {damaged}/mels/{genre}-" in caplog.text
    caplog.clear()
    original.prepare(damaged)
    assert not caplog.text


@pytest.mark.slow  # PyTorch takes 5 s to end its workers
def test_a_worker_process_names_the_damaged_clip_in_one_line(damaged):
    for path in (damaged / "mels").iterdir():
        flip(path, np.random.default_rng(2), 50, first=128)
    data_module = UnpairedMelDataModule(damaged, *GENRES, frame_multiple=4, num_workers=1, cache_mb=0)
    data_module.setup()
    _, message = outcome(lambda: next(iter(data_module.train_dataloader())))
    assert message.startswith(("lofi: song", "trap: song"))
    assert "checksum differs; run its prepare command again" in message


def test_only_the_damaged_clip_is_refused(original, damaged):
    corpus = Corpus.open(damaged)
    clips = [clip for split in SPLITS for clip in corpus.clips("lofi", split)]
    first, second = (clip for clip in clips if clip.array == clips[0].array)
    for part in ("mels", "audio"):
        path = damaged / part / f"{first.array}.npy"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1  # in the last row
        path.write_bytes(content)
    for read in (corpus.mel_db, corpus.audio):
        assert read(first).isfinite().all()
        with pytest.raises(UserError, match=f"lofi: {second.source} at 0.5 s in .* checksum differs"):
            read(second)


def test_audio_is_checked_by_the_vocoders_data(original, damaged):
    for path in (damaged / "audio").iterdir():
        flip(path, np.random.default_rng(1), 50, first=128)
    data_module = AudioSegmentDataModule(
        damaged, segment_frames=8, batch_size=1, max_cut_db=0.0, val_clips=1, num_workers=0
    )
    with pytest.raises(UserError, match=r"at 0(\.5)? s in .*audio.*checksum differs"):
        data_module.setup()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_impossible_levels_with_valid_checksums_are_refused(original, damaged, value):
    change_row(damaged, value)
    with pytest.raises(UserError, match=r"lofi: song \d.wav at 0 s in .* has levels that are not finite"):
        read_all(damaged)
    with pytest.raises(UserError, match="has levels that are not finite, or impossible; run its prepare"):
        UnpairedMelDataModule(damaged, *GENRES, frame_multiple=4).setup()
    original.prepare(damaged)


def change_row(folder: Path, value: float) -> None:
    """Write a value into the first mel of a track, with valid checksums everywhere, as a stranger might."""
    path = min((folder / "mels").glob("lofi-*"))
    mels = np.load(path)
    mels[0, 3, 5] = value
    np.save(path, mels)
    checksum = zlib.crc32(mels[0].tobytes())
    rows = read_manifest(folder)
    for row in rows:
        if row["array"] == path.stem and row["index"] == 0:
            row["mel_crc32"] = checksum
    write_manifest(folder, rows)
    record = read_checked_json(folder / "tracks" / f"{path.stem}.json")
    record["clips"][0]["mel_crc32"] = checksum
    write_checked_json(folder / "tracks" / f"{path.stem}.json", record)


def test_every_column_is_covered_by_the_checksum_of_the_rows(damaged):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = damaged / "manifest.parquet"
    table = pq.ParquetFile(path).read()
    for name in COLUMNS:
        values = table.column(name).to_pylist()
        values[0], values[-1] = values[-1], values[0]
        if values == table.column(name).to_pylist():
            continue
        changed = table.set_column(
            table.column_names.index(name), name, pa.array(values, table.schema.field(name).type)
        )
        pq.write_table(changed, path)
        with pytest.raises(UserError, match=r"manifest.parquet cannot be read \(its checksum differs\)"):
            read_manifest(damaged)
    pq.write_table(table.drop_columns(["score"]), path)
    with pytest.raises(UserError, match="it has other columns"):
        read_manifest(damaged)


@pytest.mark.parametrize(
    "change",
    [
        np.asfortranarray,
        lambda mels: mels.astype(np.float64),
        lambda mels: mels.astype(">f4"),
        lambda mels: mels.astype(object),
        lambda mels: mels[:, :-1],
        lambda mels: mels.transpose(0, 2, 1),
        lambda mels: mels.reshape(-1),
        lambda mels: mels[:1],
    ],
)
def test_arrays_of_another_form_are_refused(original, damaged, change):
    path = min((damaged / "mels").iterdir())
    np.save(path, change(np.load(path)), allow_pickle=True)
    _, message = outcome(lambda: read_all(damaged))
    assert "is damaged: it" in message
    original.prepare(damaged)


def test_a_huge_declared_shape_is_refused(original, damaged):
    path = min((damaged / "mels").iterdir())
    content = path.read_bytes()
    path.write_bytes(content.replace(b"(2, 16,", b"(2" + b"0" * 18 + b", 16,")[:128] + content[128:])
    with pytest.raises(UserError, match="is damaged: its header differs"):
        read_all(damaged)
    os.truncate(path, 1 << 40)  # a sparse file
    with pytest.raises(UserError, match="is damaged: it"):
        read_all(damaged)


@pytest.mark.parametrize("part", ["mels", "audio", "tracks"])
def test_a_folder_that_links_outside_is_not_read_and_nothing_is_deleted_there(original, damaged, part):
    outside = damaged.parent / "outside"
    shutil.move(damaged / part, outside)
    (outside / "mine.npy").write_bytes(b"mine")
    (damaged / part).symlink_to(outside)
    before = folder_hashes(outside)
    if part != "tracks":
        with pytest.raises(UserError, match="lies outside of the corpus"):
            read_all(damaged)
    with pytest.raises(UserError, match=f"{part} is a link; replace it by a folder"):
        original.prepare(damaged)
    assert folder_hashes(outside) == before


def test_a_corpus_without_its_music_names_the_file_to_copy(damaged):
    path = min((damaged / "mels").iterdir())
    truncate(path, np.random.default_rng(0))
    with pytest.raises(UserError, match=f"{path.name} is damaged.*without its music, copy this file again"):
        Corpus.open(damaged)


def test_settings_without_a_checksum_are_refused(damaged):
    path = damaged / "corpus.json"
    values = read_checked_json(path)
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match="it has no checksum"):
        Corpus.open(damaged)
    path.write_text("[" * 100_000)
    with pytest.raises(UserError, match="it is not valid JSON"):
        Corpus.open(damaged)


def test_a_mel_that_is_not_finite_is_not_stored(tmp_path, original, monkeypatch):
    compute = MelSpectrogram.mel_db

    def silent(self, waveform):
        mel_db = compute(self, waveform)
        mel_db[..., 0, 0] = torch.nan if float(waveform[0, 0]) > 0 else mel_db[..., 0, 0]
        return mel_db

    monkeypatch.setattr(MelSpectrogram, "mel_db", silent)
    rows = prepare_corpus(original.source, tmp_path / "out", SETTINGS)
    reasons = {row["reason"] for row in rows}
    assert {"", "non-finite levels"} <= reasons
    assert len(read_all(tmp_path / "out")) == sum(row["kept"] for row in rows)
