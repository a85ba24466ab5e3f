"""Section of the same clips translated by each run: spectrograms (the paper's figure 1.8) and audio."""

from collections.abc import Sequence
from pathlib import Path

from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.reports.comparison.grouping import Column
from cyclegan_audio.reports.evaluation.audio_examples import player_group
from cyclegan_audio.reports.evaluation.translations import (
    TranslatedClip,
    evenly_spaced,
    open_corpus,
    translate_clip,
)
from cyclegan_audio.reports.figures import cycle_grid
from cyclegan_audio.reports.html import Listening, Picture, Section, picture
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.progress import progress_bar
from cyclegan_audio.vocoders import DEFAULT, make_vocoder

MAX_SHOWN, MAX_PLAYED = 3, 2
MAX_COLUMNS = 6
EXPLANATION = (
    "The same held-out clips translated by the first run of each column, as in the paper's figure 1.8: x is "
    "a clip, G(x) its translation, F(G(x)) the cycle. The clips are evenly spaced among those on which all "
    "runs were evaluated; they are not selected by quality."
)


def side_by_side_section(columns: Sequence[Column], corpus: str | Path | None) -> Section:
    """Return spectrograms and players for each direction, or the reason why there are none."""
    section = Section("figures", "The same clips side by side (figure 1.8)", [EXPLANATION])
    directions = [direction for column in columns for run in column.runs for direction in run.directions]
    for direction in dict.fromkeys(directions):
        shown = [column for column in columns if column.runs_in(direction)][:MAX_COLUMNS]
        try:
            _add(section, direction, shown, corpus)
        except UserError as error:
            section.paragraphs.append(f"{direction}: not shown: {error}.")
    return section


def _add(section: Section, direction: str, columns: Sequence[Column], corpus: str | Path | None) -> None:
    """Add spectrograms and players of one direction.

    Raises:
        UserError: a checkpoint or the corpus is missing, or the runs share no clip.
    """
    runs = [column.runs_in(direction)[0] for column in columns]
    pairs = [load_model(run.checkpoint) for run in runs]
    named = corpus or next((c for r in runs if Path(c := r.report["run"]["corpus"]).is_dir()), None)
    corpora = [open_corpus(pair, named, run.checkpoint) for pair, run in zip(pairs, runs, strict=True)]
    clips = _clips([set(run.report["metrics"][direction]["clips"]["clip_id"]) for run in runs], corpora[0])
    translated = [
        [translate_clip(pair, one, clip) for clip in clips] for pair, one in zip(pairs, corpora, strict=True)
    ]
    names = [column.name for column in columns]
    section.pictures.append(_grid(direction, names, clips, translated, pairs[0]))
    try:
        section.listening += _players(direction, names, clips, translated, corpora)
    except UserError as error:
        section.paragraphs.append(f"{direction}: no audio: {error}.")


def _clips(evaluated_ids: Sequence[set[str]], corpus: Corpus) -> list[Clip]:
    clip_ids = set.intersection(*evaluated_ids)
    shared = [
        clip for genre in corpus.genres for clip in corpus.clips(genre, "test") if clip.clip_id in clip_ids
    ]
    if not shared:
        raise UserError(
            f"the corpus {corpus.folder} has no clip on which all runs were evaluated; give the right "
            "corpus with --corpus"
        )
    return evenly_spaced(shared, MAX_SHOWN)


def _grid(
    direction: str,
    names: Sequence[str],
    clips: Sequence[Clip],
    translated: Sequence[Sequence[TranslatedClip]],
    pair: TranslationModel,
) -> Picture:
    """Draw a column for each clip; rows are the clips, then translations and cycles by each run."""
    titles = [f"clip {number}" for number in range(1, len(clips) + 1)]
    states = {"real x": [example.real_db for example in translated[0]]}
    for symbol, state in (("G(x)", "fake"), ("F(G(x))", "rec")):
        states |= {
            f"{symbol}\n{name}": [example.states[state] for example in examples]
            for name, examples in zip(names, translated, strict=True)
            if state in examples[0].states
        }
    rows = [dict(zip(titles, mels_db, strict=True)) for mels_db in states.values()]
    figure = cycle_grid(rows, pair.mel, direction, row_labels=list(states))
    origins = "; ".join(f"{t}: {c.source} at {c.start_s:g} s" for t, c in zip(titles, clips, strict=True))
    return picture(
        figure, f"Mel-spectrograms, {direction}, by {', '.join(names)}", f"{direction}. {origins}."
    )


def _players(
    direction: str,
    names: Sequence[str],
    clips: Sequence[Clip],
    translated: Sequence[Sequence[TranslatedClip]],
    corpora: Sequence[Corpus],
) -> list[Listening]:
    vocoder, played = make_vocoder(DEFAULT), clips[:MAX_PLAYED]
    players = []
    with progress_bar(f"{direction}, vocoding", len(played), "clips") as bar:
        for row, clip in enumerate(played):
            fakes_db = {name: examples[row].fake_db for name, examples in zip(names, translated, strict=True)}
            players.append(
                player_group(direction, clip, translated[0][row].real_db, fakes_db, corpora[0], vocoder)
            )
            bar.advance()
    return players
