// A gateway for callers: two pods at least, so that calls of a pod that is lost go on at the other.
// az deployment sub create --location westeurope --parameters bicep/production.bicepparam

using 'main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'voice-production')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
param principalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param subscribe = bool(readEnvironmentVariable('SUBSCRIBE', 'false'))
param eventFilters = json(readEnvironmentVariable('EVENT_FILTERS', '[]'))
param alertEmail = readEnvironmentVariable('ALERT_EMAIL', '')
param tier = 'production'
