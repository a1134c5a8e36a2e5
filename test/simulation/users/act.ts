import * as kinds from '#api/schema/kind-ref.ts';
import type { Pod, PodSpec } from '#api/generated/objects.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { ApiClient } from '#client/client.ts';
import { isNotFound } from '#client/api-error.ts';
import { definitionName, definitionOf, ownKind } from './own-kinds.ts';
import type { Deletable, Place, Step } from './steps.ts';

const template = (
  name: string,
  { seconds = 5, more = {} }: { readonly seconds?: number; readonly more?: Partial<PodSpec> } = {},
): { readonly metadata: object; readonly spec: PodSpec } => ({
  metadata: { labels: { app: name } },
  spec: {
    terminationGracePeriodSeconds: seconds,
    automountServiceAccountToken: false,
    containers: [{ name: 'main', image: 'busybox', command: ['sh', '-c', 'while true; do sleep 1; done'] }],
    ...more,
  },
});

const held = 'example.com/held';
const counted = 'example.com/counted';

const refs: Readonly<Record<Deletable, kinds.KindRef<unknown>>> = {
  deployments: kinds.deployments,
  statefulsets: kinds.statefulSets,
  daemonsets: kinds.daemonSets,
  jobs: kinds.jobs,
  services: kinds.services,
  configmaps: kinds.configMaps,
  podgroups: kinds.podGroups,
};

/** Does what a user does, once. @throws as the client does */
export async function act(client: ApiClient, step: Step): Promise<void> {
  switch (step.kind) {
    case 'namespace': {
      await client.create(kinds.namespaces, { metadata: { name: step.name } });
      if (step.podsMax === undefined) return;
      await client.create(kinds.resourceQuotas, {
        metadata: { namespace: step.name, name: 'pods' },
        spec: { hard: { 'count/pods': String(step.podsMax) } },
      });
      return;
    }
    case 'quota':
      await client.patch(
        kinds.resourceQuotas,
        { namespace: step.namespace, name: 'pods' },
        { kind: 'merge', body: { spec: { hard: { 'count/pods': String(step.podsMax) } } } },
      );
      return;
    case 'suspend':
      await client.patch(kinds.jobs, step.at, { kind: 'merge', body: { spec: { suspend: step.isOn } } });
      return;
    case 'delete-definition':
      return client.delete(kinds.customResourceDefinitions, { name: definitionName(step.name) });
    case 'delete-namespace':
      return client.delete(kinds.namespaces, { name: step.name });
    case 'roll':
      await client.patch(refs[step.of], step.at, {
        kind: 'strategic',
        body: { spec: { template: { metadata: { annotations: { roll: String(step.to) } } } } },
      });
      return;
    case 'scale':
      await client.patch(refs[step.of], step.at, {
        kind: 'merge',
        body: { spec: { replicas: step.replicas } },
      });
      return;
    case 'delete':
      return removeObject(client, step);
    case 'delete-pod': {
      const { items } = await podsOf(client, step.at);
      const pod = items[step.index % Math.max(1, items.length)];
      if (pod === undefined) return;
      return client.delete(kinds.pods, { namespace: step.at.namespace, name: pod.metadata?.name ?? '' });
    }
    case 'evict':
      return evict(client, step);
    case 'cordon':
      await client.patch(
        kinds.nodes,
        { name: step.node },
        {
          kind: 'merge',
          body: { spec: { unschedulable: step.isOn ? true : null } },
        },
      );
      return;
    default:
      return make(client, step);
  }
}

type Making = Exclude<
  Step,
  {
    readonly kind:
      | 'namespace'
      | 'quota'
      | 'suspend'
      | 'roll'
      | 'scale'
      | 'evict'
      | 'cordon'
      | `delete${string}`;
  }
>;

