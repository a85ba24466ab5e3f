"""Sections of spectrograms: the paper's figures 1.2 to 1.8, its gallery, and misclassified clips (1.1)."""

from cyclegan_audio.metrics.genre_classifier.classifier import DECISION_THRESHOLD
from cyclegan_audio.metrics.metric_spec import MODEL, UNTOUCHED
from cyclegan_audio.reports.evaluation.scoring import DirectionScores
from cyclegan_audio.reports.evaluation.translations import DirectionResult, EvaluationData, evenly_spaced
from cyclegan_audio.reports.figures import cycle_grid
from cyclegan_audio.reports.figures.distributions import probability_histogram
from cyclegan_audio.reports.html import Image, Section, encode_figure

MAX_SHOWN = 3
GALLERY_CLIPS = 10
MAX_MISCLASSIFIED = 8
FIGURES_EXPLANATION = (
    "Held-out clips as in the paper's figures: x is a clip of {a}, y a clip of {b}; G translates {a} to {b}, "
    "F is the reverse. All panels of a figure share one colour scale, which covers the loudest 80 dB."
)
ONE_DIRECTION = (
    "This model translates {direction} only, so there are no figures of the other direction and of cycles."
)
STATE_TITLES = {  # of the states of a clip, by direction
    "ab": ("real x (1.2)", "G(x) (1.3)", "F(G(x))", "identity F(x)"),
    "ba": ("real y (1.4, 1.6)", "F(y) (1.5)", "G(F(y)) (1.7)", "identity G(y)"),
}
NO_SECOND_RUN = (
    "Figure 1.8 of the paper, G(F(y)) without identity loss, needs a second run: train with "
    "model.loss_weights.identity=0 init_from=null, then evaluate again with --without-identity RUN."
)
GALLERY_EXPLANATION = (
    "Ten held-out clips in each direction, as in the paper's gallery. Each label gives the genre "
    "classifier's probability of the target genre before and after translation."
)


def spectrograms_section(evaluated: EvaluationData) -> Section:
    """Return grids of each direction, and of the run without identity loss if it was given."""
    a, b = evaluated.model.genres
    section = Section("figures", "Figures of the paper", [FIGURES_EXPLANATION.format(a=a, b=b)], is_open=True)
    section.images += [_grid(evaluated, direction) for direction in evaluated.directions]
    if len(evaluated.directions) == 1:
        section.paragraphs.append(ONE_DIRECTION.format(direction=evaluated.directions[0]))
    elif evaluated.without_identity:
        section.images.append(_without_identity(evaluated))
    else:
        section.paragraphs.append(NO_SECOND_RUN)
    return section


def _grid(evaluated: EvaluationData, direction: DirectionResult) -> Image:
    titles = STATE_TITLES[evaluated.model.direction(direction.target)]
    examples = evenly_spaced(direction.examples, MAX_SHOWN)
    rows = [dict(zip(titles, example.states.values(), strict=False)) for example in examples]
    labels = [f"clip {number}" for number in range(1, len(examples) + 1)]
    figure = cycle_grid(rows, evaluated.mel, str(direction), row_labels=labels)
    clips = "; ".join(
        f"{label}: {example.clip.source} at {example.clip.start_s:g} s"
        for label, example in zip(labels, examples, strict=True)
    )
    columns = ", ".join(rows[0])
    return encode_figure(figure, f"Mel-spectrograms, {direction}: {columns}", f"{direction}. {clips}.")


def _without_identity(evaluated: EvaluationData) -> Image:
    backward, second = evaluated.directions[1], evaluated.without_identity[1]
    pairs = list(zip(backward.examples, second.examples, strict=True))
    rows = [
        {
            "real y (1.6)": example.real_db,
            "G(F(y)) (1.7)": example.states["rec"],
            "G(F(y)), no identity loss (1.8)": second_example.states["rec"],
        }
        for example, second_example in evenly_spaced(pairs, MAX_SHOWN)
    ]
    text = f"{backward} and back, with and without identity loss"
    figure = cycle_grid(rows, evaluated.mel, text)
    return encode_figure(figure, f"Mel-spectrograms, {text}", f"{text}; the same clips as above.")


