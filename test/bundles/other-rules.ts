/** As `gateway-rules.ts`, of the rules of other bundles. */
import type { RuleCase } from './rule-case.ts';

const zones = { mode: 'Topology', topology: { values: ['a', 'b'] } };

/** What a PrometheusAgent in mode DaemonSet has no use for, and a value of it. */
const notOfDaemonSets: Readonly<Record<string, unknown>> = {
  replicas: 1,
  storage: {},
  persistentVolumeClaimRetentionPolicy: {},
  scrapeConfigSelector: {},
  probeSelector: {},
  scrapeConfigNamespaceSelector: {},
  probeNamespaceSelector: {},
  serviceMonitorSelector: {},
  serviceMonitorNamespaceSelector: {},
  additionalScrapeConfigs: { key: 'a' },
  shardingStrategy: {},
};

export const otherRules: readonly RuleCase[] = [
  {
    message: 'exactly one of tpp, cloud, or ngts must be configured',
    refused: { zone: 'a' },
    allowed: { zone: 'a', cloud: { apiTokenSecretRef: { name: 'one' } } },
  },
  {
    message: 'externalId can only be used when roleArn is specified',
    refused: { externalId: 'a' },
    allowed: { externalId: 'a', roleArn: 'b' },
  },
  {
    message: 'rollingUpdate requires type to be RollingUpdate',
    refused: { type: 'OnDelete', rollingUpdate: {} },
    allowed: { type: 'RollingUpdate', rollingUpdate: {} },
  },
  ...Object.entries(notOfDaemonSets).map(([field, value]) => ({
    message: `${field} cannot be set when mode is DaemonSet`,
    refused: { mode: 'DaemonSet', [field]: value },
    allowed: { mode: 'StatefulSet', [field]: value },
  })),
  {
    message: 'shards cannot be greater than 1 when mode is DaemonSet',
    refused: { mode: 'DaemonSet', shards: 2 },
    allowed: { mode: 'DaemonSet', shards: 1 },
  },
  {
    message:
      'shards must be greater than or equal to the number of topology values when sharding strategy mode is Topology',
    refused: { shardingStrategy: zones },
    allowed: { shardingStrategy: zones, shards: 2 },
  },
  {
    message: "topology can only be defined when mode is set to 'Topology'",
    refused: { mode: 'Address', topology: {} },
    allowed: zones,
  },
  {
    message: 'at most one of basicAuth, authorization, or oauth2 can be configured',
    refused: { basicAuth: {}, authorization: {} },
    allowed: { basicAuth: {} },
  },
];
