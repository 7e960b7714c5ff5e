// Where the media gateway runs. The app itself is media.bicep: it needs an image, which is built later.

@description('Region.')
param location string

@description('Part of every name.')
param token string

@description('Tags of every resource.')
param tags object

@description('Resource id of a subnet for it alone; empty for none. It can be chosen at the first deployment only.')
param subnetId string

@description('Resource id of the workspace that logs go to.')
param workspaceId string

resource environment 'Microsoft.App/managedEnvironments@2026-01-01' = {
  name: 'cae-${token}'
  location: location
  tags: tags
  properties: {
    // By diagnostic settings: the other way takes the workspace's key.
    appLogsConfiguration: { destination: 'azure-monitor' }
    workloadProfiles: [{ name: 'Consumption', workloadProfileType: 'Consumption' }]
    vnetConfiguration: empty(subnetId) ? null : { infrastructureSubnetId: subnetId, internal: false }
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'gateway'
  scope: environment
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'ContainerAppConsoleLogs', enabled: true }
      { category: 'ContainerAppSystemLogs', enabled: true }
    ]
  }
}

@description('Name of the environment.')
output name string = environment.name

@description('Domain of its apps: each is <name>.<domain>, so its address is known before it is there.')
output domain string = environment.properties.defaultDomain
