"""Piece loss: what it keeps and ignores, its gradients, pictures."""

import pytest
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.musical_features import onset_strength
from cyclegan_audio.metrics.rhythm import row_correlation
from cyclegan_audio.metrics.spectral import chroma_similarity
from cyclegan_audio.models.losses.piece import PieceTerm
from cyclegan_audio.models.networks.generators import ResnetGenerator
from cyclegan_audio.models.networks.images import ImageGenerator
from cyclegan_audio.utils.errors import UserError


def term(mel: MelSpectrogram) -> PieceTerm:
    piece = PieceTerm(1.0)
    piece.prepare(mel, ResnetGenerator(4, 1))
    return piece


def music(mel: MelSpectrogram, pitch: int = 40, every: int = 25) -> Tensor:
    """Return a mel (1, 1, 128, 100) in [-1, 1]: a struck note of two bands that decays."""
    clip = torch.full((1, 1, mel.n_mels, 100), -0.6)
    frames = torch.arange(100)
    clip[..., pitch : pitch + 2, :] = 0.4 - 0.02 * (frames % every)
    clip[..., 90:, :] = torch.maximum(clip[..., 90:, :], -0.03 * (frames % every).float())
    return clip


def test_the_loss_is_that_of_the_metrics(any_mel: MelSpectrogram) -> None:
    """Of clips whose segments are about as loud in the source as in the translation."""
    source, fake = music(any_mel), music(any_mel, 43, 20)
    clips = [x[:, 0] * any_mel.unit_db for x in (source, fake)]
    onsets = row_correlation(*(onset_strength(clip, any_mel) for clip in clips))
    harmony = chroma_similarity(*clips, any_mel)
    loss = term(any_mel)(None, {"real_b": source, "fake_a": fake}, "ba")
    assert float(loss) == pytest.approx(1 - float(onsets + harmony) / 2, abs=0.02)
    assert float(loss) > 0.3


def dense_music(mel: MelSpectrogram) -> Tensor:
    """Return `music` over a smooth spectrum with texture, so that every band sounds."""
    floor = 0.3 * torch.randn(1, 1, mel.n_mels, 100) - torch.linspace(0.2, 0.8, mel.n_mels)[:, None]
    return torch.logaddexp(10 * music(mel), 10 * floor) / 10


def test_level_is_no_change_and_an_equaliser_is_a_small_one(hifi: MelSpectrogram) -> None:
    """An equaliser of up to 6 dB at 16 points costs less than a tenth of what another piece does."""
    source, piece = dense_music(hifi), term(hifi)

    def loss(fake: Tensor) -> float:
        return float(piece(None, {"real_a": source, "fake_b": fake}, "ab"))

    assert loss(source + 0.1) == pytest.approx(0, abs=1e-5)
    points = 6 / hifi.unit_db * torch.rand(1, 1, 16).mul(2).sub(1)
    gains = torch.nn.functional.interpolate(points, hifi.n_mels, mode="linear")[..., None]
    other = loss(dense_music(hifi).roll(9, 3).roll(5, 2))
    assert 0.001 < loss(source + gains) < 0.1 * other


def test_other_notes_and_other_onsets_cost(hifi: MelSpectrogram) -> None:
    source, piece = music(hifi), term(hifi)

    def loss(fake: Tensor) -> float:
        return float(piece(None, {"real_a": source, "fake_b": fake}, "ab"))

    other_notes, other_onsets = music(hifi, pitch=45), music(hifi, every=20)
    assert 0.3 < loss(other_notes) < 0.8
    assert 0.1 < loss(other_onsets) < 0.6
    assert loss(music(hifi, pitch=45, every=20)) > max(loss(other_notes), loss(other_onsets))


@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize("silent", ["real_a", "fake_b", "both"])
def test_gradients_stay_small_where_nothing_moves(hifi: MelSpectrogram, silent: str, noise: float) -> None:
    """Of music it is 0.003 at most."""
    mels = {name: music(hifi) for name in ("real_a", "fake_b")}
    for name in mels if silent == "both" else [silent]:
        mels[name] = noise * torch.randn_like(mels[name]) - 0.9
    mels["fake_b"].requires_grad_()
    term(hifi)(None, mels, "ab").backward()
    gradient = mels["fake_b"].grad
    assert gradient is not None
    assert gradient.isfinite().all()
    assert float(gradient.abs().max()) < 1


def test_bf16_changes_little(hifi: MelSpectrogram) -> None:
    """The loss itself is computed in fp32, also of translations that are bf16."""
    mels = {"real_a": dense_music(hifi), "fake_b": dense_music(hifi).roll(3, 3)}
    expected = term(hifi)(None, mels, "ab")
    with torch.autocast("cpu", torch.bfloat16):
        loss = term(hifi)(None, {**mels, "fake_b": mels["fake_b"].bfloat16()}, "ab")
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(expected), abs=0.01)


def test_crops_shorter_than_a_segment_have_one(hifi: MelSpectrogram) -> None:
    clip = dense_music(hifi)[..., :8]
    assert float(term(hifi)(None, {"real_a": clip, "fake_b": clip}, "ab")) == pytest.approx(0, abs=1e-5)


def test_following_the_gradient_brings_the_notes_back(hifi: MelSpectrogram) -> None:
    source = music(hifi)
    fake = music(hifi, pitch=45, every=20).requires_grad_()
    optimizer, piece = torch.optim.Adam([fake], 0.01), term(hifi)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = piece(None, {"real_a": source, "fake_b": fake}, "ab")
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_pictures_are_refused(hifi: MelSpectrogram) -> None:
    generator = ImageGenerator(16, 4, 1)
    PieceTerm(0.0).prepare(hifi, generator)
    with pytest.raises(UserError, match=r"generator=images.*loss_weights\.piece=0"):
        PieceTerm(1.0).prepare(hifi, generator)


@pytest.mark.parametrize("options", [("model=cyclegan",), ("model=cut_small",)])
def test_it_is_a_term_of_each_direction(tiny_model, hifi, options):
    model = tiny_model(*options, "model.loss_weights.piece=2")
    model.use_mel(hifi)
    batch = {"real_a": music(hifi), "real_b": music(hifi, 43, 20)}
    losses = model.generator_losses(batch, model.translate_batch(batch))
    assert {name for name in losses if name.startswith("piece")} == {f"piece_{d}" for d in model.directions}
    for direction in model.directions:
        source, target = direction
        fake = model.generators()[f"gen_{direction}"](batch[f"real_{source}"])
        expected = term(hifi)(None, {**batch, f"fake_{target}": fake}, direction)
        assert losses[f"piece_{direction}"].item() == pytest.approx(expected.item(), abs=1e-5)
        assert expected > 0.05
