/**
 * Every field of KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1, of 1.36), with its shape and what becomes of it. A field that
 * has no effect here is named to whoever sets it to something else than what is so anyway.
 */
import type { FieldShape } from '#api/config/config-document.ts';
import { acted, fixed, type ConfigurationField } from '#api/config/field-effects.ts';
import { points } from './plugin-points.ts';

const inServer = 'the scheduler is in the server, which asks itself';
const plugin: FieldShape = { name: 'string', weight: 'integer' };
const pluginSet: FieldShape = { enabled: [plugin], disabled: [plugin] };

export const schedulerFields: Readonly<Record<string, ConfigurationField>> = {
  profiles: acted([
    {
      schedulerName: 'string',
      percentageOfNodesToScore: 'integer',
      plugins: Object.fromEntries([...points, 'multiPoint'].map((point) => [point, pluginSet])),
      pluginConfig: [{ name: 'string', args: 'any' }],
    },
  ]),
  percentageOfNodesToScore: acted('integer'),
  podInitialBackoffSeconds: acted('integer'),
  podMaxBackoffSeconds: acted('integer'),
  extenders: acted([
    {
      urlPrefix: 'string',
      ...{ filterVerb: 'string', preemptVerb: 'string', prioritizeVerb: 'string', bindVerb: 'string' },
      ...{ weight: 'integer', enableHTTPS: 'boolean', httpTimeout: 'duration' },
      ...{ nodeCacheCapable: 'boolean', ignorable: 'boolean' },
      tlsConfig: {
        ...{ insecure: 'boolean', serverName: 'string', certFile: 'string', keyFile: 'string' },
        ...{ caFile: 'string', certData: 'string', keyData: 'string', caData: 'string' },
      },
      managedResources: [{ name: 'string', ignoredByScheduler: 'boolean' }],
    },
  ]),
  parallelism: fixed('integer', 'one thread decides', 16),
  leaderElection: fixed(
    leaderElection(),
    'servers that share a store take turns by the Lease kube-system/kube-controller-manager',
    {},
    { leaderElect: false },
    { leaderElect: true },
  ),
  clientConnection: fixed(
    {
      ...{ kubeconfig: 'string', acceptContentTypes: 'string', contentType: 'string' },
      ...{ qps: 'any', burst: 'integer' },
    },
    inServer,
    {},
  ),
  delayCacheUntilActive: fixed('boolean', 'the cache is that of the controllers', false),
  enableProfiling: fixed('boolean', 'profiles are at the server’s own port', true),
  enableContentionProfiling: fixed('boolean', 'there are no locks', true),
};

function leaderElection(): FieldShape {
  return {
    ...{ leaderElect: 'boolean', leaseDuration: 'duration', renewDeadline: 'duration' },
    ...{
      retryPeriod: 'duration',
      resourceLock: 'string',
      resourceName: 'string',
      resourceNamespace: 'string',
    },
  };
}
