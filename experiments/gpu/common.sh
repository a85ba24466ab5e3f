# Read by tables.sh and ablation.sh: options, carried wheels, and parts with a time limit.
#   PYTHON  the interpreter with torch    OUT  the folder of the results    --tiny or TINY=1  a trial on a CPU
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PYTHON=${PYTHON:-python3}
OUT=${OUT:-gpu_results}
[ "${1:-}" != --tiny ] || TINY=1
TINY=${TINY:-}
DEVICE=cuda
[ ! "$TINY" ] || DEVICE=cpu
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
export PYTHONUNBUFFERED=1 CYCLEGAN_AUDIO_NO_HINTS=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-8}
export TORCHINDUCTOR_CACHE_DIR=$WORK/inductor

# install FOLDER...: install the wheels of these folders beside the interpreter's own packages.
install() {
    local wheels=() folder wheel
    for folder; do
        for wheel in "$folder"/*.whl; do
            [ ! -e "$wheel" ] || wheels+=("$wheel")
        done
    done
    [ ${#wheels[@]} = 0 ] || "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir \
        --disable-pip-version-check --target "$WORK/site" "${wheels[@]}"
    export PYTHONPATH=$WORK/site:$PWD${PYTHONPATH:+:$PYTHONPATH}
}

# part TITLE LIMIT COMMAND...: run a command for at most LIMIT seconds, and no longer than to second $END of the
# script. What fails is noted and costs no other part.
part() {
    local title=$1 limit=$2 start=$SECONDS code=0
    shift 2
    ((limit *= TINY ? 10 : 1))
    ((limit <= END - SECONDS)) || limit=$((END - SECONDS))
    printf '\n## %s\n\n' "$title"
    if ((limit < 5)); then
        echo "not run: no time was left"
        code=124
    else
        timeout --kill-after=10 "$limit" "$@" 2>>"$OUT/log.txt" || code=$?
        case $code in
            0) ;;
            124 | 137) echo "not finished within $limit s" ;;
            *) echo "failed with exit code $code, see log.txt" ;;
        esac
    fi
    [ $code = 0 ] || echo "$title" >>"$WORK/failed"
    printf '\n(%d s)\n' $((SECONDS - start))
}

# finish: say what failed; the script's exit code is that of this function.
finish() {
    printf '\n%d s in all; results: %s\n' "$SECONDS" "$OUT"
    [ ! -e "$WORK/failed" ] || { sed 's/^/not whole: /' "$WORK/failed" && return 1; }
}
