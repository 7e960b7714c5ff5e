#!/bin/sh
# Sets what is missing: token keys, profiles, accounts with Event Grid's credentials, identities.
set -eu
cd "$(dirname "$0")/../.."
exec "${PYTHON:-.venv/bin/python}" -m bicep.hooks.deployment seed
