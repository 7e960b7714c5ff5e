// The vault of the token keys, of Event Grid's credentials, and of what agents need.

@description('Name: 3 to 24 letters, digits and hyphens.')
@minLength(3)
@maxLength(24)
param name string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Let in nobody but private endpoints, the addresses below, and the deployment itself.')
param isPrivate bool

@description('Addresses that are let in all the same, as the deployer; CIDR.')
param allowedIps string[]

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enablePurgeProtection: true
    softDeleteRetentionInDays: 90
    // The second stage reads Event Grid's credentials here, so that they are in no parameter and no history.
    enabledForTemplateDeployment: true
    networkAcls: {
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      bypass: 'AzureServices'
      ipRules: [for ip in allowedIps: { value: ip }]
    }
  }
}

@description('Name of the vault.')
output name string = vault.name
