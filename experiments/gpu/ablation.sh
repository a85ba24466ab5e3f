#!/bin/bash
# The paper's size with and without identity loss, three minutes each, in eight minutes at most:
# bash experiments/gpu/ablation.sh [--tiny]
#   MELS     lo-fi and trap from pack.py        MINUTES  of training for each weight
#   WEIGHTS  the identity weight of the run whose generators come back; both runs' do not fit into 64 MiB
. "$(dirname "$0")/common.sh" "$@"
END=${TINY:+3600}
END=${END:-465}
MELS=${MELS:-gpu_bundle/ablation/lofi_trap.npz}
MINUTES=${MINUTES:-${TINY:+0.1}}
MINUTES=${MINUTES:-3}
limit=$(awk "BEGIN { print int(60 * $MINUTES + 45) }")
model=(model=cyclegan)
clips=40
if [ "$TINY" ]; then
    model=(model=cyclegan_resnet_small model.generator.n_filters=4 model.generator.n_blocks=1 model.discriminator.n_filters=4)
    clips=4
fi
corpus=$WORK/corpus
runs=$WORK/runs
rm -f "$OUT"/*.tar* "$OUT/log.txt"

train() {
    part "Training with identity weight $1" "$limit" "$PYTHON" -m cyclegan_audio.train experiment=paper_150 \
        genre_pair=lofi_trap corpus="$corpus" "${model[@]}" model.loss_weights.identity="$1" \
        max_minutes="$MINUTES" logger=none '~callbacks.previews' run_dir="$runs/identity_$1"
}

evaluate() {
    part "Evaluation with identity weight $1" 60 "$PYTHON" -m cyclegan_audio.evaluate "$runs/identity_$1" \
        --clips "$clips" --checkpoint "$runs/identity_$1/checkpoints/last.ckpt" --device "$DEVICE"
}

collect() {
    part "Batches, and weights of one run" 60 "$PYTHON" experiments/gpu/collect.py "$runs" "$OUT" \
        --corpus "$corpus" --weights "identity_${WEIGHTS:-5}" --device "$DEVICE"
}

main() {
    [ "$TINY" ] || nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
    install gpu_bundle/wheels
    part "Corpus" 60 "$PYTHON" -m cyclegan_audio.prepare source=paper_npz source.file="$MELS" mel=paper \
        corpus="$corpus"
    [ ! -d gpu_bundle/ablation/classifiers ] || cp -r gpu_bundle/ablation/classifiers "$corpus"
    train 5
    train 0
    evaluate 5 >"$WORK/1.md" &
    evaluate 0 >"$WORK/2.md" &
    collect
    wait
    cat "$WORK/1.md" "$WORK/2.md"
    part "Comparison" 30 "$PYTHON" -m cyclegan_audio.compare "$runs/identity_5" "$runs/identity_0" \
        --out "$runs/compared"
    (cd "$runs" && tar cf "$OUT/reports.tar" identity_*/report/report.json compared 2>>"$OUT/log.txt")
    finish
}

main 2>&1 | tee "$OUT/ablation.md"
