// A storage account without keys, with its containers, its tables, and who may do what in each of them.

import { grant, roleIds } from '../types.bicep'

@description('Name: 3 to 24 lowercase letters and digits.')
@minLength(3)
@maxLength(24)
param name string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('How the data are kept.')
param sku 'Standard_LRS' | 'Standard_ZRS'

@description('Containers of blobs.')
param containers string[]

@description('Tables.')
param tables string[] = []

@description('What is deleted by age: what the names begin with, the container first, and days since the last change.')
param deletions { name: string, prefix: string, days: int }[] = []

@description('Roles on the account.')
param accountGrants grant[] = []

@description('Roles on one container each, which `on` names.')
param containerGrants grant[] = []

@description('Roles on one table each, which `on` names.')
param tableGrants grant[] = []

@description('Let in nobody but private endpoints, the addresses below, and Azure services that prove who they are.')
param isPrivate bool

@description('Addresses that are let in all the same, as the deployer; CIDR.')
param allowedIps string[]

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    networkAcls: {
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      // Event Grid writes dead letters by this door, with its identity.
      bypass: 'AzureServices'
      ipRules: [for ip in allowedIps: { value: ip, action: 'Allow' }]
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource blobContainers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [for container in containers: {
  parent: blobs
  name: container
}]

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource rows 'Microsoft.Storage/storageAccounts/tableServices/tables@2025-06-01' = [for table in tables: {
  parent: tableService
  name: table
}]

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = if (!empty(deletions)) {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [for deletion in deletions: {
        name: deletion.name
        type: 'Lifecycle'
        enabled: true
        definition: {
          filters: { blobTypes: ['blockBlob', 'appendBlob'], prefixMatch: [deletion.prefix] }
          actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: deletion.days } } }
        }
      }]
    }
  }
}

resource accountRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for given in accountGrants: {
  name: guid(account.id, given.principalId, roleIds[given.role])
  scope: account
  properties: {
    principalId: given.principalId
    principalType: given.principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[given.role])
  }
}]

resource containerRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for given in containerGrants: {
  name: guid(account.id, 'container', given.on!, given.principalId, roleIds[given.role])
  scope: blobContainers[indexOf(containers, given.on!)]
  properties: {
    principalId: given.principalId
    principalType: given.principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[given.role])
  }
}]

resource tableRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for given in tableGrants: {
  name: guid(account.id, 'table', given.on!, given.principalId, roleIds[given.role])
  scope: rows[indexOf(tables, given.on!)]
  properties: {
    principalId: given.principalId
    principalType: given.principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[given.role])
  }
}]

@description('Resource id of the account.')
output id string = account.id

@description('Name of the account.')
output name string = account.name

@description('Endpoint of the blobs, with a slash at its end.')
output blobEndpoint string = account.properties.primaryEndpoints.blob

@description('Endpoint of the tables, with a slash at its end.')
output tableEndpoint string = account.properties.primaryEndpoints.table
