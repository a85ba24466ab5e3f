"""Verb `train_vocoder`: train a vocoder on the audio of a corpus."""

from typing import TYPE_CHECKING

from cyclegan_audio.cli.hydra_cli import hydra_main
from cyclegan_audio.cli.hydra_help import HelpExtras
from cyclegan_audio.training.arguments import run_arguments

if TYPE_CHECKING:
    from omegaconf import DictConfig

HELP = HelpExtras(
    examples=(
        "corpus=data/mine",
        "corpus=data/mine vocoder_model=vocos_small max_minutes=60",
        "resume=runs/my_vocoder",
    ),
    settings=("data.batch_size", "data.segment_frames"),
)
LITERAL_KEYS = ("corpus", "run_dir", "resume")


@hydra_main("train_vocoder", HELP, preprocess=run_arguments, literal_keys=LITERAL_KEYS)
def main(cfg: "DictConfig") -> None:
    """Run the command; `cfg` is `conf/train_vocoder.yaml` with the overrides of the command line."""
    from cyclegan_audio.training.runner import run_command
    from cyclegan_audio.training.vocoder_run import VocoderRecipe

    run_command(VocoderRecipe(), cfg)


if __name__ == "__main__":
    main()
