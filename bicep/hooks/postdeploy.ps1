# Waits until both processes are ready, then has the calls of all routes delivered.
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')
$python = if ($env:PYTHON) { $env:PYTHON } else { '.venv/Scripts/python.exe' }
& $python -m bicep.hooks.deployment subscribe
exit $LASTEXITCODE
