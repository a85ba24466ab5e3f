"""The tagger: the same numbers as a forward pass in numpy, levels, patches, the axis between two genres."""

import importlib.util
import os
import struct
from pathlib import Path

import librosa
import numpy as np
import pytest
import safetensors.torch
import torch

from cyclegan_audio.metrics.tagger import GenreAxis, checkpoint, load_tagger
from cyclegan_audio.metrics.tagger.checkpoint import load_weights
from cyclegan_audio.metrics.tagger.tagger import PATCH_FRAMES, SAMPLE_RATE, TAGS, MusicTagger, cut_patches
from cyclegan_audio.utils.errors import UserError

is_installed = importlib.util.find_spec("musicnn") is not None
needs_musicnn = pytest.mark.skipif(not is_installed, reason="the package musicnn is not installed")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    """Give each test a cache of its own."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    load_tagger.cache_clear()


@pytest.fixture
def tagger() -> MusicTagger:
    return load_tagger()


def package() -> Path:
    return Path(importlib.util.find_spec("musicnn").submodule_search_locations[0])


def tone(hz: float, seconds: float = 4.0, rate: int = 44100) -> torch.Tensor:
    time_s = torch.arange(int(seconds * rate)) / rate
    return 0.2 * torch.sin(2 * torch.pi * hz * time_s) * (1 + 0.5 * torch.sin(2 * torch.pi * 2 * time_s))


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def table_entries(data: bytes, start: int, size: int):
    """Yield the keys and values of a block of LevelDB's table format."""
    block, key, at = data[start : start + size], b"", 0
    end = size - 4 * (struct.unpack("<I", block[-4:])[0] + 1)
    while at < end:
        shared, at = varint(block, at)
        unshared, at = varint(block, at)
        length, at = varint(block, at)
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        yield key.decode(), block[at : at + length]
        at += length


def entry(data: bytes) -> tuple[tuple[int, ...], int, int]:
    """Return the shape, the first byte and the number of bytes of a tensor (BundleEntryProto)."""
    fields, shape, at = {}, [], 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 5:
            at += 4
            continue
        value, at = varint(data, at)
        if tag & 7 == 2:  # the shape: dimensions as messages with their size as the first field
            inner, end = at, at + value
            while inner < end:
                assert data[inner] == 0x12
                length = data[inner + 1]
                shape.append(varint(data, inner + 3)[0])
                inner += 2 + length
            at = end
        else:
            fields[tag >> 3] = value
    return tuple(shape), fields.get(4, 0), fields[5]


def tensorflow_weights() -> dict[str, np.ndarray]:
    """Read the checkpoint by its index, as TensorFlow does."""
    folder = package() / checkpoint.MODEL
    index, values = (folder / ".index").read_bytes(), (folder / checkpoint.DATA_FILE).read_bytes()
    at, handles = 0, []
    footer = index[-48:]
    for _ in range(4):
        value, at = varint(footer, at)
        handles.append(value)
    weights = {}
    for _, handle in table_entries(index, handles[2], handles[3]):
        start, at = varint(handle, 0)
        size, _ = varint(handle, at)
        for name, data in table_entries(index, start, size):
            if name:
                shape, first, n_bytes = entry(data)
                weights[name] = np.frombuffer(values[first : first + n_bytes], "<f4").reshape(shape)
    return weights


