// Types that the templates share, and the ids of the roles that they give.

@export()
@description('Sizes: a sandbox to try things in, or a production gateway. What they differ in stands in sizes.json.')
type tierName = 'sandbox' | 'production'

@export()
@description('Settings that both processes read, by the names that they read.')
type commonSettings = {
  ACS_ENDPOINT: string
  ACS_RESOURCE_ID: string
  KEY_VAULT_URL: string
  STORAGE_TABLE_ENDPOINT: string
  STORAGE_BLOB_ENDPOINT: string
  WEB_PUBSUB_ENDPOINT: string
}

@export()
@description('More settings of docs/operating.md, by name, over those that the templates set.')
type settings = {
  @description('The value, as text.')
  *: string
}

@export()
@description('A user-assigned identity that a process runs as.')
type identity = {
  @description('Resource id.')
  id: string
  @description('Client id, by which the process picks it.')
  clientId: string
}

@export()
@description('A subscription to calls that ring, as `numbers filters` makes it of the routes.')
type eventFilter = {
  @description('Name of the subscription.')
  name: string
  @description('Id of the account whose credentials it shows.')
  account: string
  @description('Who takes the calls.')
  webhook: 'agents' | 'ivr'
  @description('How it compares who is called.')
  operator: 'StringIn' | 'StringNotIn'
  @description('Raw ids (4:+1..., 8:acs:...), 25 at most; none with StringNotIn lets everybody through.')
  called: string[]
}

@export()
@description('Names of the roles that are given; each has its id in roleIds.')
type roleName = 'AcrPull' | 'Cognitive Services User' | 'Communication and Email Service Owner' | 'Key Vault Secrets Officer' | 'Key Vault Secrets User' | 'Monitoring Metrics Publisher' | 'Storage Blob Data Contributor' | 'Storage Blob Data Owner' | 'Storage Blob Data Reader' | 'Storage Table Data Contributor' | 'Web PubSub Service Owner'

@export()
@description('Ids of built-in roles, the same in every tenant.')
var roleIds = {
  AcrPull: '7f951dda-4ed3-4680-a7ca-43fe172d538d'
  'Cognitive Services User': 'a97b65f3-24c7-4388-baec-2e87135dc908'
  'Communication and Email Service Owner': '09976791-48a7-449e-bb21-39d1a415f350'
  'Key Vault Secrets Officer': 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
  'Key Vault Secrets User': '4633458b-17de-408a-b874-0445c86b69e6'
  'Monitoring Metrics Publisher': '3913510d-42f4-4e42-8a64-420c390055eb'
  'Storage Blob Data Contributor': 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  'Storage Blob Data Owner': 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  'Storage Blob Data Reader': '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
  'Storage Table Data Contributor': '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  'Web PubSub Service Owner': '12cf5a90-567b-43ae-8102-96cf46c7d9b4'
}

@export()
@description('A role that somebody is given on the one resource that a module makes, or on a part of it.')
type grant = {
  @description('Object id of who is given it.')
  principalId: string
  @description('What that is. An identity made a moment ago is found only if it is said to be a service principal.')
  principalType: 'ServicePrincipal' | 'User' | 'Group'
  role: roleName
  @description('The part of the resource that it is for, where there are parts: a container, a table, a secret. All of it without.')
  on: string?
}

@export()
@description('A role of one of our identities on all of a resource.')
func of(principalId string, role roleName) grant => {
  principalId: principalId
  principalType: 'ServicePrincipal'
  role: role
}

@export()
@description('A role of one of our identities on a part of a resource.')
func ofPart(principalId string, role roleName, on string) grant => {
  principalId: principalId
  principalType: 'ServicePrincipal'
  role: role
  on: on
}

@export()
@description('Whoever deploys; the principal id is empty where nobody is to have rights.')
type person = {
  principalId: string
  principalType: 'ServicePrincipal' | 'User' | 'Group'
}

@export()
@description('A role of whoever deploys, on a resource or on a part of it.')
func ofPerson(who person, role roleName, on string?) grant[] => empty(who.principalId) ? [] : [
  { principalId: who.principalId, principalType: who.principalType, role: role, on: on }
]
