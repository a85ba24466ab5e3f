import dataclasses

import pytest
import torch

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.data.datamodule import UnpairedMelDataModule
from cyclegan_audio.data.sampler import ClipView, PairIndex
from cyclegan_audio.utils.errors import UserError


def clips_of(corpus: Corpus, **values) -> dict:
    """Training clips of both genres with these values, a list a genre."""
    found = {}
    for place, genre in enumerate(("lofi", "trap")):
        clip = corpus.clips(genre, "train")[0]
        columns = [
            dict(zip(values, row, strict=True))
            for row in zip(*(v[place] for v in values.values()), strict=True)
        ]
        found[genre] = [dataclasses.replace(clip, **row) for row in columns]
    return found


def test_loudness_meets_between_the_medians_and_the_lower_bandwidth_counts(corpus, hifi):
    clips = clips_of(
        corpus,
        loudness_lufs=([-20.0, -18.0, -10.0], [-12.0, -13.0, -14.0]),
        bandwidth_hz=([15000.0, 16000.0, 20000.0], [20000.0, 20000.0, 9000.0]),
    )
    match = CorpusNormalisation.from_clips(clips, ["loudness", "bandwidth"], hifi, "it")
    assert match == CorpusNormalisation(-15.5, 16000.0)
    assert CorpusNormalisation.from_dict(match.to_dict()) == match
    assert str(match) == "normalised to -15.5 LUFS and limited to 16.0 kHz"
    assert str(CorpusNormalisation(cutoff_hz=20060.0)) == "limited to 20.1 kHz"
    assert CorpusNormalisation.from_clips(clips, [], hifi, "it") == CorpusNormalisation()
    assert CorpusNormalisation.from_clips(clips, ["bandwidth"], hifi, "it").to_dict() == {
        "cutoff_hz": 16000.0
    }


def test_a_gain_shifts_what_sounds_and_leaves_digital_silence(hifi):
    mel_db = torch.full((hifi.n_mels, 3), -40.0)
    mel_db[:, 1] = -98.0
    mel_db[:, 2] = -100.0
    match = CorpusNormalisation(loudness_lufs=-14.0)
    assert match.gain_db(-9.0) == -5
    assert match.gain_db(None) == 0
    assert match.apply(mel_db, hifi, -5.0)[0].tolist() == [-45, -100, -100]
    assert match.apply(mel_db, hifi, 5.0)[0].tolist() == [-35, -93, -100]
    near = torch.full((hifi.n_mels, 1), -99.99)
    assert match.apply(near, hifi, 5.0)[0].item() == pytest.approx(-94.99, abs=1e-4)  # sounds, if barely
    assert torch.equal(CorpusNormalisation().apply(mel_db, hifi, CorpusNormalisation().gain_db(-9.0)), mel_db)


@pytest.mark.parametrize(("name", "lowest_db"), [("hifi", -100.0), ("paper", -30.0)])
def test_bands_above_the_cutoff_hold_the_lowest_level_of_the_scale(request, name, lowest_db):
    mel = request.getfixturevalue(name)
    mel_db = torch.linspace(-30, 0, mel.n_mels)[:, None].expand(-1, 4).clone()
    mel_db[-1] = -70  # above the cutoff, so it does not set a clip's own scale
    cutoff_hz = float(mel.band_hz[99])
    got = CorpusNormalisation(cutoff_hz=cutoff_hz).apply(mel_db, mel)
    assert torch.equal(got[:100], mel_db[:100])
    assert got[100:].unique().tolist() == [lowest_db]
    assert torch.equal(CorpusNormalisation(cutoff_hz=cutoff_hz).apply(got, mel), got)
    assert float(mel.normalise(got)[100:].max()) == -1


def test_training_sees_both_genres_alike(corpus):
    data = UnpairedMelDataModule(
        corpus.folder, "lofi", "trap", frame_multiple=4, normalise=["loudness", "bandwidth"]
    )
    data.setup("fit")
    match = data.corpus.normalisation
    for side, clips in zip("ab", data.clips("train"), strict=True):
        clip = clips[0]
        gain_db = match.loudness_lufs - clip.loudness_lufs
        above = data.mel.band_hz > match.cutoff_hz
        assert 0 < int(above.sum()) < 128
        take = ClipView(0, gain_db=3.0)
        loaded_db = data.train_data[PairIndex(take, take)][f"real_{side}"][0, :, : data.corpus.clip_frames]
        loaded_db = data.mel.denormalise(loaded_db)
        expected = (corpus.mel_db(clip) + gain_db).clamp_min(-100).add(3).clamp(-100, 30)
        torch.testing.assert_close(loaded_db[~above], expected[~above], rtol=0, atol=1e-3)
        assert loaded_db[above].unique().tolist() == [-100]
        gained = corpus.audio(clip) * 10 ** (gain_db / 20)
        torch.testing.assert_close(data.corpus.audio(clip), gained, rtol=1e-4, atol=1e-6)
        again = match.apply(data.mel.mel_db(data.corpus.audio(clip)[None])[0], data.mel)
        quiet = expected < -60  # where the 16 bits of the audio are heard
        assert (again - data.corpus.mel_db(clip))[~above & ~quiet.any(1)].abs().max() < 0.1
    assert data.corpus.select(lambda clip: True).normalisation == match
    assert corpus.normalisation == CorpusNormalisation()


@pytest.mark.parametrize(
    ("kinds", "changes", "message"),
    [
        (["level"], {}, "data.normalise=level is unknown; choose among loudness, bandwidth"),
        (["loudness"], {"loudness_lufs": ([None], [-9.0])}, "it has no loudness of lofi"),
        (["bandwidth"], {"bandwidth_hz": ([9000.0], [None])}, "it has no bandwidth of trap"),
    ],
)
def test_what_cannot_be_matched_is_refused(corpus, hifi, kinds, changes, message):
    clips = clips_of(corpus, **(changes or {"loudness_lufs": ([-9.0], [-9.0])}))
    with pytest.raises(UserError, match=message):
        CorpusNormalisation.from_clips(clips, kinds, hifi, "it")


def test_mels_scaled_clip_by_clip_have_no_loudness(corpus, paper):
    with pytest.raises(UserError, match="there is no loudness to normalise"):
        CorpusNormalisation.from_clips(
            clips_of(corpus, loudness_lufs=([-9.0], [-9.0])), ["loudness"], paper, "it"
        )
