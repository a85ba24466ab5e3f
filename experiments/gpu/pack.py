"""Fill `gpu_bundle/` with what `tables.sh` and `ablation.sh` need on a machine without network.

    python experiments/gpu/pack.py published_mels.npz

Wheels for Python 3.12 on Linux that a machine with torch, Lightning and the scientific packages lacks; lo-fi
and trap of the paper's published spectrograms; their genre classifiers, so that no minute of the GPU is spent
on them.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from cyclegan_audio.config import compose
from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.corpus.preparation.writer import build_settings, prepare_corpus
from cyclegan_audio.corpus.sources.paper_npz import PaperNpzSource
from cyclegan_audio.metrics.genre_classifier.classifier import genre_classifier_for, linear_classifier_for

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "gpu_bundle"
GENRES = ("lofi", "trap")
WHEELS = {  # folder: packages; hydra-core's antlr4 has no wheel, and is built
    "wheels": ("hydra-core", "omegaconf", "antlr4-python3-runtime", "rich", "soundfile", "cffi", "pycparser"),
    "tables": ("av",),
}
BUILT = ("antlr4-python3-runtime",)
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
CARRIED = {"tables.sh": ("wheels", "tables"), "ablation.sh": ("wheels", "ablation")}
MAX_BYTES = 64 << 20  # of the repository's files and what is carried, for each script


def fetch_wheels() -> None:
    """Download the wheels in the versions of `constraints.txt`."""
    common = ["-q", "--no-deps", "--disable-pip-version-check", "-c", str(ROOT / "constraints.txt")]
    target = ["--only-binary=:all:", "--python-version=3.12", "--implementation=cp"]
    target += [f"--platform={platform}" for platform in PLATFORMS]
    for folder, packages in WHEELS.items():
        place = str(BUNDLE / folder)
        binary = [package for package in packages if package not in BUILT]
        built = [package for package in packages if package in BUILT]
        run_pip("download", *common, *target, "-d", place, *binary)
        if built:
            run_pip("wheel", *common, "-w", place, *built)


def run_pip(*arguments: str) -> None:
    """Run pip; its error ends the program."""
    if subprocess.run([sys.executable, "-m", "pip", *arguments], cwd=ROOT).returncode:
        sys.exit("error: the wheels cannot be fetched; check the network, then run this again")


def cut_genres(mels: Path, target: Path) -> None:
    """Write the two genres of the published spectrograms to `target`."""
    target.parent.mkdir(parents=True)
    with np.load(mels) as arrays:
        kept = {name: arrays[name] for genre in GENRES for name in (genre, f"{genre}_start_s")}
    np.savez_compressed(target, **kept)


def train_classifiers(mels: Path, target: Path) -> None:
    """Train the classifiers of the corpus that `ablation.sh` will prepare, and keep them in `target`."""
    with tempfile.TemporaryDirectory() as folder:
        prepare_corpus(PaperNpzSource(mels), Path(folder), build_settings(compose("prepare", ["mel=paper"])))
        corpus = Corpus.open(Path(folder))
        genre_classifier_for(corpus, GENRES)
        linear_classifier_for(corpus, GENRES)
        shutil.copytree(Path(folder) / "classifiers", target)


def check_sizes() -> None:
    """Print what each script carries, and stop if it is too large."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    repository = sum((ROOT / name).stat().st_size for name in names if (ROOT / name).is_file())
    for script, folders in CARRIED.items():
        files = [path for folder in folders for path in (BUNDLE / folder).rglob("*") if path.is_file()]
        total = repository + sum(path.stat().st_size for path in files)
        print(
            f"{script}: {total / 2**20:.1f} of {MAX_BYTES >> 20} MiB, {repository / 2**20:.1f} the repository"
        )
        if total > MAX_BYTES:
            sys.exit(f"error: {script} carries more than {MAX_BYTES >> 20} MiB; leave something out")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mels", type=Path, help="the published spectrograms, with lofi and trap")
    mels = parser.parse_args().mels
    shutil.rmtree(BUNDLE, ignore_errors=True)
    fetch_wheels()
    cut_genres(mels, BUNDLE / "ablation" / "lofi_trap.npz")
    train_classifiers(BUNDLE / "ablation" / "lofi_trap.npz", BUNDLE / "ablation" / "classifiers")
    check_sizes()


if __name__ == "__main__":
    main()
