"""Verb `classify`: measure how well two genres of a corpus can be separated, and by which features."""

from pathlib import Path
from typing import TYPE_CHECKING

from cyclegan_audio.cli.hydra_cli import hydra_main
from cyclegan_audio.cli.hydra_help import HelpExtras
from cyclegan_audio.training.arguments import genre_hint
from cyclegan_audio.utils.hints import command_line, print_next_commands
from cyclegan_audio.utils.printing import echo

if TYPE_CHECKING:
    from omegaconf import DictConfig

HELP = HelpExtras(
    examples=(
        "genre_pair=lofi_trap",
        "corpus=data/mine genre_pair.a=jazz genre_pair.b=house",
        "corpus=data/mine genre_pair.a=jazz genre_pair.b=house out=runs/jazz_or_house n_seeds=10",
    ),
)
LITERAL_KEYS = ("corpus", "out", "genre_pair.a", "genre_pair.b")


@hydra_main("classify", HELP, literal_keys=LITERAL_KEYS, hints={"genre_pair": genre_hint})
def main(cfg: "DictConfig") -> None:
    """Run the command; `cfg` is `conf/classify.yaml` with the overrides of the command line."""
    import dataclasses

    from cyclegan_audio.corpus.corpus import Corpus
    from cyclegan_audio.demo import corpus as demo_corpus
    from cyclegan_audio.reports.separability.classify import HTML_FILE, ClassifySettings, classify

    names = [field.name for field in dataclasses.fields(ClassifySettings)]
    settings = ClassifySettings(**{name: cfg[name] for name in names})
    corpus = Corpus.open(cfg.corpus or demo_corpus.ensure_demo_corpus())
    folder = Path(cfg.out)
    for line in classify(corpus, (cfg.genre_pair.a, cfg.genre_pair.b), folder, settings):
        echo(line)
    echo(f"page: {folder / HTML_FILE}")
    genres = (f"genre_pair.a={cfg.genre_pair.a}", f"genre_pair.b={cfg.genre_pair.b}")
    print_next_commands(command_line("train", f"corpus={corpus.folder}", *genres))


if __name__ == "__main__":
    main()
