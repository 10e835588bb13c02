#!/bin/sh
# Makes .venv and installs Hishab into it, at the versions of constraints.txt. `make setup` runs it when those change.
set -eu

WHAT=${WHAT:-.[embedded,test]}
NEWEST_FIRST='python3 python3.14 python3.13 python3.12 python3.11 python'

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

fail() {
    echo "$1" >&2
    exit 1
}

find_python() {
    for candidate in ${PYTHON:-$NEWEST_FIRST}; do
        if is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

with_uv() {
    [ -x .venv/bin/python ] || uv venv --quiet --python "${python:->=3.11}" .venv
    # uv leaves compiling to the first import, which would make the first start slow.
    uv pip install --quiet --compile-bytecode --python .venv/bin/python --constraint constraints.txt --editable "$WHAT"
}

with_pip() {
    if [ ! -x .venv/bin/python ]; then
        [ -n "$python" ] || fail 'Hishab needs Python 3.11 or newer. Name one: make setup PYTHON=/path/to/python3'
        # Debian and its kin keep ensurepip in a package of its own. A pip outside the environment does as well.
        "$python" -m venv .venv >/dev/null 2>&1 || "$python" -m venv --clear --without-pip .venv
    fi
    if .venv/bin/python -m pip --version >/dev/null 2>&1; then
        pip='.venv/bin/python -m pip'
    elif "$python" -m pip --version >/dev/null 2>&1; then
        pip="$python -m pip --python .venv/bin/python"
    else
        fail 'Hishab needs pip or uv to install itself. On Debian or Ubuntu: apt install python3-venv'
    fi
    $pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable "$WHAT"
}

# One that was made with a Python that has gone, or is too old, is of no use.
is_new_enough .venv/bin/python || rm -rf .venv
python=$(find_python)

echo 'Setting up .venv, which takes a minute or two the first time.' >&2
if command -v uv >/dev/null; then with_uv; else with_pip; fi
