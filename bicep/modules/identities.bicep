// Who the two processes are: user-assigned, so that roles are there before either starts.

import { identity } from '../types.bicep'

@description('Region.')
param location string

@description('Part of every name.')
param token string

@description('Tags of every resource.')
param tags object

resource edge 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-edge-${token}'
  location: location
  tags: tags
}

resource media 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-media-${token}'
  location: location
  tags: tags
}

@description('Identity of the Functions app.')
output edge identity = { id: edge.id, clientId: edge.properties.clientId }

@description('Object id of the Functions app, for its roles.')
output edgePrincipalId string = edge.properties.principalId

@description('Identity of the media gateway.')
output media identity = { id: media.id, clientId: media.properties.clientId }

@description('Object id of the media gateway, for its roles.')
output mediaPrincipalId string = media.properties.principalId
