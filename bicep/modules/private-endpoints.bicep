// A private endpoint of each resource that only the gateway needs to reach.

@description('Region.')
param location string

@description('Part of every name.')
param token string

@description('Tags of every resource.')
param tags object

@description('Resource id of the subnet that they are in.')
param subnetId string

@description('What is reached so: a name, the resource, which part of it, and the zone of its name.')
param targets { name: string, id: string, part: string, zone: string }[]

resource endpoints 'Microsoft.Network/privateEndpoints@2025-05-01' = [for target in targets: {
  name: 'pep-${target.name}-${token}'
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [
      {
        name: target.name
        properties: { privateLinkServiceId: target.id, groupIds: [target.part] }
      }
    ]
  }
}]

resource names 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = [for (target, index) in targets: {
  parent: endpoints[index]
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: target.name
        properties: { privateDnsZoneId: resourceId('Microsoft.Network/privateDnsZones', target.zone) }
      }
    ]
  }
}]
