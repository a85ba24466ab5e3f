"""Parts of a report: summary of the ground truth, losses, encoded audio, and the files."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from cyclegan_audio.metrics.paired_error import MATCHED_MEAN, MODEL, UNTOUCHED, PairedScores
from cyclegan_audio.reports.evaluation.report_files import write_report
from cyclegan_audio.reports.evaluation.summary import ground_truth_summary
from cyclegan_audio.reports.evaluation.training_losses import loss_trends, read_losses
from cyclegan_audio.reports.html import Section, Table, encode_audio
from cyclegan_audio.statistics.estimates import Estimate
from cyclegan_audio.utils.errors import UserError


def sure(mean: float) -> Estimate:
    return Estimate(mean, 0.0, mean - 0.1, mean + 0.1, 8, 4)


def scores(error_db: float, rhythm_db: float) -> PairedScores:
    """Return scores of a model whose baselines have 10 dB (untouched) and 5 dB (rhythm)."""
    errors = {MODEL: sure(error_db), UNTOUCHED: sure(10), MATCHED_MEAN: sure(8)}
    rhythm = {MODEL: sure(rhythm_db), UNTOUCHED: sure(5), MATCHED_MEAN: sure(5)}
    gains = [
        {key: sure(v[key].mean - v[MODEL].mean) for key in (UNTOUCHED, MATCHED_MEAN)}
        for v in (errors, rhythm)
    ]
    return PairedScores(errors, gains[0], rhythm, gains[1], rhythm)


def test_summary_beats_untouched_input() -> None:
    line = ground_truth_summary({"a to b": scores(6, 4)})
    assert line.startswith(
        "Beats the untouched input from a to b: paired error 6.0 dB, untouched input 10.0 dB"
    )
    assert "4.00 dB, matched-mean baseline 5.00 dB" in line


def test_summary_begins_with_the_filter() -> None:
    line = ground_truth_summary({"a to b": scores(6, 4), "b to a": scores(6, 5)})
    assert line.startswith("Acts as a filter from b to a")
    assert "Beats the untouched input from a to b" in line


def test_summary_without_clear_gain_or_pairs() -> None:
    assert ground_truth_summary({"a to b": scores(9.5, 4)}).startswith(
        "Does not clearly beat the untouched input from a to b"
    )
    assert "no paired clips" in ground_truth_summary({})


def test_untrained_losses_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    path.write_text(
        "batch,epoch,elapsed_s,lr,cycle_a,identity_a,disc_a,restoration_a\n50,0,1,.1,2.0,,nan,\n100,0,2,.1,1.0,,0.5,3\n"
    )
    batches, losses = read_losses(path)
    assert batches == [50, 100]
    assert list(losses) == ["cycle_a", "disc_a", "restoration_a"]
    assert losses["cycle_a"] == [2.0, 1.0]
    assert losses["restoration_a"] == [None, 3.0]
    assert np.isnan(losses["disc_a"][0])


def test_the_total_loss_is_judged_from_the_end_of_the_warm_up() -> None:
    warm_up, after = 4, 20
    losses = {
        "gen_total": [1.0] * warm_up + [5.0] * after,
        "adversarial_ab": [None] * warm_up + [2.0, None] * (after // 2),
        "restoration_a": [0.2] * (warm_up + after),
        "identity_a": [None] * warm_up + [0.5] * 10 + [None] * 10,  # its weight falls to 0
        "disc_a": [None] * 2 + [0.5] * (warm_up + after - 2),
    }
    trends = loss_trends(losses)
    assert (trends["gen_total"].first, trends["gen_total"].last) == (5.0, 5.0)
    assert not any(trend.exploded for trend in trends.values())
    losses["gen_total"][-2:] = [16.0, 16.0]
    assert loss_trends(losses)["gen_total"].exploded
    only_warm_up = loss_trends({"gen_total": [1.0, 4.0], "restoration_a": [0.2, 0.8]})["gen_total"]
    assert (only_warm_up.first, only_warm_up.last, only_warm_up.exploded) == (1.0, 4.0, True)


def test_damaged_losses_are_a_user_error(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    path.write_text("batch,cycle_a\n50,what\n")
    with pytest.raises(UserError, match=r"line 2: column cycle_a: .what. is not a number"):
        read_losses(path)


@pytest.mark.parametrize(("rate", "media_type"), [(44100, "audio/mpeg"), (31000, "audio/wav")])
def test_encoded_sound_matches_the_waveform(rate: int, media_type: str) -> None:
    wave = 0.5 * torch.sin(2 * torch.pi * 440 * torch.arange(rate) / rate)
    encoded = encode_audio("tone", wave, rate)
    samples, found_rate = soundfile.read(io.BytesIO(encoded.content))
    assert (encoded.media_type, found_rate) == (media_type, rate)
    assert abs(len(samples) - rate) < 0.1 * rate
    peak_hz = np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)
    assert peak_hz == pytest.approx(440, abs=2)
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.03)


def test_loud_sound_is_scaled_not_clipped() -> None:
    wave = 4 * torch.sin(2 * torch.pi * 440 * torch.arange(31000) / 31000)
    samples, _ = soundfile.read(io.BytesIO(encode_audio("tone", wave, 31000).content))
    assert np.abs(samples).max() <= 1
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(np.sqrt(0.5), abs=0.01)


def test_samples_that_are_not_finite_become_silence() -> None:  # the encoder of MP3 would end this process
    waveform = torch.full((22050,), 0.5)
    waveform[5000:15000] = torch.tensor([float("nan"), float("inf")]).repeat(5000)
    decoded, _ = soundfile.read(io.BytesIO(encode_audio("x", waveform, 22050).content))
    assert abs(decoded[8000:12000]).max() < 0.05
    assert abs(decoded[1000:4000] - 0.5).max() < 0.1


def test_page_escapes_names_and_json_has_no_nan(tmp_path: Path) -> None:
    section = Section(
        "x", "<b>rock & roll</b>", tables=[Table("", ["a"], [["<script>"]])], numbers={"y": float("nan")}
    )
    page = write_report(tmp_path, "t", "v", [section]).read_text()
    assert "&lt;b&gt;rock &amp; roll&lt;/b&gt;" in page
    assert page.count("<script>") == 1  # of the page itself
    assert json.loads((tmp_path / "report.json").read_text())["x"] == {"y": None}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_failed_report_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(tmp_path, "old", "v", [])
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}

    def full(self: Path, *args: object, **kwargs: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match="No space left"):
        write_report(tmp_path, "new", "v", [])
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


def test_folder_that_cannot_be_created_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--out"):
        write_report(tmp_path / "file" / "report", "t", "v", [])
