#!/bin/bash
# Speeds and tests on one GPU, in four minutes at most: bash experiments/gpu/tables.sh [--tiny]
. "$(dirname "$0")/common.sh" "$@"
END=${TINY:+3600}
END=${END:-225}
steps=experiments/003_speed/measure.py
agreement=experiments/003_speed/agreement.py
translate=experiments/006_sound/speed.py
paper=(--model paper --size 128x176 --rounds 7 --steps 10)
colour=(--model paper --size 256x256 --channels 3 --rounds 5 --steps 10)
small=(--model small --size 128x176 --rounds 7)
songs=(--seconds 120 --rounds 2 --mel hifi)
long=(--seconds 600 --rounds 2 --mel hifi --sizes paper --vocoders hybrid)
course=(--model small --steps 60)
tests=gpu
if [ "$TINY" ]; then
    paper=(--model tiny --size 32x32 --rounds 2)
    colour=(--model tiny --size 32x32 --channels 3 --rounds 2)
    small=("${paper[@]}")
    songs=(--seconds 8 --rounds 1 --mel hifi --sizes tiny)
    long=(--seconds 10 --rounds 1 --mel hifi --sizes tiny --vocoders hybrid)
    course=(--model tiny --steps 5)
    tests="not gpu and not slow"
fi
measure=("$PYTHON" "$steps" steps --device "$DEVICE" --csv "$OUT/steps.csv")
speed=("$PYTHON" "$translate" --device "$DEVICE" --no-baseline --threads 1 --warm-up 1)
rm -f "$OUT"/*.csv "$OUT/log.txt"

main() {
    [ "$TINY" ] || nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
    install gpu_bundle/wheels gpu_bundle/tables
    part "Versions" 30 "$PYTHON" -c "import torch; print('torch', torch.__version__)"
    part "Training step, paper's size" 50 "${measure[@]}" "${paper[@]}" --steps-of cuda --max-seconds 15
    part "CUDA graphs, paper's size" 40 "${measure[@]}" "${paper[@]}" --steps-of graphs --max-seconds 12
    part "Translation of ten minutes, paper's generator" 30 "${speed[@]}" "${long[@]}" --csv "$OUT/translation.csv"
    part "Losses with and without CUDA graphs" 25 "$PYTHON" "$agreement" course --device "$DEVICE" "${course[@]}" \
        --only "fp32, else auto" --only "fp32, graphs, else auto"
    # shellcheck disable=SC2046  # names of test files have no spaces
    part "Tests marked gpu" 40 "$PYTHON" -m pytest -q -p no:cacheprovider -m "$tests" \
        $(grep -rl --include='test_*.py' 'pytest.mark.gpu' tests)
    part "Translation of two minutes" 45 "${speed[@]}" "${songs[@]}" --csv "$OUT/translation.csv"
    part "Losses of step 1 against float64" 25 "$PYTHON" "$agreement" losses --device "$DEVICE" "${course[@]:0:2}"
    part "Training step, colour images" 40 "${measure[@]}" "${colour[@]}" --steps-of cuda --max-seconds 8
    part "Training step, small model" 30 "${measure[@]}" "${small[@]}" --steps-of cuda --max-seconds 5
    part "Where a translation spends its time" 30 "$PYTHON" -m cProfile -o "$WORK/profile" "$translate" \
        --device "$DEVICE" --no-baseline --threads 1 "${long[@]}"
    "$PYTHON" -c "import pstats, sys; stats = pstats.Stats(sys.argv[1])
stats.sort_stats('tottime').print_stats(30).sort_stats('cumtime').print_stats('cyclegan_audio', 40)" \
        "$WORK/profile" >"$OUT/profile.txt" 2>>"$OUT/log.txt"
    part "Training step, compiled" 90 "${measure[@]}" "${paper[@]}" --max-seconds 10 \
        --only reference --only auto --only "auto, compiled"
    finish
}

main 2>&1 | tee "$OUT/tables.md"
