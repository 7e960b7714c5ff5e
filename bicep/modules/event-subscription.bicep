// A subscription to calls that ring. The webhook must answer by now: Event Grid asks it at once.

import { eventFilter } from '../types.bicep'

@description('Name of the system topic, in this resource group.')
param topicName string

@description('Which calls, of which account.')
param wanted eventFilter

@description('URL of the webhook.')
param endpointUrl string

@description('API id of the account.')
@secure()
param apiId string

@description('API secret of the account.')
@secure()
param apiSecret string

@description('Header that the account takes its API id from.')
param apiIdHeader string = 'asapp-api-id'

@description('Header that the account takes its API secret from.')
param apiSecretHeader string = 'asapp-api-secret'

@description('Resource id of the storage account that dead letters go to.')
param deadLetterStorageId string

@description('Container of it.')
param deadLetterContainer string

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

resource subscription 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: wanted.name
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    destination: {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: endpointUrl
        minimumTlsVersionAllowed: '1.2'
        maxEventsPerBatch: 1
        deliveryAttributeMappings: [
          { name: apiIdHeader, type: 'Static', properties: { value: apiId, isSecret: true } }
          { name: apiSecretHeader, type: 'Static', properties: { value: apiSecret, isSecret: true } }
        ]
      }
    }
    filter: {
      includedEventTypes: ['Microsoft.Communication.IncomingCall']
      advancedFilters: empty(wanted.called) ? [] : [
        wanted.operator == 'StringIn'
          ? { operatorType: 'StringIn', key: 'data.to.rawId', values: wanted.called }
          : { operatorType: 'StringNotIn', key: 'data.to.rawId', values: wanted.called }
      ]
    }
    // A call rings about 30 s: what comes later is about a caller who has gone.
    retryPolicy: { maxDeliveryAttempts: 3, eventTimeToLiveInMinutes: 1 }
    deadLetterWithResourceIdentity: {
      identity: { type: 'SystemAssigned' }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: { resourceId: deadLetterStorageId, blobContainerName: deadLetterContainer }
      }
    }
  }
}
