// The Functions app that answers calls, on Flex Consumption. azd puts the code into it.

import { commonSettings, identity, settings } from '../types.bicep'

@description('Region.')
param location string

@description('Part of every name.')
param token string

@description('Tags of every resource; azd finds the app by one of its own.')
param tags object

@description('Who the app runs as.')
param runsAs identity

@description('Name of the account that the host keeps its own things in.')
param hostStorage string

@description('Endpoint of its blobs, with a slash at its end.')
param hostBlobEndpoint string

@description('Container of it that has the code.')
param codeContainer string

@description('Instances that are always up for calls: a cold one takes seconds of the ringing.')
@minValue(1)
param alwaysReady int

@description('The most instances.')
@minValue(1)
@maxValue(1000)
param most int

@description('Resource id of the subnet that the app goes out by; empty for none.')
param subnetId string

@description('Where telemetry goes.')
param insightsConnection string

@description('Settings that both processes read.')
param common commonSettings

@description('Public URL of the media gateway, wss://.')
param mediaBaseUrl string

@description('Endpoint of the Azure AI account that ACS is linked to.')
param aiEndpoint string

@description('Days that recordings are kept; 0 keeps them.')
param recordingDays int

@description('Hosts that the flows of the IVR may call, as TOOL_HOSTS takes them.')
param toolHosts string

@description('More settings, over these.')
param more settings

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${token}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: 'func-${token}'
  location: location
  tags: union(tags, { 'azd-service-name': 'edge' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${runsAs.id}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      http20Enabled: true
      // The platform answers OPTIONS itself where it has an origin, and Event Grid's handshake never comes to the app.
      cors: { allowedOrigins: [] }
    }
    functionAppConfig: {
      runtime: { name: 'python', version: '3.12' }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${hostBlobEndpoint}${codeContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: runsAs.id
          }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: 2048
        maximumInstanceCount: most
        alwaysReady: [{ name: 'http', instanceCount: alwaysReady }]
        // Calls wait for storage and ACS most of the time. More at once on a core would each ring longer.
        triggers: { http: { perInstanceConcurrency: 16 } }
      }
    }
  }
}

// Basic authentication of Kudu and FTP; azd deploys with Entra.
resource publishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = [for way in ['scm', 'ftp']: {
  parent: site
  name: way
  properties: { allow: false }
}]

var own = {
  CALLBACK_BASE_URL: 'https://${site.properties.defaultHostName}'
  MEDIA_BASE_URL: mediaBaseUrl
  COGNITIVE_SERVICES_ENDPOINT: aiEndpoint
  RECORDING_RETENTION_DAYS: string(recordingDays)
  TOOL_HOSTS: toolHosts
}

var platform = {
  AZURE_CLIENT_ID: runsAs.clientId
  AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential'
  AzureWebJobsStorage__accountName: hostStorage
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: runsAs.clientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnection
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${runsAs.clientId};Authorization=AAD'
}

resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: site
  name: 'appsettings'
  properties: union(platform, common, own, more)
}

@description('Public URL of the app.')
output baseUrl string = 'https://${site.properties.defaultHostName}'

@description('Name of the app.')
output name string = site.name
