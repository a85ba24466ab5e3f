"""Train a model of two genres of a corpus: `cyclegan-audio train genre_pair=lofi_rnb`."""

from typing import TYPE_CHECKING

from cyclegan_audio.cli.hydra_cli import hydra_main
from cyclegan_audio.cli.hydra_help import Help
from cyclegan_audio.training.arguments import genre_hint, run_arguments

if TYPE_CHECKING:
    from omegaconf import DictConfig

HELP = Help(
    examples=(
        "genre_pair=lofi_rnb",
        "corpus=data/mine genre_pair.a=jazz genre_pair.b=house model=cyclegan_small max_minutes=60",
        "resume=runs/mine",
    ),
    options=(
        "data.batch_size",
        "data.crop_frames",
        "data.normalise",
        "model.loss_weights.identity",
        "model.ema_decay",
        "model.optimizer.lr",
    ),
)
VERBATIM = ("corpus", "run_dir", "resume", "genre_pair.a", "genre_pair.b")


@hydra_main("train", HELP, before=run_arguments, verbatim=VERBATIM, hints={"genre_pair": genre_hint})
def main(cfg: "DictConfig") -> float | None:
    """Run the command: `cfg` is `conf/train.yaml` with the command line's overrides.

    Returns:
        The sum of `optimized_metric`, for sweepers that search; None where a job of a sweep has failed.
    """
    from cyclegan_audio.training.recipes import TranslationRecipe
    from cyclegan_audio.training.runner import run_command

    return run_command(TranslationRecipe(), cfg)


if __name__ == "__main__":
    main()
