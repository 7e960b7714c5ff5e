// Roles on a vault or on one secret of it, and its audit log. The vault is ours or one that was there.

import { grant, roleIds } from '../types.bicep'

@description('Name of the vault, in this resource group. It authorises by roles.')
param name string

@description('Resource id of the workspace that logs go to.')
param workspaceId string

@description('Roles; `on` names a secret, which need not be there yet.')
param grants grant[]

@description('Roles on secrets that agents need.')
param agentGrants grant[]

@description('Roles on secrets that flows of the IVR need.')
param flowGrants grant[]

var onVault = filter(grants, given => empty(given.?on))
var onSecrets = concat(filter(grants, given => !empty(given.?on)), agentGrants, flowGrants)

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: name
}

resource secrets 'Microsoft.KeyVault/vaults/secrets@2025-05-01' existing = [for given in onSecrets: {
  parent: vault
  name: given.on!
}]

resource vaultRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for given in onVault: {
  name: guid(vault.id, given.principalId, roleIds[given.role])
  scope: vault
  properties: {
    principalId: given.principalId
    principalType: given.principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[given.role])
  }
}]

resource secretRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (given, index) in onSecrets: {
  name: guid(vault.id, given.on!, given.principalId, roleIds[given.role])
  scope: secrets[index]
  properties: {
    principalId: given.principalId
    principalType: given.principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[given.role])
  }
}]

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'gateway'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'audit', enabled: true }]
  }
}

@description('URL of the vault.')
output url string = vault.properties.vaultUri

@description('Resource id of the vault.')
output id string = vault.id
