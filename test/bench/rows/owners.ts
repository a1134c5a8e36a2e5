import { decodeBodyOf } from '#api/wire/body.ts';
import { decodeRequest } from '#api/wire/decode-request.ts';
import { createFakeClock } from '#base/clock.ts';
import { createTurns } from '#base/turns.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { defaultPlugins } from '#control-plane/apiserver/chain/admission/plugins.ts';
import { Registry } from '#control-plane/apiserver/objects/registry.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { ServiceAllocators } from '#control-plane/apiserver/services/allocators.ts';
import { createObject } from '#control-plane/apiserver/verbs/create.ts';
import { createFakeStore } from '#control-plane/store/store.fake.ts';
import { createKindCatalogue } from '#api/schema/kind-catalogue.ts';
import { summarise } from '#test/bench/measure.ts';
import { timesBetter, type Measurement, type Row } from '#test/bench/row.ts';

const pods = builtIn('', 'v1', 'pods');
const namespaces = builtIn('', 'v1', 'namespaces');
const user = { name: 'bench', groups: ['system:masters'] };

/**
 * What it costs a create that who makes an object owns its fields (metadata.managedFields): processor time of the server's own part, from
 * the body to the store, with it and without. Docs/decisions/0041.
 */
export const owners: Row = {
  name: 'owners',
  inNamespaces: false,
  run: async (scale) => {
    const rounds = scale.rounds(30);
    const rates: { readonly with: number[]; readonly without: number[] } = { with: [], without: [] };
    for (let round = -10; round < rounds; round++) {
      // What one leaves to collect, the next one pays: each comes after itself as often as after the other.
      for (const name of ['without', 'with', 'with', 'without'] as const) {
        const rate = await creates(300, name === 'with' ? 'bench' : undefined);
        if (round >= 0) rates[name].push(rate);
      }
    }
    const measured: Measurement = {
      what: 'creates of a pod, in the server, with owners',
      unit: '/s',
      ours: summarise(rates.with),
      peers: [{ name: 'without owners', ...summarise(rates.without) }],
      budgets: [timesBetter(0.9, 'without owners')],
    };
    return [measured];
  },
};

/** Creates per second of processor time. */
async function creates(count: number, manager: string | undefined): Promise<number> {
  const context = await contextOfFakes();
  const start = process.cpuUsage();
  for (let index = 0; index < count; index++) {
    const body = decodeBodyOf('Pod', bodyOf(index), 'application/json');
    const { object } = decodeRequest(pods, body, 'Strict');
    await createObject(context, {
      ...{ kind: pods, namespace: 'bench', object, user, dryRun: false },
      ...(manager === undefined ? {} : { manager }),
    });
  }
  const { user: userUs, system } = process.cpuUsage(start);
  return count / ((userUs + system) / 1_000_000);
}

function bodyOf(index: number): Uint8Array {
  const container = {
    ...{ name: 'app', image: 'registry.example/app:1' },
    env: ['A', 'B', 'C'].map((name) => ({ name, value: 'x' })),
    ports: [{ containerPort: 80 }, { containerPort: 443, name: 'tls' }],
    resources: { requests: { cpu: '10m', memory: '16Mi' } },
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
  };
  const spec = { containers: [container], volumes: [{ name: 'data', emptyDir: {} }] };
  const metadata = { name: `pod-${index}`, labels: { app: 'bench', 'pod-template-hash': 'abc' } };
  return Buffer.from(JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec }));
}

/** As much of a server as stores objects. */
async function contextOfFakes(): Promise<ServerContext> {
  const clock = createFakeClock();
  const registry = new Registry(createFakeStore(), () => clock.now());
  for (const name of ['bench', 'default']) await registry.create(namespaces, { metadata: { name } });
  await registry.create(builtIn('', 'v1', 'serviceaccounts'), {
    metadata: { name: 'default', namespace: 'bench' },
  });
  // Hooks and policies have books of a whole server.
  const admission = defaultPlugins().filter(({ name }) => !/Webhook|Policy/.test(name));
  return {
    ...{ registry, clock, allocators: new ServiceAllocators(['10.0.0.0/24']), kinds: createKindCatalogue() },
    ...{
      quotaTurns: createTurns(),
      admission,
      metrics: {
        count: () => undefined,
        measure: () => undefined,
        series: () => ({ add: () => undefined }),
      },
    },
  } as unknown as ServerContext; // What admission and the store ask of it.
}
