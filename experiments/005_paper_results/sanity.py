"""Check that each metric responds to improved and degraded clips: python sanity.py CORPUS lofi rnb trap

CORPUS is a corpus of demo songs with paired clips: the same scores played by each band.
"""

import argparse
from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.metrics.artefacts import clicks_per_s, seam_db
from cyclegan_audio.metrics.distances import PCAEmbedding, distances_to
from cyclegan_audio.metrics.genre_classifier.augmentation import add_noise
from cyclegan_audio.metrics.metric_spec import ARTEFACT, CONTENT, STYLE, MetricInput, compute_metrics
from cyclegan_audio.metrics.registry import METRICS
from cyclegan_audio.reports.evaluation.classifiers import Classifiers, make_classifiers

SEED = 0
NOISE_DB = 40.0  # below the loudest point of the clip
CUT_HZ = 4000.0
PIECES = 16  # of a clip, to shuffle
TRAINING = 400


def low_passed(mels_db: Tensor, mel: MelSpectrogram) -> Tensor:
    """Remove everything above 4 kHz."""
    return torch.where((mel.band_hz < CUT_HZ)[:, None], mels_db, mels_db.amin((1, 2), keepdim=True))


def shuffled(mels_db: Tensor) -> Tensor:
    """Shuffle pieces of a quarter of a second."""
    whole = mels_db[..., : mels_db.shape[2] // PIECES * PIECES].unflatten(2, (PIECES, -1))
    order = torch.randperm(PIECES, generator=torch.Generator().manual_seed(SEED))
    return F.pad(whole[:, :, order].flatten(2), (0, mels_db.shape[2] % PIECES), mode="replicate")


def equalised(mels_db: Tensor) -> Tensor:
    """Tilt by 24 dB from the lowest band to the highest."""
    return mels_db + torch.linspace(12, -12, mels_db.shape[1])[:, None]


def means(group: str, clips: MetricInput) -> dict[str, float]:
    """Compute the mean over clips of each metric of a group."""
    metrics = [metric for metric in METRICS if metric.group == group]
    return {name: float(values.mean()) for name, values in compute_metrics(metrics, clips).items()}


class RandomNet(nn.Module):
    """Convolutions with fixed random weights: a second embedding that was not trained on genres."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(SEED)
        sizes = (1, 16, 32, 64)
        self.layers = nn.Sequential(
            *(
                layer
                for a, b in pairwise(sizes)
                for layer in (nn.Conv2d(a, b, 3, stride=2, padding=1), nn.ReLU())
            )
        ).requires_grad_(False)

    def forward(self, mels_db: Tensor) -> Tensor:
        """Compute mean and standard deviation of each channel, (N, M, F) to (N, 128)."""
        x = (mels_db - mels_db.mean((1, 2), keepdim=True)) / mels_db.std((1, 2), keepdim=True)
        out = torch.cat([self.layers(block[:, None]).flatten(2) for block in x.split(64)])
        return torch.cat([out.mean(2), out.std(2)], 1)


def table(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Print rows of numbers as Markdown."""
    columns = list(next(iter(rows.values())))
    print(f"\n{title}\n\n| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name, values in rows.items():
        print(f"| {name} | {' | '.join(f'{values[c]:.2f}' for c in columns)} |")


def style_table(
    cases: Mapping[str, Tensor],
    tracks: list[str],
    reference: tuple[Tensor, list[str]],
    classifiers: Classifiers,
    target: str,
    mel: MelSpectrogram,
) -> None:
    """Print distances to the target, classifier probabilities and style metrics of every case."""
    both = torch.cat([reference[0], cases["source untouched"]])
    embeddings = {**classifiers.embeddings, "random CNN": PCAEmbedding(RandomNet(), both)}
    distances = {
        name: distances_to(embed(reference[0]), reference[1], {k: embed(v) for k, v in cases.items()}, tracks)
        for name, embed in embeddings.items()
    }
    rows = {}
    for case, mels_db in cases.items():
        rows[case] = {
            f"{kind}, {name}": kinds[kind][case].mean for name, kinds in distances.items() for kind in kinds
        }
        if classifiers.classifier is not None and classifiers.linear is not None:
            rows[case]["genre_classifier"] = float(
                classifiers.classifier.probability_of(target, mels_db).mean()
            )
            rows[case]["linear"] = float(classifiers.linear.probability_of(target, mels_db).mean())
        rows[case] |= means(STYLE, MetricInput(mels_db, mel))
    table("Style", rows)


def content_table(source_db: Tensor, cases: Mapping[str, Tensor], mel: MelSpectrogram) -> None:
    """Print content metrics of every case against the source."""
    rows = {case: means(CONTENT, MetricInput(mels_db, mel, source_db)) for case, mels_db in cases.items()}
    table("Content", rows)


def artefact_table(corpus: Corpus, genre: str, source_db: Tensor) -> None:
    """Print artefact metrics of clips with inserted artefacts."""
    mel = corpus.mel
    frame = torch.arange(source_db.shape[2])
    checkerboard = 3 * torch.cos(torch.pi / 2 * frame)
    quiet = source_db.clone()
    quiet[..., : quiet.shape[2] // 3] -= 70
    cases: dict[str, Callable[[], float]] = {
        "checkerboard, clean": lambda: means(ARTEFACT, MetricInput(source_db, mel, source_db))[
            "checkerboard_db"
        ],
        "checkerboard of 3 dB": lambda: means(
            ARTEFACT, MetricInput(source_db + checkerboard, mel, source_db)
        )["checkerboard_db"],
        "silence kept": lambda: means(ARTEFACT, MetricInput(quiet, mel, quiet))["silence_gain_db"],
        "silence filled with noise": lambda: means(
            ARTEFACT, MetricInput(quiet.maximum(quiet.amax((1, 2), True) - 60), mel, quiet)
        )["silence_gain_db"],
        "seam, clean": lambda: seam_db(
            source_db[0] - equalised(source_db)[0] + add_noise(source_db, NOISE_DB)[0], [172]
        ),
        "seam of 6 dB": lambda: seam_db(
            add_noise(source_db, NOISE_DB)[0] - source_db[0] + 6 * (frame >= 172), [172]
        ),
    }
    sounds = torch.stack([corpus.audio(clip) for clip in corpus.clips(genre, "paired")[:16]])
    clicked = sounds.clone()
    clicked[:, torch.arange(1, 9) * 20011] += 0.2
    cases["clicks, clean (/s)"] = lambda: float(clicks_per_s(sounds, mel.sample_rate).mean())
    cases["clicks, 2/s added"] = lambda: float(clicks_per_s(clicked, mel.sample_rate).mean())
    table("Artefacts", {name: {"value": value()} for name, value in cases.items()})


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("genres", nargs=3, metavar="GENRE", help="source, target, and a third genre")
    options = parser.parse_args()
    corpus = Corpus.open(options.corpus)
    source, target, third = options.genres
    mel = corpus.mel
    thirds = {clip.clip_id: other for clip, other in corpus.paired_clips(source, third)}
    pairs = [pair for pair in corpus.paired_clips(source, target) if pair[0].clip_id in thirds]
    source_db, target_db = (torch.stack([corpus.mel_db(pair[i]) for pair in pairs]) for i in (0, 1))
    third_db = torch.stack([corpus.mel_db(thirds[clip.clip_id]) for clip, _ in pairs])
    tracks = [str(clip.score) for clip, _ in pairs]
    training = {g: corpus.clips(g, "train")[:TRAINING] for g in sorted((source, target))}
    mels = {g: torch.stack([corpus.mel_db(clip) for clip in clips]) for g, clips in training.items()}
    classifiers = make_classifiers(corpus, tuple(sorted((source, target))), torch.cat(list(mels.values())))  # type: ignore[arg-type]
    style_cases = {
        "source untouched": source_db,
        "half way to the same score by the target's band": (source_db + target_db) / 2,
        "the same score by the target's band": target_db,
        "that, with noise": add_noise(target_db, NOISE_DB),
        "that, low-passed at 4 kHz": low_passed(target_db, mel),
        "that, shuffled in time": shuffled(target_db),
        f"the same score by the band of {third}": third_db,
    }
    reference = mels[target], [clip.track for clip in training[target]]
    half = len(pairs) // 2
    content_cases = {
        "source itself": source_db,
        "source, tilted by 24 dB": equalised(source_db),
        "source, with noise": add_noise(source_db, NOISE_DB),
        "source, low-passed at 4 kHz": low_passed(source_db, mel),
        "the same score by the target's band": target_db,
        "source, shuffled in time": shuffled(source_db),
        "another piece of the source's genre": source_db.roll(half, 0),
    }
    print(f"{len(pairs)} clips of {len(set(tracks))} scores, {source} to {target}")
    style_table(style_cases, tracks, reference, classifiers, target, mel)
    content_table(source_db, content_cases, mel)
    artefact_table(corpus, source, source_db)


if __name__ == "__main__":
    main()
