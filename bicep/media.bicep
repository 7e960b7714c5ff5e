// The media gateway's app. `azd deploy` applies it with the image that it has just built, so there never is a
// placeholder, and providing the rest again does not touch the calls of a running revision.

import { commonSettings, settings, tierName } from 'types.bicep'

@description('Name of the deployment.')
param environmentName string

@description('Region.')
param location string = resourceGroup().location

@description('Sizes, of sizes.json.')
param tier tierName

@description('Name of the app: part of the address that calls are answered with.')
@maxLength(32)
param name string

@description('Name of the Container Apps environment.')
param appsEnvironment string

@description('Host of the registry.')
param registry string

@description('The image.')
param image string

@description('Resource id of the identity that the app runs as, and pulls by.')
param identityId string

@description('Client id of it.')
param identityClientId string

@description('Settings that both processes read.')
param common commonSettings

@description('Public URL of the Functions app.')
param callbackBaseUrl string

@description('Endpoint of the Azure AI account that analyses transcripts; empty for none.')
param languageEndpoint string = ''

@description('Hosts that the tools of profiles may call, as TOOL_HOSTS takes them.')
param toolHosts string = ''

@description('More settings of the media gateway.')
param mediaSettings settings = {}

var port = 8063
// Of the grace, for calls to end in order after the drain, and for recordings.
var stopReserveSeconds = 30
var spill = { name: 'spill', path: '/var/spill' }
var size = loadJsonContent('sizes.json')[tier]

resource environment 'Microsoft.App/managedEnvironments@2026-01-01' existing = {
  name: appsEnvironment
}

var own = {
  CALLBACK_BASE_URL: callbackBaseUrl
  MEDIA_PORT: string(port)
  MAX_CALLS: string(size.maxCalls)
  DRAIN_S: string(size.terminationGraceSeconds - stopReserveSeconds)
  TERMINATION_GRACE_S: string(size.terminationGraceSeconds)
  RECORDING_SPILL_DIR: spill.path
  RECORDING_SPILL_MAX_MB: string(size.spillMegabytes)
  TOOL_HOSTS: toolHosts
  LANGUAGE_ENDPOINT: languageEndpoint
}

var platform = {
  AZURE_CLIENT_ID: identityClientId
  AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential'
}

resource app 'Microsoft.App/containerApps@2026-01-01' = {
  name: name
  location: location
  tags: { 'azd-env-name': environmentName, 'azd-service-name': 'media' }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    environmentId: environment.id
    workloadProfileName: 'Consumption'
    configuration: {
      // Old replicas get SIGTERM when a revision takes over, and the grace below.
      activeRevisionsMode: 'Single'
      registries: [{ server: registry, identity: identityId }]
      ingress: {
        external: true
        targetPort: port
        // HTTP/1.1, which a WebSocket begins as.
        transport: 'http'
        allowInsecure: false
      }
    }
    template: {
      terminationGracePeriodSeconds: size.terminationGraceSeconds
      containers: [
        {
          name: 'media'
          image: image
          resources: { cpu: json(size.cpu), memory: size.memory }
          env: [for setting in items(union(platform, common, own, mediaSettings)): {
            name: setting.key
            value: setting.value
          }]
          volumeMounts: [{ volumeName: spill.name, mountPath: spill.path }]
          probes: [
            {
              type: 'Startup'
              httpGet: { path: '/healthz', port: port }
              periodSeconds: 2
              failureThreshold: 60
            }
            {
              // Slow to kill: calls are in it.
              type: 'Liveness'
              httpGet: { path: '/healthz', port: port }
              periodSeconds: 10
              timeoutSeconds: 5
              failureThreshold: 6
            }
            {
              // Not ready is also a pod that is full, late, or leaving.
              type: 'Readiness'
              httpGet: { path: '/readyz', port: port }
              periodSeconds: 3
              timeoutSeconds: 2
              failureThreshold: 2
            }
          ]
        }
      ]
      // It lives as long as its replica does: for storage that is away, not for a replica that is lost.
      volumes: [{ name: spill.name, storageType: 'EmptyDir' }]
      scale: {
        minReplicas: size.replicas.least
        maxReplicas: size.replicas.most
        cooldownPeriod: 1800
        pollingInterval: 15
        // A process has one thread for its calls: it is full at half of two cores. Whether open sockets count as requests
        // is not documented, so the second rule stands for the first.
        rules: [
          { name: 'calls', http: { metadata: { concurrentRequests: string(size.scaleOutAtCalls) } } }
          { name: 'cpu', custom: { type: 'cpu', metadata: { type: 'Utilization', value: '35' } } }
        ]
      }
    }
  }
}
