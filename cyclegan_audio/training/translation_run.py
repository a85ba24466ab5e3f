"""The training of a translation model as the command and the jobs of a sweep do it."""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from cyclegan_audio.config import build
from cyclegan_audio.data import demo_corpus
from cyclegan_audio.data.seen import training_spans
from cyclegan_audio.hints import command_line
from cyclegan_audio.models.card import make_card
from cyclegan_audio.models.translation_module import TranslationModule
from cyclegan_audio.training.arguments import parents_run
from cyclegan_audio.training.jobs import again, is_unfinished_job, job
from cyclegan_audio.training.ranks import require_shared_folder, say_next
from cyclegan_audio.training.resume import settled_config, take_up, to_resume
from cyclegan_audio.training.running import begin, carry_out, choose_arithmetic, remove_empty


def train(cfg: DictConfig, run_dir: Path) -> dict[str, float]:
    """Train as `cfg` says, leaving everything in `run_dir`.

    Returns:
        The last numbers of held-out clips by name.

    Raises:
        UserError: the configuration, the corpus or the run to resume is not right.
        KeyboardInterrupt: the run was stopped; its checkpoint is written.
    """
    begin(cfg, run_dir, TranslationModule.command)
    cfg.corpus = str(Path(cfg.corpus or demo_corpus.ensure_demo_corpus(mel=cfg.get("mel"))).absolute())
    choose_arithmetic(cfg, build("model.generator", cfg.model.generator))
    model: TranslationModule = build("model", cfg.model)
    model.configure_optimizers()  # here once, so that bad settings are refused before there is a run folder
    data = build("data", cfg.data, frame_multiple=model.frame_multiple)
    data.setup("fit")
    spans = training_spans(clip for clips in data.clips("train") for clip in clips)
    checkpoint = None
    if cfg.resume is not None:
        checkpoint = to_resume(cfg.resume)
        spans = take_up(checkpoint, data, spans, model.schedule)
    plain: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    model.card = make_card(data.genres, data.mel, data.window_frames, plain, spans, model.directions)
    model.card["match"] = data.corpus.match.to_dict()
    model.card["composed"] = OmegaConf.to_yaml(cfg)  # resume= may change values that others follow
    return carry_out(cfg, model, data, checkpoint, plain, f"{' and '.join(data.genres)} from {cfg.corpus}")


def train_as_told(cfg: DictConfig) -> float | None:
    """Train as the command line says: alone, as a further process, or as a job of a sweep.

    Args:
        cfg: `conf/train.yaml` with the overrides of the command line.

    Returns:
        The sum of `objective`, for sweepers that search; None where a job of a sweep has failed.
    """
    hydra = HydraConfig.get()
    run_dir = Path(hydra.runtime.output_dir)
    try:
        cfg = settled_config(cfg, run_dir, hydra.overrides.task)
        if parents_run() is not None:
            train(cfg, run_dir)
            return None
        if hydra.mode == RunMode.MULTIRUN:
            return job(train, cfg, run_dir, hydra.overrides.task)
        require_shared_folder(cfg, hydra.overrides.task)
        if is_unfinished_job(run_dir):
            again(train, cfg, run_dir)
        else:
            train(cfg, run_dir)
        say_next(
            command_line("translate", run_dir, "song.mp3", "out.wav", "--to", cfg.genre_pair.b),
            command_line("evaluate", run_dir),
        )
        return None
    except BaseException:
        remove_empty(run_dir)
        raise
