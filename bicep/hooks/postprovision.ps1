# Sets what is missing: token keys, profiles, accounts with Event Grid's credentials, identities.
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')
$python = if ($env:PYTHON) { $env:PYTHON } else { '.venv/Scripts/python.exe' }
& $python -m bicep.hooks.deployment seed
exit $LASTEXITCODE
