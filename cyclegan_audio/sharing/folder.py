"""The folder of a pair that ships or is shared: weights, `pair.json`, README.md, a picture and sounds."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cyclegan_audio.inference.checkpoints import ONNX, load_model, resolve_run, save_pretrained
from cyclegan_audio.inference.metadata import checksum, naming, parse_metadata
from cyclegan_audio.inference.pair_card import EXTRA_FILE
from cyclegan_audio.inference.translation_model import PAIR_FILE, TranslationModel
from cyclegan_audio.reports.evaluation.report_files import report_folder
from cyclegan_audio.reports.evaluation.translations import open_corpus
from cyclegan_audio.sharing.examples import draw_picture, render_sounds, translate_examples
from cyclegan_audio.sharing.measurements import read_measurements
from cyclegan_audio.utils.atomic import atomic_folder
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.regular_files import check_file

MAX_EXTRA_BYTES = 4 << 20  # of a picture or a sound
NO_LICENSE = (
    "the card needs the licence of the weights: add --license ID, such as mit, cc-by-nc-4.0 or other; the "
    "music that the pair learnt from limits what you may choose"
)


def write_pair(
    run: str | Path,
    folder: Path,
    name: str,
    *,
    texts: Mapping[str, Any] | None = None,
    corpus: str | Path | None = None,
    report: str | Path | None = None,
    checkpoint: str | Path | None = None,
    sounds: bool = False,
    trust_packages: Collection[str] = (),
) -> tuple[TranslationModel, list[str]]:
    """Write the folder of a pair; return its model, and notes on what the card lacks.

    Args:
        run: the RUN.
        folder: a missing or empty folder.
        name: the RUN by which others will name the pair, for README.md.
        texts: fields of the card that replace those of the run: license, data, rights, limits.
        corpus: its held-out clips become picture and sounds; by default the corpus of the run.
        report: folder of the report with the measured numbers; by default that of the run.
        checkpoint: used instead of the run's default.
        sounds: whether to include sounds.
        trust_packages: installed packages whose generators may be built, in addition to those of `conf/`.

    Raises:
        UserError: no such run or corpus, no licence, or `folder` is not empty.
    """
    if Path(run).suffix in (ONNX, ".pt2"):
        raise UserError(f"{run} is an export; share the run that it comes from")
    path = resolve_run(run, checkpoint)
    model = load_model(run, "cpu", checkpoint, trust_packages)
    model.card = replace(model.card, **texts or {})
    if not model.card.license:
        raise UserError(NO_LICENSE)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UserError(f"{folder} exists; choose a new folder")
    notes = _measure(model, path, report)
    if path.is_dir() and corpus is None:
        extras = _read_extras(path, sounds)
        notes += [] if extras else ["no picture and no sounds: add --corpus DIR, whose clips they show"]
    else:
        extras, of_examples = _make_extras(model, path, corpus, sounds)
        notes += of_examples
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder) as part:
        save_pretrained(model, part, name, extras)
    return model, notes


def _measure(model: TranslationModel, path: Path, report: str | Path | None) -> list[str]:
    """Put the numbers of the report on the card; return a note if there are none."""
    if report is None and model.card.measured:
        return []
    try:
        measured_on, rows = read_measurements(Path(report or report_folder(path)), model.batches)
    except UserError as error:
        if report is not None:
            raise
        return [f"the card has no measured numbers: {error}"]
    measured = [{key: value for key, value in vars(row).items() if value is not None} for row in rows]
    model.card = replace(model.card, measured_on=measured_on, measured=measured)
    return []


def _make_extras(
    model: TranslationModel, path: Path, corpus: str | Path | None, sounds: bool
) -> tuple[dict[str, bytes], list[str]]:
    """Return picture and sounds by name, with notes on what is missing and why."""
    try:
        opened = open_corpus(model, corpus, path)
        examples = translate_examples(model, opened)
    except UserError as error:
        if corpus is not None:
            raise
        return {}, [f"no picture and no sounds: {error}"]
    extras = draw_picture(model, examples)
    if not sounds:
        return extras, []
    try:
        rendered = render_sounds(model, opened, examples)
    except UserError as error:
        return extras, [f"no sounds: {error}"]
    return extras | rendered, [f"{len(rendered)} sounds of clips of {opened.folder} are included"]


def _read_extras(folder: Path, sounds: bool) -> dict[str, bytes]:
    """Read picture and sounds of a pair that are there, checked.

    Raises:
        UserError: one is damaged.
    """
    with naming(folder / PAIR_FILE):
        checksums = parse_metadata((folder / PAIR_FILE).read_bytes()).checksums
    extras = {}
    for name, expected in checksums.items():
        file = folder / name
        is_wanted = EXTRA_FILE.fullmatch(name) and (sounds or "/" not in name)
        if is_wanted and file.exists():  # those of a downloaded pair are not
            with naming(file):
                check_file(file, MAX_EXTRA_BYTES)
                extras[name] = file.read_bytes()
                if checksum(extras[name]) != expected:
                    raise UserError(f"it does not match its checksum in {PAIR_FILE}")
    return extras
