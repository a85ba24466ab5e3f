"""Head start: a training begins with the networks of another model, of the same genres or of others."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.corpus.leakage import Intervals
from cyclegan_audio.inference import start_pair
from cyclegan_audio.inference.checkpoints import ONNX, load_model, read_discriminators
from cyclegan_audio.inference.start_pair import START_PAIR
from cyclegan_audio.inference.weights import check_weights
from cyclegan_audio.models.translation_module import TranslationModule
from cyclegan_audio.training.distributed import rank_zero_print
from cyclegan_audio.utils.errors import UserError

SWAPPED = {"a": "b", "b": "a"}
AUTO = "auto"  # as init_from: the pair that ships as a start, where it fits


def choose_start(cfg: DictConfig, mel: MelSpectrogram) -> str | None:
    """Choose what `init_from=auto` begins with: the pair that ships as a start, or None, and say why.

    Args:
        cfg: configuration of `train`.
        mel: mel-spectrogram of the training.
    """
    pair = start_pair.read_start_pair()
    if cfg.get("pretrain_minutes"):
        reason = "pretrain_minutes= is another head start"
    elif pair.config["model"]["generator"] != OmegaConf.to_container(cfg.model.generator, resolve=True):
        reason = f"its generators are others than those of {START_PAIR}"
    elif (before := MelSpectrogram.from_dict(pair.mel)).hash != mel.hash:
        reason = f"its mel is not {before.name}, that of {START_PAIR}"
    else:
        return START_PAIR
    rank_zero_print(f"this training begins from scratch: {reason}")
    return None


def load_networks(
    model: TranslationModule,
    run: str,
    genres: Sequence[str],
    mel: MelSpectrogram,
    trust_packages: Collection[str] = (),
) -> Intervals:
    """Copy the networks of RUN into a new model: generators, and discriminators where RUN has them.

    Genre A of RUN becomes genre A of the training, unless a genre that both have shows that they are the
    other way round.

    Args:
        model: the new model.
        run: RUN as on the command line; `START_PAIR` is the one in the package.
        genres: names of A and B of the training.
        mel: mel-spectrogram of the training.
        trust_packages: installed packages whose generators may be built, in addition to those of `conf/`.

    Returns:
        The times of the clips that RUN was trained on, with which `evaluate` must not test the new model.

    Raises:
        UserError: no such RUN, or it has another mel, other networks, or none that can be trained.
    """
    _check_trainable(model, run)
    path = start_pair.FOLDER if run == START_PAIR else run
    source = load_model(path, trust_packages=trust_packages)
    mel.check_compatible(source.mel, "the corpus", f"init_from={run}")
    before, now = ([genre.casefold() for genre in names] for names in (source.genres, genres))
    straight, crossed = (sum(map(str.__eq__, before, order)) for order in (now, now[::-1]))
    domains = SWAPPED if crossed > straight else {domain: domain for domain in SWAPPED}
    discriminators = read_discriminators(path)
    taken = []
    for direction in model.directions:
        from_direction = "".join(domains[domain] for domain in direction)
        if from_direction not in source.generators:
            continue
        for generator in {model.generator(direction), model.generator(direction, use_ema=True)}:
            _copy(source.generators[from_direction].state_dict(), generator, run, "generator")
        taken.append(f"the generator to {genres['ab'.index(direction[1])]}")
    if not taken:
        raise UserError(f"init_from={run} has no generator in a direction of this training; leave it out")
    for domain, discriminator in model.discriminators().items():
        if weights := discriminators.get(domains[domain]):
            _copy(weights, discriminator, run, "discriminator")
            taken.append(f"the discriminator of {genres['ab'.index(domain)]}")
    rank_zero_print(f"from {run} ({' and '.join(source.genres)}): {', '.join(taken)}")
    return source.training_intervals


def _check_trainable(model: TranslationModule, run: str) -> None:
    """Check that a model and RUN can be trained.

    Raises:
        UserError: the model is an equaliser, or RUN an exported file.
    """
    if not list(model.parameters()):
        raise UserError("an equaliser is not trained; leave out init_from=, or choose another model=")
    if Path(run).suffix == ONNX:
        raise UserError(f"init_from={run} is an exported model, which cannot be trained; give the run itself")


def _copy(weights: Mapping[str, Tensor], network: nn.Module, run: str, part: str) -> None:
    """Copy weights into a network.

    Raises:
        UserError: they do not fit.
    """
    try:
        check_weights(weights, network)
    except UserError as error:
        raise UserError(
            f"init_from={run} has another {part} than this training ({error}); choose model=, generator= and "
            "discriminator= of that run, or leave it out"
        ) from error
    network.load_state_dict(weights)
