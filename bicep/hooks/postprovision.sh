#!/bin/sh
# Sets what is missing: token keys, accounts with Event Grid's credentials, profiles.
set -eu
cd "$(dirname "$0")/../.."
exec "${PYTHON:-.venv/bin/python}" -m bicep.hooks.deployment seed
