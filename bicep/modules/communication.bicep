// Azure Communication Services. Its numbers are bought later, and are no part of a template.

@description('Name: 1 to 63 letters, digits and hyphens.')
@minLength(1)
@maxLength(63)
param name string

@description('Where ACS keeps what it stores; it cannot be changed.')
param dataLocation string

@description('Tags of every resource.')
param tags object

resource acs 'Microsoft.Communication/communicationServices@2025-09-01' = {
  name: name
  location: 'global'
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    dataLocation: dataLocation
    disableLocalAuth: true
  }
}

@description('Name of the resource.')
output name string = acs.name
