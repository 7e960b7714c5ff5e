// Signals from the Functions app to pods. Nothing depends on one, so this is no front door that has to be up.

import { grant, roleIds } from '../types.bicep'

@description('Region.')
param location string

@description('Part of every name.')
param token string

@description('Tags of every resource.')
param tags object

@description('Free_F1 has 20 connections, one for each pod, and no private endpoint.')
param sku 'Free_F1' | 'Standard_S1'

@description('Let in nobody but private endpoints.')
param isPrivate bool

@description('Resource id of the workspace that logs go to.')
param workspaceId string

@description('Roles on the service.')
param grants grant[]

resource service 'Microsoft.SignalRService/webPubSub@2024-03-01' = {
  name: 'wps-${token}'
  location: location
  tags: tags
  kind: 'WebPubSub'
  sku: { name: sku, capacity: 1 }
  properties: {
    disableLocalAuth: true
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
  }
}

resource roles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for given in grants: {
  name: guid(service.id, given.principalId, roleIds[given.role])
  scope: service
  properties: {
    principalId: given.principalId
    principalType: given.principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[given.role])
  }
}]

// Not its request logs, which have the addresses of pods with their tokens.
resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'gateway'
  scope: service
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'ConnectivityLogs', enabled: true }]
  }
}

@description('Endpoint of the service.')
output endpoint string = 'https://${service.properties.hostName}'

@description('Resource id of the service.')
output id string = service.id
