"""BigVGAN: network, loading and refusing of published weights."""

import json
import math
import os
import shutil
from pathlib import Path

import librosa
import pytest
import torch
from torch.nn.utils import weight_norm

from cyclegan_audio.audio.mel import NEPER_PER_DB
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import VocoderInput, make_vocoder
from cyclegan_audio.vocoders.bigvgan import (
    Activation,
    BigVGAN,
    check_mel,
    load_network,
    locate_checkpoint,
    low_pass_filter,
    read_config,
)
from tests.attack.hostile_models import WRONG_VALUES
from tests.hub_server import read_files
from tests.vocoders.sounds import chords, preset

PUBLISHED = {  # from config.json of nvidia/bigvgan_v2_44khz_128band_512x
    "resblock": "1", "upsample_rates": [8, 4, 2, 2, 2, 2], "upsample_kernel_sizes": [16, 8, 4, 4, 4, 4],
    "upsample_initial_channel": 1536, "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]], "use_tanh_at_final": False,
    "use_bias_at_final": False, "activation": "snakebeta", "snake_logscale": True, "num_mels": 128,
    "n_fft": 2048, "hop_size": 512, "win_size": 2048, "sampling_rate": 44100, "fmin": 0, "fmax": None,
}  # fmt: skip
SMALL = {
    **PUBLISHED, "upsample_rates": [32, 16], "upsample_kernel_sizes": [64, 32],
    "upsample_initial_channel": 16, "resblock_kernel_sizes": [3, 5],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5]],
}  # fmt: skip


