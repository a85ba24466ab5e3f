"""The paper's figure 1.8 for any runs: the same clips by each of them, to see and to hear."""

from collections.abc import Sequence
from pathlib import Path

from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.reports.comparison.grouping import Column
from cyclegan_audio.reports.evaluation.audio_examples import play
from cyclegan_audio.reports.evaluation.translations import TranslatedClip, open_corpus, spread, translate_clip
from cyclegan_audio.reports.figures import cycle_grid
from cyclegan_audio.reports.html import AudioGroup, Image, Section, encode_figure
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.progress import progress_bar
from cyclegan_audio.vocoders import DEFAULT, make_vocoder

SHOWN, PLAYED = 3, 2
MOST_COLUMNS = 6
HOW = (
    "The same held-out clips by one run of each column (its first), as in the paper's figure 1.8: x is a "
    "clip, G(x) its translation, F(G(x)) the way back. The clips are chosen evenly among those that all runs "
    "were judged on, not by their sound."
)


def side_by_side_section(columns: Sequence[Column], corpus: str | Path | None) -> Section:
    """Show grids and players for each direction; what cannot be shown is named with its reason."""
    section = Section("figures", "The same clips side by side (figure 1.8)", [HOW])
    for way in dict.fromkeys(way for column in columns for run in column.runs for way in run.ways):
        shown = [column for column in columns if column.of(way)][:MOST_COLUMNS]
        try:
            _add(section, way, shown, corpus)
        except UserError as error:
            section.paragraphs.append(f"{way}: not shown: {error}.")
    return section


def _add(section: Section, way: str, columns: Sequence[Column], corpus: str | Path | None) -> None:
    """Figures and players of one direction.

    Raises:
        UserError: a checkpoint or the corpus is gone, or no clip is shared.
    """
    runs = [column.of(way)[0] for column in columns]
    pairs = [load_model(run.checkpoint) for run in runs]
    named = corpus or next((c for r in runs if Path(c := r.report["run"]["corpus"]).is_dir()), None)
    corpora = [open_corpus(pair, named, run.checkpoint) for pair, run in zip(pairs, runs, strict=True)]
    clips = _clips([set(run.report["measures"][way]["clips"]["clip_id"]) for run in runs], corpora[0])
    made = [
        [translate_clip(pair, own, clip) for clip in clips] for pair, own in zip(pairs, corpora, strict=True)
    ]
    names = [column.name for column in columns]
    section.images.append(_grid(way, names, clips, made, pairs[0]))
    try:
        section.audio_groups += _players(way, names, clips, made, corpora)
    except UserError as error:
        section.paragraphs.append(f"{way}: no audio to play: {error}.")


def _clips(judged: Sequence[set[str]], corpus: Corpus) -> list[Clip]:
    wanted = set.intersection(*judged)
    shared = [
        clip for genre in corpus.genres for clip in corpus.clips(genre, "test") if clip.clip_id in wanted
    ]
    if not shared:
        raise UserError(
            f"the corpus {corpus.folder} holds no clip that all were judged on; name it by --corpus"
        )
    return spread(shared, SHOWN)


def _grid(
    way: str,
    names: Sequence[str],
    clips: Sequence[Clip],
    made: Sequence[Sequence[TranslatedClip]],
    pair: TranslationModel,
) -> Image:
    """Rows: the clips, their translations by each, and the ways back by each; a column a clip."""
    titles = [f"clip {number}" for number in range(1, len(clips) + 1)]
    states = {"real x": [example.real_db for example in made[0]]}
    for symbol, state in (("G(x)", "fake"), ("F(G(x))", "rec")):
        states |= {
            f"{symbol}\n{name}": [example.states[state] for example in own]
            for name, own in zip(names, made, strict=True)
            if state in own[0].states
        }
    rows = [dict(zip(titles, mels_db, strict=True)) for mels_db in states.values()]
    figure = cycle_grid(rows, pair.mel, way, row_labels=list(states))
    where = "; ".join(f"{t}: {c.source} at {c.start_s:g} s" for t, c in zip(titles, clips, strict=True))
    return encode_figure(figure, f"Mel-spectrograms, {way}, by {', '.join(names)}", f"{way}. {where}.")


def _players(
    way: str,
    names: Sequence[str],
    clips: Sequence[Clip],
    made: Sequence[Sequence[TranslatedClip]],
    corpora: Sequence[Corpus],
) -> list[AudioGroup]:
    vocoder, heard = make_vocoder(DEFAULT), clips[:PLAYED]
    players = []
    with progress_bar(f"{way}, making the sound", len(heard), "clips") as bar:
        for row, clip in enumerate(heard):
            fakes_db = {name: own[row].fake_db for name, own in zip(names, made, strict=True)}
            players.append(play(way, clip, made[0][row].real_db, fakes_db, corpora[0], vocoder))
            bar.advance()
    return players
