# Waits until both processes are ready, then makes Event Grid's subscriptions, unless a run before did.
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')
$python = if ($env:PYTHON) { $env:PYTHON } else { '.venv/Scripts/python.exe' }
& $python -m bicep.hooks.deployment ready
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
if ($env:SUBSCRIBE -ne 'true') {
    azd env set SUBSCRIBE true
    azd provision --no-prompt
    if ($LASTEXITCODE -ne 0) {
        # Or the next `azd up` would ask for them before it has deployed anything.
        azd env set SUBSCRIBE false
        exit 1
    }
}