def with_weight_norm(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return `state` as the published code saves it: convolutions with weight norm."""
    out = {}
    for name, value in state.items():
        if name.endswith(".weight"):
            length = torch.rand(value.shape[0], *[1] * (value.ndim - 1)) + 0.5
            out |= {f"{name}_g": length, f"{name}_v": value}
        else:
            out[name] = torch.randn_like(value) / 5 if "act." in name or "bias" in name else value
    return out


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """Return a folder with a small `config.json` and `bigvgan_generator.pt`, as they are published."""
    folder = tmp_path_factory.mktemp("bigvgan")
    torch.manual_seed(0)
    (folder / "config.json").write_text(json.dumps(SMALL))
    network = BigVGAN(128, [32, 16], [64, 32], 16, [3, 5], [[1, 3, 5]] * 2, tanh=False, final_bias=False)
    torch.save({"generator": with_weight_norm(network.state_dict())}, folder / "bigvgan_generator.pt")
    return folder


def reference_log_mel(y: torch.Tensor) -> torch.Tensor:
    """Compute `mel_spectrogram` of the published meldataset.py for this model."""
    basis = torch.from_numpy(librosa.filters.mel(sr=44100, n_fft=2048, n_mels=128, fmin=0, fmax=None)).float()
    padded = torch.nn.functional.pad(y[:, None], (768, 768), mode="reflect")[:, 0]
    spec = torch.stft(
        padded, 2048, hop_length=512, win_length=2048, window=torch.hann_window(2048), center=False,
        pad_mode="reflect", normalized=False, onesided=True, return_complex=True,
    )  # fmt: skip
    magnitude = torch.sqrt(torch.view_as_real(spec).pow(2).sum(-1) + 1e-9)
    return torch.log(torch.clamp(torch.matmul(basis, magnitude), min=1e-5))


def test_hifi_mel_equals_the_mel_of_the_published_checkpoint():
    mel = preset("hifi")
    music = chords(mel) + 0.02 * torch.randn(1, chords(mel).shape[1])
    for y in (music, 0.001 * music, torch.zeros(1, 44032)):
        torch.testing.assert_close(mel.mel_db(y) * NEPER_PER_DB, reference_log_mel(y), rtol=1e-4, atol=1e-4)
    check_mel(PUBLISHED, mel, "published")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hop_size": 256}, "hop_length 256 against 512"),
        ({"fmax": 8000}, "f_max_hz 8000"),
        ({"num_mels": 80}, "n_mels 80 against 128"),
    ],
)
def test_checkpoint_for_another_mel_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        check_mel({**PUBLISHED, **change}, preset("hifi"), "published")


def test_published_config_gives_the_published_size_and_names():
    with torch.device("meta"):
        network = BigVGAN(
            128, PUBLISHED["upsample_rates"], PUBLISHED["upsample_kernel_sizes"], 1536, [3, 7, 11],
            PUBLISHED["resblock_dilation_sizes"], tanh=False, final_bias=False,
        )  # fmt: skip
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(122, abs=1)  # "122M"
    names = network.state_dict().keys()
    assert {
        "conv_pre.bias", "ups.5.0.weight", "resblocks.17.convs1.2.weight", "resblocks.0.convs2.0.bias",
        "resblocks.3.activations.5.act.alpha", "resblocks.0.activations.0.upsample.filter",
        "resblocks.0.activations.0.downsample.lowpass.filter", "activation_post.act.beta", "conv_post.weight",
    } <= names  # fmt: skip
    assert "conv_post.bias" not in names


def test_low_pass_filter_passes_low_and_stops_high_frequencies():
    kernel = low_pass_filter()[0, 0]
    response = torch.fft.rfft(kernel, 512).abs()
    assert kernel.sum().item() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(kernel, kernel.flip(0))
    assert response[:40].min() > 0.9
    assert response[200:].max() < 0.05


def test_activation_without_amplitude_keeps_slow_signals():
    activation = Activation(2)
    torch.nn.init.constant_(activation.act.beta, 20.0)  # 1 / beta nearly 0
    x = torch.sin(torch.arange(400) / 20).expand(1, 2, -1)
    torch.testing.assert_close(activation(x)[..., 20:-20], x[..., 20:-20], rtol=0, atol=2e-3)
    torch.nn.init.zeros_(activation.act.beta)
    constant = torch.full((1, 2, 50), 0.7)
    expected = 0.7 + math.sin(0.7) ** 2
    assert activation(constant).mean().item() == pytest.approx(expected, abs=1e-5)


def test_folded_weight_norm_equals_torch_weight_norm(published):
    config, weights = locate_checkpoint(str(published))
    network = load_network(read_config(config), weights)
    state = torch.load(weights, weights_only=True)["generator"]
    for name, module in (("conv_pre", network.conv_pre), ("ups.1.0", network.ups[1][0])):
        reference = weight_norm(
            type(module)(module.in_channels, module.out_channels, module.kernel_size, module.stride)
        )
        reference.load_state_dict({key: state[f"{name}.{key}"] for key in ("weight_g", "weight_v", "bias")})
        x = torch.randn(1, module.in_channels, 20)
        plain = type(module)(module.in_channels, module.out_channels, module.kernel_size, module.stride)
        plain.load_state_dict(module.state_dict())
        torch.testing.assert_close(plain(x), reference(x))


@pytest.mark.parametrize("kind", ["folder", "file", "name"])
def test_published_checkpoint_gives_a_waveform(published, kind, hub):
    mel = preset("hifi")
    hub.add("owner/a-model", read_files(published))
    name = {"folder": published, "file": published / "bigvgan_generator.pt", "name": "owner/a-model"}[kind]
    vocoder = make_vocoder(f"bigvgan={name}")
    assert hub.requests == []
    vocoder.check(mel)
    assert hub.fetched() == ({"config.json", "bigvgan_generator.pt"} if kind == "name" else set())
    source = chords(mel, 0.5)
    got = vocoder(VocoderInput(mel.mel_db(source), mel, source.shape[1] + 100))
    assert got.shape == (1, source.shape[1] + 100)
    assert got.std() > 1e-4
    assert got.abs().max() <= 1
    assert got[:, -100:].eq(0).all()


class Evil:
    def __reduce__(self):
        return print, ("this code ran",)


def test_damaged_foreign_and_missing_checkpoints_are_refused(published, tmp_path, capsys, hub):
    mel = preset("hifi")

    def refused(checkpoint: object, message: str) -> None:
        with pytest.raises(UserError, match=message):
            make_vocoder(f"bigvgan={checkpoint}").check(mel)

    with pytest.raises(UserError, match="hop_length 512 against 1024"):
        make_vocoder(f"bigvgan={published}").check(preset("paper"))
    refused(tmp_path / "nowhere", "is not a BigVGAN")
    refused("", "needs a published checkpoint")
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    torch.save({"generator": Evil()}, tmp_path / "bigvgan_generator.pt")
    refused(tmp_path, "cannot be read as a BigVGAN checkpoint")
    assert "this code ran" not in capsys.readouterr().out
    (tmp_path / "config.json").write_text(json.dumps({**SMALL, "activation": "snake"}))
    refused(tmp_path, "does not describe a BigVGAN-v2")
    (tmp_path / "config.json").write_text("{}")
    refused(tmp_path, "is not the config of a BigVGAN")

    refused("owner/other", "there is no owner/other on http")
    hub.status = 503
    refused("owner/other", r"cannot be reached for owner/other \(HTTP 503\)")


@pytest.mark.parametrize("field", [*SMALL, "use_bias_at_final"])
def test_wrong_fields_of_the_config_are_refused_in_one_line_or_work(published, tmp_path, field):
    mel = preset("hifi")
    shutil.copytree(published, tmp_path / "vocoder")
    inputs = VocoderInput(torch.zeros(1, 128, 8), mel, 4096)
    for label, value in WRONG_VALUES.items():
        (tmp_path / "vocoder" / "config.json").write_text(json.dumps({**SMALL, field: value}))
        line, out = "", torch.zeros(1)
        try:
            out = make_vocoder(f"bigvgan={tmp_path / 'vocoder'}")(inputs)
        except UserError as error:
            line = str(error)
        assert out.isfinite().all(), label
        assert line.isprintable() or not line, label
        assert len(line) < 600, label


def test_bombs_in_a_published_checkpoint_are_refused(published, tmp_path):
    def refused(message: str) -> None:
        with pytest.raises(UserError, match=message):
            make_vocoder(f"bigvgan={tmp_path}").check(preset("hifi"))

    weights = tmp_path / "bigvgan_generator.pt"
    shutil.copy(published / weights.name, weights)
    for key, value in (("upsample_initial_channel", 10**6), ("num_mels", 10**6)):
        (tmp_path / "config.json").write_text(json.dumps({**SMALL, key: value}))
        refused("must be")
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    state = torch.load(weights, weights_only=True)["generator"]
    state["conv_pre.weight_v"] = torch.zeros(1).expand(10**5, 10**5)
    torch.save({"generator": state}, weights)
    refused("larger than the file")
    state["conv_pre.weight_v"] = torch.full((16, 128, 7), math.nan)
    torch.save({"generator": state}, weights)
    refused("not finite")
    weights.unlink()
    os.mkfifo(weights)
    refused("is not a BigVGAN")
