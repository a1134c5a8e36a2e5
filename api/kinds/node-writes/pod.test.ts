import { expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { refusePodWrite } from './pod.ts';

const owner = { apiVersion: 'v1', kind: 'Node', name: 'a', uid: 'u', controller: true };
/** A mirror pod that a node may make, and what a row adds to its spec. */
const mirrored = (spec: object = {}): JsonObject => ({
  metadata: { annotations: { 'kubernetes.io/config.mirror': 'x' }, ownerReferences: [owner] },
  spec: { nodeName: 'a', containers: [{ name: 'c', image: 'i' }], ...spec },
});
const volume = (source: object): object => ({ volumes: [{ name: 'v', ...source }] });
const references = (words: string): string => `node "a" can not create pods that reference ${words}`;

it.each<[name: string, spec: object, want: string | undefined]>([
  ['nothing', {}, undefined],
  ['an account', { serviceAccountName: 'default' }, references('a service account')],
  ['a Secret', volume({ secret: { secretName: 's' } }), references('secrets')],
  ['a ConfigMap', volume({ configMap: { name: 'c' } }), references('configmaps')],
  [
    'a bundle',
    volume({ projected: { sources: [{ clusterTrustBundle: { name: 'b', path: 'p' } }] } }),
    references('clustertrustbundles'),
  ],
  ['a claim', volume({ persistentVolumeClaim: { claimName: 'c' } }), references('persistentvolumeclaims')],
  [
    'a claim of devices',
    { resourceClaims: [{ name: 'r', resourceClaimName: 'c' }] },
    references('resourceclaims'),
  ],
  [
    'a claim of devices that is to be made',
    { resourceClaims: [{ name: 'r', resourceClaimTemplateName: 't' }] },
    references('resourceclaims'),
  ],
])('a node makes a mirror pod that names %s', (_name, spec, want) => {
  const write = { node: 'a', operation: 'create', subresource: '', namespace: 'n', name: 'm' } as const;
  expect(refusePodWrite({ ...write, object: mirrored(spec) })).toBe(want);
});

it.each<[what: string, status: object, want: string | undefined]>([
  ['a phase', { phase: 'Running' }, undefined],
  [
    'claims',
    { resourceClaimStatuses: [{ name: 'r', resourceClaimName: 'c' }] },
    'node "a" cannot update resource claim statues',
  ],
  [
    'a claim for extended resources',
    { extendedResourceClaimStatus: { resourceClaimName: 'c' } },
    'node "a" cannot update extended resource claim status',
  ],
])('a node writes %s into the status of its pod', (_what, status, want) => {
  const old = mirrored();
  const write = { node: 'a', operation: 'update', subresource: 'status', namespace: 'n', name: 'm' } as const;
  expect(refusePodWrite({ ...write, old, object: { ...old, status } })).toBe(want);
});
