"""Test validation metrics and diagnostics on synthetic mels."""

import math

import pytest
import torch

from cyclegan_audio.metrics.validation import (
    checkerboard,
    discriminator_auc,
    diversity,
    energy_distance,
    mean_abs_difference,
    style_distance,
    style_statistics,
    temporal_decorrelation,
    validation_diagnostics,
    validation_metrics,
)


@pytest.fixture
def reals() -> dict[str, torch.Tensor]:
    """Return eight clips of a quiet and of a loud, busy genre, (8, 1, 32, 64)."""
    draw = torch.Generator().manual_seed(0)
    quiet, busy = (torch.randn(8, 1, 32, 64, generator=draw) for _ in range(2))
    level = torch.linspace(-0.5, 0.3, 8).view(8, 1, 1, 1)
    return {"real_a": 0.1 * quiet - 0.4 + 0.2 * level, "real_b": 0.3 * busy + 0.4 + 0.2 * level}


def translated(reals, to_b, to_a) -> dict[str, torch.Tensor]:
    """Return all clips of two translation functions."""
    a, b = reals["real_a"], reals["real_b"]
    return {
        **reals, "fake_b": to_b(a), "fake_a": to_a(b), "rec_a": to_a(to_b(a)), "rec_b": to_b(to_a(b)),
        "idt_a": to_a(a), "idt_b": to_b(b),
    }  # fmt: skip


def same(x):
    return x


def test_energy_distance_by_hand():
    one, other = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0]])
    assert float(energy_distance(one, other)) == pytest.approx(2 * 1 - 1 - 0)
    assert float(energy_distance(one, one)) == pytest.approx(0, abs=1e-6)


def test_style_distance_is_one_for_sources_and_zero_for_the_target(reals):
    a, b = reals["real_a"], reals["real_b"]
    assert style_distance(a, a, b) == pytest.approx(1)
    assert style_distance(b, a, b) == pytest.approx(0, abs=1e-5)
    assert 0 < style_distance((a + b) / 2, a, b) < 1


def test_good_translations_score_better_than_copies_and_mode_collapse(reals):
    copies = translated(reals, same, same)
    good = translated(reals, lambda x: 3 * x + 1.6, lambda x: (x - 1.6) / 3)
    one = translated(
        reals, lambda x: reals["real_b"][:1].expand_as(x), lambda x: reals["real_a"][:1].expand_as(x)
    )
    scores = [validation_metrics(clips)["score"] for clips in (good, copies, one)]
    assert scores[0] < min(scores[1:])
    assert scores[1] == pytest.approx(1)
    metrics = validation_metrics(good)
    assert metrics["cycle_a"] == pytest.approx(0, abs=1e-5)
    assert metrics["identity_a"] > 0.1
    assert scores[0] == pytest.approx(
        sum(metrics[n] for n in ("genre_ab", "genre_ba", "cycle_a", "cycle_b")) / 2
    )


def test_validation_metrics_omit_identity_without_identity_outputs(reals):
    clips = translated(reals, same, same)
    del clips["idt_a"], clips["idt_b"]
    assert set(validation_metrics(clips)) == {"score", "genre_ab", "genre_ba", "cycle_a", "cycle_b"}


def test_diagnostics_detect_copying_and_mode_collapse(reals):
    copies = validation_diagnostics(translated(reals, same, same))
    assert copies["moved_ab"] == copies["moved_ba"] == 0
    assert copies["variety_ab"] == pytest.approx(1)
    collapsed = validation_diagnostics(translated(reals, lambda x: x[:1].expand_as(x), same))
    assert collapsed["variety_ab"] == pytest.approx(0)
    assert diversity(reals["real_a"][:1]) == 0


def test_checkerboard_of_noise_and_of_a_checkerboard():
    noise = torch.randn(4, 1, 128, 176, generator=torch.Generator().manual_seed(0))
    assert checkerboard(noise) == pytest.approx(16 / 1024, rel=0.3)
    pattern = torch.zeros(1, 1, 128, 176)
    pattern[..., ::2, ::2] = 1
    assert checkerboard(pattern) > 0.9
    assert checkerboard(noise + pattern) > 5 * checkerboard(noise)


def test_discriminator_auc_by_hand():
    assert discriminator_auc(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0])) == pytest.approx(
        (1.5 + 2) / 4
    )
    scores = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    assert discriminator_auc(scores, scores) == pytest.approx(0.5)
    assert discriminator_auc(scores + 10, scores) == 1


def test_temporal_decorrelation_by_hand():
    source = torch.tensor([[[[0.0, 1.0, 0.0, -1.0], [0.0, 0.0, 0.0, 0.0]]]])
    assert temporal_decorrelation(source, source) == pytest.approx(0, abs=1e-6)
    assert temporal_decorrelation(0.5 * source + 0.3, source) == pytest.approx(0, abs=1e-6)  # a filter
    assert temporal_decorrelation(-source, source) == pytest.approx(2)
    both = source + source.flip(2).roll(1, 3)  # the same in the other band, at other times
    assert temporal_decorrelation(both, source) == pytest.approx(1 - 1 / math.sqrt(2))


