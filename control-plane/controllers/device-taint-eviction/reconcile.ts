import { podClaimKeys } from '#api/device/pod-claims.ts';
import type {
  DeviceRequestAllocationResult,
  DeviceTaint,
  Pod,
  ResourceSlice,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { pods, resourceClaims, resourceSlices } from '#api/schema/kind-ref.ts';
import { equalJson } from '#api/wire/json.ts';
import { formatTime } from '#api/meta/time.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { planDeviceEviction } from './plan.ts';

/** Ends pods whose devices their drivers say are not to be used any more. */
export function runDeviceTaintEviction(context: ControllerContext): Controller {
  const { informers, clock, logger } = context;
  const podInformer = informers.for(pods);
  const claims = informers.for(resourceClaims, { indexes: { devicePool: poolsOfClaim } });
  const slices = informers.for(resourceSlices, { indexes: { devicePool: (slice) => [poolOf(slice)] } });
  const taintsOf = (result: DeviceRequestAllocationResult): readonly DeviceTaint[] =>
    newest(slices.byIndex('devicePool', `${result.driver}/${result.pool}`)).flatMap(
      ({ spec }) => spec.devices?.find(({ name }) => name === result.device)?.taints ?? [],
    );
  const recorder = context.recorder('device-taint-eviction');
  return runController({
    name: 'device-taint-eviction-controller',
    clock,
    logger,
    sources: [
      source(podInformer, ({ key, old, current }) =>
        current !== undefined &&
        podClaimKeys(current).length > 0 &&
        old?.spec?.nodeName !== current.spec?.nodeName
          ? [key]
          : [],
      ),
      source(claims, ({ current }) => (current === undefined ? [] : usersOf(current))),
      source(slices, ({ old, current }) =>
        equalJson(taintsIn(old), taintsIn(current))
          ? []
          : [old, current].flatMap((slice) =>
              slice === undefined ? [] : claims.byIndex('devicePool', poolOf(slice)).flatMap(usersOf),
            ),
      ),
    ],
    reconcile: async (key) => {
      const pod = podInformer.get(key);
      if (pod === undefined) return undefined;
      const used = podClaimKeys(pod).flatMap((each) => claims.get(each) ?? []);
      const eviction = planDeviceEviction(pod, used, taintsOf);
      if (eviction === undefined) return undefined;
      const afterMs = eviction.atMs - clock.now();
      if (afterMs > 0) return { kind: 'again', afterMs };
      const message = `Marking for deletion: device ${eviction.device} of claim ${eviction.claim} has a NoExecute taint`;
      recorder.record({ kind: pods, object: pod }, 'Normal', 'DeviceTaintManagerEviction', message);
      await evict(context, pod);
      return undefined;
    },
  });
}

/** So that its controller counts it as disrupted, then away. */
async function evict({ client, clock }: ControllerContext, pod: Pod): Promise<void> {
  const { namespace = '', name = '', uid } = pod.metadata ?? {};
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'DeletionByDeviceTaintManager',
    message: 'Device Taint manager: deleting due to NoExecute taint',
    lastTransitionTime: formatTime(clock.now()),
  };
  try {
    const body = { metadata: { uid }, status: { conditions: [condition] } };
    await client.patch(pods, { namespace, name }, { kind: 'strategic', body, subresource: 'status' });
    await client.delete(pods, { namespace, name }, { preconditions: { uid } });
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}

function poolOf({ spec }: ResourceSlice): string {
  return `${spec.driver}/${spec.pool.name}`;
}

function newest(slices: readonly ResourceSlice[]): readonly ResourceSlice[] {
  const generation = Math.max(...slices.map(({ spec }) => spec.pool.generation));
  return slices.filter(({ spec }) => spec.pool.generation === generation);
}

function poolsOfClaim({ status }: ResourceClaim): readonly string[] {
  const results = status?.allocation?.devices?.results ?? [];
  return [...new Set(results.map(({ driver, pool }) => `${driver}/${pool}`))];
}

function usersOf({ metadata, status }: ResourceClaim): readonly string[] {
  return (status?.reservedFor ?? [])
    .filter(({ resource }) => resource === 'pods')
    .map(({ name }) => `${metadata?.namespace ?? ''}/${name}`);
}

function taintsIn(slice: ResourceSlice | undefined): readonly unknown[] {
  return (slice?.spec.devices ?? []).map(({ name, taints }) => [name, taints]);
}
