// Roles on an Azure AI account, ours or one that was there. ACS's link to it is nothing but such a role.

import { grant, roleIds } from '../types.bicep'

@description('Name of the account, in this resource group. It has a custom subdomain.')
param name string

@description('Roles on the account.')
param grants grant[]

resource account 'Microsoft.CognitiveServices/accounts@2025-12-01' existing = {
  name: name
}

resource roles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for given in grants: {
  name: guid(account.id, given.principalId, roleIds[given.role])
  scope: account
  properties: {
    principalId: given.principalId
    principalType: given.principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[given.role])
  }
}]

@description('Endpoint that calls are answered with, on the custom subdomain.')
output endpoint string = 'https://${account.properties.customSubDomainName}.cognitiveservices.azure.com'
