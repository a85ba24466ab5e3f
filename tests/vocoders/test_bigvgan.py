import json
import math
from pathlib import Path

import librosa
import pytest
import torch
from torch.nn.utils import weight_norm

from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import VocoderInput, make_vocoder
from cyclegan_audio.vocoders.bigvgan import loading
from cyclegan_audio.vocoders.bigvgan.network import Activation, BigVGAN, low_pass
from cyclegan_audio.vocoders.bigvgan.vocoder import NEPER_PER_DB
from tests.vocoders.sounds import chords, preset

PUBLISHED = {  # what config.json of nvidia/bigvgan_v2_44khz_128band_512x says of the network and the mel
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
    """`state` as the published code saves it: convolutions as direction and length."""
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
    """A folder as it is published, but small: `config.json` and `bigvgan_generator.pt`."""
    folder = tmp_path_factory.mktemp("bigvgan")
    torch.manual_seed(0)
    (folder / "config.json").write_text(json.dumps(SMALL))
    network = BigVGAN(128, [32, 16], [64, 32], 16, [3, 5], [[1, 3, 5]] * 2, tanh=False, final_bias=False)
    torch.save({"generator": with_weight_norm(network.state_dict())}, folder / "bigvgan_generator.pt")
    return folder


def reference_log_mel(y: torch.Tensor) -> torch.Tensor:
    """`mel_spectrogram` of the published code's meldataset.py for this model, in its own steps."""
    basis = torch.from_numpy(librosa.filters.mel(sr=44100, n_fft=2048, n_mels=128, fmin=0, fmax=None)).float()
    padded = torch.nn.functional.pad(y[:, None], (768, 768), mode="reflect")[:, 0]
    spec = torch.stft(
        padded, 2048, hop_length=512, win_length=2048, window=torch.hann_window(2048), center=False,
        pad_mode="reflect", normalized=False, onesided=True, return_complex=True,
    )  # fmt: skip
    magnitude = torch.sqrt(torch.view_as_real(spec).pow(2).sum(-1) + 1e-9)
    return torch.log(torch.clamp(torch.matmul(basis, magnitude), min=1e-5))


def test_our_hifi_mel_is_the_mel_of_the_published_checkpoint():
    mel = preset("hifi")
    music = chords(mel) + 0.02 * torch.randn(1, chords(mel).shape[1])
    for y in (music, 0.001 * music, torch.zeros(1, 44032)):
        torch.testing.assert_close(mel.mel_db(y) * NEPER_PER_DB, reference_log_mel(y), rtol=1e-4, atol=1e-4)
    loading.check_mel(PUBLISHED, mel, "published")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hop_size": 256}, "hop_length 256 against 512"),
        ({"fmax": 8000}, "f_max_hz 8000"),
        ({"num_mels": 80}, "n_mels 80 against 128"),
    ],
)
def test_checkpoints_for_other_mels_are_refused(change, said):
    with pytest.raises(UserError, match=said):
        loading.check_mel({**PUBLISHED, **change}, preset("hifi"), "published")


def test_the_published_configuration_has_the_published_size_and_names():
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


def test_the_filter_passes_low_and_stops_high():
    kernel = low_pass()[0, 0]
    response = torch.fft.rfft(kernel, 512).abs()
    assert kernel.sum().item() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(kernel, kernel.flip(0))
    assert response[:40].min() > 0.9
    assert response[200:].max() < 0.05


def test_an_activation_without_amplitude_leaves_slow_signals():
    activation = Activation(2)
    torch.nn.init.constant_(activation.act.beta, 20.0)  # 1 / beta nearly 0
    x = torch.sin(torch.arange(400) / 20).expand(1, 2, -1)
    torch.testing.assert_close(activation(x)[..., 20:-20], x[..., 20:-20], rtol=0, atol=2e-3)
    torch.nn.init.zeros_(activation.act.beta)
    constant = torch.full((1, 2, 50), 0.7)
    expected = 0.7 + math.sin(0.7) ** 2
    assert activation(constant).mean().item() == pytest.approx(expected, abs=1e-5)


def test_weight_norm_is_folded_as_torch_computes_it(published):
    config, weights = loading.find(str(published))
    network = loading.load(loading.read_config(config), weights)
    state = torch.load(weights, weights_only=True)["generator"]
    for name, ours in (("conv_pre", network.conv_pre), ("ups.1.0", network.ups[1][0])):
        theirs = weight_norm(type(ours)(ours.in_channels, ours.out_channels, ours.kernel_size, ours.stride))
        theirs.load_state_dict({key: state[f"{name}.{key}"] for key in ("weight_g", "weight_v", "bias")})
        x = torch.randn(1, ours.in_channels, 20)
        plain = type(ours)(ours.in_channels, ours.out_channels, ours.kernel_size, ours.stride)
        plain.load_state_dict(ours.state_dict())
        torch.testing.assert_close(plain(x), theirs(x))


@pytest.mark.parametrize("named_by", ["folder", "file", "name"])
def test_a_published_checkpoint_makes_sound(published, named_by, monkeypatch):
    mel = preset("hifi")
    asked = []

    def download(name: str, file: str) -> str:
        asked.append((name, file))
        return str(published / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    name = {"folder": published, "file": published / "bigvgan_generator.pt", "name": "owner/a-model"}[
        named_by
    ]
    vocoder = make_vocoder(f"bigvgan={name}")
    assert asked == []
    vocoder.check(mel)
    assert len(asked) == (2 if named_by == "name" else 0)
    source = chords(mel, 0.5)
    got = vocoder(VocoderInput(mel.mel_db(source), mel, source.shape[1] + 100))
    assert got.shape == (1, source.shape[1] + 100)
    assert got.std() > 1e-4
    assert got.abs().max() <= 1
    assert got[:, -100:].eq(0).all()


class Evil:
    def __reduce__(self):
        return print, ("this code ran",)


def test_damaged_foreign_and_missing_checkpoints_are_refused(published, tmp_path, capsys, monkeypatch):
    mel = preset("hifi")

    def refused(checkpoint: object, said: str) -> None:
        with pytest.raises(UserError, match=said):
            make_vocoder(f"bigvgan={checkpoint}").check(mel)

    with pytest.raises(UserError, match="hop_length 512 against 1024"):
        make_vocoder(f"bigvgan={published}").check(preset("paper"))
    refused(tmp_path / "nowhere", "is no BigVGAN")
    refused("", "name a published vocoder")
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    torch.save({"generator": Evil()}, tmp_path / "bigvgan_generator.pt")
    refused(tmp_path, "cannot be read as a BigVGAN checkpoint")
    assert "this code ran" not in capsys.readouterr().out
    (tmp_path / "config.json").write_text(json.dumps({**SMALL, "activation": "snake"}))
    refused(tmp_path, "BigVGAN of another kind")
    (tmp_path / "config.json").write_text("{}")
    refused(tmp_path, "no configuration of a BigVGAN")

    def offline(name: str, file: str) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    refused("owner/other", r"cannot be fetched \(no route to host\)")
