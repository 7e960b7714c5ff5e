// The Azure AI account by which ACS speaks text: of the multi-service kind, with a domain of its own for Entra tokens.

@description('Name, and custom subdomain, which cannot be changed. One that was deleted blocks it for 48 hours.')
@minLength(2)
@maxLength(64)
param name string

@description('Region, of those in ai-link-regions.json.')
param location string

@description('Go where the list does not say that the link works: the list is policy, and may be older than the service.')
param allowAnyRegion bool

@description('Tags of every resource.')
param tags object

var regions = loadJsonContent('../ai-link-regions.json')
var isListed = allowAnyRegion || contains(regions, location)

// ACS has no private way to it, so it stays public; keys are off.
resource account 'Microsoft.CognitiveServices/accounts@2025-12-01' = {
  name: name
  location: isListed ? location : fail('AI_LOCATION is not in bicep/ai-link-regions.json; ALLOW_ANY_AI_REGION=true goes there all the same')
  tags: tags
  kind: 'CognitiveServices'
  sku: { name: 'S0' }
  properties: {
    customSubDomainName: name
    disableLocalAuth: true
    publicNetworkAccess: 'Enabled'
  }
}

@description('Name of the account.')
output name string = account.name
