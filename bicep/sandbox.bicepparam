// A gateway to try things in: one pod, so a deployment or a lost replica ends the calls that are on it.
// az deployment sub create --location westeurope --parameters bicep/sandbox.bicepparam

using 'main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'voice-sandbox')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
param principalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param subscribe = bool(readEnvironmentVariable('SUBSCRIBE', 'false'))
param eventFilters = json(readEnvironmentVariable('EVENT_FILTERS', '[]'))
param tier = 'sandbox'
