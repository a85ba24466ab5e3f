"""First screen of a report: what was trained on what, the best, middle and worst clip, and the scorecard."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeGuard

import numpy as np

from cyclegan_audio.inference.start_pair import own_intervals
from cyclegan_audio.metrics.metric_spec import MODEL, TAGGER_SHARE
from cyclegan_audio.metrics.paired_error import mean_abs_db
from cyclegan_audio.metrics.summary_rules import FILTER_SHARE
from cyclegan_audio.reports.evaluation.audio_examples import (
    SOURCE,
    TRANSLATED,
    place_of,
    vocode,
)
from cyclegan_audio.reports.evaluation.provenance import class_name
from cyclegan_audio.reports.evaluation.scorecard import (
    CLEAN,
    FEW_TRACKS,
    GENRE,
    NO,
    NO_JUDGE,
    ONE_JUDGE,
    PARTLY_MOVES,
    PRESERVED,
    PROBABLY,
    PROBABLY_NOT,
    YES,
    scorecard,
)
from cyclegan_audio.reports.evaluation.scoring import DirectionScores
from cyclegan_audio.reports.evaluation.translations import (
    DirectionResult,
    EvaluationData,
    PairedClip,
    TranslatedClip,
)
from cyclegan_audio.reports.html import Player, Score, View
from cyclegan_audio.reports.players import PICTURE, Sounding, make_player
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import make_vocoder

PLACES = {1: ("The only clip",), 2: ("Best", "Worst"), 3: ("Best", "Middle", "Worst")}
BY_TAGGER = (
    "Best, middle and worst of {n} held-out clips, by how far the independent tagger hears each move from "
    "{source} (0 %) to {target} (100 %); the middle is the median."
)
BY_PAIRS = (
    "Best, middle and worst of {n} clips that the {target} band plays, too, by the error against that band "
    "in dB; the middle is the median."
)
BY_CLASSIFIER = (
    "Best, middle and worst of {n} held-out clips, by the probability that the genre classifier gives to "
    "{target} after translation; the middle is the median."
)
BY_RHYTHM = (
    "Best, middle and worst of {n} held-out clips, by how well the rhythm is kept, as there is no "
    "classifier; the middle is the median."
)
HOW_TO_LISTEN = "Before and after are equally loud, and the switch keeps the place in the music."
GENRE_PHRASES = {
    YES: "the genre moves",
    PARTLY_MOVES: "the genre moves partly",
    NO: "the genre does not move",
    FEW_TRACKS: f"whether the genre moves {FEW_TRACKS}",
    ONE_JUDGE: "one judge hears the genre move, the other does not",
    NO_JUDGE: "no judge could say whether the genre moves",
}
STAYS = {
    YES: ("stay", "stays"),
    PROBABLY: ("probably stay", "probably stays"),
    PROBABLY_NOT: ("probably do not stay", "probably does not stay"),
    NO: ("do not stay", "does not stay"),
}
IS_CLEAN = {
    YES: "is clean",
    PROBABLY: "is probably clean",
    PROBABLY_NOT: "is probably not clean",
    NO: "is not clean",
}
AS_RHYTHM = "in the rhythm of the cymbals an equaliser comes as near to the {target} band"
AS_FILTER = "an equaliser would do nearly the same"
PARTS = {"onset_f1": "drums", "chroma": "harmony", "bass": "bass"}


def lead_sentence(evaluated: EvaluationData) -> str:
    """Say in one sentence what was trained on what, and what the page shows."""
    model = evaluated.model
    a, b = model.genres
    seconds = sum(end - start for times in own_intervals(model).values() for start, end in times)
    music = f"{_duration(seconds)} of {a} and {b}" if seconds else f"{a} and {b}"
    settings = model.config.get("model")
    kind = class_name(settings) if isinstance(settings, Mapping) and "_target_" in settings else "model"
    steps = f" in {model.batches:,} steps" if model.batches else ""
    goals = " and ".join(f"{one.source} into {one.target}" for one in evaluated.directions)
    clips = [example.clip for direction in evaluated.directions for example in direction.examples]
    n_tracks = len({(clip.genre, clip.track) for clip in clips})
    return (
        f"The {kind} {Path(evaluated.run).name} learnt from {music}{steps} to turn {goals}; here it "
        f"translates {_count(len(clips), 'clip')} of {_count(n_tracks, 'track')} that it never heard."
    )


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def first_screen(evaluated: EvaluationData) -> list[View]:
    """Return the view of each direction."""
    views = []
    for direction, scores in zip(evaluated.directions, evaluated.direction_scores, strict=True):
        ranking = rank_clips(direction, scores)
        try:
            players, note = _players(ranking, evaluated), f"{ranking.rule} {HOW_TO_LISTEN}"
        except UserError as error:
            players, note = [], f"No sounds: {error}."
        lines = scorecard(scores)
        sentence = headline(lines, equaliser_phrase(scores, evaluated))
        views.append(View(str(direction), sentence, players, note, lines))
    return views


class Ranking(NamedTuple):
    """Clips of a direction, the best first, with what each was ranked by, and the rule in words."""

    clips: Sequence[TranslatedClip | PairedClip]
    labels: Sequence[str]
    rule: str


def rank_clips(direction: DirectionResult, scores: DirectionScores) -> Ranking:
    """Rank clips by the independent tagger's share, else by paired error, else by the genre classifier."""
    clips: Sequence[TranslatedClip | PairedClip] = direction.examples
    by_metric, genres = scores.by_candidate[MODEL], {"source": direction.source, "target": direction.target}
    if _is_known(values := by_metric.get(TAGGER_SHARE)):
        labels, rule = _labels("{:.0f} % of the way", 100 * values), BY_TAGGER
    elif direction.paired:
        clips = direction.paired
        values = np.array([-mean_abs_db(pair.fake_db, pair.truth_db) for pair in direction.paired])
        labels, rule = _labels("error {:.1f} dB", -values), BY_PAIRS
    elif _is_known(values := by_metric.get("genre_probability")):
        labels = [f"{one} {direction.target}" for one in _labels("{:.0f} %", 100 * values)]
        rule = BY_CLASSIFIER
    else:
        values = by_metric["onset_correlation"]
        labels, rule = _labels("{:.0f} % of the rhythm", 100 * values), BY_RHYTHM
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")
    return Ranking([clips[i] for i in order], [labels[i] for i in order], rule.format(n=len(clips), **genres))


