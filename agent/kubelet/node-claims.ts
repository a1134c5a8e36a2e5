/** Claims of devices on a node: the drivers that come, what they make ready, and what is left of those that go. */
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { resourceSlices } from '#api/schema/kind-ref.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { listAll } from '#client/list-all.ts';
import { timed, type DeviceCounts } from '#agent/device/device-counts.ts';
import { ClaimHealths, followHealths } from '#agent/device/claims/claim-healths.ts';
import type { ClaimRecord } from '#agent/device/claims/claim-record.ts';
import { claimHealthsOf } from '#agent/device/claims/container-claims.ts';
import { DraDrivers, draPluginType } from '#agent/device/claims/dra-plugin.ts';
import { openPodClaims, type PodClaims } from '#agent/device/claims/pod-claims.ts';
import type { PodHealths } from './ports.ts';
import type { PluginHandlers } from '#agent/plugin/plugin.ts';

export interface NodeClaimsOptions {
  readonly client: ApiClient;
  readonly nodeName: string;
  /** File of what is prepared. */
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counts?: DeviceCounts;
  /** A driver came: pods that wait for one may go on. */
  readonly onDriver: () => void;
}

export interface NodeClaims extends Disposable {
  readonly claims: PodClaims;
  readonly healths: PodHealths;
  readonly plugins: PluginHandlers;
}

/** How long a driver has to come back before what it says of devices is taken away, ms (kubelet's wipingDelay). */
const wipeMs = 30_000;

export async function openNodeClaims(options: NodeClaimsOptions): Promise<NodeClaims> {
  const { client, path, counts, clock, logger } = options;
  const wipes = new Map<string, Disposable>(); // by driver
  const listeners = new Set<(podUids: readonly string[]) => void>();
  const healths = new ClaimHealths({
    clock,
    onChange: (driver, devices) => {
      const uids = podsWith(claims.records(), driver, devices);
      if (uids.length > 0) for (const listener of listeners) listener(uids);
    },
  });
  const onChange = (name: string, isThere: boolean): void => {
    wipes.get(name)?.[Symbol.dispose]();
    wipes.delete(name);
    logger.info({ driver: name }, isThere ? 'driver of devices registered' : 'driver of devices gone');
    if (isThere) {
      options.onDriver();
      return;
    }
    wipeLater(name, (driver) => driver === name);
  };
  const drivers = new DraDrivers({
    ...{ onChange, counts, clock },
    follow: (driver, { watchHealths: watch }, signal) =>
      void followHealths({ driver, watch, healths, clock, logger }, signal),
  });
  const wipeLater = (key: string, isGone: (driver: string) => boolean): void => {
    const wipe = (): void => {
      wipes.delete(key);
      removeSlices(options, isGone).catch((error: unknown) => {
        logger.warn({ error: describeError(error) }, 'slices of drivers that are gone not removed');
        wipeLater(key, isGone);
      });
    };
    wipes.set(key, clock.after(wipeMs, wipe));
  };
  // Drivers that served an agent before this one come back by then.
  wipeLater('', (driver) => !drivers.has(driver));
  const claims = await openPodClaims({ path, client, drivers, logger });
  return {
    claims: counts === undefined ? claims : countedClaims(claims, counts, clock),
    healths: {
      healthOf: (pod) =>
        claimHealthsOf(pod, claims.records(pod.metadata?.uid), ({ driver, pool, device }) =>
          healths.of(driver, pool, device),
        ),
      onChange: (listener) => {
        listeners.add(listener);
        return { [Symbol.dispose]: () => void listeners.delete(listener) };
      },
    },
    plugins: { [draPluginType]: drivers.handler },
    [Symbol.dispose]: () => {
      for (const wipe of wipes.values()) wipe[Symbol.dispose]();
      drivers[Symbol.dispose]();
      healths[Symbol.dispose]();
    },
  };
}

/** The same, with how long it takes. */
function countedClaims(claims: PodClaims, counts: DeviceCounts, clock: Clock): PodClaims {
  const operation = <T>(name: string, work: () => Promise<T>): Promise<T> =>
    timed(
      work,
      () => clock.monotonic(),
      (seconds, error) => counts.observe(counts.claimOperations, `${name} ${error !== undefined}`, seconds),
    );
  return {
    podUids: () => claims.podUids(),
    records: (podUid) => claims.records(podUid),
    prepare: (pod, signal) => operation('PrepareResources', () => claims.prepare(pod, signal)),
    unprepare: (podUid, signal) => operation('UnprepareResources', () => claims.unprepare(podUid, signal)),
  };
}

/** Pods that use one of the devices (`pool/device`). */
function podsWith(
  records: readonly ClaimRecord[],
  driver: string,
  devices: ReadonlySet<string>,
): readonly string[] {
  const concerned = records.filter(({ drivers }) =>
    drivers[driver]?.some(({ pool, device }) => devices.has(`${pool}/${device}`)),
  );
  return [...new Set(concerned.flatMap(({ podUids }) => podUids))];
}

/** Nobody is to be given devices of a driver that does not serve the node. */
async function removeSlices(
  { client, nodeName }: NodeClaimsOptions,
  isGone: (driver: string) => boolean,
): Promise<void> {
  const { items } = await listAll(client, resourceSlices, { fieldSelector: `spec.nodeName=${nodeName}` });
  for (const { metadata } of items.filter(({ spec }) => isGone(spec.driver))) {
    try {
      const preconditions = { uid: metadata?.uid };
      await client.delete(resourceSlices, { name: metadata?.name ?? '' }, { preconditions });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
