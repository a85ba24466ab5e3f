"""Train tiny networks for 200 steps with and without each option, and print the quantity that should change.

python experiments/007_options/signs.py [NAME ...]
"""

import atexit
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning import Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from cyclegan_audio.audio.io import save
from cyclegan_audio.config import compose
from cyclegan_audio.corpus.preparation.writer import build_settings, prepare_corpus
from cyclegan_audio.corpus.sources import FolderSource
from cyclegan_audio.data.datamodule import UnpairedMelDataModule
from cyclegan_audio.metrics.validation import temporal_decorrelation
from cyclegan_audio.models.losses.adversarial import r1_penalty
from cyclegan_audio.models.losses.limited_data import DiscriminatorAugmentation
from cyclegan_audio.models.translation_module import TranslationModule
from cyclegan_audio.utils.rng import SeededRNG

STEPS, SIZE, CLIPS = 200, 32, 20
TINY = (
    "model=cyclegan_resnet_small", "model.generator.n_filters=4", "model.discriminator.n_filters=8",
    "model.optimizer.lr=1e-3", f"n_epochs={STEPS // CLIPS // 2}", f"n_epochs_decay={STEPS // CLIPS // 2}",
)  # fmt: skip


def batches() -> list[dict[str, Tensor]]:
    """Yield batches. Genre A: smooth and low; genre B: brighter above, with stripes of period 4 in time."""
    draws = torch.Generator().manual_seed(1)
    batches = []
    for _ in range(CLIPS):
        a, b = (torch.rand(1, SIZE // 4, SIZE // 4, generator=draws) for _ in range(2))
        a, b = (x.repeat_interleave(4, 1).repeat_interleave(4, 2) - 0.9 for x in (a, b))
        b[:, SIZE // 2 :] += 0.5
        b[:, :, ::4] += 0.3
        batches.append({"real_a": a, "real_b": b})
    return batches


@cache
def songs() -> Path:
    """Synthesise clips of half a second: chords; in genre B also strokes of noise at fixed times."""
    folder, rate, seconds = Path(mkdtemp()), 44100, 5
    atexit.register(shutil.rmtree, folder)
    time_s = np.arange(seconds * rate) / rate
    for genre in ("a", "b"):
        (folder / genre).mkdir()
        for song in range(8):
            rng = np.random.default_rng([song, genre == "b"])
            sound = sum(np.sin(2 * np.pi * rng.uniform(100, 900) * time_s) for _ in range(3)) / 12
            if genre == "b":
                sound = sound + rng.normal(0, 0.1, len(sound)) * (time_s % 0.25 < 0.05)
            save(folder / genre / f"{song}.wav", torch.from_numpy(sound)[None].float(), rate)
    settings = build_settings(compose("prepare", ["clip.seconds=0.5", "screening.voice.enabled=false"]))
    prepare_corpus(FolderSource({genre: folder / genre for genre in "ab"}), folder / "corpus", settings)
    return folder / "corpus"


class Watched:
    """A training of 200 steps: its model, losses by step, and changes of the averaged generator's output."""

    def __init__(self, *overrides: str) -> None:
        torch.manual_seed(0)
        cfg = compose("train", [*TINY, "genre_pair.a=a", "genre_pair.b=b", *overrides])
        self.model: TranslationModule = instantiate(cfg.model, _convert_="all")
        self.losses: list[dict[str, float]] = []
        self.outputs: list[Tensor] = []
        self.probe = torch.stack([batch["real_a"] for batch in batches()[:2]])
        self.model.on_train_batch_end = self._note  # type: ignore[method-assign]
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        Trainer(
            max_epochs=STEPS // CLIPS,
            accelerator="cpu",
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_train_batches=CLIPS,
            **quiet,
        ).fit(self.model, self.data(cfg) if cfg.data.corpus else DataLoader(batches()))

    def data(self, cfg: DictConfig) -> UnpairedMelDataModule:
        """Build the data that `cfg` describes."""
        self.corpus = instantiate(cfg.data, _convert_="all", frame_multiple=self.model.frame_multiple)
        return self.corpus

    def _note(self, *args: object) -> None:
        self.losses.append({name: float(loss) for name, loss in self.model.losses.items()})
        if len(self.losses) > STEPS - 20:
            with torch.no_grad():
                self.outputs.append(self.model(self.probe))

    def mean(self, name: str, first: int = -50, last: int | None = None) -> float:
        """Average a loss over the steps from `first` to `last`."""
        values = [row[name] for row in self.losses[first:last] if name in row]
        return sum(values) / len(values) if values else 0.0

    def jitter(self) -> float:
        """Compute the mean absolute change of the translation between the last steps."""
        pairs = zip(self.outputs, self.outputs[1:], strict=False)
        return sum(float((y - x).abs().mean()) for x, y in pairs) / (len(self.outputs) - 1)

    def slope(self) -> float:
        """Compute the gradient of the discriminators' scores at real mels (R1, unweighted)."""
        real = torch.stack([batch["real_b"] for batch in batches()])
        return float(r1_penalty(self.model.disc_b, real).detach())

    def separation(self) -> float:
        """Compute real minus translated scores in standard deviations."""
        real = torch.stack([batch["real_b"] for batch in batches()])
        with torch.no_grad():
            fake = self.model.gen_ab(torch.stack([batch["real_a"] for batch in batches()]))
            scores = [self.model.disc_b(x).flatten() for x in (real, fake)]
        return float((scores[0].mean() - scores[1].mean()) / torch.cat(scores).std())

    def gap(self) -> float:
        """Compute the mean score of reals minus that of translations, by the discriminator of B."""
        real, fake = (torch.stack([batch[f"real_{one}"] for batch in batches()]) for one in "ba")
        with torch.no_grad():
            return float(self.model.disc_b(real).mean() - self.model.disc_b(self.model.gen_ab(fake)).mean())

    def unsteadiness(self) -> float:
        """Compute the mean squared change of a real clip's mean score by 10 augmentations of it."""
        real = torch.stack([batch["real_b"] for batch in batches()]).repeat(10, 1, 1, 1)
        changed = DiscriminatorAugmentation().change(real, SeededRNG(0))
        with torch.no_grad():
            one, other = (self.model.disc_b(x).flatten(1).mean(1) for x in (real, changed))
        return float((one - other).square().mean())

    def gain(self) -> float:
        """Compute the largest spectral norm of a discriminator's convolution."""
        self.model.disc_b.eval()
        weights = [m.weight.detach() for m in self.model.disc_b.modules() if isinstance(m, torch.nn.Conv2d)]
        return max(float(torch.linalg.matrix_norm(weight.flatten(1), 2)) for weight in weights)

    def distance(self) -> float:
        """Compute the distance of the mean band profile of translations to B from that of B."""
        with torch.no_grad():
            fake = self.model(torch.stack([batch["real_a"] for batch in batches()]))
        real = torch.stack([batch["real_b"] for batch in batches()])
        return float((fake.mean((0, 1, 3)) - real.mean((0, 1, 3))).abs().mean())

    def identity_error(self) -> float:
        """Compute the mean absolute change of mels of A by the generator toward A."""
        real = torch.stack([batch["real_a"] for batch in batches()])
        with torch.no_grad():
            return float((self.model.gen_ba(real) - real).abs().mean())

    def receptive_field(self) -> float:
        """Count the points that weigh at least a tenth of the heaviest in a score; return the maximum."""
        real = batches()[0]["real_b"][None].requires_grad_()
        scores = self.model.disc_b(real).flatten()
        slopes = [torch.autograd.grad(score, real, retain_graph=True)[0].abs() for score in scores]
        return float(max((slope > 0.1 * slope.max()).sum() for slope in slopes))

    def lost(self) -> float:
        """Compute the share of the source's movement in time that a translation lacks."""
        real = torch.stack([batch["real_a"] for batch in batches()])
        with torch.no_grad():
            return temporal_decorrelation(self.model(real), real)

    def turn(self, change: Callable[[Tensor], Tensor]) -> float:
        """Compute the change of the discriminator's mean score when real clips of B are changed."""
        mel, clips = self.corpus.mel, self.corpus.clips("train")[1]
        real_db = torch.stack([self.corpus.corpus.mel_db(clip) for clip in clips])[:, None, :, :40]
        with torch.no_grad():
            scaled = [mel.normalise(x, (mel.min_db, mel.max_db)) for x in (real_db, change(real_db))]
            scores = [self.model.disc_b(x) for x in scaled]
        return abs(float(scores[0].mean() - scores[1].mean()))

    def checkerboard(self) -> float:
        """Compute the share of energy at periods of 4 and 2 frames in the translation of a slow rise."""
        with torch.no_grad():
            row = self.model.gen_ba(torch.linspace(-0.9, 0, 64).expand(1, 1, SIZE, 64))[
                0, 0, :, 16:48
            ].double()
        spectrum = torch.fft.rfft(row).abs().square().sum(0)
        return float((spectrum[8] + spectrum[16]) / spectrum[1:].sum())


@dataclass(frozen=True)
class Sign:
    """The expected effect of an option: `measure` is smaller with it than without it."""

    overrides: tuple[str, ...]
    measure: Callable[[Watched], float]
    without: tuple[str, ...] = ()
    on_songs: bool = False


def last_step(run: Watched) -> float:
    """Compute the change of the translation in the last epoch."""
    return run.jitter()


NO_CONTRAST = ("model.loss_weights.contrast=0", "model.loss_weights.identity=0")
FEW_LAYERS = ("model.discriminator.n_layers=1", "model.discriminator.n_filters=8")
SIGNS = {
    "ema_decay": Sign(("model.ema_decay=0.98",), Watched.jitter),
    "r1": Sign(("model.adversarial.r1_weight=10",), Watched.slope),
    "spectral_norm": Sign(  # every convolution's gain is held at 1
        ("model.discriminator.spectral_norm=true",), lambda run: abs(run.gain() - 1)
    ),
    "augmentation": Sign(("model.adversarial.augmentation.probability=1",), Watched.unsteadiness),
    "consistency": Sign(("model.adversarial.consistency_weight=10",), Watched.unsteadiness),
    "lecam": Sign(("model.adversarial.lecam_weight=1",), Watched.gap),
    "noise": Sign(("model.adversarial.instance_noise=1.0",), lambda run: -run.mean("disc_b", 0, 100)),
    "upsampling": Sign(("model.generator.upsampling=nearest",), Watched.checkerboard),
    "schedule_cosine": Sign(("schedule=cosine",), last_step, ("schedule=constant",)),
    "schedule_linear": Sign(("schedule=linear",), last_step, ("schedule=constant",)),
    "identity_decay_end": Sign(  # nothing holds the generator to keeping its target's own mels any more
        ("model.identity_decay_end=0.5",), lambda run: -run.identity_error()
    ),
    "pixel": Sign(  # blind to the stripes of B, which patches see
        ("discriminator=pixel", "model.discriminator.n_filters=8"), Watched.separation
    ),
    "multi_scale": Sign(  # scores of the halved mel look at twice as much of it
        ("discriminator=multi_scale", *FEW_LAYERS), lambda run: -run.receptive_field(), FEW_LAYERS
    ),
    "vanilla": Sign(("adversarial=vanilla",), Watched.distance, ("model.loss_weights.adversarial=0",)),
    "hinge": Sign(("adversarial=hinge",), Watched.distance, ("model.loss_weights.adversarial=0",)),
    "wgan_gp": Sign(("adversarial=wgan_gp",), Watched.distance, ("model.loss_weights.adversarial=0",)),
    "lsgan": Sign(("adversarial=lsgan",), Watched.distance, ("model.loss_weights.adversarial=0",)),
    "unet": Sign(
        ("generator=unet", "model.generator.n_levels=3"),
        Watched.distance,
        ("model.loss_weights.adversarial=0",),
    ),
    "cut": Sign(("model=cut_small",), Watched.lost, ("model=cut_small", *NO_CONTRAST)),
    "fastcut": Sign(("model=fastcut_small",), Watched.lost, ("model=fastcut_small", *NO_CONTRAST)),
    "resnet_9": Sign(("generator=resnet_9",), Watched.distance, ("model.loss_weights.adversarial=0",)),
}


def corpus_sign(override: str, change: Callable[[Tensor], Tensor]) -> Sign:
    """Return the sign of a data option, which makes the discriminator insensitive to `change`."""
    return Sign((override,), lambda run: run.turn(change), on_songs=True)


SIGNS |= {
    "gain_db": corpus_sign("data.gain_db=12", lambda real_db: real_db - 9),
    "time_shift": corpus_sign("data.time_shift=true", lambda real_db: real_db.roll(10, 3)),
}


def measured(name: str) -> tuple[float, float]:
    """Measure the sign with the option and without it."""
    sign = SIGNS[name]
    both = [f"data.corpus={songs()}"] if sign.on_songs else []
    return sign.measure(Watched(*both, *sign.overrides)), sign.measure(Watched(*both, *sign.without))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for option in sys.argv[1:] or SIGNS:
        with_it, without_it = measured(option)
        print(f"{option}: {with_it:.4g} with, {without_it:.4g} without", flush=True)
