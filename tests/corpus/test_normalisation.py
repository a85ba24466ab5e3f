"""Tests of normalising loudness and bandwidth."""

import dataclasses

import pytest
import torch

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.data.datamodule import UnpairedMelDataModule
from cyclegan_audio.data.sampler import ClipView, PairIndex
from cyclegan_audio.utils.errors import UserError


def clips_of(corpus: Corpus, **values) -> dict:
    """Return training clips of both genres with these values, given as a list per genre."""
    clips_by_genre = {}
    for index, genre in enumerate(("lofi", "trap")):
        clip = corpus.clips(genre, "train")[0]
        columns = [
            dict(zip(values, row, strict=True))
            for row in zip(*(v[index] for v in values.values()), strict=True)
        ]
        clips_by_genre[genre] = [dataclasses.replace(clip, **row) for row in columns]
    return clips_by_genre


def test_target_loudness_is_the_mean_of_medians_and_cutoff_the_lower_bandwidth(corpus, hifi):
    clips = clips_of(
        corpus,
        loudness_lufs=([-20.0, -18.0, -10.0], [-12.0, -13.0, -14.0]),
        bandwidth_hz=([15000.0, 16000.0, 20000.0], [20000.0, 20000.0, 9000.0]),
    )
    normalisation = CorpusNormalisation.from_clips(clips, ["loudness", "bandwidth"], hifi, "it")
    assert normalisation == CorpusNormalisation(-15.5, 16000.0)
    assert CorpusNormalisation.from_dict(normalisation.to_dict()) == normalisation
    assert str(normalisation) == "normalised to -15.5 LUFS and limited to 16.0 kHz"
    assert str(CorpusNormalisation(cutoff_hz=20060.0)) == "limited to 20.1 kHz"
    assert CorpusNormalisation.from_clips(clips, [], hifi, "it") == CorpusNormalisation()
    assert CorpusNormalisation.from_clips(clips, ["bandwidth"], hifi, "it").to_dict() == {
        "cutoff_hz": 16000.0
    }


def test_a_gain_shifts_all_but_digital_silence(hifi):
    mel_db = torch.full((hifi.n_mels, 3), -40.0)
    mel_db[:, 1] = -98.0
    mel_db[:, 2] = -100.0
    normalisation = CorpusNormalisation(loudness_lufs=-14.0)
    assert normalisation.gain_db(-9.0) == -5
    assert normalisation.gain_db(None) == 0
    assert normalisation.apply(mel_db, hifi, -5.0)[0].tolist() == [-45, -100, -100]
    assert normalisation.apply(mel_db, hifi, 5.0)[0].tolist() == [-35, -93, -100]
    near = torch.full((hifi.n_mels, 1), -99.99)
    assert normalisation.apply(near, hifi, 5.0)[0].item() == pytest.approx(
        -94.99, abs=1e-4
    )  # just above the floor
    assert torch.equal(CorpusNormalisation().apply(mel_db, hifi, CorpusNormalisation().gain_db(-9.0)), mel_db)


@pytest.mark.parametrize(("name", "lowest_db"), [("hifi", -100.0), ("paper", -30.0)])
def test_bands_above_the_cutoff_have_the_lowest_level(request, name, lowest_db):
    mel = request.getfixturevalue(name)
    mel_db = torch.linspace(-30, 0, mel.n_mels)[:, None].expand(-1, 4).clone()
    mel_db[-1] = -70  # above the cutoff, so it does not set a clip's own scale
    cutoff_hz = float(mel.band_hz[99])
    normalised = CorpusNormalisation(cutoff_hz=cutoff_hz).apply(mel_db, mel)
    assert torch.equal(normalised[:100], mel_db[:100])
    assert normalised[100:].unique().tolist() == [lowest_db]
    assert torch.equal(CorpusNormalisation(cutoff_hz=cutoff_hz).apply(normalised, mel), normalised)
    assert float(mel.normalise(normalised)[100:].max()) == -1


def test_training_mels_are_normalised(corpus):
    data = UnpairedMelDataModule(
        corpus.folder, "lofi", "trap", frame_multiple=4, normalise=["loudness", "bandwidth"]
    )
    data.setup("fit")
    normalisation = data.corpus.normalisation
    for side, clips in zip("ab", data.clips("train"), strict=True):
        clip = clips[0]
        gain_db = normalisation.loudness_lufs - clip.loudness_lufs
        above = data.mel.band_hz > normalisation.cutoff_hz
        assert 0 < int(above.sum()) < 128
        view = ClipView(0, gain_db=3.0)
        loaded_db = data.train_data[PairIndex(view, view)][f"real_{side}"][0, :, : data.corpus.clip_frames]
        loaded_db = data.mel.denormalise(loaded_db)
        expected = (corpus.mel_db(clip) + gain_db).clamp_min(-100).add(3).clamp(-100, 30)
        torch.testing.assert_close(loaded_db[~above], expected[~above], rtol=0, atol=1e-3)
        assert loaded_db[above].unique().tolist() == [-100]
        louder = corpus.audio(clip) * 10 ** (gain_db / 20)
        torch.testing.assert_close(data.corpus.audio(clip), louder, rtol=1e-4, atol=1e-6)
        recomputed = normalisation.apply(data.mel.mel_db(data.corpus.audio(clip)[None])[0], data.mel)
        quiet = expected < -60  # where 16-bit noise of the audio counts
        assert (recomputed - data.corpus.mel_db(clip))[~above & ~quiet.any(1)].abs().max() < 0.1
    assert data.corpus.select(lambda clip: True).normalisation == normalisation
    assert corpus.normalisation == CorpusNormalisation()


@pytest.mark.parametrize(
    ("kinds", "changes", "message"),
    [
        (["level"], {}, "data.normalise=level is unknown; choose among loudness, bandwidth"),
        (["loudness"], {"loudness_lufs": ([None], [-9.0])}, "it has no loudness of lofi"),
        (["bandwidth"], {"bandwidth_hz": ([9000.0], [None])}, "it has no bandwidth of trap"),
    ],
)
def test_unknown_and_unmeasured_kinds_are_refused(corpus, hifi, kinds, changes, message):
    clips = clips_of(corpus, **(changes or {"loudness_lufs": ([-9.0], [-9.0])}))
    with pytest.raises(UserError, match=message):
        CorpusNormalisation.from_clips(clips, kinds, hifi, "it")


def test_loudness_is_refused_for_mels_scaled_per_clip(corpus, paper):
    with pytest.raises(UserError, match="there is no loudness to normalise"):
        CorpusNormalisation.from_clips(
            clips_of(corpus, loudness_lufs=([-9.0], [-9.0])), ["loudness"], paper, "it"
        )
