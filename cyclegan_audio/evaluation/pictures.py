"""The paper's figures 1.2 to 1.8 from this run."""

from cyclegan_audio.evaluation.translations import Direction, Evaluated, spread
from cyclegan_audio.figures import cycle_grid
from cyclegan_audio.pages import Picture, Section, picture

SHOWN = 3
HOW = (
    "Held-out clips as in the paper's figures: x is a clip of {a}, y a clip of {b}; G translates {a} to "
    "{b}, F back. The loudest 80 dB are shown, with the same colours in every panel of a figure."
)
NO_SECOND_RUN = (
    "Figure 1.8 of the paper, G(F(y)) without identity loss, needs a second run: train with "
    "model.loss_weights.identity=0 and evaluate again with --without-identity RUN."
)


def pictures_section(evaluated: Evaluated) -> Section:
    """Grids of both directions, and of the run without identity loss where there is one."""
    a, b = evaluated.pair.genres
    section = Section("figures", "What it looks like", [HOW.format(a=a, b=b)])
    forward, backward = evaluated.directions
    names = ["real x (1.2)", "G(x) (1.3)", "F(G(x))", "identity F(x)"]
    section.pictures.append(_grid(evaluated, forward, names))
    names = ["real y (1.4, 1.6)", "F(y) (1.5)", "G(F(y)) (1.7)", "identity G(y)"]
    section.pictures.append(_grid(evaluated, backward, names))
    if evaluated.without_identity:
        section.pictures.append(_without_identity(evaluated))
    else:
        section.paragraphs.append(NO_SECOND_RUN)
    return section


def _grid(evaluated: Evaluated, direction: Direction, names: list[str]) -> Picture:
    shown = spread(direction.examples, SHOWN)
    rows = [dict(zip(names, (e.real_db, e.fake_db, e.rec_db, e.idt_db), strict=True)) for e in shown]
    labels = [f"clip {number}" for number in range(1, len(shown) + 1)]
    figure = cycle_grid(rows, evaluated.mel, str(direction), row_labels=labels)
    clips = "; ".join(
        f"{label}: {e.clip.source} at {e.clip.start_s:g} s" for label, e in zip(labels, shown, strict=True)
    )
    columns = ", ".join(names)
    return picture(figure, f"Mel-spectrograms, {direction}: {columns}", f"{direction}. {clips}.")


def _without_identity(evaluated: Evaluated) -> Picture:
    backward, other = evaluated.directions[1], evaluated.without_identity[1]
    pairs = list(zip(backward.examples, other.examples, strict=True))
    rows = [
        {
            "real y (1.6)": mine.real_db,
            "G(F(y)) (1.7)": mine.rec_db,
            "G(F(y)), no identity loss (1.8)": theirs.rec_db,
        }
        for mine, theirs in spread(pairs, SHOWN)
    ]
    figure = cycle_grid(rows, evaluated.mel, f"{backward} and back, with and without identity loss")
    text = f"{backward} and back, with and without identity loss"
    return picture(figure, f"Mel-spectrograms, {text}", f"{text}; the same clips as above.")
