import { expect } from 'vitest';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import { silentLogger } from '#base/log.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import type { Node, Pod } from '#api/generated/objects.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import { volumesDirectoryAnnotation } from '#api/volume/local-volumes.ts';
import { createInformers, withoutManagedFields, type Informers } from '#client/informers.ts';
import { startScheduler } from '#control-plane/scheduler/scheduler.ts';
import type { IsOn } from './controller-names.ts';
import { LoopCounts } from './metrics/loop-counts.ts';
import { VolumeLoopCounts } from './metrics/volume-counts.ts';
import { createRoledClients } from './roled-clients.fixture.ts';
import { renderLocalClass } from './persistent-volume/local-class.ts';
import { startControllers } from './start-controllers.ts';

export interface Cluster extends AsyncDisposable {
  readonly client: FakeApiClient;
  readonly clock: FakeClock;
  readonly informers: Informers;
  readonly volumeCounts: VolumeLoopCounts;
  readonly loopCounts: LoopCounts;
  /** Lets `ms` pass in steps, and everything come to rest in each. */
  settle(ms?: number): Promise<void>;
}

/** Controllers, scheduler and a kubelet that makes every bound pod ready at once, on a fake API. */
export async function startCluster(
  nodeNames: readonly string[] = ['node-1', 'node-2'],
  isOn?: IsOn,
  intercept: FakeApiClient['intercept'] = () => undefined,
): Promise<Cluster> {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  client.intercept = intercept;
  const { clients, refused } = createRoledClients(client);
  const informers = createInformers({
    ...{ client: clients.controllerManager, clock, random: () => 0.5 },
    transform: withoutManagedFields,
  });
  client.seed(kinds.namespaces, {
    metadata: { name: 'default' },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  });
  for (const name of nodeNames) client.seed(kinds.nodes, readyNode(name));
  client.seed(kinds.storageClasses, renderLocalClass('standard', true));
  const shared = { informers, clock, logger: silentLogger };
  const scheduler = startScheduler({ ...shared, client: clients.scheduler });
  const [volumeCounts, loopCounts] = [new VolumeLoopCounts(clock), new LoopCounts()];
  const controllers = startControllers({
    ...{ volumeCounts, loopCounts },
    ...{ ...shared, clientAs: clients.controller },
    ...{ loadBalancerCidrs: ['203.0.113.0/24'] },
    ...{ clusterCidrs: ['10.244.0.0/16'], rootCa: { pem: 'PEM' }, isOn },
  });
  const kubelet = informers.for(kinds.pods).onChange(({ current }) => {
    if (current !== undefined) void runPod(client, current);
  });
  const settle = async (ms = 0): Promise<void> => {
    for (let passed = 0; ; passed += 100) {
      await untilTurnsEnd();
      if (passed >= ms) return;
      clock.advance(100);
    }
  };
  await settle(500);
  return {
    client,
    clock,
    informers,
    volumeCounts,
    loopCounts,
    settle,
    [Symbol.asyncDispose]: async () => {
      kubelet[Symbol.dispose]();
      await scheduler[Symbol.asyncDispose]();
      await controllers[Symbol.asyncDispose]();
      await informers[Symbol.asyncDispose]();
      expect(refused).toEqual([]); // Of their roles: see access.test.ts.
    },
  };
}

async function runPod(client: FakeApiClient, pod: Pod): Promise<void> {
  const { namespace, name = '', uid = '' } = pod.metadata ?? {};
  if ((pod.spec?.nodeName ?? '') === '') return;
  try {
    if (pod.metadata?.deletionTimestamp !== undefined) {
      await client.delete(kinds.pods, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } });
    } else if (pod.status?.podIP === undefined) {
      if (pod.spec?.restartPolicy === 'Never') return void (await finishPod(client, pod));
      const podIP = `10.244.0.${Number(uid.replace('uid-', '')) % 250}`;
      const ready = { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' };
      const isFailing = pod.spec?.containers[0]?.image === 'failing';
      const conditions = [{ ...ready, status: isFailing ? 'False' : 'True' }];
      const body = {
        metadata: { uid },
        status: { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions },
      };
      await client.patch(kinds.pods, { namespace, name }, { kind: 'strategic', body, subresource: 'status' });
    }
  } catch {
    return; // Gone, or changed meanwhile: the next change comes here again.
  }
}

/** A container named `fail` fails. */
async function finishPod(client: FakeApiClient, pod: Pod): Promise<void> {
  const { namespace, name = '', uid } = pod.metadata ?? {};
  const phase = pod.spec?.containers[0]?.image === 'failing' ? 'Failed' : 'Succeeded';
  const body = { metadata: { uid }, status: { phase, podIP: '10.244.0.1' } };
  await client.patch(kinds.pods, { namespace, name }, { kind: 'strategic', body, subresource: 'status' });
}

export function readyNode(name: string): Node {
  return {
    metadata: {
      name,
      labels: { 'kubernetes.io/hostname': name },
      annotations: { [volumesDirectoryAnnotation]: '/volumes' },
    },
    status: {
      allocatable: { cpu: '4', memory: '8Gi', pods: '110' },
      conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: '2026-01-01T00:00:00Z' }],
    },
  };
}
