#!/bin/sh
# Waits until both processes are ready, then makes Event Grid's subscriptions, unless a run before did.
set -eu
cd "$(dirname "$0")/../.."
"${PYTHON:-.venv/bin/python}" -m bicep.hooks.deployment ready
if [ "${SUBSCRIBE:-false}" != true ]; then
  azd env set SUBSCRIBE true
  if ! azd provision --no-prompt; then
    # Or the next `azd up` would ask for them before it has deployed anything.
    azd env set SUBSCRIBE false
    exit 1
  fi
fi
