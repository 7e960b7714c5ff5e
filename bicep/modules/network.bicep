// A network of the gateway's own: one subnet for each process, one for private endpoints, and the names of these.

@description('Region.')
param location string

@description('Part of every name.')
param token string

@description('Tags of every resource.')
param tags object

@description('Addresses of the network; a /24 or larger.')
param addresses string

@description('Zones of private endpoints.')
param zones string[]

// Flex Consumption and Container Apps want the same delegation, and no subnet in common.
var apps = {
  name: 'apps'
  properties: { serviceName: 'Microsoft.App/environments' }
}

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: 'vnet-${token}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addresses] }
    subnets: [
      {
        name: 'media'
        properties: { addressPrefix: cidrSubnet(addresses, 26, 0), delegations: [apps] }
      }
      {
        name: 'edge'
        properties: { addressPrefix: cidrSubnet(addresses, 26, 1), delegations: [apps] }
      }
      {
        name: 'endpoints'
        properties: { addressPrefix: cidrSubnet(addresses, 26, 2) }
      }
    ]
  }
}

resource names 'Microsoft.Network/privateDnsZones@2024-06-01' = [for zone in zones: {
  name: zone
  location: 'global'
  tags: tags
}]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for (zone, index) in zones: {
  parent: names[index]
  name: 'gateway'
  location: 'global'
  properties: {
    registrationEnabled: false
    virtualNetwork: { id: network.id }
  }
}]

@description('Resource id of the subnet of the media gateway.')
output mediaSubnetId string = network.properties.subnets[0].id

@description('Resource id of the subnet of the Functions app.')
output edgeSubnetId string = network.properties.subnets[1].id

@description('Resource id of the subnet of private endpoints.')
output endpointSubnetId string = network.properties.subnets[2].id
