"""Sections of compare.html: settings, metrics, differences, and the same clips side by side; compare.json."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cyclegan_audio.corpus.corpus import Clip, Corpus
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.metrics.metric_spec import MetricSpec
from cyclegan_audio.reports.comparison.differences import BETTER, DIFFERENT, WORSE, Contrast, MetricComparison
from cyclegan_audio.reports.comparison.grouping import (
    NOT_SET,
    Column,
    differing_keys,
    format_setting,
    training_settings,
)
from cyclegan_audio.reports.comparison.summary import RULE
from cyclegan_audio.reports.evaluation.audio_examples import place_of, versions_of
from cyclegan_audio.reports.evaluation.metric_tables import format_estimate
from cyclegan_audio.reports.evaluation.translations import (
    TranslatedClip,
    evenly_spaced,
    open_corpus,
    translate_clip,
)
from cyclegan_audio.reports.figures import cycle_grid
from cyclegan_audio.reports.figures.relative_bars import forest_plot
from cyclegan_audio.reports.html import Image, Player, Section, Table, encode_figure
from cyclegan_audio.reports.players import make_player
from cyclegan_audio.statistics.estimates import Estimate
from cyclegan_audio.statistics.significance import format_p
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.progress import progress_bar
from cyclegan_audio.vocoders import DEFAULT, make_vocoder

PERCENT, NUMBER = MetricSpec("", "", "", scale=100.0, digits=0), MetricSpec("", "", "")
COLOURS = {BETTER: "#0072b2", WORSE: "#d55e00"}
COLOUR_KEY = "Blue: better, orange: worse, grey: not significant, small, or neither."
MARKS = {BETTER: " ▲", WORSE: " ▼", DIFFERENT: " ◆"}
TABLE_EXPLANATION = (
    "Means over held-out clips. Columns with several seeds give mean ± standard deviation over seeds. ▲ "
    "better, ▼ worse, ◆ different from the first column by the rule below; no mark: no significant "
    "difference."
)
MAX_SHOWN, MAX_PLAYED = 3, 2
MAX_COLUMNS = 6
INPUT = "input"  # label of the clip itself
CLIPS_EXPLANATION = (
    "The same held-out clips translated by the first run of each column, as in the paper's figure 1.8: x is "
    "a clip, G(x) its translation, F(G(x)) the cycle. The clips are evenly spaced among those on which all "
    "runs were evaluated; they are not selected by quality."
)


def settings_section(columns: Sequence[Column], notes: Sequence[str]) -> Section:
    """Return the settings that differ between the columns, and their runs."""
    section = Section("settings", "Compared runs", list(notes))
    by_column = [training_settings(column.runs[0].settings) for column in columns]
    keys = differing_keys(by_column)
    if keys:
        rows = [
            [key, *(format_setting(settings.get(key, NOT_SET)) for settings in by_column)] for key in keys
        ]
        section.tables.append(Table("Settings that differ", ["", *(c.name for c in columns)], rows))
    else:
        section.paragraphs.append("The runs differ only in their seeds.")
    runs = [
        [
            run.name,
            column.name,
            format_setting(run.seed),
            " and ".join(run.directions),
            str(run.report["run"]["batches_trained"]),
        ]
        for column in columns
        for run in column.runs
    ]
    section.tables.append(Table("Runs", ["", "column", "seed", "directions", "batches"], runs))
    return section


def table_section(rows: Sequence[MetricComparison], columns: Sequence[Column]) -> Section:
    """Return all metrics in one table."""
    section = Section("table", "All metrics", [TABLE_EXPLANATION])
    names = [column.name for column in columns]
    body = [
        [
            f"{row.direction}: {_label(row)}",
            row.metric.format_value(row.floor),
            *(_cell(row, name) for name in names),
            row.metric.format_value(row.ceiling),
        ]
        for row in rows
    ]
    section.tables.append(Table("", ["", "floor", *names, "ceiling"], body))
    return section


def contrast_section(rows: Sequence[MetricComparison], columns: Sequence[Column]) -> Section:
    """Return a figure and a table of differences from the first column for each column and direction."""
    section = Section("differences", "Differences from the first column", [RULE])
    header = [
        "", "difference (95 %)", "% of floor to ceiling", "in SD over clips", "p", "p corrected",
        "over seeds (95 %)", "verdict",
    ]  # fmt: skip
    for column in columns[1:]:
        for direction in dict.fromkeys(row.direction for row in rows if column.name in row.contrasts):
            shown = [row for row in rows if row.direction == direction and column.name in row.contrasts]
            contrasts = {_label(row): row.contrasts[column.name] for row in shown}
            name = f"{direction}: {column.name} against {columns[0].name}"
            section.images += _pictures(contrasts, name)
            body = [
                [label, *_contrast_cells(r.metric, c)]
                for r, (label, c) in zip(shown, contrasts.items(), strict=True)
            ]
            section.tables.append(Table(name, header, body))
    return section


def _pictures(contrasts: Mapping[str, Contrast], name: str) -> list[Image]:
    """Draw the metrics whose relative difference has an interval; return an empty list without any."""
    differences = {
        label: ((relative.mean, relative.low, relative.high), contrast.verdict)
        for label, contrast in contrasts.items()
        if math.isfinite((relative := contrast.relative).low)
    }
    if not differences:
        return []
    text = f"{name}: differences with 95 % intervals, in % of the range from floor to ceiling. {COLOUR_KEY}"
    return [encode_figure(forest_plot(differences, name, COLOURS), f"Differences, {name}", text)]


def comparison_numbers(rows: Sequence[MetricComparison], columns: Sequence[Column]) -> dict[str, Any]:
    """Return the comparison as plain values for compare.json."""
    by_column = [training_settings(column.runs[0].settings) for column in columns]
    return {
        "columns": [
            {
                "name": column.name,
                "runs": [
                    {
                        "name": r.name,
                        "report": str(r.report_folder),
                        "seed": r.seed,
                        "directions": r.directions,
                    }
                    for r in column.runs
                ],
            }
            for column in columns
        ],
        "settings": {key: [settings.get(key) for settings in by_column] for key in differing_keys(by_column)},
        "rule": RULE,
        "table": [
            {
                "direction": row.direction,
                "metric": row.metric.name,
                "label": _label(row),
                "floor": row.floor,
                "ceiling": row.ceiling,
                "columns": {
                    n: {"mean": _mean(m), "sd": _sd(m), "runs": m} for n, m in row.means.items() if m
                },
                "contrasts": {name: _plain(contrast) for name, contrast in row.contrasts.items()},
            }
            for row in rows
        ],
    }


def _plain(contrast: Contrast) -> dict[str, Any]:
    seeds = contrast.over_seeds
    return {
        "difference": contrast.difference.to_dict(),
        "paired": contrast.is_paired,
        "relative": contrast.relative.to_dict(),
        "in_sd": contrast.in_sd.to_dict(),
        "p": contrast.p,
        "p_corrected": contrast.p_corrected,
        "over_seeds": seeds.to_dict() if seeds else None,
        "verdict": contrast.verdict,
    }


def _label(row: MetricComparison) -> str:
    unit = f", {row.metric.unit}" if row.metric.unit else ""
    return row.label + unit


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _sd(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _cell(row: MetricComparison, name: str) -> str:
    means = row.means.get(name)
    if not means:
        return "-"
    spread = f" ± {row.metric.format_value(_sd(means))}" if len(means) > 1 else ""
    mark = MARKS.get(row.contrasts[name].verdict, "") if name in row.contrasts else ""
    return f"{row.metric.format_value(_mean(means))}{spread}{mark}"


def _contrast_cells(metric: MetricSpec, contrast: Contrast) -> list[str]:
    seeds = contrast.over_seeds
    return [
        _interval(metric, contrast.difference),
        _interval(PERCENT, contrast.relative),
        "-" if math.isnan(contrast.sd) else NUMBER.format_value(contrast.in_sd.mean),
        format_p(contrast.p),
        format_p(contrast.p_corrected),
        _interval(metric, seeds) if seeds else "-",
        contrast.verdict if contrast.p_corrected == contrast.p_corrected else "-",
    ]


def _interval(metric: MetricSpec, value: Estimate) -> str:
    return format_estimate(metric, value if math.isfinite(value.mean) else None)


def side_by_side_section(
    columns: Sequence[Column], corpus: str | Path | None, trust_packages: Collection[str] = ()
) -> tuple[Section, dict[str, list[Player]]]:
    """Return spectrograms for each direction, or the reason why there are none, and players by direction."""
    section = Section(
        "figures",
        "Figures of the paper: the same clips side by side (1.8)",
        [CLIPS_EXPLANATION],
        is_open=True,
    )
    players: dict[str, list[Player]] = {}
    for direction in directions_of(columns):
        shown = [column for column in columns if column.runs_in(direction)][:MAX_COLUMNS]
        try:
            players[direction] = _add_direction(section, direction, shown, corpus, trust_packages)
        except UserError as error:
            section.paragraphs.append(f"{direction}: not shown: {error}.")
    return section, players


def directions_of(columns: Sequence[Column]) -> list[str]:
    """Return the directions in which any run translates."""
    directions = (direction for column in columns for run in column.runs for direction in run.directions)
    return list(dict.fromkeys(directions))


def _add_direction(
    section: Section,
    direction: str,
    columns: Sequence[Column],
    corpus: str | Path | None,
    trust_packages: Collection[str],
) -> list[Player]:
    """Add spectrograms of one direction, and return its players.

    Raises:
        UserError: a checkpoint or the corpus is missing, or the runs share no clip.
    """
    runs = [column.runs_in(direction)[0] for column in columns]
    models = [load_model(run.checkpoint, trust_packages=trust_packages) for run in runs]
    named = corpus or next((c for r in runs if Path(c := r.report["run"]["corpus"]).is_dir()), None)
    corpora = [open_corpus(model, named, run.checkpoint) for model, run in zip(models, runs, strict=True)]
    clips = _shared_clips(
        [set(run.report["metrics"][direction]["clips"]["clip_id"]) for run in runs], corpora[0]
    )
    translated = [
        [translate_clip(model, one, clip) for clip in clips]
        for model, one in zip(models, corpora, strict=True)
    ]
    names = [column.name for column in columns]
    section.images.append(_grid(direction, names, clips, translated, models[0]))
    try:
        return _players(names, clips, translated, corpora)
    except UserError as error:
        section.paragraphs.append(f"{direction}: no audio: {error}.")
        return []


def _shared_clips(evaluated_ids: Sequence[set[str]], corpus: Corpus) -> list[Clip]:
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
    model: TranslationModel,
) -> Image:
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
    figure = cycle_grid(rows, model.mel, direction, row_labels=list(states))
    origins = "; ".join(f"{t}: {c.source} at {c.start_s:g} s" for t, c in zip(titles, clips, strict=True))
    return encode_figure(
        figure, f"Mel-spectrograms, {direction}, by {', '.join(names)}", f"{direction}. {origins}."
    )


def _players(
    names: Sequence[str],
    clips: Sequence[Clip],
    translated: Sequence[Sequence[TranslatedClip]],
    corpora: Sequence[Corpus],
) -> list[Player]:
    vocoder, played = make_vocoder(DEFAULT), clips[:MAX_PLAYED]
    players = []
    with progress_bar("vocoding", len(played), "clips") as bar:
        for row, clip in enumerate(played):
            fakes_db = {name: examples[row].fake_db for name, examples in zip(names, translated, strict=True)}
            real_db = translated[0][row].real_db
            versions = versions_of(clip, real_db, fakes_db, corpora[0], vocoder, INPUT)
            players.append(make_player(f"Clip {row + 1}", place_of(clip), versions, corpora[0].mel))
            bar.advance()
    return players
