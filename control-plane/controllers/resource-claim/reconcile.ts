import { claimEntriesOf, podClaimKeys } from '#api/device/pod-claims.ts';
import type {
  Pod,
  PodResourceClaim,
  ResourceClaimConsumerReference,
  ResourceClaimTemplate,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { controllerRef } from '#api/meta/owner.ts';
import { objectKey } from '#api/meta/object.ts';
import { pods, resourceClaims, resourceClaimTemplates } from '#api/schema/kind-ref.ts';
import { equalJson } from '#api/wire/json.ts';
import { describeError } from '#base/errors.ts';
import { isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { Informer } from '#client/client.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import {
  claimOfTemplate,
  claimsToReserve,
  claimStatuses,
  isPodDone,
  madeClaim,
  planClaim,
  wantsClaims,
} from './plan.ts';

/** Keys of the two that are looked at. */
const [ofPod, ofClaim] = ['pod ', 'claim '];

/** Makes the claims of pods' templates, and takes claims back from pods that are gone. */
export function runResourceClaims(context: ControllerContext): Controller {
  const { informers, clock, logger } = context;
  const parts: Parts = {
    ...context,
    podInformer: informers.for(pods, { indexes: { claimTemplate: templateKeysOf } }),
    claims: informers.for(resourceClaims, { indexes: { pod: ownerUidsOf } }),
    templates: informers.for(resourceClaimTemplates),
  };
  const { podInformer, claims, templates } = parts;
  return runController({
    name: 'resourceclaim-controller',
    clock,
    logger,
    concurrencyMax: context.syncsMax,
    sources: [
      source(podInformer, ({ key, old, current }) => podKeys(key, old, current)),
      source(claims, ({ key, old, current }) => {
        if (current !== undefined) return [`${ofClaim}${key}`];
        const owner = old === undefined ? undefined : ownerOf(old);
        return owner === undefined ? [] : [`${ofPod}${old?.metadata?.namespace ?? ''}/${owner.name}`];
      }),
      source(templates, ({ key, old }) =>
        old === undefined
          ? podInformer.byIndex('claimTemplate', key).map((pod) => `${ofPod}${objectKey(pod)}`)
          : [],
      ),
    ],
    reconcile: async (key) => {
      if (key.startsWith(ofPod)) await syncPod(parts, key.slice(ofPod.length));
      else await syncClaim(parts, key.slice(ofClaim.length));
    },
  });
}

interface Parts extends ControllerContext {
  readonly podInformer: WritableInformer<Pod>;
  readonly claims: WritableInformer<ResourceClaim>;
  readonly templates: Informer<ResourceClaimTemplate>;
}

function hasClaims(pod: Pod | undefined): pod is Pod {
  return pod !== undefined && claimEntriesOf(pod).length > 0;
}

/** A pod that wants claims, and the claims of one that needs them no more. */
function podKeys(key: string, old: Pod | undefined, current: Pod | undefined): readonly string[] {
  const pod = current ?? old;
  if (!hasClaims(pod)) return [];
  const isReplaced = old !== undefined && old.metadata?.uid !== pod.metadata?.uid;
  const left = current === undefined || isPodDone(current) ? podClaimKeys(pod) : [];
  const before = isReplaced ? podClaimKeys(old) : [];
  return [
    ...(current === undefined ? [] : [`${ofPod}${key}`]),
    ...[...left, ...before].map((claim) => `${ofClaim}${claim}`),
  ];
}

function templateKeysOf({ metadata, spec }: Pod): readonly string[] {
  return (spec?.resourceClaims ?? []).flatMap(({ resourceClaimTemplateName: name }) =>
    name === undefined ? [] : [`${metadata?.namespace ?? ''}/${name}`],
  );
}

function ownerOf(claim: ResourceClaim): { readonly name: string; readonly uid: string } | undefined {
  const owner = controllerRef(claim);
  return owner?.kind === 'Pod' && owner.apiVersion === 'v1' ? owner : undefined;
}

function ownerUidsOf(claim: ResourceClaim): readonly string[] {
  const owner = ownerOf(claim);
  return owner === undefined ? [] : [owner.uid];
}

async function syncPod(parts: Parts, key: string): Promise<void> {
  const { client, podInformer, claims } = parts;
  const pod = podInformer.get(key);
  if (!hasClaims(pod) || !wantsClaims(pod)) return;
  const made = new Map<string, ResourceClaim>();
  for (const entry of pod.spec?.resourceClaims ?? []) {
    const { name, resourceClaimTemplateName: template } = entry;
    if (template === undefined) continue;
    const claim = await ensureClaim(parts, pod, { entry, template });
    if (claim !== undefined) made.set(name, claim);
  }
  const told = await tellClaims(parts, pod, made);
  const used = podClaimKeys(told).flatMap((each) => claims.get(each) ?? []);
  for (const claim of claimsToReserve(told, used))
    claims.observe(await client.update(resourceClaims, claim, { subresource: 'status' }));
}

/** Undefined: it cannot be made now, of which the pod is told. */
async function ensureClaim(
  { client, claims, templates, recorder }: Parts,
  pod: Pod,
  { entry, template: name }: { readonly entry: PodResourceClaim; readonly template: string },
): Promise<ResourceClaim | undefined> {
  const known = madeClaim(entry, claims.byIndex('pod', pod.metadata?.uid ?? ''));
  if (known !== undefined) return known;
  const namespace = pod.metadata?.namespace ?? '';
  const fail = (why: string): void => {
    const message = `PodResourceClaim ${entry.name}: ${why}`;
    const events = recorder('resource_claim');
    events.record({ kind: pods, object: pod }, 'Warning', 'FailedResourceClaimCreation', message);
  };
  const template = templates.get(`${namespace}/${name}`);
  if (template === undefined) {
    // Looked at again when there is one.
    const quoted = JSON.stringify(name);
    fail(`resource claim template ${quoted}: resourceclaimtemplate.resource.k8s.io ${quoted} not found`);
    return undefined;
  }
  try {
    const claim = await client.create(resourceClaims, claimOfTemplate(pod, entry, template), { namespace });
    claims.observe(claim);
    return claim;
  } catch (error) {
    fail(`create ResourceClaim: ${describeError(error)}`);
    throw error;
  }
}

/** The pod as it is once its status says which claims were made for it. */
async function tellClaims(
  { client, podInformer }: Parts,
  pod: Pod,
  made: ReadonlyMap<string, ResourceClaim>,
): Promise<Pod> {
  const resourceClaimStatuses = claimStatuses(pod, made);
  if (equalJson(pod.status?.resourceClaimStatuses ?? [], resourceClaimStatuses)) return pod;
  const { namespace = '', name = '', uid } = pod.metadata ?? {};
  const body = { metadata: { uid }, status: { resourceClaimStatuses } };
  const patched = await client.patch(
    pods,
    { namespace, name },
    { kind: 'strategic', body, subresource: 'status' },
  );
  podInformer.observe(patched);
  return patched;
}

async function syncClaim(parts: Parts, key: string): Promise<void> {
  const { client, claims, podInformer } = parts;
  const claim = claims.get(key);
  if (claim === undefined) return;
  const { namespace = '', name = '' } = claim.metadata ?? {};
  const gone = new Set<string>();
  for (const consumer of claim.status?.reservedFor ?? [])
    if (!(await isUser(parts, namespace, consumer))) gone.add(consumer.uid);
  const owner = ownerOf(claim);
  const pod = owner === undefined ? undefined : podInformer.get(`${namespace}/${owner.name}`);
  let revision = claim.metadata?.resourceVersion;
  for (const step of planClaim(claim, ({ uid }) => !gone.has(uid), pod)) {
    if (step.kind === 'delete') {
      const preconditions = { uid: claim.metadata?.uid };
      await client.delete(resourceClaims, { namespace, name }, { preconditions });
      continue;
    }
    const next = { ...step.claim, metadata: { ...step.claim.metadata, resourceVersion: revision } };
    const written = await client.update(
      resourceClaims,
      next,
      step.kind === 'writeStatus' ? { subresource: 'status' } : {},
    );
    claims.observe(written);
    revision = written.metadata?.resourceVersion;
  }
}

/** A pod that is not in the cache may be newer than it, and is asked for. Users that are no pods are others' business. */
async function isUser(
  { client, podInformer }: Parts,
  namespace: string,
  { apiGroup = '', resource, name, uid }: ResourceClaimConsumerReference,
): Promise<boolean> {
  if (apiGroup !== '' || resource !== 'pods') return true;
  const known = podInformer.get(`${namespace}/${name}`);
  if (known?.metadata?.uid === uid) return !isPodDone(known);
  try {
    const found = await client.get(pods, { namespace, name });
    return found.metadata?.uid === uid && !isPodDone(found);
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
