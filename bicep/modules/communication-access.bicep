// What the gateway needs of an ACS resource, ours or one that was there: roles, logs, and its system topic.

import { grant, roleIds } from '../types.bicep'

@description('Name of the ACS resource, in this resource group. It has a system-assigned identity.')
param name string

@description('Name of the system topic. A resource has one at most: of an ACS resource that has one, its name.')
param topicName string

@description('Resource id of the workspace that logs go to.')
param workspaceId string

@description('Tags of the topic.')
param tags object

@description('Roles on the ACS resource.')
param grants grant[]

resource acs 'Microsoft.Communication/communicationServices@2025-09-01' existing = {
  name: name
}

resource roles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for given in grants: {
  name: guid(acs.id, given.principalId, roleIds[given.role])
  scope: acs
  properties: {
    principalId: given.principalId
    principalType: given.principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[given.role])
  }
}]

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: topicName
  location: 'global'
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    source: acs.id
    topicType: 'Microsoft.Communication.CommunicationServices'
  }
}

resource acsLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'gateway'
  scope: acs
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
  }
}

resource topicLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'gateway'
  scope: topic
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'DeliveryFailures', enabled: true }]
  }
}

@description('Endpoint of the ACS resource.')
output endpoint string = 'https://${acs.properties.hostName}'

@description('Audience of the tokens that ACS sends: not the id that ARM knows.')
output immutableResourceId string = acs.properties.immutableResourceId

@description('Object id of the ACS resource, for its link to Azure AI.')
output principalId string = acs.identity.principalId

@description('Resource id of the system topic.')
output topicId string = topic.id

@description('Object id of the system topic, for its dead letters.')
output topicPrincipalId string = topic.identity.principalId
