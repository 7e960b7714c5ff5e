// Everything but the media gateway's app, which is media.bicep: that one needs an image, and is deployed with it.
// Run a second time nothing changes. Event Grid's subscriptions come with `subscribe`, once the Functions app answers.

targetScope = 'subscription'

import { eventFilter, of, ofPart, ofPerson, settings, tierName } from 'types.bicep'

@description('Name of the deployment: of its resource group, and part of all names.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region of everything that has one.')
param location string

@description('Sizes, of sizes.json.')
param tier tierName = 'sandbox'

@description('Object id of who deploys, who then sets keys, accounts and profiles; empty gives nobody these rights.')
param principalId string = ''

@description('What that is.')
param principalType 'User' | 'ServicePrincipal' | 'Group' = 'User'

@description('Where a new ACS resource keeps what it stores; it cannot be changed.')
param dataLocation string = 'Europe'

@description('Region of a new Azure AI account, of ai-link-regions.json; empty for the same as all else.')
param aiLocation string = ''

@description('Take aiLocation though it is not in the list.')
param allowAnyAiRegion bool = false

@description('Resource id of an ACS resource that is there, with a system-assigned identity; empty makes one.')
param existingAcsId string = ''

@description('Name of the system topic. Of an existing ACS resource that has one, its name.')
param eventTopicName string = ''

@description('Resource id of an Azure AI account that is there, with a custom subdomain; empty makes one.')
param existingAiId string = ''

@description('Resource id of a Key Vault that is there, which authorises by roles; empty makes one.')
param existingKeyVaultId string = ''

@description('Resource id of a Log Analytics workspace that is there; empty makes one.')
param existingWorkspaceId string = ''

@description('Resource id of the Azure AI account whose realtime models profiles use by identity; empty for none.')
param agentAiId string = ''

@description('Let pods have transcripts analysed by the Azure AI account that ACS is linked to.')
param analyseTranscripts bool = false

@description('Secrets that profiles name, which pods may read.')
param agentSecrets string[] = []

@description('Secrets that flows of the IVR name, which the Functions app may read.')
param flowSecrets string[] = []

@description('Make the subscriptions. Event Grid asks the Functions app at once, so it has to be up.')
param subscribe bool = false

@description('The subscriptions, as `numbers filters --json` makes them of the routes in force.')
param eventFilters eventFilter[] = []

@description('Put storage, secrets and signals behind private endpoints. It has to be chosen at the first deployment.')
param privateNetworking bool = false

@description('Addresses of the network, a /24 or larger.')
param networkAddresses string = '10.63.0.0/24'

@description('Addresses that storage and vault let in though they are private, as the deployer\'s; CIDR.')
param allowedIps string[] = []

@description('Who is told of alerts; empty for nobody.')
param alertEmail string = ''

@description('Hosts that the flows of the IVR may call, as TOOL_HOSTS takes them.')
param toolHosts string = ''

@description('More settings of the Functions app.')
param edgeSettings settings = {}

var size = loadJsonContent('sizes.json')[tier]
var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
var groupName = 'rg-${environmentName}'
var own = '${subscription().id}/resourceGroups/${groupName}/providers'

// Ours where none is given. Of an id, [2] is the subscription, [4] the group and [8] the name.
var acs = split(empty(existingAcsId) ? '${own}/Microsoft.Communication/communicationServices/acs-${token}' : existingAcsId, '/')
var ai = split(empty(existingAiId) ? '${own}/Microsoft.CognitiveServices/accounts/ai-${token}' : existingAiId, '/')
var vault = split(empty(existingKeyVaultId) ? '${own}/Microsoft.KeyVault/vaults/kv-${token}' : existingKeyVaultId, '/')
var agentAi = split(empty(agentAiId) ? '${own}/Microsoft.CognitiveServices/accounts/none' : agentAiId, '/')
var deployer = { principalId: principalId, principalType: principalType }
var topicName = empty(eventTopicName) ? 'evgst-${token}' : eventTopicName
var zones = ['privatelink.vaultcore.azure.net', 'privatelink.blob.${environment().suffixes.storage}', 'privatelink.table.${environment().suffixes.storage}', 'privatelink.webpubsub.azure.com']

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: groupName
  location: location
  tags: tags
}

module identities 'modules/identities.bicep' = {
  name: 'identities'
  scope: group
  params: { location: location, token: token, tags: tags }
}

var edge = identities.outputs.edgePrincipalId
var media = identities.outputs.mediaPrincipalId

