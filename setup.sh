#!/bin/sh
# Make .venv with everything that the demo and the tests need; `make setup` runs this. Variables:
#   PYTHON  the interpreter; else the newest of Python 3.14 to 3.11 that works
#   TORCH   the build of torch, from pytorch.org's index: cpu, cu126 and so on; else PyPI's, with CUDA
#   V       1 shows what pip and uv print
set -eu
venv=.venv
log=$venv/setup.log
stamp=$venv/installed # holds the build of torch

fail() {
    echo "error: $*" >&2
    exit 1
}

# A name on the path can be a shim with no Python behind it, and Debian has venv in a package of its own.
check() {
    "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

version() {
    "$1" -c 'import platform; print(platform.python_version())'
}

newest() {
    for candidate in python3.14 python3.13 python3.12 python3.11 python3; do
        check $candidate && echo $candidate && return
    done
    true
}

reason() {
    if grep -qiE 'dns error|name resolution|timed out|failed to fetch|connection (broken|refused)' $log; then
        echo "packages cannot be fetched; check the network, then run make setup again"
    elif grep -qi 'no space left' $log; then
        echo "the disk is full; free space, or install the small build of torch: make clean setup TORCH=cpu"
    elif grep -qi 'failed to build' $log; then
        echo "a package has no wheel for this Python and does not build here; install a C compiler" \
            "(Debian: build-essential), or use another Python: make clean setup PYTHON=python3.13"
    else
        grep -m 1 '^error: ' $log | sed 's/^error: //' | grep . || tail -n 1 $log
    fi
}

# Run pip or uv; where it fails, say why in one line.
run() {
    if [ "${V:-}" = 1 ]; then
        "$@"
    else
        "$@" >>$log 2>&1 || fail "$(reason) (details: $log)"
    fi
}

if [ -n "${PYTHON:-}" ]; then
    check "$PYTHON" || fail "PYTHON=$PYTHON is not a working Python 3.11 or newer with venv; name another"
fi
if [ -e $venv ]; then
    check $venv/bin/python || fail "$venv has no working Python 3.11 or newer; run make clean, then make setup"
    if [ -n "${PYTHON:-}" ] && [ "$(version "$PYTHON")" != "$(version $venv/bin/python)" ]; then
        fail "$venv has Python $(version $venv/bin/python); to change it run make clean setup PYTHON=$PYTHON"
    fi
else
    python=${PYTHON:-$(newest)}
    [ -n "$python" ] || fail "found no Python 3.11 or newer with venv; install one (Debian: python3 and" \
        "python3-venv), or name one: make setup PYTHON=/path/to/python3"
    "$python" -m venv $venv
fi
torch=$(cat $stamp 2>/dev/null || echo "${TORCH:-pypi}")
if [ "${TORCH:-$torch}" != "$torch" ]; then
    fail "$venv has the build '$torch' of torch; to change it run make clean setup TORCH=$TORCH"
fi

case $torch in
    pypi) size="7 GB (3.4 GB to download), most of it CUDA; the CPU build needs 2.4 GB (0.6): make setup TORCH=cpu" ;;
    cpu) size="2.4 GB (0.6 GB to download)" ;;
    *) size="about 7 GB" ;;
esac
[ -e $stamp ] || echo "Python $(version $venv/bin/python), torch build '$torch': $venv takes $size"
[ "$torch" = pypi ] || set -- --torch-backend "$torch"
: >$log
run $venv/bin/python -m pip install --quiet --disable-pip-version-check --retries 1 uv
run $venv/bin/uv pip install --python $venv/bin/python --compile-bytecode -c constraints.txt "$@" -e '.[dev]'
# The independent tagger: its weights only. The requirements that it names have no versions for today's Python.
run $venv/bin/uv pip install --python $venv/bin/python --no-deps musicnn==0.1.0
echo "$torch" >$stamp
