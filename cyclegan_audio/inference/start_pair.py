"""The pair that ships as a start of trainings, and what models that began with it learnt themselves."""

from pathlib import Path

from cyclegan_audio.corpus.leakage import Intervals
from cyclegan_audio.inference.hub import is_hub_run
from cyclegan_audio.inference.metadata import ModelMetadata, parse_metadata
from cyclegan_audio.inference.translation_model import PAIR_FILE, TranslationModel

PRETRAINED = Path(__file__).resolve().parent / "pretrained"
# As init_from it is never a path. Runs name it, so other weights need another name.
START_PAIR = "demo_trap"
FOLDER = PRETRAINED / START_PAIR
OTHER_MODEL = "another model"


def read_start_pair() -> ModelMetadata:
    """Read what describes the pair."""
    return parse_metadata((FOLDER / PAIR_FILE).read_bytes())


def own_intervals(model: TranslationModel) -> Intervals:
    """Return the times of the training clips, without those of the pair if the model began with it."""
    before = read_start_pair().training_intervals if model.config.get("init_from") == START_PAIR else {}
    return {name: times for name, times in model.training_intervals.items() if name not in before}


def name_start(model: TranslationModel) -> str | None:
    """Return what a model began with, for everyone: a path becomes `OTHER_MODEL`; None: from scratch."""
    run = model.config.get("init_from")
    shipped = {file.parent.name for file in PRETRAINED.glob(f"*/{PAIR_FILE}")}
    is_public = run is None or (isinstance(run, str) and (is_hub_run(run) or run in shipped))
    return run if is_public else OTHER_MODEL
