"""What averaging over shifts does: python shifts.py RUN CORPUS [--clips 35] [--vocoded 12]

CORPUS has paired clips of known scores. For each number of shifts the paired error and its rhythm, the
lattice at the up-sampling's period, the mean step from frame to frame, and the lattice of what the hybrid
vocoder makes of it; then the time of a clip, in turns.
"""

import argparse
import statistics
import time

import torch

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.clip_translation import translate_mel_db
from cyclegan_audio.inference.cycle_spinning import with_cycle_spinning
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.metrics.artefacts import checkerboard_db
from cyclegan_audio.metrics.paired_error import MODEL, UNTOUCHED
from cyclegan_audio.reports.evaluation.translations import DirectionResult, translate_direction
from cyclegan_audio.vocoders import make_vocoder

SHIFTS = (1, 2, 4)
ROUNDS = 5


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("corpus")
    parser.add_argument("--clips", type=int, default=35, help="half of the pairs at most")
    parser.add_argument("--vocoded", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus, pair = Corpus.open(options.corpus), load_model(options.run)
    names = "paired error dB", "rhythm dB", "its correlation", "lattice dB", "after hybrid", "step dB"
    print(f"| direction | shifts | {' | '.join(names)} |")
    print("|---|---|---|---|---|---|---|---|")
    for to in pair.targets:
        for shifts in SHIFTS:
            way = translate_direction(with_cycle_spinning(pair, shifts), corpus, to, options.clips)
            print(f"| {way} | {shifts} | {row(way, corpus, options.vocoded)} |", flush=True)
        truth_db = torch.stack([example.truth_db for example in way.paired])
        scores = way.score(corpus.mel)
        untouched = f"{scores.error_db[UNTOUCHED].mean:.2f} | {scores.rhythm_db[UNTOUCHED].mean:.2f}"
        correlation = scores.rhythm_correlation[UNTOUCHED].mean
        print(f"| {way} | untouched | {untouched} | {correlation:.3f} | | | |")
        print(f"| {to} | truth | | | | {lattice_db(truth_db)} | | {step_db(truth_db):.2f} |")
    print(times(pair, corpus))


def row(way: DirectionResult, corpus: Corpus, vocoded: int) -> str:
    """All cells of one direction and number of shifts."""
    scores = way.score(corpus.mel)
    fake_db = torch.stack([example.fake_db for example in way.paired])
    hybrid, mel = make_vocoder("hybrid"), corpus.mel
    again = []
    for example in way.paired[:: max(1, len(way.paired) // vocoded)]:
        source = corpus.audio(example.clip)[None]
        made = hybrid(example.fake_db[None], mel, source.shape[1], source, example.real_db[None])
        again.append(mel.mel_db(made)[0, :, : example.fake_db.shape[1]])
    return (
        f"{scores.error_db[MODEL].mean:.2f} | {scores.rhythm_db[MODEL].mean:.2f} | "
        f"{scores.rhythm_correlation[MODEL].mean:.3f} | {lattice_db(fake_db)} | "
        f"{lattice_db(torch.stack(again))} | {step_db(fake_db):.2f}"
    )


def lattice_db(mels_db: torch.Tensor) -> str:
    """Mean over clips of their strongest lattice."""
    return f"{checkerboard_db(mels_db).mean():.1f}"


def step_db(mels_db: torch.Tensor) -> float:
    """Mean |dB| from frame to frame."""
    return float(mels_db.diff(dim=2).abs().mean())


def times(pair: TranslationModel, corpus: Corpus) -> str:
    """CPU time of one clip by each number of shifts over that of one."""
    mel_db = corpus.mel_db(corpus.clips(pair.genres[0], "test")[0])
    range_db = pair.mel.range_db(mel_db)
    generators = {shifts: with_cycle_spinning(pair, shifts).generator(pair.targets[0]) for shifts in SHIFTS}
    taken: dict[int, list[float]] = {shifts: [] for shifts in SHIFTS}
    for _ in range(ROUNDS + 1):
        for shifts, generator in generators.items():
            start = time.process_time()
            translate_mel_db(generator, mel_db, pair.mel, range_db)
            taken[shifts].append(time.process_time() - start)
    first = statistics.median(taken[1][1:])
    ratios = (f"{shifts}: {statistics.median(taken[shifts][1:]) / first:.2f}" for shifts in SHIFTS)
    return f"time of the generator by shifts, {', '.join(ratios)} (median of {ROUNDS})"


if __name__ == "__main__":
    main()
