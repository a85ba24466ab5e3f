"""Verb `train`: train a model that translates between two genres of a corpus."""

from typing import TYPE_CHECKING

from cyclegan_audio.cli.hydra_cli import hydra_main
from cyclegan_audio.cli.hydra_help import HelpExtras
from cyclegan_audio.training.arguments import genre_hint, run_arguments

if TYPE_CHECKING:
    from omegaconf import DictConfig

HELP = HelpExtras(
    examples=(
        "genre_pair=lofi_rnb",
        "corpus=data/mine genre_pair.a=jazz genre_pair.b=house model=cyclegan_small max_minutes=60",
        "resume=runs/mine",
    ),
    settings=(
        "data.batch_size",
        "data.crop_frames",
        "data.normalise",
        "model.loss_weights.identity",
        "model.ema_decay",
        "model.optimizer.lr",
    ),
)
LITERAL_KEYS = ("corpus", "run_dir", "resume", "init_from", "genre_pair.a", "genre_pair.b")


@hydra_main(
    "train", HELP, preprocess=run_arguments, literal_keys=LITERAL_KEYS, hints={"genre_pair": genre_hint}
)
def main(cfg: "DictConfig") -> float | None:
    """Run the command; `cfg` is `conf/train.yaml` with the overrides of the command line.

    Returns:
        The sum of `optimized_metric`, for sweepers that search; None if a job of a sweep failed.
    """
    from cyclegan_audio.training.recipes import TranslationRecipe
    from cyclegan_audio.training.runner import run_command

    return run_command(TranslationRecipe(), cfg)


if __name__ == "__main__":
    main()
