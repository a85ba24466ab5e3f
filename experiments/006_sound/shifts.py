"""Measure the effect of averaging over shifts: python shifts.py RUN CORPUS [--clips 35] [--vocoded 12]

CORPUS has paired clips of known scores. Prints for each number of shifts the paired error and its rhythm, the
checkerboard at the upsampling period before and after the hybrid vocoder, and the mean step from frame to
frame; then the interleaved time per clip.
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
    parser.add_argument("--clips", type=int, default=35, help="half of the paired clips at most")
    parser.add_argument("--vocoded", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus, model = Corpus.open(options.corpus), load_model(options.run)
    names = "paired error dB", "rhythm dB", "its correlation", "checkerboard dB", "after hybrid", "step dB"
    print(f"| direction | shifts | {' | '.join(names)} |")
    print("|---|---|---|---|---|---|---|---|")
    for to in model.targets:
        for shifts in SHIFTS:
            direction = translate_direction(with_cycle_spinning(model, shifts), corpus, to, options.clips)
            print(f"| {direction} | {shifts} | {row(direction, corpus, options.vocoded)} |", flush=True)
        truth_db = torch.stack([example.truth_db for example in direction.paired])
        scores = direction.score(corpus.mel)
        untouched = f"{scores.error_db[UNTOUCHED].mean:.2f} | {scores.rhythm_db[UNTOUCHED].mean:.2f}"
        correlation = scores.rhythm_correlation[UNTOUCHED].mean
        print(f"| {direction} | untouched | {untouched} | {correlation:.3f} | | | |")
        print(f"| {to} | truth | | | | {mean_checkerboard_db(truth_db)} | | {step_db(truth_db):.2f} |")
    print(times(model, corpus))


def row(direction: DirectionResult, corpus: Corpus, vocoded: int) -> str:
    """Format all cells of one direction and number of shifts."""
    scores = direction.score(corpus.mel)
    fake_db = torch.stack([example.fake_db for example in direction.paired])
    hybrid, mel = make_vocoder("hybrid"), corpus.mel
    vocoded_db = []
    for example in direction.paired[:: max(1, len(direction.paired) // vocoded)]:
        source = corpus.audio(example.clip)[None]
        waveform = hybrid(example.fake_db[None], mel, source.shape[1], source, example.real_db[None])
        vocoded_db.append(mel.mel_db(waveform)[0, :, : example.fake_db.shape[1]])
    return (
        f"{scores.error_db[MODEL].mean:.2f} | {scores.rhythm_db[MODEL].mean:.2f} | "
        f"{scores.rhythm_correlation[MODEL].mean:.3f} | {mean_checkerboard_db(fake_db)} | "
        f"{mean_checkerboard_db(torch.stack(vocoded_db))} | {step_db(fake_db):.2f}"
    )


def mean_checkerboard_db(mels_db: torch.Tensor) -> str:
    """Format the mean over clips of their checkerboard in dB."""
    return f"{checkerboard_db(mels_db).mean():.1f}"


def step_db(mels_db: torch.Tensor) -> float:
    """Compute the mean absolute step in dB from frame to frame."""
    return float(mels_db.diff(dim=2).abs().mean())


def times(model: TranslationModel, corpus: Corpus) -> str:
    """Measure the CPU time per clip for each number of shifts, relative to one shift."""
    mel_db = corpus.mel_db(corpus.clips(model.genres[0], "test")[0])
    range_db = model.mel.range_db(mel_db)
    generators = {shifts: with_cycle_spinning(model, shifts).generator(model.targets[0]) for shifts in SHIFTS}
    taken: dict[int, list[float]] = {shifts: [] for shifts in SHIFTS}
    for _ in range(ROUNDS + 1):
        for shifts, generator in generators.items():
            start = time.process_time()
            translate_mel_db(generator, mel_db, model.mel, range_db)
            taken[shifts].append(time.process_time() - start)
    first = statistics.median(taken[1][1:])
    ratios = (f"{shifts}: {statistics.median(taken[shifts][1:]) / first:.2f}" for shifts in SHIFTS)
    return f"time of the generator by shifts, {', '.join(ratios)} (median of {ROUNDS})"


if __name__ == "__main__":
    main()
