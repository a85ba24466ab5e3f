"""The command line of training before it is read; nothing heavy is imported unless it is needed."""

from collections.abc import Sequence

from cyclegan_audio.inference.run_paths import CHECKPOINTS
from cyclegan_audio.training.local_rank import parents_run
from cyclegan_audio.utils.errors import UserError


def run_arguments(arguments: list[str]) -> list[str]:
    """The command line: of a further rank only the folder, where the first rank left the configuration.

    Raises:
        UserError: see `keep_run_folder`.
    """
    run_dir = parents_run()
    return keep_run_folder(arguments) if run_dir is None else [f"run_dir={run_dir}"]


def keep_run_folder(arguments: list[str]) -> list[str]:
    """Have `resume=RUN` go on in RUN's own folder.

    Raises:
        UserError: there is no such run, or it is a checkpoint outside of a run's folder.
    """
    runs = [argument.removeprefix("resume=") for argument in arguments if argument.startswith("resume=")]
    if not runs or runs[-1] in ("", "null") or any(argument.startswith("run_dir=") for argument in arguments):
        return arguments
    from cyclegan_audio.training.resume import to_resume

    checkpoint = to_resume(runs[-1])
    if checkpoint.parent.name != CHECKPOINTS:
        raise UserError(f"{checkpoint} does not lie in a run folder; name the run, or add run_dir=")
    return [*arguments, f"run_dir={checkpoint.parent.parent}"]


def genre_hint(overrides: Sequence[str]) -> str:
    """Tell how any two genres of the corpus are named, and which it has, for a message on `genre_pair`."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from cyclegan_audio.corpus.corpus import Corpus

    parser = OverridesParser.create()
    corpora = [parser.parse_override(one).value() for one in overrides if one.startswith("corpus=")]
    corpus = corpora[-1] if corpora else None
    how = "; any two genres of the corpus can be named: genre_pair.a=NAME genre_pair.b=NAME"
    if not isinstance(corpus, str):
        return how
    try:
        return f"{how} ({corpus} has {', '.join(Corpus.open(corpus).genres)})"
    except UserError:
        return how