module observability 'modules/observability.bicep' = {
  name: 'observability'
  scope: group
  params: {
    location: location
    token: token
    tags: tags
    existingWorkspaceId: existingWorkspaceId
    logDays: size.logDays
    grants: [of(edge, 'Monitoring Metrics Publisher')]
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  name: 'network'
  scope: group
  params: { location: location, token: token, tags: tags, addresses: networkAddresses, zones: zones }
}

module newAcs 'modules/communication.bicep' = if (empty(existingAcsId)) {
  name: 'communication'
  scope: group
  params: { name: acs[8], dataLocation: dataLocation, tags: tags }
}

module communication 'modules/communication-access.bicep' = {
  name: 'communication-access-${token}'
  scope: resourceGroup(acs[2], acs[4])
  dependsOn: [newAcs]
  params: {
    name: acs[8]
    topicName: topicName
    workspaceId: observability.outputs.workspaceId
    tags: tags
    grants: concat(
      [
        of(edge, 'Communication and Email Service Owner')
        of(media, 'Communication and Email Service Owner')
      ],
      ofPerson(deployer, 'Communication and Email Service Owner', null)
    )
  }
}

module newAi 'modules/ai.bicep' = if (empty(existingAiId)) {
  name: 'ai'
  scope: group
  params: { name: ai[8], location: empty(aiLocation) ? location : aiLocation, allowAnyRegion: allowAnyAiRegion, tags: tags }
}

module speech 'modules/ai-access.bicep' = {
  name: 'ai-access-${token}'
  scope: resourceGroup(ai[2], ai[4])
  dependsOn: [newAi]
  params: {
    name: ai[8]
    grants: concat(
      [of(communication.outputs.principalId, 'Cognitive Services User')],
      analyseTranscripts ? [of(media, 'Cognitive Services User')] : []
    )
  }
}

module agents 'modules/ai-access.bicep' = if (!empty(agentAiId)) {
  name: 'agents-access-${token}'
  scope: resourceGroup(agentAi[2], agentAi[4])
  params: {
    name: agentAi[8]
    grants: [of(media, 'Cognitive Services User')]
  }
}

module newVault 'modules/key-vault.bicep' = if (empty(existingKeyVaultId)) {
  name: 'key-vault'
  scope: group
  params: { name: vault[8], location: location, tags: tags, isPrivate: privateNetworking, allowedIps: allowedIps }
}

module secrets 'modules/key-vault-access.bicep' = {
  name: 'key-vault-access-${token}'
  scope: resourceGroup(vault[2], vault[4])
  dependsOn: [newVault]
  params: {
    name: vault[8]
    workspaceId: observability.outputs.workspaceId
    grants: concat(
      [
        ofPart(edge, 'Key Vault Secrets User', 'media-token-key')
        ofPart(edge, 'Key Vault Secrets User', 'callback-token-key')
        ofPart(media, 'Key Vault Secrets User', 'media-token-key')
      ],
      ofPerson(deployer, 'Key Vault Secrets Officer', null)
    )
    agentGrants: [for secret in agentSecrets: ofPart(media, 'Key Vault Secrets User', secret)]
    flowGrants: [for secret in flowSecrets: ofPart(edge, 'Key Vault Secrets User', secret)]
  }
}

// The gateway's own data. The host's account is another one: its owner's role is for all of an account.
module data 'modules/storage.bicep' = {
  name: 'data'
  scope: group
  params: {
    name: 'stdata${token}'
    location: location
    tags: tags
    sku: size.storage
    isPrivate: privateNetworking
    allowedIps: allowedIps
    containers: ['config', 'recordings', 'deadletters']
    tables: ['accounts', 'incoming', 'calls', 'callevents', 'ivrcalls', 'pods', 'answers', 'slots']
    deletions: [
      { name: 'deadletters', prefix: 'deadletters/', days: 7 }
      { name: 'unfinished', prefix: 'recordings/unfinished/', days: 30 }
    ]
    accountGrants: concat(
      [of(edge, 'Storage Table Data Contributor')],
      ofPerson(deployer, 'Storage Table Data Contributor', null)
    )
    tableGrants: [
      ofPart(media, 'Storage Table Data Contributor', 'calls')
      ofPart(media, 'Storage Table Data Contributor', 'callevents')
      ofPart(media, 'Storage Table Data Contributor', 'pods')
      ofPart(media, 'Storage Table Data Contributor', 'slots')
    ]
    containerGrants: concat(
      [
        ofPart(edge, 'Storage Blob Data Contributor', 'config')
        ofPart(edge, 'Storage Blob Data Contributor', 'recordings')
        ofPart(edge, 'Storage Blob Data Reader', 'deadletters')
        ofPart(media, 'Storage Blob Data Reader', 'config')
        ofPart(media, 'Storage Blob Data Contributor', 'recordings')
        ofPart(communication.outputs.topicPrincipalId, 'Storage Blob Data Contributor', 'deadletters')
      ],
      ofPerson(deployer, 'Storage Blob Data Contributor', 'config')
    )
  }
}

module host 'modules/storage.bicep' = {
  name: 'host'
  scope: group
  params: {
    name: 'sthost${token}'
    location: location
    tags: tags
    sku: size.storage
    isPrivate: privateNetworking
    allowedIps: []
    containers: ['code']
    accountGrants: [
      of(edge, 'Storage Blob Data Owner')
      of(edge, 'Storage Table Data Contributor')
    ]
  }
}

module signals 'modules/web-pubsub.bicep' = {
  name: 'signals'
  scope: group
  params: {
    location: location
    token: token
    tags: tags
    sku: privateNetworking ? 'Standard_S1' : size.webPubSub
    isPrivate: privateNetworking
    workspaceId: observability.outputs.workspaceId
    grants: [
      of(edge, 'Web PubSub Service Owner')
      of(media, 'Web PubSub Service Owner')
    ]
  }
}

module endpoints 'modules/private-endpoints.bicep' = if (privateNetworking) {
  name: 'endpoints'
  scope: group
  params: {
    location: location
    token: token
    tags: tags
    subnetId: network!.outputs.endpointSubnetId
    targets: [
      { name: 'vault', id: secrets.outputs.id, part: 'vault', zone: zones[0] }
      { name: 'data-blob', id: data.outputs.id, part: 'blob', zone: zones[1] }
      { name: 'data-table', id: data.outputs.id, part: 'table', zone: zones[2] }
      { name: 'host-blob', id: host.outputs.id, part: 'blob', zone: zones[1] }
      { name: 'host-table', id: host.outputs.id, part: 'table', zone: zones[2] }
      { name: 'signals', id: signals.outputs.id, part: 'webpubsub', zone: zones[3] }
    ]
  }
}

module registry 'modules/registry.bicep' = {
  name: 'registry'
  scope: group
  params: { location: location, token: token, tags: tags, sku: size.registry, grants: [of(media, 'AcrPull')] }
}

module apps 'modules/apps-environment.bicep' = {
  name: 'apps'
  scope: group
  params: {
    location: location
    token: token
    tags: tags
    subnetId: privateNetworking ? network!.outputs.mediaSubnetId : ''
    workspaceId: observability.outputs.workspaceId
  }
}

var mediaName = 'ca-media-${token}'
var mediaUrl = 'wss://${mediaName}.${apps.outputs.domain}'
var common = {
  ACS_ENDPOINT: communication.outputs.endpoint
  ACS_RESOURCE_ID: communication.outputs.immutableResourceId
  KEY_VAULT_URL: secrets.outputs.url
  STORAGE_TABLE_ENDPOINT: data.outputs.tableEndpoint
  STORAGE_BLOB_ENDPOINT: data.outputs.blobEndpoint
  WEB_PUBSUB_ENDPOINT: signals.outputs.endpoint
}

module functions 'modules/functions.bicep' = {
  name: 'functions'
  scope: group
  params: {
    location: location
    token: token
    tags: tags
    runsAs: identities.outputs.edge
    hostStorage: host.outputs.name
    hostBlobEndpoint: host.outputs.blobEndpoint
    codeContainer: 'code'
    alwaysReady: size.functions.alwaysReady
    most: size.functions.most
    subnetId: privateNetworking ? network!.outputs.edgeSubnetId : ''
    insightsConnection: observability.outputs.insightsConnection
    common: common
    mediaBaseUrl: mediaUrl
    aiEndpoint: speech.outputs.endpoint
    recordingDays: size.recordingDays
    toolHosts: toolHosts
    more: edgeSettings
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    location: location
    token: token
    tags: tags
    email: alertEmail
    workspaceId: observability.outputs.workspaceId
    topicId: communication.outputs.topicId
  }
}

resource keys 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vault[8]
  scope: resourceGroup(vault[2], vault[4])
}

