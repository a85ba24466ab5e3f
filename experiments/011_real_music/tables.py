"""Write the tables of the measurement: means over recordings with 95 % intervals, as Markdown."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cyclegan_audio.metrics.tagger.tagger import TAGS
from cyclegan_audio.statistics.estimates import estimate

UNTOUCHED, TARGET, MODEL, EQUALISER = "untouched", "real target", "model", "equaliser"
N_TAGS = 4
COLUMNS = (  # name in the rows, heading
    ("onset_f1", "onset F1"),
    ("onset_correlation", "onset correlation"),
    ("chroma", "chroma"),
    ("bass", "bass"),
    ("loudness_db", "loudness, dB"),
    ("quiet_db", "quietest tenth, dB"),
    ("noise_floor_db", "noise floor, dB"),
    ("checkerboard_in_db", "checkerboard: input"),
    ("checkerboard_mel_db", "its mel"),
    ("checkerboard_out_db", "sound, dB"),
    ("clicks_added_per_s", "clicks added, /s"),
)
Row = dict[str, Any]


class Results:
    """The rows of an experiment, and the tags (50,) of each."""

    def __init__(self, rows: Sequence[Row], tags: Sequence[Tensor]) -> None:
        self.rows, self.tags = rows, tags

    def where(self, **values: str) -> Iterator[tuple[Row, Tensor]]:
        """Yield the rows that have all these values."""
        for row, tags in zip(self.rows, self.tags, strict=True):
            if all(row[name] == value for name, value in values.items()):
                yield row, tags

    def numbers(self, name: str, **values: str) -> list[float]:
        return [row[name] for row, _ in self.where(**values)]

    def cell(self, name: str, **values: str) -> str:
        """Return the mean of a number with its interval over recordings."""
        return interval(self.numbers(name, **values))

    def mean_tags(self, **values: str) -> Tensor:
        return torch.stack([tags for _, tags in self.where(**values)]).mean(0)

    def groups(self) -> list[dict[str, str]]:
        """Return run, target genre and genre of the recordings of each part of the experiment."""
        names = ("run", "to", "genre")
        groups = dict.fromkeys(tuple(row[name] for name in names) for row in self.rows)
        return [dict(zip(names, values, strict=True)) for values in groups]


def interval(numbers: Sequence[float]) -> str:
    """Return the mean of numbers, one for each recording, with its 95 % interval."""
    return str(estimate(numbers, [str(n) for n in range(len(numbers))]))


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def heading(group: dict[str, str]) -> list[str]:
    return [group["run"], f"{group['genre']} to {group['to']}"]


def share_table(results: Results, vocoders: Sequence[str]) -> str:
    """Return the share of the way by the tagger."""
    header = ["pair", "recordings", "n", "untouched (sd)", f"model - equaliser, {vocoders[0]}"]
    header += [f"{system}, {vocoder}" for system in (MODEL, EQUALISER) for vocoder in vocoders]
    rows = []
    for group in results.groups():
        untouched = torch.tensor(results.numbers("position", **group, system=UNTOUCHED))
        cells = [
            results.cell("moved", **group, system=system, vocoder=vocoder)
            for system in (MODEL, EQUALISER)
            for vocoder in vocoders
        ]
        target = results.cell("position", **group, system=TARGET)
        by_model, by_equaliser = (
            results.numbers("moved", **group, system=system, vocoder=vocoders[0])
            for system in (MODEL, EQUALISER)
        )
        difference = interval([a - b for a, b in zip(by_model, by_equaliser, strict=True)])
        start = [*heading(group), str(len(untouched)), f"{untouched.mean():.2f} ({untouched.std():.2f})"]
        rows.append([*start, difference, *cells, target])
    return markdown([*header, "real target"], rows)


def spread_table(results: Results, vocoder: str) -> str:
    """Return how far single recordings moved, and how far they are from the mean of the target genre."""
    rows = []
    for group in results.groups():
        before, real = (
            torch.tensor(results.numbers("distance", **group, system=system)).mean()
            for system in (UNTOUCHED, TARGET)
        )
        for system in (MODEL, EQUALISER):
            chosen = {**group, "system": system, "vocoder": vocoder}
            moved, after = (torch.tensor(results.numbers(name, **chosen)) for name in ("moved", "distance"))
            cells = [f"{moved.std():.2f}", f"{moved.min():.2f} to {moved.max():.2f}"]
            cells += [f"{int((moved > 0).sum())} of {len(moved)}", f"{before:.2f}", f"{after.mean():.2f}"]
            rows.append([*heading(group), system, *cells, f"{real:.2f}"])
    header = ["pair", "recordings", "system", "sd of the share", "range", "toward the target"]
    return markdown([*header, "distance before", "after", "of real target"], rows)


def tag_table(results: Results, vocoder: str) -> str:
    """Return the tags that rose and fell most."""
    rows = []
    for group in results.groups():
        before = results.mean_tags(**group, system=UNTOUCHED)
        after = results.mean_tags(**group, system=MODEL, vocoder=vocoder)
        order = (after - before).argsort(descending=True).tolist()
        risen, fallen = order[:N_TAGS], order[: -N_TAGS - 1 : -1]
        cells = [
            ", ".join(f"{TAGS[tag]} {before[tag]:.2f} to {after[tag]:.2f}" for tag in tags)
            for tags in (risen, fallen)
        ]
        rows.append([*heading(group), *cells])
    return markdown(["pair", "recordings", "rose most", "fell most"], rows)


def listed_table(results: Results, vocoder: str, tags: Sequence[str]) -> str:
    """Return the probabilities of some tags before, after and in the target genre."""
    rows = []
    for group in results.groups():
        states = {
            "before": results.mean_tags(**group, system=UNTOUCHED),
            "model": results.mean_tags(**group, system=MODEL, vocoder=vocoder),
            "equaliser": results.mean_tags(**group, system=EQUALISER, vocoder=vocoder),
            "target": results.mean_tags(**group, system=TARGET),
        }
        for name, values in states.items():
            rows.append([*heading(group), name, *(f"{values[TAGS.index(tag)]:.2f}" for tag in tags)])
    return markdown(["pair", "recordings", "", *tags], rows)


def sound_table(results: Results, vocoders: Sequence[str]) -> str:
    """Return content and sound: the model by each vocoder, the equaliser by the first."""
    rows = []
    for group in results.groups():
        for system, vocoder in (*((MODEL, vocoder) for vocoder in vocoders), (EQUALISER, vocoders[0])):
            chosen = {**group, "system": system, "vocoder": vocoder}
            means = [torch.tensor(results.numbers(name, **chosen)).nanmean() for name, _ in COLUMNS]
            rows.append([*heading(group), f"{system}, {vocoder}", *(f"{mean:.2f}" for mean in means)])
    return markdown(["pair", "recordings", "system", *(name for _, name in COLUMNS)], rows)


def damage_table(results: Results) -> str:
    """Return how many translations are clipped or have another length, and the largest change of loudness."""
    rows = []
    for system in (MODEL, EQUALISER):
        damage = [row for row, _ in results.where(system=system)]
        counts = (sum(row[name] != 0 for row in damage) for name in ("samples_clipped", "samples_added"))
        loudest = max(abs(row["loudness_db"]) for row in damage)
        rows.append([system, str(len(damage)), *map(str, counts), f"{loudest:.2f}"])
    header = ["system", "translations", "clipped", "other length", "largest change of loudness, dB"]
    return markdown(header, rows)


def write_tables(
    path: Path, rows: Sequence[Row], tags: Sequence[Tensor], vocoders: Sequence[str], listed: Sequence[str]
) -> None:
    """Write all tables to a file."""
    results = Results(rows, tags)
    sections = {
        "Share of the way to the target genre: mean (95 % interval over recordings)": share_table(
            results, vocoders
        ),
        f"Single recordings, {vocoders[0]}": spread_table(results, vocoders[0]),
        f"Tags that rose and fell most, {vocoders[0]}: mean probability": tag_table(results, vocoders[0]),
        f"Some tags, {vocoders[0]}: mean probability": listed_table(results, vocoders[0], listed),
        "Content and sound: means over recordings": sound_table(results, vocoders),
        "Damage": damage_table(results),
    }
    path.write_text("\n".join(f"### {title}\n\n{table}" for title, table in sections.items()))
