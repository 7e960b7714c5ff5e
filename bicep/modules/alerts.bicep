// What somebody should be woken for. Log alerts look for messages that the processes write; a test holds them together.

@description('Region.')
param location string

@description('Part of every name.')
param token string

@description('Tags of every resource.')
param tags object

@description('Who is told; empty for nobody, and then alerts are only to be seen in the portal.')
param email string

@description('Resource id of the workspace that has the logs.')
param workspaceId string

@description('Resource id of the system topic.')
param topicId string

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'ag-${token}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'voice'
    emailReceivers: [{ name: 'operator', emailAddress: email, useCommonAlertSchema: true }]
  }
}

var deliveries = [
  { metric: 'DeliveryAttemptFailCount', severity: 2, what: 'Event Grid fails to deliver calls: new ones are delayed too when it goes on' }
  { metric: 'DeadLetteredCount', severity: 1, what: 'Event Grid has given calls up: callers were not answered' }
]

resource deliveryAlerts 'Microsoft.Insights/metricAlerts@2018-03-01' = [for delivery in deliveries: {
  name: 'alert-${delivery.metric}-${token}'
  location: 'global'
  tags: tags
  properties: {
    description: delivery.what
    enabled: true
    severity: delivery.severity
    scopes: [topicId]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: delivery.metric
          metricName: delivery.metric
          operator: 'GreaterThan'
          threshold: 0
          timeAggregation: 'Total'
        }
      ]
    }
    actions: empty(email) ? [] : [{ actionGroupId: people.id }]
  }
}]

// `edge` writes to Application Insights, `media` to the console.
var logs = [
  {
    name: 'dead-letters'
    severity: 1
    what: 'There are dead letters in storage'
    process: 'edge'
    messages: ['Event Grid has given events up']
    above: 0
  }
  {
    name: 'answer-failures'
    severity: 1
    what: 'Calls that ring are not answered'
    process: 'edge'
    messages: [
      'a call could not be answered in time'
      'a call could not be answered yet'
      'the store is away: a call was not answered'
      'the store is away, and ACS does not turn a call away'
    ]
    above: 2
  }
  {
    name: 'no-agent'
    severity: 1
    what: 'Calls have lost their agent, or never had one'
    process: 'media'
    messages: ['a call falls back', 'an agent\'s credential cannot be had']
    above: 2
  }
  {
    name: 'speech-away'
    severity: 2
    what: 'The IVR cannot speak or listen: the line says what is wrong with its link to Azure AI'
    process: 'edge'
    messages: ['a call cannot use the speech service', 'a call is answered without Azure AI']
    above: 2
  }
  {
    name: 'saturation'
    severity: 2
    what: 'A pod is late and takes no more calls'
    process: 'media'
    messages: ['the process is late, and takes no more calls']
    above: 0
  }
]

var tables = {
  edge: { name: 'AppTraces', column: 'Message' }
  media: { name: 'ContainerAppConsoleLogs', column: 'Log' }
}

resource logAlerts 'Microsoft.Insights/scheduledQueryRules@2025-01-01-preview' = [for log in logs: {
  name: 'alert-${log.name}-${token}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: log.name
    description: log.what
    severity: log.severity
    enabled: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    // A workspace has no such table before the first line came.
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: '${tables[log.process].name} | where ${tables[log.process].column} has_any (dynamic(${string(log.messages)}))'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: log.above
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: empty(email) ? [] : [people.id] }
  }
}]
