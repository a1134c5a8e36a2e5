import { describe, expect, it } from 'vitest';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { renderFieldError } from '#api/errors/field-error.ts';
import { at, objectsOf, withPath } from '#api/wire/json.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { applyStrategicPatch } from '#api/patch/strategic-patch.ts';
import { prepareCreate, prepareUpdate } from '#api/strategy/strategy.ts';
import { validateUpdate } from '#api/validation/validation.ts';

const kind = findKindByName('v1', 'Pod');
if (kind === undefined) throw new Error('no kind Pod');

const resources = { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '300m', memory: '128Mi' } };
const burstable = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p' },
  spec: {
    containers: [
      { name: 'c', image: 'i', resources },
      { name: 'd', image: 'i' },
    ],
    initContainers: [
      { name: 'once', image: 'i', resources },
      { name: 'side', image: 'i', restartPolicy: 'Always', resources },
    ],
  },
};
const stored = (object: JsonObject): JsonObject =>
  prepareCreate(kind, applyDefaults(kind, object), { now: 0, uid: 'u', namespace: 'default' });
const resize = (old: JsonObject, patched: JsonObject): JsonObject =>
  prepareUpdate(kind, old, applyDefaults(kind, patched), 'resize');
const complaints = (old: JsonObject, next: JsonObject): readonly string[] =>
  validateUpdate(kind, old, next, 'resize').map((error) => `${error.field}: ${renderFieldError(error)}`);
const c = (amounts: JsonObject): JsonObject => ({
  spec: { containers: [{ name: 'c', resources: amounts }] },
});

describe('validatePodResize()', () => {
  it.each<[string, JsonObject, readonly string[]]>([
    ['cpu and memory', c({ requests: { cpu: '200m' }, limits: { cpu: '1', memory: '64Mi' } }), []],
    [
      'a sidecar',
      { spec: { initContainers: [{ name: 'side', resources: { limits: { memory: '1Gi' } } }] } },
      [],
    ],
    [
      'an init container that ends',
      { spec: { initContainers: [{ name: 'once', resources: { limits: { memory: '1Gi' } } }] } },
      [],
    ],
    [
      'a limit taken away',
      c({ limits: { cpu: null } }),
      ['spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed'],
    ],
    [
      'a request taken away',
      c({ requests: { memory: null } }),
      // Defaulting makes it the limit again.
      [],
    ],
    [
      'another resource',
      c({ limits: { 'ephemeral-storage': '1Gi' } }),
      ['spec: Forbidden: only cpu and memory resources are mutable'],
    ],
    [
      'its policy',
      {
        spec: {
          containers: [{ name: 'c', resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'NotRequired' }] }],
        },
      },
      ['spec: Forbidden: only cpu and memory resources are mutable'],
    ],
    [
      'a request above the limit',
      c({ requests: { cpu: '500m' } }),
      [
        'spec.containers[0].resources.requests: Invalid value: "500m": must be less than or equal to cpu limit of 300m',
      ],
    ],
    [
      'a container that is not there',
      { spec: { containers: [{ name: 'new', image: 'i' }] } },
      ['spec.containers: Forbidden: containers may not be added or removed on resize'],
    ],
  ])('%s', (_name, patch, want) => {
    const old = stored(burstable);
    expect(complaints(old, resize(old, applyStrategicPatch(kind, old, patch)))).toEqual(want);
  });

  it('keeps the QoS class', () => {
    const limits = { cpu: '1', memory: '1Gi' };
    const guaranteed = stored({
      ...burstable,
      spec: { containers: [{ name: 'c', image: 'i', resources: { limits } }] },
    });
    const patch = c({ requests: { cpu: '500m' } });
    expect(complaints(guaranteed, resize(guaranteed, applyStrategicPatch(kind, guaranteed, patch)))).toEqual([
      'spec: Invalid value: "Guaranteed": Pod QOS Class may not change as a result of resizing',
    ]);
  });

  it('leaves out all but resources, and counts the generation', () => {
    const old = stored(burstable);
    const patch = { ...c({ limits: { cpu: '2' } }), metadata: { labels: { a: 'b' } } };
    const next = resize(old, withPath(applyStrategicPatch(kind, old, patch), 'spec.nodeName', 'n'));
    expect(at(next, 'spec.nodeName')).toBeUndefined();
    expect(at(objectsOf(at(next, 'spec.containers'))[0] ?? {}, 'resources.limits.cpu')).toBe('2');
    expect(at(next, 'metadata.generation')).toBe(2);
  });

  it('resizes the pod as a whole, and takes nothing back', () => {
    const given = { requests: { cpu: '1', memory: '512Mi' }, limits: { cpu: '2', memory: '1Gi' } };
    const whole = stored(withPath(burstable, 'spec.resources', given));
    const patched = (limits: JsonObject): JsonObject =>
      resize(whole, withPath(whole, 'spec.resources.limits', limits));
    expect(complaints(whole, patched({ cpu: '3', memory: '1Gi' }))).toEqual([]);
    expect(complaints(whole, patched({ cpu: '3' }))).toEqual([
      'spec.resources.limits: Forbidden: pod-level resource limits cannot be removed',
    ]);
  });
});
