"""The paper's figures 1.2 to 1.8 from this run."""

from cyclegan_audio.reports.evaluation.translations import DirectionResult, EvaluationData, spread
from cyclegan_audio.reports.figures import cycle_grid
from cyclegan_audio.reports.html import Image, Section, encode_figure

SHOWN = 3
HOW = (
    "Held-out clips as in the paper's figures: x is a clip of {a}, y a clip of {b}; G translates {a} to "
    "{b}, F back. The loudest 80 dB are shown, with the same colours in every panel of a figure."
)
ONE_WAY = "This model translates from {way} only: there are no figures of the other way and back."
NAMES = {  # of the states of a clip, by direction
    "ab": ("real x (1.2)", "G(x) (1.3)", "F(G(x))", "identity F(x)"),
    "ba": ("real y (1.4, 1.6)", "F(y) (1.5)", "G(F(y)) (1.7)", "identity G(y)"),
}
NO_SECOND_RUN = (
    "Figure 1.8 of the paper, G(F(y)) without identity loss, needs a second run: train with "
    "model.loss_weights.identity=0 and evaluate again with --without-identity RUN."
)


def pictures_section(evaluated: EvaluationData) -> Section:
    """Show grids of each direction, and of the run without identity loss where there is one."""
    a, b = evaluated.pair.genres
    section = Section("figures", "What it looks like", [HOW.format(a=a, b=b)])
    section.images += [_grid(evaluated, way) for way in evaluated.directions]
    if len(evaluated.directions) == 1:
        section.paragraphs.append(ONE_WAY.format(way=evaluated.directions[0]))
    elif evaluated.without_identity:
        section.images.append(_without_identity(evaluated))
    else:
        section.paragraphs.append(NO_SECOND_RUN)
    return section


def _grid(evaluated: EvaluationData, direction: DirectionResult) -> Image:
    names = NAMES[evaluated.pair.direction(direction.target)]
    shown = spread(direction.examples, SHOWN)
    rows = [dict(zip(names, example.states.values(), strict=False)) for example in shown]
    labels = [f"clip {number}" for number in range(1, len(shown) + 1)]
    figure = cycle_grid(rows, evaluated.mel, str(direction), row_labels=labels)
    clips = "; ".join(
        f"{label}: {e.clip.source} at {e.clip.start_s:g} s" for label, e in zip(labels, shown, strict=True)
    )
    columns = ", ".join(rows[0])
    return encode_figure(figure, f"Mel-spectrograms, {direction}: {columns}", f"{direction}. {clips}.")


def _without_identity(evaluated: EvaluationData) -> Image:
    backward, other = evaluated.directions[1], evaluated.without_identity[1]
    pairs = list(zip(backward.examples, other.examples, strict=True))
    rows = [
        {
            "real y (1.6)": mine.real_db,
            "G(F(y)) (1.7)": mine.states["rec"],
            "G(F(y)), no identity loss (1.8)": theirs.states["rec"],
        }
        for mine, theirs in spread(pairs, SHOWN)
    ]
    figure = cycle_grid(rows, evaluated.mel, f"{backward} and back, with and without identity loss")
    text = f"{backward} and back, with and without identity loss"
    return encode_figure(figure, f"Mel-spectrograms, {text}", f"{text}; the same clips as above.")