def gallery_section(evaluated: EvaluationData) -> Section:
    """Return grids of ten clips, histograms of probabilities, and misclassified clips (figure 1.1)."""
    section = Section("gallery", "Ten clips in each direction", [GALLERY_EXPLANATION])
    for direction, scores in zip(evaluated.directions, evaluated.direction_scores, strict=True):
        section.images.append(_gallery(evaluated, direction, scores))
        if (histogram := _histogram(scores)) is not None:
            section.images.append(histogram)
    if (misclassified := _misclassified(evaluated)) is not None:
        section.images.append(misclassified)
    elif evaluated.classifiers.linear is not None:
        section.paragraphs.append(
            "Figure 1.1 of the paper shows misclassified clips. Here the linear classifier classified all "
            "held-out clips correctly."
        )
    return section


def _gallery(evaluated: EvaluationData, direction: DirectionResult, scores: DirectionScores) -> Image:
    examples = direction.examples
    chosen = evenly_spaced(range(len(examples)), GALLERY_CLIPS)
    before, after = (scores.by_candidate[name].get("genre_probability") for name in (UNTOUCHED, MODEL))
    titles = (f"real {direction.source}", f"to {direction.target}", "and back")
    rows, labels = [], []
    for number, index in enumerate(chosen, 1):
        rows.append(dict(zip(titles, examples[index].states.values(), strict=False)))
        probabilities = (
            "" if before is None or after is None else f"\n{before[index]:.2f} to {after[index]:.2f}"
        )
        labels.append(f"clip {number}{probabilities}")
    figure = cycle_grid(rows, evaluated.mel, f"{direction}: ten held-out clips", row_labels=labels)
    clips = "; ".join(f"{examples[i].clip.source} at {examples[i].clip.start_s:g} s" for i in chosen)
    return encode_figure(figure, f"Gallery of {direction}", f"{direction}. {clips}.")


def _histogram(scores: DirectionScores) -> Image | None:
    target = scores.target
    groups = {
        f"real {scores.source}": scores.by_candidate[UNTOUCHED].get("genre_probability"),
        f"translated to {target}": scores.by_candidate[MODEL].get("genre_probability"),
        f"real {target}": scores.real_scores.get("genre_probability"),
    }
    known = {name: values.tolist() for name, values in groups.items() if values is not None}
    if not known:
        return None
    title = f"{scores.source} to {target}: the genre classifier's probability of {target}"
    figure = probability_histogram(known, title, f"probability of {target}")
    return encode_figure(figure, title, f"{title}, over {len(scores.clips)} clips.")


def _misclassified(evaluated: EvaluationData) -> Image | None:
    """Return real held-out clips that the linear classifier misclassifies; None without any."""
    linear = evaluated.classifiers.linear
    if linear is None:
        return None
    errors = []
    for direction in evaluated.directions:
        for example in direction.examples:
            probability = float(linear.probability_of(direction.source, example.real_db[None])[0])
            if probability <= DECISION_THRESHOLD:
                errors.append((probability, direction.source, example))
    if not errors:
        return None
    worst = sorted(errors, key=lambda item: item[0])[:MAX_MISCLASSIFIED]
    rows = [{"real clip": example.real_db} for _, _, example in worst]
    labels = [f"{genre}, {100 * probability:.0f} %" for probability, genre, _ in worst]
    title = "Misclassified by the linear classifier (1.1)"
    figure = cycle_grid(rows, evaluated.mel, title, row_labels=labels)
    total = sum(len(direction.examples) for direction in evaluated.directions)
    caption = (
        f"{len(errors)} of {total} real held-out clips are misclassified; the figure shows the {len(worst)} "
        "with the lowest probability of their genre."
    )
    return encode_figure(figure, "Real clips that the linear classifier misclassifies", caption)
