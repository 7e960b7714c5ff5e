# Sets what is missing: token keys, accounts with Event Grid's credentials, profiles.
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')
$python = if ($env:PYTHON) { $env:PYTHON } else { '.venv/Scripts/python.exe' }
& $python -m bicep.hooks.deployment seed
exit $LASTEXITCODE
