import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { findKindByName, type Kind } from '#api/schema/kinds.ts';
import { stringMapOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import type {
  AdmissionAttributes,
  AdmissionPlugin,
  AdmissionRequest,
  Handling,
  HandlingContext,
} from './admission.ts';
import { devsRequest } from './certificates/certificates.fixture.ts';
import { signingRequests } from './certificates/signer.ts';
import {
  contextWith,
  hooksOfAll,
  nothingStored,
  policiesForAll,
  store,
  trustBundles,
} from './admission.fixture.ts';
import { podGroups } from './groups/pod-group-workload-exists.ts';

const users: readonly User[] = [
  { name: 'alice', groups: ['system:authenticated'] },
  { name: 'system:node:a', groups: ['system:nodes', 'system:authenticated'] },
];
const resources = { limits: { cpu: '1' } };
const pod = {
  metadata: { name: 'x', namespace: 'n' },
  spec: {
    containers: [{ name: 'c', image: 'i', resources }],
    priorityClassName: 'high',
    runtimeClassName: 'slow',
  },
};

const binding = { metadata: { name: 'x', namespace: 'n' }, target: { kind: 'Node', name: 'a' } };

const observed: {
  readonly objects: Readonly<Record<string, { readonly out: JsonObject }>>;
} = JSON.parse(
  readFileSync(new URL('../../../../api/fixtures/defaults-observed-1.36.2.json', import.meta.url), 'utf8'),
);

/** An object of each kind that a real server was seen to make, called x; of pods one in which plugins find what they look for. */
const objects: ReadonlyMap<Kind, JsonObject> = new Map([
  ...Object.values(observed.objects).flatMap(({ out }) => {
    const kind = findKindByName(String(out['apiVersion']), String(out['kind']));
    return kind === undefined ? [] : [[kind, placed(kind, out)] as const];
  }),
  [builtIn('', 'v1', 'pods'), pod],
  [
    signingRequests,
    {
      metadata: { name: 'x' },
      spec: { signerName: 'kubernetes.io/kube-apiserver-client', request: devsRequest },
    },
  ],
  [podGroups, { metadata: { name: 'x', namespace: 'n' }, spec: { schedulingPolicy: { basic: {} } } }],
  [trustBundles, { metadata: { name: 'x' }, spec: { signerName: 'example.com/a', trustBundle: 'b' } }],
]);

/** The object as one that is to be made. */
function placed(kind: Kind, object: JsonObject): JsonObject {
  const namespace = kind.resource === 'leases' ? 'kube-node-lease' : 'n';
  return { ...object, metadata: kind.namespaced ? { name: 'x', namespace } : { name: 'x' } };
}

interface Question extends Pick<AdmissionRequest, 'object' | 'old'> {
  readonly what: string;
  readonly who: string;
  readonly attributes: AdmissionAttributes;
}

/** What plugins are asked about: each must bear to be asked, whatever it handles. */
const questions: readonly Question[] = users.flatMap((user) =>
  [...objects].flatMap(([kind, object]) => questionsOf(user, kind, frozen(object))),
);

function questionsOf(user: User, kind: Kind, object: JsonObject): readonly Question[] {
  const { name = '', namespace = '' } = stringMapOf(object['metadata']);
  const question = (
    what: string,
    how: Pick<AdmissionAttributes, 'operation' | 'verb' | 'subresource'>,
    given: Pick<AdmissionRequest, 'object' | 'old'>,
  ): Question => ({
    ...{ what: `${what} ${kind.group} ${kind.resource}`, who: user.name, ...given },
    attributes: Object.freeze({ ...how, kind, name, namespace, user, dryRun: false }),
  });
  const both = { object, old: object };
  return [
    question('create', { operation: 'create', verb: 'create', subresource: '' }, { object }),
    question('update', { operation: 'update', verb: 'patch', subresource: '' }, both),
    question('update status of', { operation: 'update', verb: 'update', subresource: 'status' }, both),
    question('resize', { operation: 'update', verb: 'patch', subresource: 'resize' }, both),
    question('approve', { operation: 'update', verb: 'update', subresource: 'approval' }, both),
    question('bind', { operation: 'create', verb: 'create', subresource: 'binding' }, { object: binding }),
    question('delete', { operation: 'delete', verb: 'delete', subresource: '' }, { old: object }),
    question('connect to', { operation: 'connect', verb: 'get', subresource: 'proxy' }, {}),
  ];
}

/** With hooks and policies about all that is asked. */
const known: HandlingContext = { ...nothingStored, hooks: hooksOfAll, policies: policiesForAll };

/** What every plugin does, whatever it is for. */
export function conformAdmissionPlugin(plugin: AdmissionPlugin): void {
  describe(`${plugin.name} as an admission plugin`, () => {
    let context: ServerContext;
    beforeEach(async () => {
      context = await clusterOfAll();
    });

    const handled = questions.filter(({ attributes }) => plugin.handles(attributes, known) !== 'no');

    it('handles something that is asked here', () => expect(handled).not.toEqual([]));

    it.each(handled)('$what by $who: keeps its promises', async (request) => {
      const handling = plugin.handles(request.attributes, context);
      expect(plugin.handles(request.attributes, context)).toBe(handling);
      if (handling === 'seldomWaits') {
        expect(plugin.mustWait?.(request)).toBeTypeOf('boolean');
        expect(request.attributes.operation).toBe('update');
      }
      const object = await admitOnce(context, { plugin, handling }, request);
      // Called again after a lost race, or after a webhook: of its own work there is nothing more to do.
      const again = await admitOnce(context, { plugin, handling }, { ...request, object });
      expect(again).toEqual(object);
      await validateOnce(context, { plugin, handling }, { ...request, object });
      // What was held is free again, or this would wait for ever.
      await validateOnce(context, { plugin, handling }, { ...request, object });
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

/** A cluster in which there is something of all that plugins look for. */
async function clusterOfAll(): Promise<ServerContext> {
  const context = { ...(await contextWith([])), hooks: hooksOfAll, policies: policiesForAll };
  const named = (name: string): JsonObject => ({ name, namespace: 'n', uid: name });
  await store(context, 'v1/serviceaccounts', { metadata: named('default') });
  await store(context, 'v1/namespaces', { metadata: { name: 'kube-node-lease' } });
  const high = { metadata: { name: 'high' }, value: 7, preemptionPolicy: 'Never' };
  await store(context, 'scheduling.k8s.io/v1/priorityclasses', high);
  const labels = { 'topology.kubernetes.io/zone': 'z' };
  await store(context, 'v1/nodes', { metadata: { name: 'a', labels } });
  const overhead = { podFixed: { cpu: '1m' } };
  await store(context, 'node.k8s.io/v1/runtimeclasses', { metadata: { name: 'slow' }, overhead });
  const annotations = {
    'storageclass.kubernetes.io/is-default-class': 'true',
    'ingressclass.kubernetes.io/is-default-class': 'true',
  };
  for (const classes of ['storage.k8s.io/v1/storageclasses', 'networking.k8s.io/v1/ingressclasses']) {
    await store(context, classes, { metadata: { name: 'default', annotations } });
  }
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
