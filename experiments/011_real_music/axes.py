"""Measure how far the share of the way depends on the recordings that stand for the target genre.

python experiments/011_real_music/axes.py AUDIO RUN --tracks "Boom|boom|Holizna"

Translates by the default vocoder between the genres of RUN, and prints the mean share of the way by the model
and by the equaliser for up to three axes: to all recordings of the target genre, to those whose name matches
--tracks, and to the others; each also without the tagger's equal loudness.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from re import search
from unittest.mock import patch

import torch
from genres import Direction, Recording, load_recordings
from measure import SECONDS
from tables import EQUALISER, MODEL, markdown
from torch import Tensor

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.metrics.tagger import GenreAxis, MusicTagger, load_tagger, tagger
from cyclegan_audio.statistics.estimates import estimate
from cyclegan_audio.translation.translator import Translator
from cyclegan_audio.utils.progress import with_progress


@contextmanager
def as_recorded() -> Iterator[None]:
    """Let the tagger hear sounds at their own loudness within the block."""
    with patch.object(tagger, "to_level", lambda mono, sample_rate: mono):
        yield


def embed(judge: MusicTagger, sounds: Sequence[tuple[Tensor, int]]) -> Tensor:
    return torch.cat([judge([sound], rate).embeddings for sound, rate in sounds])


def shares(
    judge: MusicTagger, direction: Direction, targets: Sequence[Recording], translated: Sequence[Tensor]
) -> str:
    """Return the share of the way to `targets` of the translations of the model's other genre."""
    sources = direction.real[direction.other]
    before = embed(judge, [(x.sound, x.rate) for x in sources])
    axis = GenreAxis.between(before, embed(judge, [(x.sound, x.rate) for x in targets]))
    after = embed(judge, [(sound, x.rate) for sound, x in zip(translated, sources, strict=True)])
    moved = axis.position(after) - axis.position(before)
    return str(estimate(moved.tolist(), [x.name for x in sources]))


def table(judge: MusicTagger, direction: Direction, tracks: str) -> list[list[str]]:
    """Return the rows of a direction."""
    results: dict[str, list[Tensor]] = {MODEL: [], EQUALISER: []}
    sources = direction.real[direction.other]
    for x in with_progress(sources, f"translating to {direction.to}", len(sources), "recordings"):
        for system, model in ((MODEL, direction.model), (EQUALISER, direction.equaliser(x))):
            results[system].append(Translator(model)(x.sound, x.rate, direction.to))
    matching = [x for x in direction.targets if search(tracks, x.name)]
    others = [x for x in direction.targets if x not in matching]
    sets = {"all": direction.targets, "tracks": matching, "loops": others}
    rows = []
    for name, targets in sets.items():
        if len(targets) < 2:
            continue
        cells = [shares(judge, direction, targets, translated) for translated in results.values()]
        with as_recorded():
            cells += [shares(judge, direction, targets, translated) for translated in results.values()]
        rows.append([f"{direction.other} to {direction.to}", f"{name} ({len(targets)})", *cells])
    return rows


@handle_user_errors("axes.py")
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("audio", type=Path, metavar="AUDIO")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--tracks", required=True, metavar="PATTERN")
    options = parser.parse_args()
    torch.set_num_threads(1)
    judge = load_tagger()
    real = load_recordings(options.audio, SECONDS, judge)
    model = load_model(options.run)
    whole = [Direction(model, to, real, {}) for to in model.targets]
    rows = [row for direction in whole for row in table(judge, direction, options.tracks)]
    header = [
        "direction",
        "target recordings",
        "model",
        "equaliser",
        "model, as loud as it is",
        "equaliser, so",
    ]
    print(markdown(header, rows))


if __name__ == "__main__":
    main()
