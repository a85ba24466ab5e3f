"""The paper's gallery of ten clips a direction, the classifier's probabilities, and the linear classifier's errors."""

from cyclegan_audio.metrics.genre_classifier.classifier import DECISION_THRESHOLD
from cyclegan_audio.metrics.metric_spec import MODEL, UNTOUCHED
from cyclegan_audio.reports.evaluation.translations import DirectionResult, EvaluationData, spread
from cyclegan_audio.reports.figures import cycle_grid
from cyclegan_audio.reports.figures.distributions import probability_histogram
from cyclegan_audio.reports.html import Image, Section, encode_figure

SHOWN = 10
MISCLASSIFIED = 8
HOW = (
    "Ten held-out clips in each direction, as in the paper's gallery; with each the classifier's probability that "
    "it is of the target genre, before and after."
)


def gallery_section(evaluated: EvaluationData) -> Section:
    """Show grids of ten clips, histograms where there is a genre classifier, and figure 1.1."""
    section = Section("gallery", "Ten clips in each direction", [HOW])
    for number, way in enumerate(evaluated.directions):
        section.images.append(_ten(evaluated, way, number))
        if (histogram := _histogram(evaluated, number)) is not None:
            section.images.append(histogram)
    if (misjudged := _misjudged(evaluated)) is not None:
        section.images.append(misjudged)
    elif evaluated.classifiers.linear is not None:
        section.paragraphs.append(
            "Figure 1.1 of the paper shows clips that the linear classifier gets wrong; here it got none of the "
            "held-out clips wrong."
        )
    return section


def _ten(evaluated: EvaluationData, way: DirectionResult, number: int) -> Image:
    rows = spread(range(len(way.examples)), SHOWN)
    scores = evaluated.measured[number].scores
    before, after = (scores[name].get("genre_probability") for name in (UNTOUCHED, MODEL))
    shown, labels = [], []
    for place, row in enumerate(rows, 1):
        example = way.examples[row]
        titles = (f"real {way.source}", f"to {way.target}", "and back")
        shown.append(dict(zip(titles, example.states.values(), strict=False)))
        judged = "" if before is None or after is None else f"\n{before[row]:.2f} to {after[row]:.2f}"
        labels.append(f"clip {place}{judged}")
    figure = cycle_grid(shown, evaluated.mel, f"{way}: ten held-out clips", row_labels=labels)
    clips = "; ".join(
        f"{way.examples[row].clip.source} at {way.examples[row].clip.start_s:g} s" for row in rows
    )
    return encode_figure(figure, f"Gallery of {way}", f"{way}. {clips}.")


def _histogram(evaluated: EvaluationData, number: int) -> Image | None:
    measured = evaluated.measured[number]
    groups = {
        f"real {measured.source}": measured.scores[UNTOUCHED].get("genre_probability"),
        f"translated to {measured.target}": measured.scores[MODEL].get("genre_probability"),
        f"real {measured.target}": measured.real.get("genre_probability"),
    }
    known = {name: values.tolist() for name, values in groups.items() if values is not None}
    if not known:
        return None
    title = f"{measured.source} to {measured.target}: the genre classifier's probability of {measured.target}"
    figure = probability_histogram(known, title, f"probability of {measured.target}")
    return encode_figure(figure, title, f"{title}, over {len(measured.clips)} clips.")


def _misjudged(evaluated: EvaluationData) -> Image | None:
    """Real held-out clips on which the linear classifier errs, with the probability that it gave (figure 1.1)."""
    linear = evaluated.classifiers.linear
    if linear is None:
        return None
    wrong = []
    for way in evaluated.directions:
        for example in way.examples:
            given = float(linear.probability_of(way.source, example.real_db[None])[0])
            if given <= DECISION_THRESHOLD:
                wrong.append((given, way.source, example))
    if not wrong:
        return None
    worst = sorted(wrong, key=lambda item: item[0])[:MISCLASSIFIED]
    rows = [{"real clip": example.real_db} for _, _, example in worst]
    labels = [f"{genre}, given {100 * given:.0f} %" for given, genre, _ in worst]
    figure = cycle_grid(rows, evaluated.mel, "Misjudged by the linear classifier (1.1)", row_labels=labels)
    total = sum(len(way.examples) for way in evaluated.directions)
    caption = f"{len(wrong)} of {total} real held-out clips are misjudged; the {len(worst)} worst are shown."
    return encode_figure(figure, "Real clips that the linear classifier gets wrong", caption)
