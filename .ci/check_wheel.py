"""Build the wheel, install it without constraints, and prepare, train and translate with it.

It works in a temporary folder outside the checkout, which is deleted afterwards.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
UV = Path(sys.executable).with_name("uv")
REQUIRED_FILES = (  # in addition to the code
    "py.typed",
    "conf/train.yaml",
    "conf/mel/hifi.yaml",
    *(
        f"inference/pretrained/{model}/{file}"
        for model in ("demo", "demo_trap", "lofi_trap", "lofi_rnb")
        for file in ("pair.json", "README.md", "picture.jpg", "gen_ab.safetensors", "gen_ba.safetensors")
    ),
    "reports/evaluation/more_music.csv",
    "reports/evaluation/more_music_head_start.csv",
    "reports/html/base.html.j2",
    "reports/html/glossary.md",
    "reports/html/page.css",
    "reports/html/page.html.j2",
    "reports/html/page.js",
    "reports/html/player.css",
    "reports/html/player.html.j2",
    "reports/html/player.js",
    "reports/html/player_page.html.j2",
    "reports/html/scorecard.css",
    "reports/html/scorecard.html.j2",
    "listening/test.html.j2",
    "listening/test.js",
)
PREPARE = ("source=demo", "source.songs_per_genre=4", "source.paired_scores=1", "source.seconds=8",
           "clip.seconds=2", "corpus=corpus")  # fmt: skip
TRAIN = ("corpus=corpus", "genre_pair=lofi_rnb", "model=cyclegan_small", "model.discriminator.n_filters=4",
         "data.crop_frames=32", "n_epochs=1", "n_epochs_decay=0", "run_dir=run")  # fmt: skip
SONG = "data/demo/songs/paired/lofi"


def main() -> None:
    """Check the wheel.

    Raises:
        SystemExit: a file is missing in the wheel, or a command failed.
    """
    with tempfile.TemporaryDirectory(prefix="wheel_") as name:
        folder = Path(name)
        run([UV, "build", "--quiet", "--wheel", "--out-dir", folder, CHECKOUT])
        wheel = next(folder.glob("*.whl"))
        check_contents(wheel)
        python = folder / "env" / "bin" / "python"
        run([UV, "venv", "--quiet", "--python", sys.executable, folder / "env"])
        run([UV, "pip", "install", "--quiet", "--python", python, wheel])
        empty = folder / "empty"
        empty.mkdir()
        use(python, empty)
    print(f"{wheel.name}: installed without constraints; prepare, train and translate work")


def check_contents(wheel: Path) -> None:
    """Check that the wheel contains the files that are not code."""
    names = set(zipfile.ZipFile(wheel).namelist())
    missing = [name for name in REQUIRED_FILES if f"cyclegan_audio/{name}" not in names]
    if missing:
        sys.exit(f"error: {wheel.name} lacks {', '.join(missing)}; see [tool.hatch.build] in pyproject.toml")


def use(python: Path, folder: Path) -> None:
    """Prepare, train and translate in `folder`."""
    script = python.with_name("cyclegan-audio")
    for verb, arguments, out in (
        ("prepare", PREPARE, "corpus/corpus.json"),
        ("train", TRAIN, "run/checkpoints/last.ckpt"),
        ("translate", ("demo", SONG, "by_demo", "--to", "rnb"), "by_demo/*.wav"),
        ("translate", ("lofi_trap", SONG, "by_lofi_trap", "--to", "trap"), "by_lofi_trap/*.wav"),
        ("translate", ("run", SONG, "by_run", "--to", "rnb"), "by_run/*.wav"),
    ):
        run([script, verb, *arguments], folder)
        if not list(folder.glob(out)):
            sys.exit(f"error: {verb} wrote no {out}")


def run(command: list[object], folder: Path = CHECKOUT) -> None:
    """Run a command; exit with its output if it fails."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    completed = subprocess.run(
        [str(part) for part in command], cwd=folder, env=variables, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if completed.returncode:
        sys.exit(
            f"{completed.stdout}\nerror: {' '.join(map(str, command))} exited with {completed.returncode}"
        )


if __name__ == "__main__":
    main()
