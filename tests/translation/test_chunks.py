from itertools import pairwise

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.translation.chunks import (
    CHUNK_FRAMES,
    FADE_FRAMES,
    MARGIN_FRAMES,
    cross_fade,
    in_chunks,
    long_mel_db,
    spans,
)


@pytest.mark.parametrize("n_frames", [1, 1000, 1024, 1025, 1032, 2024, 2025, 5000])
def test_spans_cover_everything_and_share_margins_and_fade(n_frames):
    found = list(spans(n_frames))
    assert found[0][0] == 0
    assert found[-1][1] == n_frames
    for (_, stop), (start, _) in pairwise(found):
        assert stop - start == 2 * MARGIN_FRAMES + FADE_FRAMES
    assert all(0 < stop - start <= CHUNK_FRAMES for start, stop in found)


@pytest.mark.parametrize("n_frames", [5, 1024, 1025, 1040, 3000])
def test_chunks_join_without_loss_and_without_their_margins(n_frames):
    hop = 4
    wave = torch.randn(2, n_frames * hop, generator=torch.Generator().manual_seed(0))

    def make(start: int, stop: int) -> torch.Tensor:
        piece = wave[:, start * hop : stop * hop].clone()
        if start:
            piece[:, : MARGIN_FRAMES * hop] = 99  # what lies at the edge of a chunk is not to be trusted
        if stop < n_frames:
            piece[:, -MARGIN_FRAMES * hop :] = 99
        return piece

    torch.testing.assert_close(in_chunks(make, n_frames, hop), wave, rtol=1e-5, atol=1e-6)


def test_cross_fades_keep_power():
    generator = torch.Generator().manual_seed(0)
    old, new = torch.randn(2, 1, 40000, generator=generator)
    torch.testing.assert_close(cross_fade(old, old), old)
    faded = cross_fade(old, new).reshape(10, -1).square().mean(1)
    torch.testing.assert_close(faded, torch.ones(10), rtol=0, atol=0.1)
    assert cross_fade(torch.zeros(1, 8), torch.zeros(1, 8)).eq(0).all()


@pytest.mark.parametrize("preset", ["hifi", "paper"])
@pytest.mark.parametrize("n_frames", [4, 1020, 1024, 1031, 2500])
def test_the_mel_of_long_music_is_that_of_the_whole(preset, n_frames):
    mel = instantiate(OmegaConf.load(CONF_DIR / "mel" / f"{preset}.yaml"))
    wave = torch.randn(n_frames * mel.hop_length, generator=torch.Generator().manual_seed(0)) * 0.1
    torch.testing.assert_close(long_mel_db(wave, mel), mel.mel_db(wave[None])[0], rtol=0, atol=1e-3)