def test_one_directional_models_have_metrics_of_one_direction(reals):
    a, b = reals["real_a"], reals["real_b"]
    one_directional = {**reals, "fake_b": 3 * a + 1.6, "idt_b": b}
    metrics = validation_metrics(one_directional)
    assert set(metrics) == {"score", "genre_ab", "lost_ab", "identity_b"}
    assert metrics["score"] == pytest.approx(metrics["genre_ab"] + metrics["lost_ab"])
    assert metrics["identity_b"] == 0
    copies, others = ({**reals, "fake_b": fake} for fake in (a, b))
    scores = [validation_metrics(clips)["score"] for clips in (one_directional, copies, others)]
    assert scores[1:] == pytest.approx([1, 1], abs=0.1)
    assert scores[0] < min(scores[1:])
    assert set(validation_diagnostics(one_directional)) == {"moved_ab", "variety_ab", "checkerboard_ab"}


def test_style_statistics_by_hand():
    mel = torch.tensor([[[[0.0, 2.0, 1.0], [5.0, 5.0, 5.0]]]])
    assert style_statistics(mel)[0].tolist() == pytest.approx([1, 5, 1, 0, 1.5, 0])


def test_energy_distance_subtracts_both_within_distances():
    one, other = torch.tensor([[0.0], [4.0]]), torch.tensor([[1.0], [7.0], [7.0]])
    between, within = (1 + 7 + 7 + 3 + 3 + 3) / 6, (2 * 4 / 4, 4 * 6 / 9)
    assert float(energy_distance(one, other)) == pytest.approx(2 * between - sum(within))


def test_diversity_by_hand():
    clips = torch.tensor([[0.0, 0.0], [1.0, 3.0], [2.0, 2.0]]).view(3, 1, 1, 2)
    assert diversity(clips) == pytest.approx((4 + 4 + 2) / 3 / 2)  # three pairs, two values each
    assert diversity(clips[:1]) == 0
    assert mean_abs_difference(clips[0], clips[1]) == 2


def test_diagnostics_by_hand():
    a = torch.zeros(2, 1, 32, 32)
    a[1] = 2.0
    b = torch.full((2, 1, 32, 32), 5.0)
    b[..., ::4, ::4] += 1  # only a checkerboard
    clips = {"real_a": a, "real_b": b, "fake_b": a + 1 + 0.5 * (a - 1)}
    scale = ((5 + 1 / 16) + (3 + 1 / 16)) / 2
    actual = validation_diagnostics(clips)
    assert actual["moved_ab"] == pytest.approx((0.5 + 1.5) / 2 / scale)
    assert actual["variety_ab"] == pytest.approx(1.5)
    assert actual["checkerboard_ab"] == pytest.approx(0, abs=1e-6)
    assert validation_diagnostics(clips | {"fake_b": b})["checkerboard_ab"] == pytest.approx(1)
    single = {name: mels[:1] for name, mels in clips.items()}
    assert validation_diagnostics(single)["variety_ab"] == 1
    assert validation_metrics(clips | {"rec_a": a + scale, "idt_b": b - 2 * scale}) == pytest.approx(
        {
            "score": expected_genre(clips) + 1,
            "genre_ab": expected_genre(clips),
            "cycle_a": 1,
            "identity_b": 2,
        }
    )


def expected_genre(clips: dict[str, torch.Tensor]) -> float:
    return style_distance(clips["fake_b"], clips["real_a"], clips["real_b"])


def test_style_distance_by_hand():
    """Clips of one level each: only the means differ, in units of their standard deviation."""
    levels = {"fake": (2.0, 2.0), "source": (0.0, 2.0), "target": (4.0, 6.0)}
    fake, source, target = (torch.tensor(v).view(2, 1, 1, 1).expand(2, 1, 1, 8) for v in levels.values())
    # fake to target: 2 * 3 - 0 - 1; source to target: 2 * 4 - 1 - 1; the unit cancels
    assert style_distance(fake, source, target) == pytest.approx(5 / 6)


@pytest.mark.parametrize("period", [2, 4, 8])
def test_checkerboard_responds_to_upsampling_periods_only(period):
    mel = torch.zeros(1, 1, 64, 96)
    mel[..., ::period, :] = 1
    mel = mel[..., :-7]  # beyond the last block of 32: ignored
    fraction = checkerboard(mel)
    assert fraction == pytest.approx(1 if period < 8 else 0.5, abs=0.15)
    wide = torch.zeros(1, 1, 64, 64)
    wide[..., 3::32, 5::32] = 1  # one point per block
    assert checkerboard(wide) < 0.03
