"""Put a run into the package as a pair that ships, with its card.

    python experiments/000_demo_pair/ship.py RUN NAME --corpus DIR [--report DIR]

The generators are stored in 16 bits. The card has what cards.yaml says of NAME, the numbers of experiments or
of a report, and a picture of clips of the corpus. RUN may be NAME itself, to make its card again.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import yaml

from cyclegan_audio.inference.checkpoints import PRETRAINED
from cyclegan_audio.sharing.folder import write_pair

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("run")
parser.add_argument("name")
parser.add_argument("--corpus", required=True, help="corpus with clips that the run was not trained on")
parser.add_argument("--report", help="folder that evaluate wrote")
options = parser.parse_args()

texts = yaml.safe_load(Path(__file__).with_name("cards.yaml").read_text(encoding="utf-8"))[options.name]
target = PRETRAINED / options.name
with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary) / "pair"
    _, notes = write_pair(
        options.run,
        folder,
        options.name,
        texts=texts,
        corpus=options.corpus,
        report=options.report,
        sounds=False,
    )
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
print(*notes, *(f"{path} {path.stat().st_size} bytes" for path in sorted(target.iterdir())), sep="\n")
