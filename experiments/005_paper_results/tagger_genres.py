"""Measure how well the tagger tells genres apart, by level: python tagger_genres.py FOLDER lofi trap

FOLDER has a subfolder of recordings for each genre.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor

from cyclegan_audio.audio.io import decode, find_audio
from cyclegan_audio.metrics.tagger import GenreAxis, TaggedSounds, load_tagger
from cyclegan_audio.metrics.tagger.tagger import LEVEL_LUFS, SAMPLE_RATE, TAGS, to_level

SECONDS = 60
NEIGHBOURS = 5
LEVELS = (None, -8.0, -14.0, -20.0, -26.0)  # LUFS; None: as recorded
QUIETER_DB = 12.0
N_TAGS = 5


def tag_at(sounds: Sequence[Tensor], level_lufs: float | None) -> TaggedSounds:
    """Tag sounds of 16 kHz at a level."""
    level = (lambda mono, rate: mono) if level_lufs is None else partial(to_level, level_lufs=level_lufs)
    with patch("cyclegan_audio.metrics.tagger.tagger.to_level", level):
        return load_tagger()(sounds, SAMPLE_RATE)


def nearest(embeddings: Tensor) -> Tensor:
    """Return the indices (N, 5) of the nearest other sounds, the nearest first."""
    distances = torch.cdist(embeddings, embeddings).fill_diagonal_(torch.inf)
    return distances.topk(NEIGHBOURS, largest=False).indices


def axis_of(embeddings: Tensor, labels: Tensor, pair: tuple[int, int], use: Tensor) -> GenreAxis:
    """Return the axis between two genres that some of the sounds (a mask) give."""
    return GenreAxis.between(*(embeddings[use & (labels == genre)] for genre in pair))


def left_out_positions(embeddings: Tensor, labels: Tensor, pair: tuple[int, int], genre: int) -> Tensor:
    """Place each sound of one genre of a pair on the axis that all other sounds give."""
    rows = torch.arange(len(labels))
    places = [
        axis_of(embeddings, labels, pair, rows != row).position(embeddings[row])
        for row in rows[labels == genre]
    ]
    return torch.stack(places)


def print_tags(tags: Tensor, labels: Tensor, genres: Sequence[str]) -> None:
    """Print the tags that stand out for each genre, and their probability elsewhere."""
    for n, genre in enumerate(genres):
        inside, outside = tags[labels == n].mean(0), tags[labels != n].mean(0)
        top = (inside - outside).topk(N_TAGS).indices.tolist()
        print(f"   {genre}: " + ", ".join(f"{TAGS[t]} {inside[t]:.2f} ({outside[t]:.2f})" for t in top))


def print_sources(embeddings: Tensor, labels: Tensor, is_other: Tensor, genres: Sequence[str]) -> None:
    """Print where sounds from other sources lie on the axes that the sounds of the main source give."""
    for pair in combinations(range(len(genres)), 2):
        axis = axis_of(embeddings, labels, pair, ~is_other)
        for genre in pair:
            rows = is_other & (labels == genre)
            places = [f"{place:.2f}" for place in axis.position(embeddings[rows]).tolist()]
            if places:
                print(
                    f"   {genres[pair[0]]} to {genres[pair[1]]}, {genres[genre]} of other sources: {places}"
                )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("genres", nargs="+")
    parser.add_argument("--other", default="", help="pattern of the files that come from other sources")
    options = parser.parse_args()
    files = {genre: find_audio(options.folder / genre) for genre in options.genres}
    paths = [path for of in files.values() for path in of]
    labels = torch.cat([torch.full((len(of),), n) for n, of in enumerate(files.values())])
    sounds = [decode(p, sample_rate=SAMPLE_RATE, mono=True)[0][..., : SECONDS * SAMPLE_RATE] for p in paths]
    everything = torch.ones(len(labels), dtype=torch.bool)
    pairs = list(combinations(range(len(files)), 2))
    for level in LEVELS:
        tagged = tag_at(sounds, level)
        near = nearest(tagged.embeddings)
        right = labels[near].mode(1).values == labels
        by_genre = {g: f"{int(right[labels == n].sum())}/{len(files[g])}" for n, g in enumerate(files)}
        print(f"{level} LUFS: {int(right.sum())}/{len(labels)} right, {by_genre}")
        for pair in pairs:
            places = [left_out_positions(tagged.embeddings, labels, pair, genre) for genre in pair]
            means = ", ".join(f"{p.mean():.2f} (sd {p.std():.2f})" for p in places)
            print(f"   {' to '.join(options.genres[n] for n in pair)}: left out at {means}")
        if level is None:
            quieter = tag_at([sound * 10 ** (-QUIETER_DB / 20) for sound in sounds], level).embeddings
            for pair in pairs:
                axis = axis_of(tagged.embeddings, labels, pair, everything)
                moved = axis.position(quieter) - axis.position(tagged.embeddings)
                by_pair = ", ".join(f"{options.genres[g]} {moved[labels == g].mean():+.2f}" for g in pair)
                print(f"   {' to '.join(options.genres[n] for n in pair)}, 12 dB quieter: {by_pair}")
        if level == LEVEL_LUFS:
            print_tags(tagged.tags, labels, options.genres)
            for row in (~right).nonzero()[:, 0].tolist():
                print(f"   wrong: {paths[row].name}; nearest: {[paths[n].name for n in near[row].tolist()]}")
            if options.other:
                is_other = torch.tensor([path.match(options.other) for path in paths])
                print(
                    f"   {int((right & ~is_other).sum())}/{int((~is_other).sum())} right of the main source"
                )
                print_sources(tagged.embeddings, labels, is_other, options.genres)


if __name__ == "__main__":
    main()
