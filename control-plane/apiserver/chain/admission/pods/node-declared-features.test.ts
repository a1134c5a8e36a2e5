import { expect, it } from 'vitest';
import { ask, contextWith, store } from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { nodeDeclaredFeatureValidator } from './node-declared-features.ts';
import { pods } from './pod.ts';

const both = (cpu: string): JsonObject => ({
  requests: { cpu, memory: '1Mi' },
  limits: { cpu, memory: '1Mi' },
});
const pod = (nodeName: string, own: JsonObject, whole?: JsonObject): JsonObject => ({
  metadata: { name: 'p', namespace: 'n' },
  spec: {
    ...(nodeName === '' ? {} : { nodeName }),
    containers: [{ name: 'c', resources: own }],
    ...(whole === undefined ? {} : { resources: whole }),
  },
});
const cpu = 'GuaranteedQoSPodCPUResize';
const level = 'InPlacePodLevelResourcesVerticalScaling';
const lacks = (features: string, node = 'old'): string =>
  `pods "p" is forbidden: pod update requires features ${features} which are not available on node "${node}"`;

it.each<[string, JsonObject, JsonObject, string | undefined]>([
  ['a pod on no node', pod('', both('1'), both('2')), pod('', both('1'), both('3')), undefined],
  ['cpu of a Guaranteed pod', pod('old', both('1')), pod('old', both('2')), lacks(cpu)],
  [
    'cpu of a Burstable pod',
    pod('old', { requests: { cpu: '1' } }),
    pod('old', { requests: { cpu: '2' } }),
    undefined,
  ],
  ['the same cpu in other words', pod('old', both('1')), pod('old', both('1000m')), undefined],
  ['the pod as a whole', pod('old', {}, both('1')), pod('old', {}, both('2')), lacks(level)],
  [
    'what the pod did not ask for as a whole',
    pod('old', { requests: { cpu: '1' } }),
    pod('old', { requests: { cpu: '1' } }, { requests: { cpu: '2' } }),
    lacks(level),
  ],
  ['both', pod('old', both('1'), both('2')), pod('old', both('2'), both('3')), lacks(`${cpu}, ${level}`)],
  ['of a node that can', pod('new', both('1'), both('2')), pod('new', both('2'), both('3')), undefined],
  [
    'of a node that can a part',
    pod('some', both('1'), both('2')),
    pod('some', both('2'), both('3')),
    lacks(level, 'some'),
  ],
  [
    'a node that is not there',
    pod('none', both('1')),
    pod('none', both('2')),
    'pods "p" is forbidden: node "none" not found',
  ],
])('a resize: %s', async (_name, old, object, refused) => {
  const context = await contextWith([]);
  const declared: readonly (readonly [string, readonly string[]])[] = [
    ['old', []],
    ['some', [cpu]],
    ['new', [cpu, level]],
  ];
  for (const [name, declaredFeatures] of declared)
    await store(context, 'v1/nodes', { metadata: { name }, status: { declaredFeatures } });
  const answer = await ask(context, nodeDeclaredFeatureValidator, {
    kind: pods,
    subresource: 'resize',
    old,
    object,
  });
  if (refused === undefined) expect(answer).toEqual({ object });
  else expect(answer).toEqual({ code: 403, message: refused });
});
