"""Compute the numbers that `test_stored_numbers.py` compares with stored ones, from a song to its metrics.

After a change that is meant to move them: `python -m tests.stored_numbers`, and say why in the commit.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.config import compose
from cyclegan_audio.data.sampler import sample_epoch_pairs
from cyclegan_audio.demo import compose_score, render_song
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.metrics.genre_classifier.network import GenreNet, GenreNetSettings
from cyclegan_audio.metrics.metric_spec import MetricInput, compute_metrics
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.translation.translator import Translator

FILE = Path(__file__).with_suffix(".json")
SECONDS = 8.0
SMALL = ("model.generator.n_filters=4", "model.generator.n_blocks=1", "model.discriminator.n_filters=4")
STEPS = 3
Numbers = dict[str, Any]


def songs() -> dict[str, Tensor]:
    """One score played by two bands, (2, T) each."""
    score = compose_score(3, seconds=SECONDS)
    return {genre: torch.from_numpy(render_song(score, genre, SECONDS)[0]) for genre in ("lofi", "rnb")}


def mel_of(preset: str) -> MelSpectrogram:
    return instantiate(compose("train", [f"mel={preset}"]).mel)


def profile(mel_db: Tensor) -> list[float]:
    """Mean level of eight groups of bands of (..., M, F), in dB."""
    return [float(group.mean()) for group in mel_db.chunk(8, dim=-2)]


def losses(model_name: str, mels: list[Tensor]) -> Numbers:
    """Each loss of the first steps in fp32."""
    torch.manual_seed(0)
    overrides = [f"model={model_name}", *SMALL, "acceleration.joint_forwards=false"]
    model = instantiate(compose("train", overrides).model, _convert_="all")
    networks = [*model.generators().values()], [*model.discriminators().values()]
    optimizers = [torch.optim.Adam([p for n in group for p in n.parameters()], lr=2e-4) for group in networks]
    batch = {f"real_{domain}": mel[None, None] for domain, mel in zip("ab", mels, strict=True)}
    rows = []
    for _ in range(STEPS):
        fakes = model.translate_batch(batch)
        generator = model.generator_losses(batch, fakes)
        discriminator = model.discriminator_losses({**batch, **{k: x.detach() for k, x in fakes.items()}})
        rows.append({name: float(loss.detach()) for name, loss in {**generator, **discriminator}.items()})
        for optimizer, terms in zip(optimizers, (generator, discriminator), strict=True):
            optimizer.zero_grad()
            sum(terms.values()).backward(retain_graph=True, inputs=optimizer.param_groups[0]["params"])
        for optimizer in optimizers:
            optimizer.step()
    return {name: [row[name] for row in rows] for name in rows[0]}


def translations(song: Tensor, model: TranslationModel) -> Numbers:
    """Level and mel profile of a translated song, by vocoder."""
    out = {}
    for vocoder in ("mask", "hybrid", "griffin_lim"):
        translated = Translator(model, vocoder)(song, 44100, "rnb")
        out[vocoder] = profile(model.mel.mel_db(translated.mean(0, keepdim=True)))
    return out


def compute() -> Numbers:
    """Compute every number, by what it is of."""
    bands = songs()
    mels = {name: mel_of(name) for name in ("hifi", "paper")}
    mono = {genre: song.mean(0, keepdim=True) for genre, song in bands.items()}
    db = {genre: mels["hifi"].mel_db(wave)[:, :, :344] for genre, wave in mono.items()}
    scaled = [mels["hifi"].normalise(db[genre], mels["hifi"].range_db(db[genre]))[0, :, :64] for genre in db]
    clips = MetricInput(db["rnb"], mels["hifi"], source_db=db["lofi"], target="rnb")
    torch.manual_seed(0)
    network = GenreNet(mels["hifi"].n_mels, mels["hifi"].frame_s, GenreNetSettings()).eval()
    with torch.inference_mode():
        logits = network(torch.cat([*db.values()]))
    pairs = sample_epoch_pairs(7, 5, 30, seed=1, epoch=2, n_shifts=9, gain_db=6.0)
    return {
        "level of a demo song": {
            genre: float(song.square().mean().log10() * 10) for genre, song in bands.items()
        },
        "mel": {name: profile(mel.mel_db(mono["lofi"])) for name, mel in mels.items()},
        "losses of CycleGAN": losses("cyclegan_resnet_small", scaled),
        "losses of CUT": losses("cut_small", scaled),
        "translated song": translations(bands["lofi"], load_model("demo")),
        "metrics": {k: float(v[0]) for k, v in compute_metrics(METRICS, clips).items() if np.isfinite(v[0])},
        "untrained genre classifier": logits.flatten().tolist(),
        "pairs of an epoch": [float(x) for pair in pairs for view in pair for x in view[:4]],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    FILE.write_text(json.dumps(compute(), indent=1) + "\n")
