"""Command line of `train` and `train_vocoder` before Hydra reads it; imports nothing heavy unless needed."""

from collections.abc import Sequence

from cyclegan_audio.inference.run_paths import CHECKPOINTS
from cyclegan_audio.training.distributed import parent_run_dir
from cyclegan_audio.utils.errors import UserError


def run_arguments(arguments: list[str]) -> list[str]:
    """Return the command line; a further rank gets only the run folder, where rank 0 wrote the configuration.

    Raises:
        UserError: see `keep_run_folder`.
    """
    run_dir = parent_run_dir()
    return keep_run_folder(arguments) if run_dir is None else [f"run_dir={run_dir}"]


def keep_run_folder(arguments: list[str]) -> list[str]:
    """Add RUN's folder as `run_dir` for `resume=RUN`.

    Raises:
        UserError: there is no such run, or it is a checkpoint outside a run's folder.
    """
    runs = [argument.removeprefix("resume=") for argument in arguments if argument.startswith("resume=")]
    if not runs or runs[-1] in ("", "null") or any(argument.startswith("run_dir=") for argument in arguments):
        return arguments
    from cyclegan_audio.training.resume import find_resume_checkpoint

    checkpoint = find_resume_checkpoint(runs[-1])
    if checkpoint.parent.name != CHECKPOINTS:
        raise UserError(f"{checkpoint} is not in a run folder; name the run, or add run_dir=")
    return [*arguments, f"run_dir={checkpoint.parent.parent}"]


def genre_hint(overrides: Sequence[str]) -> str:
    """Explain, for a message on `genre_pair`, how to name any two genres, and which the corpus has."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from cyclegan_audio.corpus.corpus import Corpus

    parser = OverridesParser.create()
    corpora = [parser.parse_override(one).value() for one in overrides if one.startswith("corpus=")]
    corpus = corpora[-1] if corpora else None
    hint = "; any two genres of the corpus can be named: genre_pair.a=NAME genre_pair.b=NAME"
    if not isinstance(corpus, str):
        return hint
    try:
        return f"{hint} ({corpus} has {', '.join(Corpus.open(corpus).genres)})"
    except UserError:
        return hint
