#!/bin/bash
# Every table of the README on a CUDA device, in ten minutes at most: bash gpu.sh > gpu.md
# Native mel size and the paper's pictures: the reference, each option alone, all together; losses against float64;
# compiled last, as it takes minutes to warm up. Each part has its own limit, so that a slow one costs no other.
set -uo pipefail
cd "$(dirname "$0")"

part() {
    timeout "$1" python "${@:2}" --device cuda || echo "not finished within $1 s: ${*:2}"
}

nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
part 60 agreement.py losses --model small
part 140 measure.py steps --model paper --size 128x176
part 140 measure.py steps --model paper --size 256x256 --channels 3
part 60 measure.py steps --model small --size 128x176
part 180 measure.py steps --model paper --size 128x176 --only reference --only auto --only "auto, compiled"
