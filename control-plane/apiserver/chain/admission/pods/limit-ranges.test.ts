import { expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectsOf, withPath } from '#api/wire/json.ts';
import { ask, contextWith, store } from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import { limitRanger } from './limit-ranger.ts';
import { pods } from './pod.ts';

const container = (name: string, resources: JsonObject = {}, more: JsonObject = {}): JsonObject => ({
  ...{ name, image: 'i', resources, ...more },
});
const pod = (containers: readonly JsonObject[], more: JsonObject = {}): JsonObject => ({
  metadata: { name: 'p' },
  spec: { containers, ...more },
});
const both = (cpu: string): JsonObject => ({ requests: { cpu }, limits: { cpu } });
const sidecar = { restartPolicy: 'Always' };

/** By name, the limits of each range of the namespace. */
type Ranges = Readonly<Record<string, readonly JsonObject[]>>;

it.each<{
  readonly name: string;
  readonly ranges: Ranges;
  readonly given: JsonObject;
  readonly old?: JsonObject;
  /** Resources of the first container, and what the annotation says. */
  readonly becomes?: readonly [resources: JsonObject, note: string | undefined];
  readonly refused?: string;
}>([
  {
    name: 'of two ranges the first gives, and the last that gives is told',
    ranges: {
      a: [{ type: 'Container', default: { cpu: '2' }, defaultRequest: { cpu: '1' } }],
      b: [{ type: 'Container', default: { cpu: '3', memory: '1Gi' } }],
    },
    given: pod([container('c')]),
    becomes: [
      { requests: { cpu: '1' }, limits: { cpu: '2', memory: '1Gi' } },
      'LimitRanger plugin set: memory limit for container c',
    ],
  },
  {
    name: 'of two limits of a range the last gives',
    ranges: {
      a: [
        { type: 'Container', defaultRequest: { cpu: '1' } },
        { type: 'Container', defaultRequest: { cpu: '2' } },
      ],
    },
    given: pod([container('c')]),
    becomes: [{ requests: { cpu: '2' } }, 'LimitRanger plugin set: cpu request for container c'],
  },
  {
    name: 'of two ranges the first that refuses is told',
    ranges: {
      a: [{ type: 'Container', max: { cpu: '2' } }],
      b: [{ type: 'Pod', max: { cpu: '1' } }],
    },
    given: pod([container('c', both('3'))]),
    refused: 'maximum cpu usage per Container is 2, but limit is 3',
  },
  {
    name: 'a limit below the minimum',
    ranges: { a: [{ type: 'Container', min: { cpu: '1' } }] },
    given: pod([container('c', { requests: { cpu: '1' }, limits: { cpu: '500m' } })]),
    refused: 'minimum cpu usage per Container is 1, but limit is 500m',
  },
  {
    name: 'a request above the maximum',
    ranges: { a: [{ type: 'Container', max: { cpu: '1' } }] },
    given: pod([container('c', { requests: { cpu: '2' }, limits: { cpu: '1' } })]),
    refused: 'maximum cpu usage per Container is 1, but request is 2',
  },
  {
    name: 'nothing said of what is bounded',
    ranges: { a: [{ type: 'Pod', min: { memory: '1Mi' }, max: { cpu: '1' } }] },
    given: pod([container('c')]),
    refused:
      '[minimum memory usage per Pod is 1Mi.  No request is specified, maximum cpu usage per Pod is 1.  No limit is specified]',
  },
  {
    name: 'a sidecar that comes to the pod',
    ranges: { a: [{ type: 'Pod', max: { cpu: '3' } }] },
    given: pod([container('c', both('2'))], {
      initContainers: [container('s', both('2'), sidecar), container('i', both('1'))],
    }),
    refused: 'maximum cpu usage per Pod is 3, but limit is 4',
  },
  {
    name: 'an init container that takes less than the others together',
    ranges: { a: [{ type: 'Pod', max: { cpu: '4' } }] },
    given: pod([container('c', both('2')), container('d', both('2'))], {
      initContainers: [container('i', both('3'))],
    }),
    becomes: [both('2'), undefined],
  },
  {
    name: 'what the pod says of itself instead of its containers',
    ranges: { a: [{ type: 'Pod', max: { cpu: '3' } }] },
    given: pod([container('c', both('2'))], { resources: both('4') }),
    refused: 'maximum cpu usage per Pod is 3, but limit is 4',
  },
  {
    name: 'a resize gets what it lacks',
    ranges: { a: [{ type: 'Container', defaultRequest: { memory: '1Mi' } }] },
    old: pod([container('c', both('1'))]),
    given: pod([container('c', both('2'))]),
    becomes: [
      { requests: { cpu: '2', memory: '1Mi' }, limits: { cpu: '2' } },
      'LimitRanger plugin set: memory request for container c',
    ],
  },
  {
    name: 'a resize of one that is leaving',
    ranges: { a: [{ type: 'Container', max: { cpu: '1' }, defaultRequest: { memory: '1Mi' } }] },
    old: withPath(pod([container('c', both('1'))]), 'metadata.deletionTimestamp', '2026-01-01T00:00:00Z'),
    given: pod([container('c', both('2'))]),
    becomes: [both('2'), undefined],
  },
])('LimitRanger: $name', async ({ ranges, given, old, becomes, refused }) => {
  const context = await contextWith([]);
  for (const [name, limits] of Object.entries(ranges))
    await store(context, 'v1/limitranges', { metadata: { name, namespace: 'n' }, spec: { limits } });
  const answer = await ask(context, limitRanger, {
    ...{ kind: pods, object: given, old },
    subresource: old === undefined ? '' : 'resize',
  });
  if (refused !== undefined) {
    expect(answer).toEqual({ code: 403, message: `pods "p" is forbidden: ${refused}` });
    return;
  }
  expect([
    objectsOf(at(answer, 'object.spec.containers'))[0]?.['resources'],
    at(answer, ['object', 'metadata', 'annotations', 'kubernetes.io/limit-ranger']),
  ]).toEqual(becomes);
});
