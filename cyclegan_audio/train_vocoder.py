"""Train a vocoder on a corpus's audio: `cyclegan-audio train_vocoder corpus=data/mine`."""

from typing import TYPE_CHECKING

from cyclegan_audio.cli.hydra_cli import hydra_main
from cyclegan_audio.cli.hydra_help import Help
from cyclegan_audio.training.arguments import run_arguments

if TYPE_CHECKING:
    from omegaconf import DictConfig

HELP = Help(
    examples=(
        "corpus=data/mine",
        "corpus=data/mine vocoder_model=vocos_small max_minutes=60",
        "resume=runs/my_vocoder",
    ),
    options=("data.batch_size", "data.segment_frames"),
)
VERBATIM = ("corpus", "run_dir", "resume")


@hydra_main("train_vocoder", HELP, before=run_arguments, verbatim=VERBATIM)
def main(cfg: "DictConfig") -> None:
    """Run the command: `cfg` is `conf/train_vocoder.yaml` with the command line's overrides."""
    from cyclegan_audio.training.recipes import VocoderRecipe
    from cyclegan_audio.training.runner import run_command

    run_command(VocoderRecipe(), cfg)


if __name__ == "__main__":
    main()