def numpy_forward(weights: dict[str, np.ndarray], patch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute embedding (200,) and tags (50,) of a patch (187, 96) in float64, as published."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}

    def norm(x: np.ndarray, number: int) -> np.ndarray:
        name = f"batch_normalization{f'_{number}' if number else ''}"
        scale = w[f"{name}/gamma"] / np.sqrt(w[f"{name}/moving_variance"] + 1e-3)
        return (x - w[f"{name}/moving_mean"]) * scale + w[f"{name}/beta"]

    def convolve(x: np.ndarray, number: int, before: int, after: int) -> np.ndarray:
        """Convolve (F, B) to (F, B', filters); time is padded."""
        name = f"conv2d{f'_{number}' if number else ''}"
        kernel = w[f"{name}/kernel"][:, :, 0]
        padded = np.pad(x, ((before, after), (0, 0)))
        views = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2])
        return np.maximum(np.tensordot(views, kernel, 2) + w[f"{name}/bias"], 0)

    x = norm(patch[:, :, None].astype(np.float64), 0)[:, :, 0]
    pads = ((3, 3), (3, 3), (63, 64), (31, 32), (15, 16))
    front = np.concatenate([norm(convolve(x, n, *pad), n + 1).max(1) for n, pad in enumerate(pads)], 1)
    layers = [front]
    for n in (5, 6, 7):
        out = norm(convolve(layers[-1], n, 3, 3)[:, 0], n + 1)
        layers.append(out if n == 5 else out + layers[-1])
    joined = np.concatenate(layers, 1)
    pooled = norm(np.stack([joined.max(0), joined.mean(0)], 1).reshape(-1), 9)
    embedding = norm(np.maximum(pooled @ w["dense/kernel"] + w["dense/bias"], 0), 10)
    return embedding, 1 / (1 + np.exp(-(embedding @ w["dense_1/kernel"] + w["dense_1/bias"])))


@needs_musicnn
def test_network_equals_a_forward_pass_in_numpy(tagger):
    weights = tensorflow_weights()
    torch.manual_seed(0)
    noise = torch.randn(4 * SAMPLE_RATE) * torch.linspace(0.01, 0.3, 4 * SAMPLE_RATE)
    sounds = [tone(220.0), tone(3000.0), torch.nn.functional.pad(noise, (0, 4))]
    patches = torch.cat([cut_patches(tagger.log_mel(sound, 44100)) for sound in sounds])
    with torch.inference_mode():
        embeddings, logits = tagger.network(patches)
    for patch, embedding, tags in zip(patches.numpy(), embeddings, logits.sigmoid(), strict=True):
        expected_embedding, expected_tags = numpy_forward(weights, patch)
        np.testing.assert_allclose(
            embedding, expected_embedding, atol=1e-4 * np.abs(expected_embedding).max()
        )
        np.testing.assert_allclose(tags, expected_tags, atol=1e-4)
    assert embeddings.std(0).max() > 0.5  # the sounds differ


@needs_musicnn
def test_weights_are_those_of_the_index():
    ours, theirs = load_weights(), tensorflow_weights()
    used = {theirs: ours[name] for theirs, name in checkpoint._names().items()}
    assert len(used) == len(ours)
    assert theirs.keys() - used.keys() == {
        name for name in theirs if "/Adam" in name or name in ("beta1_power", "beta2_power")
    }
    for name, tensor in used.items():
        assert sorted(theirs[name].ravel()) == sorted(tensor.numpy().ravel()), name


@needs_musicnn
def test_log_mel_equals_librosas(tagger, monkeypatch):
    monkeypatch.setattr("cyclegan_audio.metrics.tagger.tagger.to_level", lambda mono, rate: mono)
    mono = np.random.default_rng(0).normal(0, 0.1, 3 * SAMPLE_RATE).astype(np.float32)
    power = librosa.feature.melspectrogram(
        y=mono, sr=SAMPLE_RATE, n_fft=512, hop_length=256, n_mels=96, pad_mode="reflect"
    )
    log_mel = tagger.log_mel(torch.from_numpy(mono), SAMPLE_RATE)
    np.testing.assert_allclose(log_mel, np.log10(10000 * power + 1).T, atol=1e-4)


@needs_musicnn
def test_level_and_sample_rate_do_not_count(tagger):
    loud = tone(440.0)
    tagged = tagger([loud, 0.001 * loud, torch.stack([loud, loud])], 44100)
    low_rate = tagger([tone(440.0, rate=22050)], 22050)
    torch.testing.assert_close(tagged.tags[1:], tagged.tags[:1].expand(2, -1), atol=1e-3, rtol=0)
    torch.testing.assert_close(low_rate.tags, tagged.tags[:1], atol=1e-2, rtol=0)