async function make(client: ApiClient, step: Making): Promise<void> {
  if (step.kind === 'definition') {
    await client.create(kinds.customResourceDefinitions, definitionOf(step.name));
    return;
  }
  const metadata = { ...step.at };
  const selector = { matchLabels: { app: step.at.name } };
  const { name } = step.at;
  switch (step.kind) {
    case 'deployment': {
      const probe = { exec: { command: ['true'] }, periodSeconds: 3, initialDelaySeconds: 1 };
      const pod = template(name, { seconds: step.graceSeconds });
      const containers = pod.spec.containers.map((one) =>
        step.isProbed ? { ...one, readinessProbe: probe } : one,
      );
      await client.create(kinds.deployments, {
        metadata,
        spec: {
          replicas: step.replicas,
          selector,
          strategy: { type: step.isRecreate ? 'Recreate' : 'RollingUpdate' },
          template: { ...pod, spec: { ...pod.spec, containers } },
        },
      });
      return;
    }
    case 'stateful-set':
      await client.create(kinds.statefulSets, {
        metadata,
        spec: {
          serviceName: name,
          replicas: step.replicas,
          selector,
          podManagementPolicy: step.isParallel ? 'Parallel' : 'OrderedReady',
          template: template(name),
        },
      });
      return;
    case 'daemon-set':
      await client.create(kinds.daemonSets, { metadata, spec: { selector, template: template(name) } });
      return;
    case 'job': {
      const containers = [
        {
          name: 'main',
          image: 'busybox',
          command: ['sh', '-c', `sleep ${step.seconds}; exit ${step.exitCode}`],
        },
      ];
      const pod = template(name, { more: { restartPolicy: 'Never', containers } });
      await client.create(kinds.jobs, {
        metadata,
        spec: {
          completions: step.completions,
          parallelism: step.parallelism,
          backoffLimit: 2,
          template: pod,
        },
      });
      return;
    }
    case 'service':
      await client.create(kinds.services, {
        metadata,
        spec: { selector: { app: name }, ports: [{ port: 80, protocol: 'TCP' }] },
      });
      return;
    case 'budget':
      await client.create(kinds.podDisruptionBudgets, {
        metadata,
        spec: { minAvailable: step.minAvailable, selector },
      });
      return;
    case 'config':
      await client.create(kinds.configMaps, {
        metadata: {
          ...metadata,
          ...(step.hasFinalizer ? { finalizers: [held, counted] } : {}),
        },
        data: { a: 'b' },
      });
      return;
    case 'gang':
      return makeGang(client, step);
    case 'custom':
      await client.create(ownKind(step.of), {
        metadata: { ...metadata, ...(step.hasFinalizer ? { finalizers: [held] } : {}) },
      });
  }
}

async function makeGang(client: ApiClient, step: Extract<Step, { readonly kind: 'gang' }>): Promise<void> {
  const { namespace, name } = step.at;
  await client.create(kinds.podGroups, {
    metadata: { ...step.at },
    spec: { schedulingPolicy: { gang: { minCount: step.minCount } } },
  });
  const { metadata, spec } = template(name, { more: { schedulingGroup: { podGroupName: name } } });
  const containers = spec.containers.map((one) => ({ ...one, resources: { requests: { cpu: '1500m' } } }));
  for (let number = 0; number < step.pods; number++)
    await client.create(kinds.pods, {
      metadata: { ...metadata, namespace, name: `${name}-${number}` },
      spec: { ...spec, containers },
    });
}

async function removeObject(
  client: ApiClient,
  step: Extract<Step, { readonly kind: 'delete' }>,
): Promise<void> {
  await client.delete(refs[step.of], step.at, { propagationPolicy: step.policy });
  if (step.of !== 'configmaps') return;
  await letGo(client, kinds.configMaps, step.at);
}

/** Who holds it sees to it, one after the other, and lets it go. */
export async function letGo(client: ApiClient, kind: kinds.KindRef<KubeObject>, where: Place): Promise<void> {
  for (const finalizers of [[counted], null]) {
    try {
      await client.patch(kind, where, { kind: 'merge', body: { metadata: { finalizers } } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

async function evict(
  client: ApiClient,
  { at, count }: Extract<Step, { readonly kind: 'evict' }>,
): Promise<void> {
  const { items } = await podsOf(client, at);
  for (const pod of items.slice(0, count)) {
    const { name = '', namespace = '' } = pod.metadata ?? {};
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/eviction`;
    const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } };
    await client.raw('POST', path, body);
  }
}

function podsOf(client: ApiClient, { namespace, name }: Place): Promise<{ readonly items: readonly Pod[] }> {
  return client.list(kinds.pods, { namespace, labelSelector: `app=${name}` });
}