def _labels(text: str, values: np.ndarray) -> list[str]:
    return [text.format(value) if np.isfinite(value) else "unknown" for value in values]


def _is_known(values: np.ndarray | None) -> TypeGuard[np.ndarray]:
    return values is not None and bool(np.isfinite(values).any())


def chosen_rows(n_clips: int) -> list[int]:
    """Return the rows of the best, the middle and the worst of ranked clips; fewer where there are fewer."""
    return sorted({0, (n_clips - 1) // 2, n_clips - 1}) if n_clips != 2 else [0, 1]


def _players(ranking: Ranking, evaluated: EvaluationData) -> list[Player]:
    """Make the players.

    Raises:
        UserError: the corpus keeps no audio.
    """
    corpus, vocoder = evaluated.corpus, make_vocoder(evaluated.vocoder)
    rows, players = chosen_rows(len(ranking.clips)), []
    for place, row in zip(PLACES[len(rows)], rows, strict=True):
        clip = ranking.clips[row]
        source = corpus.audio(clip.clip)
        translated = vocode(vocoder, clip.fake_db, corpus.mel, source, clip.real_db)
        versions = [Sounding(SOURCE, source, clip.real_db), Sounding(TRANSLATED, translated, clip.fake_db)]
        title = f"{place}: {ranking.labels[row]}"
        players.append(make_player(title, place_of(clip.clip), versions, corpus.mel, PICTURE))
    return players


def equaliser_phrase(scores: DirectionScores, evaluated: EvaluationData) -> str:
    """Say where an equaliser would do as well, by the ground truth or else by the fixed filter; else ""."""
    paired = evaluated.paired_scores.get(f"{scores.source} to {scores.target}")
    if paired is not None and not paired.beats_filter:
        return AS_RHYTHM.format(target=scores.target)
    share = scores.estimate(MODEL, "filter_share")
    return AS_FILTER if share is not None and share.mean >= FILTER_SHARE else ""


def headline(lines: Sequence[Score], equaliser: str = "") -> str:
    """Return the verdict of a scorecard, and a phrase about the equaliser, in one sentence."""
    verdicts = {line.name: line.verdict for line in lines}
    parts = [GENRE_PHRASES[verdicts[GENRE]]]
    for verdict, words in STAYS.items():
        named = [PARTS[key] for key, name in PRESERVED.items() if verdicts.get(name) == verdict]
        if named:
            is_plural = len(named) > 1 or named == [PARTS["onset_f1"]]
            parts.append(f"{_listed(named)} {words[0 if is_plural else 1]}")
    if CLEAN in verdicts:
        parts.append(f"the sound {IS_CLEAN[verdicts[CLEAN]]}")
    if equaliser:
        parts.append(equaliser)
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _listed(names: Sequence[str]) -> str:
    """Join names by commas and `and`."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
