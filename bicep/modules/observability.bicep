// Where logs go: a workspace, new or given, and the Functions app's Application Insights, entered by identity.

import { grant, roleIds } from '../types.bicep'

@description('Region.')
param location string

@description('Part of every name.')
param token string

@description('Tags of every resource.')
param tags object

@description('Resource id of a workspace that is there; empty makes one.')
param existingWorkspaceId string

@description('Days that logs are kept in a workspace of our own.')
@minValue(30)
@maxValue(730)
param logDays int

@description('Roles on Application Insights.')
param grants grant[]

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = if (empty(existingWorkspaceId)) {
  name: 'log-${token}'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: logDays
    features: { disableLocalAuth: true }
  }
}

var workspaceId = empty(existingWorkspaceId) ? workspace.id : existingWorkspaceId

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${token}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspaceId
    DisableLocalAuth: true
  }
}

resource roles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for given in grants: {
  name: guid(insights.id, given.principalId, roleIds[given.role])
  scope: insights
  properties: {
    principalId: given.principalId
    principalType: given.principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[given.role])
  }
}]

@description('Resource id of the workspace.')
output workspaceId string = workspaceId

@description('Where telemetry goes. No credential: the component takes nothing but Entra tokens.')
output insightsConnection string = insights.properties.ConnectionString
