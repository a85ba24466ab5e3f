"""Put a run's generators into the package in 16 bits: python experiments/000_demo_pair/ship.py RUN NAME"""

import sys

from cyclegan_audio.inference.checkpoints import PRETRAINED, load_model, save_pretrained

run, name = sys.argv[1:]
save_pretrained(load_model(run), PRETRAINED / name)
print(*(f"{path} {path.stat().st_size} bytes" for path in sorted((PRETRAINED / name).iterdir())), sep="\n")
