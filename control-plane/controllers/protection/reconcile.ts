import {
  ipAddresses,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  serviceCidrs,
  volumeAttributesClasses,
} from '#api/schema/kind-ref.ts';
import type { PersistentVolume, ServiceCIDR } from '#api/generated/objects.ts';
import { findCondition } from '#api/meta/condition.ts';
import { formatTime } from '#api/meta/time.ts';
import { isConflict } from '#client/api-error.ts';
import { ownKey, runController, source, type Controller } from '#client/controller.ts';
import { listAll } from '#client/list-all.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import {
  attributesClassesOf,
  attributesFinalizer,
  cidrFinalizer,
  claimFinalizer,
  claimsOf,
  holdsAddresses,
  planProtection,
  volumeFinalizer,
} from './plan.ts';
import { protect, write } from './protect.ts';

/** Keeps claims while pods use them, and lets go those that are deleted and unused. */
export function runClaimProtection(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const claimInformer = informers.for(persistentVolumeClaims);
  const podInformer = informers.for(pods, { indexes: { claim: claimsOf } });
  return runController({
    name: 'pvc-protection-controller',
    clock,
    logger,
    sources: [
      ownKey(claimInformer),
      source(podInformer, ({ old, current }) => {
        const [before, now] = [old, current].map((pod) => (pod === undefined ? [] : claimsOf(pod)));
        return (before ?? []).filter((claim) => now?.includes(claim) !== true);
      }),
    ],
    reconcile: async (key) => {
      const claim = claimInformer.get(key);
      if (claim === undefined) return;
      const namespace = claim.metadata?.namespace;
      await protect(context, {
        ...{ kind: persistentVolumeClaims, object: claim, finalizer: claimFinalizer },
        isSeenUsed: () => podInformer.byIndex('claim', key).length > 0,
        isUsed: async () =>
          (await listAll(client, pods, { namespace })).items.some((pod) => claimsOf(pod).includes(key)),
      });
    },
  });
}

/** Keeps volumes while a claim is bound to them. */
export function runVolumeProtection(context: ControllerContext): Controller {
  const { informers, clock, logger } = context;
  const volumeInformer = informers.for(persistentVolumes);
  return runController({
    name: 'pv-protection-controller',
    clock,
    logger,
    sources: [ownKey(volumeInformer)],
    reconcile: async (key) => {
      const volume = volumeInformer.get(key);
      if (volume === undefined) return;
      const step = planProtection(volume, volumeFinalizer, () => volume.status?.phase === 'Bound');
      if (step !== 'none') {
        await write(context, { kind: persistentVolumes, object: volume, finalizer: volumeFinalizer, step });
      }
    },
  });
}

/** Keeps classes of attributes while a claim or a volume names them. */
export function runAttributesProtection(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const classInformer = informers.for(volumeAttributesClasses);
  const claimInformer = informers.for(persistentVolumeClaims, {
    indexes: { attributesClass: attributesClassesOf },
  });
  const volumeInformer = informers.for(persistentVolumes, { indexes: { attributesClass: classOf } });
  return runController({
    name: 'volumeattributesclass-protection-controller',
    clock,
    logger,
    sources: [
      ownKey(classInformer),
      source(claimInformer, ({ old, current }) => {
        const now = current === undefined ? [] : attributesClassesOf(current);
        return (old === undefined ? [] : attributesClassesOf(old)).filter((name) => !now.includes(name));
      }),
      source(volumeInformer, ({ old, current }) => {
        const now = current === undefined ? [] : classOf(current);
        return (old === undefined ? [] : classOf(old)).filter((name) => !now.includes(name));
      }),
    ],
    reconcile: async (key) => {
      const object = classInformer.get(key);
      if (object === undefined) return;
      await protect(context, {
        ...{ kind: volumeAttributesClasses, object, finalizer: attributesFinalizer },
        isSeenUsed: () =>
          [claimInformer, volumeInformer].some((one) => one.byIndex('attributesClass', key).length > 0),
        isUsed: async () =>
          (await listAll(client, persistentVolumeClaims)).items.some((one) =>
            attributesClassesOf(one).includes(key),
          ) || (await listAll(client, persistentVolumes)).items.some((one) => classOf(one).includes(key)),
      });
    },
  });
}

function classOf({ spec }: PersistentVolume): readonly string[] {
  const name = spec?.volumeAttributesClassName ?? '';
  return name === '' ? [] : [name];
}

/**
 * Keeps ServiceCIDRs while addresses are of them, and says of each whether Services get addresses of it: of new ones yes, of those that
 * are to go and cannot why they stay.
 */
export function runServiceCidrProtection(context: ControllerContext): Controller {
  const { informers, clock, logger } = context;
  const recorder = context.recorder('service-cidr-controller');
  const cidrInformer = informers.for(serviceCidrs);
  const addressInformer = informers.for(ipAddresses);
  const going = (): readonly string[] =>
    cidrInformer
      .list()
      .filter(({ metadata }) => metadata?.deletionTimestamp !== undefined)
      .map(({ metadata }) => metadata?.name ?? '');
  return runController({
    name: 'service-cidr-controller',
    clock,
    logger,
    sources: [
      // What one has of addresses may be what keeps another.
      source(cidrInformer, ({ key }) => [key, ...going()]),
      source(addressInformer, ({ current }) => (current === undefined ? going() : [])),
    ],
    reconcile: async (key) => {
      const cidr = cidrInformer.get(key);
      if (cidr === undefined) return;
      if (cidr.metadata?.deletionTimestamp === undefined) {
        if (planProtection(cidr, cidrFinalizer, () => true) === 'add')
          await write(context, { kind: serviceCidrs, object: cidr, finalizer: cidrFinalizer, step: 'add' });
        else if (findCondition(cidr.status?.conditions, 'Ready') === undefined)
          await tellReady(context, cidr, readiness.ready).catch((error: unknown) => {
            // Of one that somebody else wrote meanwhile the next turn knows more.
            if (!isConflict(error))
              recorder.record({ kind: serviceCidrs, object: cidr }, 'Warning', ...notReady);
            throw error;
          });
        return;
      }
      const [addresses, cidrs] = [addressInformer.list(), cidrInformer.list()];
      const isUsed = holdsAddresses(cidr, { addresses, cidrs });
      const step = planProtection(cidr, cidrFinalizer, () => isUsed);
      if (step === 'remove') {
        await write(context, { kind: serviceCidrs, object: cidr, finalizer: cidrFinalizer, step });
      } else if (isUsed && findCondition(cidr.status?.conditions, 'Ready')?.status !== 'False') {
        await tellReady(context, cidr, readiness.terminating);
      }
    },
  });
}

const notReady = [
  'KubernetesServiceCIDRError',
  'The ServiceCIDR Status can not be set to Ready=True',
] as const;

/** As kube-controller-manager says it. */
const readiness = {
  ready: { status: 'True', reason: '', message: 'Kubernetes Service CIDR is ready' },
  terminating: {
    status: 'False',
    reason: 'Terminating',
    message:
      'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR',
  },
} as const;

async function tellReady(
  { client, informers, clock }: ControllerContext,
  cidr: ServiceCIDR,
  told: (typeof readiness)['ready' | 'terminating'],
): Promise<void> {
  const ready = { type: 'Ready', lastTransitionTime: formatTime(clock.now()), ...told };
  const next = { ...cidr, status: { conditions: [ready] } };
  informers.for(serviceCidrs).observe(await client.update(serviceCidrs, next, { subresource: 'status' }));
}
