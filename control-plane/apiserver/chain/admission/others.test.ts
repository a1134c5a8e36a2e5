import { expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { withPath } from '#api/wire/json.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { Authorizer } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import type { AdmissionPlugin } from './admission.ts';
import { ask, contextWith, store, type Ask } from './admission.fixture.ts';
import { alwaysAdmit, alwaysDeny } from './always.ts';
import { denyServiceExternalIPs } from './deny-service-external-ips.ts';
import { ownerReferencesPermissionEnforcement } from './owner-references-permission-enforcement.ts';
import { priority } from './pods/priority.ts';
import { refusedDeletion } from './refused-deletion.ts';
import { persistentVolumeClaimResize } from './storage/persistent-volume-claim-resize.ts';

const services = builtIn('', 'v1', 'services');
const claims = builtIn('', 'v1', 'persistentvolumeclaims');
const classes = builtIn('scheduling.k8s.io', 'v1', 'priorityclasses');
const pods = builtIn('', 'v1', 'pods');

const service = (externalIPs?: readonly string[]): JsonObject => ({
  metadata: { name: 's' },
  spec: externalIPs === undefined ? {} : { externalIPs },
});
const claim = (size: string, storageClassName: string, phase = 'Bound'): JsonObject => ({
  metadata: { name: 'c' },
  spec: { storageClassName, resources: { requests: { storage: size } } },
  status: { phase },
});
const priorityClass = (name: string, value: number, globalDefault: boolean): JsonObject => ({
  ...{ metadata: { name }, value, globalDefault },
});
const pod = (...ownerReferences: readonly JsonObject[]): JsonObject => ({
  metadata: ownerReferences.length === 0 ? { name: 'p' } : { name: 'p', ownerReferences },
});
const owner = (more: JsonObject = {}): JsonObject => ({
  ...{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'r', uid: 'u', ...more },
});
const blocking = owner({ blockOwnerDeletion: true });

const noIps = 'services "s" is forbidden: Use of external IPs is denied by admission control';
const noGrowth =
  'persistentvolumeclaims "c" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize';
const second = (name: string): string =>
  `priorityclasses.scheduling.k8s.io ${JSON.stringify(name)} is forbidden: PriorityClass gd is already marked as default. Only one default can exist`;
const cannotDelete =
  'pods "p" is forbidden: cannot set an ownerRef on a resource you can\'t delete: why, <nil>';
const cannotBlock =
  'pods "p" is forbidden: cannot set blockOwnerDeletion if an ownerReference refers to a resource you can\'t set finalizers on: why, <nil>';
const denied = 'is forbidden: admission control is denying all modifications';

/** `VERB RESOURCE[/SUBRESOURCE] NAMESPACE/NAME`, each of what may be done. */
function allowing(may: readonly string[]): Authorizer {
  return {
    name: 'test',
    decide: (asked) => {
      if (asked.kind !== 'resource') return { decision: 'noOpinion', reason: '' };
      const { verb, resource, subresource, namespace, name } = asked;
      const what = subresource === '' ? resource : `${resource}/${subresource}`;
      return may.includes(`${verb} ${what} ${namespace}/${name}`)
        ? { decision: 'allow', reason: '' }
        : { decision: 'noOpinion', reason: 'why' };
    },
    rulesOf: () => ({ resourceRules: [], nonResourceRules: [], incomplete: false }),
  };
}

it.each<{
  readonly name: string;
  readonly plugin: AdmissionPlugin;
  readonly asked: Ask;
  readonly may?: readonly string[];
  readonly refused?: string;
}>([
  { name: 'no address', plugin: denyServiceExternalIPs, asked: { kind: services, object: service() } },
  {
    name: 'an address',
    plugin: denyServiceExternalIPs,
    asked: { kind: services, object: service(['1.2.3.4']) },
    refused: noIps,
  },
  {
    name: 'an address that it had',
    plugin: denyServiceExternalIPs,
    asked: { kind: services, old: service(['1.2.3.4', '1.2.3.5']), object: service(['1.2.3.4']) },
  },
  {
    name: 'one more address',
    plugin: denyServiceExternalIPs,
    asked: { kind: services, old: service(['1.2.3.4']), object: service(['1.2.3.4', '1.2.3.5']) },
    refused: noIps,
  },
  {
    name: 'growth of a class that lets',
    plugin: persistentVolumeClaimResize,
    asked: { kind: claims, old: claim('1Gi', 'grow'), object: claim('2Gi', 'grow') },
  },
  {
    name: 'growth of a class in the annotation that lets',
    plugin: persistentVolumeClaimResize,
    asked: {
      kind: claims,
      ...Object.fromEntries(
        (['old', 'object'] as const).map((which) => [
          which,
          withPath(
            claim(which === 'old' ? '1Gi' : '2Gi', ''),
            ['metadata', 'annotations', 'volume.beta.kubernetes.io/storage-class'],
            'grow',
          ),
        ]),
      ),
    },
  },
  ...['fixed', 'missing', ''].map((name) => ({
    name: `growth of class "${name}"`,
    plugin: persistentVolumeClaimResize,
    asked: { kind: claims, old: claim('1Gi', name), object: claim('2Gi', name) },
    refused: noGrowth,
  })),
  {
    name: 'growth of one that is not bound',
    plugin: persistentVolumeClaimResize,
    asked: { kind: claims, old: claim('1Gi', 'grow', 'Pending'), object: claim('2Gi', 'grow', 'Pending') },
    refused: 'persistentvolumeclaims "c" is forbidden: Only bound persistent volume claims can be expanded',
  },
  {
    name: 'the same, written otherwise',
    plugin: persistentVolumeClaimResize,
    asked: { kind: claims, old: claim('1Gi', 'fixed'), object: claim('1024Mi', 'fixed') },
  },
  {
    name: 'a second class that is for all',
    plugin: priority,
    asked: { kind: classes, object: priorityClass('x', 9, true) },
    refused: second('x'),
  },
  { name: 'another class', plugin: priority, asked: { kind: classes, object: priorityClass('x', 9, false) } },
  {
    name: 'the one that is for all, again',
    plugin: priority,
    asked: { kind: classes, old: priorityClass('gd', 7, true), object: priorityClass('gd', 7, true) },
  },
  {
    name: 'the other one of two that are for all',
    plugin: priority,
    asked: { kind: classes, old: priorityClass('gd2', 8, true), object: priorityClass('gd2', 8, true) },
    refused: second('gd2'),
  },
  {
    name: 'the end of a class of the system',
    plugin: refusedDeletion,
    asked: {
      kind: classes,
      operation: 'delete',
      old: priorityClass('system-node-critical', 2_000_001_000, false),
    },
    refused:
      'priorityclasses.scheduling.k8s.io "system-node-critical" is forbidden: this is a system priority class and cannot be deleted',
  },
  {
    name: 'the end of another class',
    plugin: refusedDeletion,
    asked: { kind: classes, operation: 'delete', old: priorityClass('x', 1, false) },
  },
  {
    name: 'an owner, by who may not delete',
    plugin: ownerReferencesPermissionEnforcement,
    asked: { kind: pods, object: pod(owner()) },
    refused: cannotDelete,
  },
  {
    name: 'an owner, by who may delete',
    plugin: ownerReferencesPermissionEnforcement,
    asked: { kind: pods, object: pod(owner()) },
    may: ['delete pods n/p'],
  },
  {
    name: 'another owner, by who may not delete',
    plugin: ownerReferencesPermissionEnforcement,
    asked: { kind: pods, old: pod(owner()), object: pod(owner({ uid: 'v' })) },
    refused: cannotDelete,
  },
  {
    name: 'an owner that waits, by who may only delete',
    plugin: ownerReferencesPermissionEnforcement,
    asked: { kind: pods, old: pod(owner()), object: pod(blocking) },
    may: ['delete pods n/p', 'update replicasets/finalizers n/other'],
    refused: cannotBlock,
  },
  {
    name: 'an owner that waits, by who may write its finalizers',
    plugin: ownerReferencesPermissionEnforcement,
    asked: { kind: pods, old: pod(owner()), object: pod(blocking) },
    may: ['delete pods n/p', 'update replicasets/finalizers n/r'],
  },
  {
    name: 'an owner that waited before',
    plugin: ownerReferencesPermissionEnforcement,
    asked: { kind: pods, old: pod(blocking), object: pod(blocking, owner({ uid: 'v' })) },
    may: ['delete pods n/p'],
  },
  {
    name: 'an owner of the cluster that waits',
    plugin: ownerReferencesPermissionEnforcement,
    asked: { kind: pods, object: pod(owner({ apiVersion: 'v1', kind: 'Node', blockOwnerDeletion: true })) },
    may: ['delete pods n/p', 'update nodes/finalizers /r'],
  },
  {
    name: 'an owner of no kind that waits',
    plugin: ownerReferencesPermissionEnforcement,
    asked: { kind: pods, object: pod(owner({ kind: 'Foo', blockOwnerDeletion: true })) },
    may: ['delete pods n/p'],
    refused:
      'pods "p" is forbidden: cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion apps/v1 Kind Foo: no matches for kind "Foo" in version "apps/v1"',
  },
  {
    name: 'an owner of no kind that waits, by who may write all finalizers',
    plugin: ownerReferencesPermissionEnforcement,
    asked: { kind: pods, object: pod(owner({ kind: 'Foo', blockOwnerDeletion: true })) },
    may: ['delete pods n/p', 'update */finalizers /*'],
  },
  {
    name: 'an update that leaves the owners',
    plugin: ownerReferencesPermissionEnforcement,
    asked: { kind: pods, old: pod(blocking), object: pod(blocking) },
  },
  {
    name: 'what a kubelet writes',
    plugin: ownerReferencesPermissionEnforcement,
    asked: { kind: pods, subresource: 'status', old: pod(), object: pod(owner()) },
  },
  { name: 'anything', plugin: alwaysAdmit, asked: { kind: pods, object: pod() } },
  {
    name: 'anything',
    plugin: alwaysDeny,
    asked: { kind: pods, object: pod() },
    refused: `pods "p" ${denied}`,
  },
  {
    name: 'an end',
    plugin: alwaysDeny,
    asked: { kind: pods, operation: 'delete', old: pod() },
    refused: `pods "p" ${denied}`,
  },
])('$plugin.name: $name', async ({ plugin, asked, may = [], refused }) => {
  const context = { ...(await contextWith([])), authorizer: allowing(may) };
  for (const [name, allowVolumeExpansion] of [
    ['grow', true],
    ['fixed', false],
  ] as const)
    await store(context, 'storage.k8s.io/v1/storageclasses', { metadata: { name }, allowVolumeExpansion });
  for (const each of [priorityClass('gd', 7, true), priorityClass('gd2', 8, true)])
    await store(context, 'scheduling.k8s.io/v1/priorityclasses', each);
  const answer = await ask(context, plugin, asked);
  expect(answer).toEqual(refused === undefined ? { object: asked.object } : { code: 403, message: refused });
});
