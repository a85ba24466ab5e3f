"""The training of a vocoder as the command does it."""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSettings
from cyclegan_audio.config import build
from cyclegan_audio.data import demo_corpus
from cyclegan_audio.data.seen import Spans, training_spans
from cyclegan_audio.hints import command_line
from cyclegan_audio.models.checkpoint import FORMAT, read_checkpoint
from cyclegan_audio.training.arguments import parents_run
from cyclegan_audio.training.ranks import require_shared_folder, say_next
from cyclegan_audio.training.resume import place_data, require_work_left, settled_config, to_resume
from cyclegan_audio.training.running import begin, carry_out, choose_arithmetic, remove_empty
from cyclegan_audio.vocoders.neural.gan import VocoderGAN

NETWORKS = ("network", "periods", "fft_sizes")


class Probed(nn.Module):
    """The part of the network that learns, for the probe of threads."""

    def __init__(self, mel: MelSettings, config: DictConfig) -> None:
        super().__init__()
        self.network = build("model.network", config)(mel=mel)

    def training_input(self, mels: Tensor) -> Tensor:
        """(B, 1, M, F) to (B, M, F)."""
        return mels[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        return self.network.head(self.network.backbone(x))


def train_vocoder(cfg: DictConfig, run_dir: Path) -> Path:
    """Train as `cfg` says, leaving everything in `run_dir`; returns it.

    Raises:
        UserError: the configuration, the corpus or the run to resume is not right.
        KeyboardInterrupt: the run was stopped; its checkpoint is written.
    """
    begin(cfg, run_dir, VocoderGAN.command)
    cfg.corpus = str(Path(cfg.corpus or demo_corpus.ensure_demo_corpus()).absolute())
    data = build("data", cfg.data)
    data.setup("fit")
    choose_arithmetic(cfg, lambda: Probed(data.mel, cfg.model.network))
    model = build("model", cfg.model, mel=data.mel)
    model.configure_optimizers()  # here once, so that bad settings are refused before there is a run folder
    checkpoint = None
    if cfg.resume is not None:
        checkpoint = to_resume(cfg.resume)
        content = read_checkpoint(checkpoint)
        require_work_left(content, model.schedule)
        made_for = MelSettings.from_dict(content["cyclegan_audio"]["mel"])
        made_for.require_same(data.mel, f"the checkpoint {checkpoint}", "the corpus")
        place_data(content, data)
    model.card = vocoder_card(cfg, data.mel, training_spans(data.clips("train")))
    carry_out(cfg, model, data, checkpoint, model.card["config"], f"a vocoder from {cfg.corpus}")
    return run_dir


def vocoder_card(cfg: DictConfig, mel: MelSettings, spans: Spans) -> dict[str, Any]:
    """The plain description that makes a vocoder's checkpoint usable alone."""
    return {
        "format": FORMAT,
        "mel": mel.to_dict(),
        "config": OmegaConf.to_container(cfg, resolve=True),
        "composed": OmegaConf.to_yaml(cfg),
        "training_spans": spans,
    }


def train_as_told(cfg: DictConfig) -> None:
    """Train as the command line says.

    Args:
        cfg: `conf/train_vocoder.yaml` with the overrides of the command line.
    """
    hydra = HydraConfig.get()
    run_dir = Path(hydra.runtime.output_dir)
    try:
        cfg = settled_config(cfg, run_dir, hydra.overrides.task, NETWORKS)
        require_shared_folder(cfg, hydra.overrides.task)
        train_vocoder(cfg, run_dir)
        if parents_run() is None and hydra.mode != RunMode.MULTIRUN:
            song = ("song.mp3", "out.wav", "--to", "GENRE")
            say_next(command_line("translate", "RUN", *song, "--vocoder", f"neural={run_dir}"))
    except BaseException:
        remove_empty(run_dir)
        raise
