"""Put a run's generators into the package in 16 bits: python experiments/000_demo_pair/ship.py RUN NAME"""

import sys

from cyclegan_audio.inference.checkpoints import SHIPPED, load_pair, ship_pair

run, name = sys.argv[1:]
ship_pair(load_pair(run), SHIPPED / name)
print(*(f"{path} {path.stat().st_size} bytes" for path in sorted((SHIPPED / name).iterdir())), sep="\n")