var webhooks = {
  agents: '${functions.outputs.baseUrl}/mg-genagent-acs/v1/acs-events'
  ivr: '${functions.outputs.baseUrl}/mg-genagent-acs/v1/ivr-events'
}

module calls 'modules/event-subscription.bicep' = [for wanted in eventFilters: if (subscribe) {
  name: wanted.name
  scope: resourceGroup(acs[2], acs[4])
  params: {
    topicName: topicName
    wanted: wanted
    endpointUrl: webhooks[wanted.webhook]
    apiId: keys.getSecret('${wanted.account}-api-id')
    apiSecret: keys.getSecret('${wanted.account}-api-secret')
    deadLetterStorageId: data.outputs.id
    deadLetterContainer: 'deadletters'
  }
}]

// azd keeps outputs in its environment: media.parameters.json, the hooks and the operator's commands read them there.
output AZURE_RESOURCE_GROUP string = groupName
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = registry.outputs.endpoint
output EDGE_NAME string = functions.outputs.name
output APPS_ENVIRONMENT string = apps.outputs.name
output MEDIA_NAME string = mediaName
output MEDIA_IDENTITY_ID string = identities.outputs.media.id
output MEDIA_CLIENT_ID string = identities.outputs.media.clientId
output ACS_ENDPOINT string = common.ACS_ENDPOINT
output ACS_RESOURCE_ID string = common.ACS_RESOURCE_ID
output KEY_VAULT_URL string = common.KEY_VAULT_URL
output STORAGE_TABLE_ENDPOINT string = common.STORAGE_TABLE_ENDPOINT
output STORAGE_BLOB_ENDPOINT string = common.STORAGE_BLOB_ENDPOINT
output WEB_PUBSUB_ENDPOINT string = common.WEB_PUBSUB_ENDPOINT
output CALLBACK_BASE_URL string = functions.outputs.baseUrl
output MEDIA_BASE_URL string = mediaUrl
output COGNITIVE_SERVICES_ENDPOINT string = speech.outputs.endpoint
output LANGUAGE_ENDPOINT string = analyseTranscripts ? speech.outputs.endpoint : ''
