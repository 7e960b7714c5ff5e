#!/usr/bin/env bash
# Sets up what everything else needs: .venv with the Python packages, Azurite from npm. Run by `make setup`.
# Idempotent; a step is skipped while what it was made from is unchanged. Nothing but PyPI and npm is asked.
set -euo pipefail
cd "$(dirname "$0")/.."

uv_version=0.13.8
stamps=.setup
export UV_PYTHON_DOWNLOADS=never

fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

runs_here() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

find_python() {
  local candidate
  if [ -n "${PYTHON:-}" ]; then
    runs_here "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.11, 3.12 or 3.13 that runs here"
    echo "$PYTHON"
    return
  fi
  for candidate in python3 python3.13 python3.12 python3.11; do
    if runs_here "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  fail "Python 3.11, 3.12 or 3.13 is missing: install one of them (as python3), or name it: make setup PYTHON=..."
}

# up_to_date <stamp> <what it was made from>: compares with the last successful run.
up_to_date() { [ "$(cat "$stamps/$1" 2>/dev/null)" = "$2" ]; }

done_with() { printf '%s' "$2" > "$stamps/$1"; }

python=$(find_python)
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
  fail "Python's venv module is missing: install it (on Debian and Ubuntu the package python3-venv)"
command -v node >/dev/null || fail "Node.js is missing: install version 20 or later"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] ||
  fail "Node.js $(node --version) is too old: install version 20 or later"
command -v npm >/dev/null || fail "npm is missing: install it (it comes with Node.js)"
mkdir -p "$stamps"

made_from="uv $uv_version, $("$python" --version), $(cksum < requirements-dev.txt)"
if ! up_to_date python "$made_from" || ! runs_here .venv/bin/python; then
  echo "setup: Python packages ..."
  runs_here .venv/bin/python || "$python" -m venv --clear .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
  .venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python --requirement requirements-dev.txt
  done_with python "$made_from"
fi

made_from="$(node --version), $(cat emulator/azurite/package.json emulator/azurite/package-lock.json | cksum)"
if ! up_to_date azurite "$made_from" || [ ! -d emulator/azurite/node_modules/azurite ]; then
  echo "setup: Azurite ..."
  npm ci --prefix emulator/azurite --ignore-scripts --no-audit --no-fund --loglevel=error
  done_with azurite "$made_from"
fi
