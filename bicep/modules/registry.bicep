// Where the media gateway's image is.

import { grant, roleIds } from '../types.bicep'

@description('Region.')
param location string

@description('Part of every name.')
param token string

@description('Tags of every resource.')
param tags object

@description('Size of the registry.')
param sku 'Basic' | 'Standard'

@description('Roles on the registry.')
param grants grant[]

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' = {
  name: 'cr${token}'
  location: location
  tags: tags
  sku: { name: sku }
  properties: {
    adminUserEnabled: false
    anonymousPullEnabled: false
    // Otherwise AcrPull means nothing.
    roleAssignmentMode: 'LegacyRegistryPermissions'
  }
}

resource roles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for given in grants: {
  name: guid(registry.id, given.principalId, roleIds[given.role])
  scope: registry
  properties: {
    principalId: given.principalId
    principalType: given.principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[given.role])
  }
}]

@description('Host of the registry.')
output endpoint string = registry.properties.loginServer