@needs_musicnn
def test_nothing_above_the_cutoff_is_heard(tagger):
    noise = torch.randn(3 * SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    full, limited = tagger.log_mel(noise, SAMPLE_RATE), tagger.log_mel(noise, SAMPLE_RATE, 4000.0)
    centres_hz = librosa.mel_frequencies(98, fmin=0.0, fmax=8000.0)[1:-1]
    torch.testing.assert_close(limited[:, centres_hz < 3800], full[:, centres_hz < 3800])
    assert limited[:, centres_hz > 4200].max() == 0 < full[:, centres_hz > 4200].min()
    mean = tagger([noise.double(), noise], SAMPLE_RATE, 4000.0).embeddings
    torch.testing.assert_close(mean[0], mean[1])


@needs_musicnn
def test_sounds_are_tagged_one_by_one_as_together(tagger):
    sounds = [tone(220.0, 9.5), tone(5000.0, 4.0), tone(110.0, 0.5), torch.zeros(100), torch.zeros(44100)]
    together = tagger(sounds, 44100)
    assert together.embeddings.shape == (5, 200)
    assert together.tags.shape == (5, len(TAGS))
    assert together.embeddings.isfinite().all()
    for n, sound in enumerate(sounds):
        torch.testing.assert_close(tagger([sound], 44100).embeddings[0], together.embeddings[n])


def test_patches_are_evenly_spaced():
    ramp = torch.arange(500.0)[:, None].expand(-1, 96)
    assert cut_patches(ramp)[:, 0, 0].tolist() == [0, 156, 313]
    assert cut_patches(ramp[:250])[:, 0, 0].tolist() == [31]  # 4 s: the middle 3 s
    short = cut_patches(ramp[:100])
    assert short.shape == (1, PATCH_FRAMES, 96)
    assert short[0, 100, 0] == 0  # repeated


def test_axis_gives_the_place_between_two_genres():
    axis = GenreAxis.between(torch.tensor([[0.0, 0.0], [0.0, 2.0]]), torch.tensor([[4.0, 1.0]]))
    sounds = torch.tensor([[0.0, 7.0], [4.0, 1.0], [3.0, -5.0], [-2.0, 1.0]])
    assert axis.position(sounds).tolist() == [0.0, 1.0, 0.75, -0.5]


@needs_musicnn
def test_weights_are_kept_in_the_cache(monkeypatch):
    first = load_weights()
    monkeypatch.setattr(checkpoint, "_installed_folder", lambda: None)
    second = load_weights()
    assert checkpoint.fingerprint(second) == checkpoint.fingerprint(first)
    checkpoint._cache_file().write_bytes(b"damaged")
    with pytest.raises(UserError, match="pip install --no-deps musicnn"):
        load_weights()


@needs_musicnn
def test_damaged_cache_is_written_again():
    load_weights()
    path = checkpoint._cache_file()
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    load_weights()
    assert path.read_bytes() == content
    other = {name: tensor.flatten() for name, tensor in load_weights().items()}
    path.write_bytes(safetensors.torch.save(other))
    load_weights()
    assert path.read_bytes() == content
    path.unlink()
    os.mkfifo(path)  # opening it would wait for ever
    load_weights()
    assert path.read_bytes() == content


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(checkpoint, "_installed_folder", lambda: None)
    with pytest.raises(UserError, match="musicnn is not installed; run: pip install --no-deps musicnn"):
        load_tagger()


@needs_musicnn
def test_other_weights_are_refused(tmp_path):
    source = package() / "MTT_musicnn"
    with pytest.raises(UserError, match="does not hold the weights of MSD_musicnn"):
        load_weights(source)
    (tmp_path / checkpoint.DATA_FILE).write_bytes(b"\0" * 1000)
    with pytest.raises(UserError, match="has 1000 bytes instead of 9465596"):
        load_weights(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        load_weights(tmp_path / "nowhere")
