#!/bin/sh
# Waits until both processes are ready, then has the calls of all routes delivered.
set -eu
cd "$(dirname "$0")/../.."
exec "${PYTHON:-.venv/bin/python}" -m bicep.hooks.deployment subscribe
