import { beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import type { AdmissionAttributes, AdmissionPlugin, AdmissionRequest, Handling } from './admission.ts';
import { contextWith, store } from './admission.fixture.ts';

const users: readonly User[] = [
  { name: 'alice', groups: ['system:authenticated'] },
  { name: 'system:node:a', groups: ['system:nodes', 'system:authenticated'] },
];
const resources = { limits: { cpu: '1' } };
const pod = {
  metadata: { name: 'x', namespace: 'n' },
  spec: { containers: [{ name: 'c', image: 'i', resources }], priorityClassName: 'high' },
};
const bare = { metadata: { name: 'x' } };

/** What plugins are asked about: each must bear to be asked, whatever it handles. */
const asked: readonly {
  readonly what: string;
  readonly resource: readonly [group: string, version: string, plural: string];
  readonly attributes: Pick<AdmissionAttributes, 'operation' | 'verb' | 'subresource'>;
  readonly object?: JsonObject | undefined;
  readonly old?: JsonObject | undefined;
}[] = (
  [
    ['', 'v1', 'pods', pod],
    ['', 'v1', 'nodes', bare],
    ['', 'v1', 'namespaces', bare],
    ['', 'v1', 'configmaps', { metadata: { name: 'x', namespace: 'n' } }],
    ['coordination.k8s.io', 'v1', 'leases', { metadata: { name: 'x', namespace: 'kube-node-lease' } }],
  ] as const
).flatMap(([group, version, plural, object]) => {
  const row = (
    what: string,
    [operation, verb, subresource]: readonly [
      AdmissionAttributes['operation'],
      AdmissionAttributes['verb'],
      string,
    ],
    objects: Pick<AdmissionRequest, 'object' | 'old'>,
  ) => ({
    ...{ what: `${what} ${plural}`, resource: [group, version, plural] as const },
    ...{ attributes: { operation, verb, subresource } },
    ...frozen(objects),
  });
  return [
    row('create', ['create', 'create', ''], { object }),
    row('update', ['update', 'patch', ''], { object, old: object }),
    row('update status of', ['update', 'update', 'status'], { object, old: object }),
    row('resize', ['update', 'patch', 'resize'], { object, old: object }),
    row('delete', ['delete', 'delete', ''], { old: object }),
    row('connect to', ['connect', 'get', 'proxy'], {}),
  ];
});

const rows = users.flatMap((user) => asked.map((row) => ({ ...row, user, who: user.name })));

/** What every plugin does, whatever it is for. */
export function conformAdmissionPlugin(plugin: AdmissionPlugin): void {
  describe(`${plugin.name} as an admission plugin`, () => {
    let context: ServerContext;
    beforeEach(async () => {
      context = await clusterOfAll();
    });

    it.each(rows)('$what by $who: keeps its promises', async (row) => {
      const attributes = attributesOf(row);
      const handling = plugin.handles(attributes);
      expect(plugin.handles(attributes)).toBe(handling);
      if (handling === 'no') return;
      const object = await admitOnce(context, { plugin, handling }, { ...row, attributes });
      // Called again after a lost race, or after a webhook: of its own work there is nothing more to do.
      const again = await admitOnce(context, { plugin, handling }, { ...row, attributes, object });
      expect(again).toEqual(object);
      await validateOnce(context, { plugin, handling }, { ...row, attributes, object });
      // What was held is free again, or this would wait for ever.
      await validateOnce(context, { plugin, handling }, { ...row, attributes, object });
    });
  });
}

interface Asked {
  readonly plugin: AdmissionPlugin;
  readonly handling: Handling;
}

async function admitOnce(
  context: ServerContext,
  { plugin, handling }: Asked,
  request: AdmissionRequest,
): Promise<JsonObject | undefined> {
  try {
    const answer = plugin.admit?.(context, request);
    if (handling === 'atOnce') expect(answer).not.toBeInstanceOf(Promise);
    return frozen((await answer) ?? request.object);
  } catch (error) {
    expect(error).toMatchObject({ code: 'E_API' });
    return request.object;
  }
}

async function validateOnce(
  context: ServerContext,
  { plugin, handling }: Asked,
  request: AdmissionRequest,
): Promise<void> {
  try {
    const answer = plugin.validate?.(context, request);
    if (handling === 'atOnce') expect(answer).toBeUndefined();
    using _held = (await answer) ?? undefined;
  } catch (error) {
    expect(error).toMatchObject({ code: 'E_API' });
  }
}

function attributesOf({
  resource,
  attributes,
  user,
  old,
  object,
}: (typeof rows)[number]): AdmissionAttributes {
  const kind = builtIn(...resource);
  const { name = 'x', namespace = '' } = ((object ?? old)?.['metadata'] ?? {}) as Record<string, string>;
  return Object.freeze({ ...attributes, kind, name, namespace, user, dryRun: false });
}

/** A cluster in which there is something of all that plugins look for. */
async function clusterOfAll(): Promise<ServerContext> {
  const context = await contextWith([]);
  const named = (name: string): JsonObject => ({ name, namespace: 'n', uid: name });
  await store(context, 'v1/serviceaccounts', { metadata: named('default') });
  await store(context, 'v1/namespaces', { metadata: { name: 'kube-node-lease' } });
  const high = { metadata: { name: 'high' }, value: 7, preemptionPolicy: 'Never' };
  await store(context, 'scheduling.k8s.io/v1/priorityclasses', high);
  const limits = [{ type: 'Container', defaultRequest: { memory: '1Mi' }, max: { cpu: '2' } }];
  await store(context, 'v1/limitranges', { metadata: named('l'), spec: { limits } });
  const hard = { pods: '5', configmaps: '5', 'limits.cpu': '4' };
  await store(context, 'v1/resourcequotas', { metadata: named('q'), spec: { hard } });
  return context;
}

/** Whoever changes it is told by an error. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}
