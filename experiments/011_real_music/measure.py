"""Measure what models do to recordings that they have never heard, by a judge that others trained.

python experiments/011_real_music/measure.py AUDIO [RUN ...] --out experiments/011_real_music

AUDIO has a folder of recordings for each genre, named as RUN names it. RUN is a run folder, a checkpoint or a
pretrained model (by default all pretrained models). Every recording whose genre is not the target is
translated in each direction by each vocoder, as `translate` does, and likewise by an equaliser. Without
recordings of the target genre demo songs, made for this, stand for it.

Written to --out: recordings.csv (a row for each recording, system and vocoder), tables.md (means with 95 %
intervals over recordings), and a picture of one recording for each generator.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from genres import Direction, Recording, load_demo_songs, load_recordings, loudness, mid_mel_db
from hydra.utils import instantiate
from omegaconf import OmegaConf
from tables import EQUALISER, MODEL, TARGET, UNTOUCHED, write_tables
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.inference.checkpoints import list_pretrained, load_model
from cyclegan_audio.inference.cycle_spinning import with_cycle_spinning
from cyclegan_audio.metrics.artefacts import checkerboard_db, clicks_per_s, noise_floor_db
from cyclegan_audio.metrics.metric_spec import MetricInput, compute_metrics
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.metrics.tagger import MusicTagger, load_tagger
from cyclegan_audio.metrics.tagger.tagger import TAGS
from cyclegan_audio.reports.figures.spectrograms import cycle_grid
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.utils.progress import ProgressBar, progress_bar
from cyclegan_audio.vocoders import Vocoder, VocoderInput, make_vocoder

VOCODERS = ("hybrid", "mask", "griffin_lim")  # those that need no weights
SECONDS, CLIP_S, BLOCK_S, PICTURE_S = 60.0, 4.0, 0.4, 8.0
CONTENT = ("onset_f1", "onset_correlation", "chroma", "bass")
SILENT_DB = 20.0  # a clip whose loudest point is so near the floor is left out
LOWEST_DB = -100.0  # of a block's level
LISTED_TAGS = ("rnb", "soul", "Hip-Hop", "chillout", "jazz", "electronic")
NUMBERS = (
    "position", "moved", "distance", *CONTENT, "loudness_db", "quiet_db", "noise_floor_db",
    "checkerboard_in_db", "checkerboard_mel_db", "checkerboard_out_db", "clicks_added_per_s",
    "samples_clipped", "samples_added",
)  # fmt: skip
NAMES = ("run", "to", "genre", "recording", "system", "vocoder")
Row = dict[str, Any]


class TargetMels:
    """A vocoder that also keeps the mels (B, M, F) that it is given."""

    def __init__(self, vocoder: Vocoder) -> None:
        self.vocoder = vocoder
        self.mels_db: list[Tensor] = []

    def check(self, mel: MelSpectrogram) -> None:
        self.vocoder.check(mel)

    def __call__(self, inputs: VocoderInput) -> Tensor:
        self.mels_db.append(inputs.target_db)
        return self.vocoder(inputs)


def cut_clips(mel_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Cut a mel (M, F) into clips of 4 s, (N, M, 4 s)."""
    frames = round(CLIP_S / mel.frame_s)
    return torch.stack(mel_db.split(frames, 1)[: mel_db.shape[1] // frames] or [mel_db])


def block_levels_db(sound: Tensor, rate: int) -> Tensor:
    """Return the RMS levels of consecutive blocks of 400 ms of a sound (C, T)."""
    block = round(BLOCK_S * rate)
    power = sound[:, : sound.shape[1] // block * block].unflatten(1, (-1, block)).double().square()
    return 10 * power.mean((0, 2)).clamp_min(10 ** (LOWEST_DB / 10)).log10()


def content(before: Tensor, after: Tensor, rate: int, mel: MelSpectrogram) -> dict[str, float]:
    """Compare the clips of a recording before and after; means over its clips that are not silent."""
    before_db, after_db = (cut_clips(mid_mel_db(sound, rate, mel), mel) for sound in (before, after))
    audible = before_db.amax((1, 2)) > mel.floor_db + SILENT_DB
    before_db, after_db = before_db[audible], after_db[audible]
    metrics = [metric for metric in METRICS if metric.name in CONTENT]
    scores = compute_metrics(metrics, MetricInput(after_db, mel, before_db))
    rise_db = (noise_floor_db(after_db) - noise_floor_db(before_db)).mean()
    return {name: float(values.mean()) for name, values in scores.items()} | {
        "noise_floor_db": float(rise_db)
    }


def mean_checkerboard_db(mels_db: Sequence[Tensor], mel: MelSpectrogram) -> float:
    """Return the mean checkerboard of all whole clips of 4 s in mels (M, F)."""
    frames = round(CLIP_S / mel.frame_s)
    clips = [clip for mel_db in mels_db for clip in cut_clips(mel_db, mel) if clip.shape[1] == frames]
    return float(checkerboard_db(torch.stack(clips)).mean()) if clips else float("nan")


def compare_sounds(
    recording: Recording,
    after: Tensor,
    targets_db: Sequence[Tensor],
    mel: MelSpectrogram,
    common: MelSpectrogram,
) -> dict[str, float]:
    """Compare a recording with its translation (C, T).

    Args:
        recording: the recording.
        after: its translation.
        targets_db: the mels (M, F) that the vocoder was given.
        mel: the model's mel, on whose grid a checkerboard lies.
        common: the mel for everything else, the same for every model.
    """
    before, rate = recording.sound, recording.rate
    levels = [block_levels_db(sound, rate) for sound in (before, after)]
    quietest = levels[0].argsort()[: max(len(levels[0]) // 10, 1)]
    clicks = [float(clicks_per_s(sound.mean(0, keepdim=True), rate)) for sound in (before, after)]
    return content(before, after, rate, common) | {
        "loudness_db": loudness(after, rate) - recording.lufs,
        "quiet_db": float((levels[1] - levels[0])[quietest].mean()),
        "checkerboard_in_db": mean_checkerboard_db([recording.mel_db(mel)], mel),
        "checkerboard_mel_db": mean_checkerboard_db(targets_db, mel),
        "checkerboard_out_db": mean_checkerboard_db([mid_mel_db(after, rate, mel)], mel),
        "clicks_added_per_s": clicks[1] - clicks[0],
        "samples_clipped": int((after.abs() > 1).sum()),
        "samples_added": after.shape[1] - before.shape[1],
    }


class Experiment:
    """Translates recordings and measures them.

    Attributes:
        rows: a row of numbers for each recording, system and vocoder.
        tags: the probabilities (50,) of the tags of each row.
    """

    def __init__(self, out: Path, tagger: MusicTagger) -> None:
        self.out, self.tagger = out, tagger
        self.common: MelSpectrogram = instantiate(OmegaConf.load(CONF_DIR / "mel" / "hifi.yaml"))
        self.rows: list[Row] = []
        self.tags: list[Tensor] = []

    def add(self, run: str, direction: Direction, x: Recording, system: str, **row: Any) -> None:
        """Add a row of a recording, with the tags of `tagged` or its own."""
        tagged = row.pop("tagged", x.tagged)
        names = {"run": run, "to": direction.to, "genre": x.genre, "recording": x.name, "system": system}
        self.rows.append(names | {"vocoder": ""} | row)
        self.tags.append(tagged.tags[0])

    def add_references(self, run: str, direction: Direction) -> None:
        """Add the untouched recordings, and for each of their genres the recordings of the target genre."""
        for x in direction.sources:
            self.add(run, direction, x, UNTOUCHED, **direction.locate(x.genre, x.tagged))
        for genre in dict.fromkeys(x.genre for x in direction.sources):
            for x in direction.targets:
                place = direction.locate(genre, x.tagged, without=x)
                self.add(run, direction, x, TARGET, genre=genre, **place)

    def add_translations(self, run: str, direction: Direction, vocoder: str, bar: ProgressBar) -> None:
        """Translate all recordings by the model and by the equaliser."""
        for x in direction.sources:
            before = direction.locate(x.genre, x.tagged)["position"]
            for system, model in ((MODEL, direction.model), (EQUALISER, direction.equaliser(x))):
                target_mels = TargetMels(make_vocoder(vocoder))
                after = Translator(model, target_mels)(x.sound, x.rate, direction.to)
                tagged = self.tagger([after], x.rate)
                place = direction.locate(x.genre, tagged)
                place["moved"] = place["position"] - before
                targets_db = [mel_db[0] for mel_db in target_mels.mels_db]
                numbers = compare_sounds(x, after, targets_db, direction.model.mel, self.common)
                self.add(run, direction, x, system, vocoder=vocoder, tagged=tagged, **place, **numbers)
                bar.advance()

    def write(self) -> None:
        """Write the rows so far."""
        with (self.out / "recordings.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*NAMES, *NUMBERS, *LISTED_TAGS])
            for row, tags in zip(self.rows, self.tags, strict=True):
                numbers = [f"{row[name]:.3f}" if name in row else "" for name in NUMBERS]
                listed = [f"{tags[TAGS.index(tag)]:.3f}" for tag in LISTED_TAGS]
                writer.writerow([*(row[name] for name in NAMES), *numbers, *listed])

    def draw(self, run: str, direction: Direction, vocoder: str) -> None:
        """Draw the middle of the recording of the model's other genre that moved by the median."""
        rows = [
            row for row in self.rows
            if (row["run"], row["to"], row["system"], row["vocoder"]) == (run, direction.to, MODEL, vocoder)
        ]  # fmt: skip
        rows = [row for row in rows if row["genre"] == direction.other] or rows
        row = sorted(rows, key=lambda row: row["moved"])[len(rows) // 2]
        x = next(x for x in direction.sources if (x.genre, x.name) == (row["genre"], row["recording"]))
        after = Translator(direction.model, vocoder)(x.sound, x.rate, direction.to)
        mels = [mid_mel_db(sound, x.rate, self.common) for sound in (x.sound, after)]
        length = round(PICTURE_S / self.common.frame_s)
        start = max(mels[0].shape[1] - length, 0) // 2
        names = f"{row['genre']}: {x.name}", f"to {direction.to} by {run}, {vocoder}"
        panels = {name: mel_db[:, start : start + length] for name, mel_db in zip(names, mels, strict=True)}
        cycle_grid([panels], self.common).savefig(self.out / f"{run}_to_{direction.to}.png", dpi=90)


def directions(
    runs: Sequence[str], shifts: int, real: Any, tagger: MusicTagger
) -> dict[str, list[Direction]]:
    """Return the directions of each run, by its name."""
    models = {Path(run).name: with_cycle_spinning(load_model(run), shifts) for run in runs}
    targets = {genre for model in models.values() for genre in model.targets}
    demo = {} if targets <= real.keys() else load_demo_songs(tagger)
    return {run: [Direction(model, to, real, demo) for to in model.targets] for run, model in models.items()}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("audio", type=Path, metavar="AUDIO")
    parser.add_argument("runs", nargs="*", metavar="RUN", default=list_pretrained())
    parser.add_argument("--vocoders", nargs="+", default=list(VOCODERS), metavar="NAME")
    parser.add_argument("--shifts", type=int, default=1, help="as in `translate`")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="at most, of the start of a recording")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


@handle_user_errors("measure.py")
def main() -> None:
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    tagger = load_tagger()
    real = load_recordings(options.audio, options.seconds, tagger)
    by_run = directions(options.runs, options.shifts, real, tagger)
    experiment = Experiment(options.out, tagger)
    pairs = [(run, direction) for run, of_run in by_run.items() for direction in of_run]
    total = 2 * len(options.vocoders) * sum(len(direction.sources) for _, direction in pairs)
    for run, direction in pairs:
        experiment.add_references(run, direction)
    with progress_bar("translating", total, "translations") as bar:
        for vocoder in options.vocoders:
            for run, direction in pairs:
                experiment.add_translations(run, direction, vocoder, bar)
                experiment.write()
    for run, direction in pairs:
        experiment.draw(run, direction, options.vocoders[0])
    write_tables(options.out / "tables.md", experiment.rows, experiment.tags, options.vocoders, LISTED_TAGS)


if __name__ == "__main__":
    main()
