/**
 * Claims of the pods of a node: what they were given is made ready by drivers before a container starts, and undone when the last pod that
 * uses it is over.
 *
 *     claim of the API ─▶ recorded ─▶ NodePrepareResources of each driver ─▶ recorded ─▶ containers get CDI devices
 *     pod over ─▶ NodeUnprepareResources of each driver ─▶ record without the pod
 */
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { requestsOfContainer } from '#api/device/extended-resources.ts';
import {
  claimEntriesOf,
  extendedEntry,
  foreignDeviceClaim,
  isReservedFor,
  namedClaim,
} from '#api/device/pod-claims.ts';
import type {
  Container,
  EphemeralContainer,
  Pod,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { resourceClaims } from '#api/schema/kind-ref.ts';
import type { ApiClient } from '#client/client.ts';
import { readClaimRecords, writeClaimRecords, type ClaimRecord } from './claim-record.ts';
import type { DraDrivers } from './dra-plugin.ts';

/** CDI devices of a pod, by entry of its spec.resourceClaims: each with the requests that it is for (none: all). */
export type PreparedClaims = ReadonlyMap<string, readonly PreparedDevice[]>;

export interface PreparedDevice {
  readonly driver: string;
  readonly requests: readonly string[];
  readonly cdiIds: readonly string[];
}

export interface PodClaimsOptions {
  /** File of what is prepared. */
  readonly path: string;
  readonly client: ApiClient;
  readonly drivers: Pick<DraDrivers, 'find'>;
  readonly logger: Logger;
}

export interface PodClaims {
  /** Safe to repeat: what is recorded as done is not asked again. @throws why a claim cannot be had now */
  prepare(pod: Pod, signal: AbortSignal): Promise<PreparedClaims>;
  /** Safe to repeat, and for a pod that never had any. @throws what a driver says: to be tried again */
  unprepare(podUid: string, signal: AbortSignal): Promise<void>;
  /** Pods that claims are recorded for. */
  podUids(): ReadonlySet<string>;
  /** What is recorded of claims that the pod uses; of all pods without. */
  records(podUid?: string): readonly ClaimRecord[];
}

/** Reads what is recorded. A file that is damaged refuses pods with claims, and no others. */
export async function openPodClaims(options: PodClaimsOptions): Promise<PodClaims> {
  try {
    return new RecordedClaims(options, await readClaimRecords(options.path), undefined);
  } catch (error) {
    options.logger.error({ error: describeError(error) }, 'claims are not prepared');
    return new RecordedClaims(options, [], error);
  }
}

class RecordedClaims implements PodClaims {
  readonly #options: PodClaimsOptions;
  readonly #problem: unknown;
  readonly #records: Map<string, ClaimRecord>; // by uid
  /** Of each claim one thing at a time is done. */
  readonly #turns = new Map<string, Promise<unknown>>();
  #writing: Promise<void> = Promise.resolve();

  constructor(options: PodClaimsOptions, records: readonly ClaimRecord[], problem: unknown) {
    this.#options = options;
    this.#problem = problem;
    this.#records = new Map(records.map((record) => [record.uid, record]));
  }

  podUids(): ReadonlySet<string> {
    return new Set([...this.#records.values()].flatMap(({ podUids }) => podUids));
  }

  records(podUid?: string): readonly ClaimRecord[] {
    const all = [...this.#records.values()];
    return podUid === undefined ? all : all.filter(({ podUids }) => podUids.includes(podUid));
  }

  async prepare(pod: Pod, signal: AbortSignal): Promise<PreparedClaims> {
    const prepared = new Map<string, readonly PreparedDevice[]>();
    if (this.#problem !== undefined) throw this.#problem;
    for (const entry of claimEntriesOf(pod)) {
      const named = namedClaim(pod, entry);
      if (named.kind === 'awaited') throw new PodwrightError('E_NOT_FOUND', named.message);
      if (named.kind === 'none') continue;
      const claim = await this.#claimOf(pod, named);
      const uid = claim.metadata?.uid ?? '';
      const record = await this.#inTurn(uid, () => this.#prepareOne(pod, claim, signal));
      prepared.set(entry.name, devicesOf(record));
    }
    return prepared;
  }

  async unprepare(podUid: string, signal: AbortSignal): Promise<void> {
    const own = [...this.#records.values()].filter(({ podUids }) => podUids.includes(podUid));
    for (const { uid } of own) await this.#inTurn(uid, () => this.#leave(uid, podUid, signal));
  }

  /** @throws why the pod may not use it */
  async #claimOf(
    pod: Pod,
    { name, isMade }: { readonly name: string; readonly isMade: boolean },
  ): Promise<ResourceClaim> {
    const namespace = pod.metadata?.namespace ?? '';
    const claim = await this.#options.client.get(resourceClaims, { namespace, name });
    const foreign = isMade ? foreignDeviceClaim(pod, claim) : undefined;
    if (foreign !== undefined) throw new PodwrightError('E_CONFLICT', foreign);
    if (isReservedFor(claim, pod)) return claim;
    const { name: podName = '', uid = '' } = pod.metadata ?? {};
    const who = `pod ${podName} (${uid})`;
    throw new PodwrightError(
      'E_CONFLICT',
      `${who} is not allowed to use ResourceClaim ${name} (${claim.metadata?.uid ?? ''})`,
    );
  }

  async #prepareOne(pod: Pod, claim: ResourceClaim, signal: AbortSignal): Promise<ClaimRecord> {
    const { uid = '', namespace = '', name = '' } = claim.metadata ?? {};
    const podUid = pod.metadata?.uid ?? '';
    const results = claim.status?.allocation?.devices?.results ?? [];
    const known = this.#records.get(uid);
    const before = known?.drivers ?? {};
    const names = [...new Set(results.map(({ driver }) => driver))];
    // All of them before anything is recorded: a pod that none was asked for waits for none when it goes.
    const plugins = names
      .filter((each) => (before[each] ?? null) === null)
      .map((each) => [each, this.#options.drivers.find(each)] as const);
    const podUids = [...new Set([...(known?.podUids ?? []), podUid])];
    let record: ClaimRecord = { ...{ uid, namespace, name }, podUids, drivers: before };
    if (plugins.length === 0 && known?.podUids.includes(podUid) !== true) await this.#put(record);
    for (const [driver, plugin] of plugins) {
      // Before it is asked: what it may have done is undone whatever happens.
      record = { ...record, drivers: { ...record.drivers, [driver]: null } };
      await this.#put(record);
      const devices = await plugin.prepare(refOf(record), signal);
      record = { ...record, drivers: { ...record.drivers, [driver]: devices } };
      await this.#put(record);
    }
    return record;
  }

  async #leave(uid: string, podUid: string, signal: AbortSignal): Promise<void> {
    const record = this.#records.get(uid);
    if (record?.podUids.includes(podUid) !== true) return;
    const podUids = record.podUids.filter((each) => each !== podUid);
    if (podUids.length > 0) return this.#put({ ...record, podUids });
    for (const driver of Object.keys(record.drivers))
      await this.#options.drivers.find(driver).unprepare(refOf(record), signal);
    this.#records.delete(uid);
    await this.#save();
  }

  async #put(record: ClaimRecord): Promise<void> {
    this.#records.set(record.uid, record);
    await this.#save();
  }

  /** One write after the other, each of all that is known then. */
  #save(): Promise<void> {
    const written = this.#writing.then(() =>
      writeClaimRecords(this.#options.path, [...this.#records.values()]),
    );
    this.#writing = written.catch(() => undefined);
    return written;
  }

  #inTurn<T>(uid: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(uid) ?? Promise.resolve();
    const turn = before.then(work, work);
    const done = turn.catch(() => undefined);
    this.#turns.set(uid, done);
    void done.then(() => {
      if (this.#turns.get(uid) === done) this.#turns.delete(uid);
    });
    return turn;
  }
}

function refOf({ uid, namespace, name }: ClaimRecord): Pick<ClaimRecord, 'uid' | 'namespace' | 'name'> {
  return { uid, namespace, name };
}

function devicesOf({ drivers }: ClaimRecord): readonly PreparedDevice[] {
  return Object.entries(drivers).flatMap(([driver, devices]) =>
    (devices ?? []).map(({ requests, cdiIds }) => ({ driver, requests, cdiIds })),
  );
}

/** The CDI devices of a container: of each claim that it names, of all requests or of one, and of its extended resources. Pure. */
export function cdiIdsOf(
  { name: container, resources }: Container | EphemeralContainer,
  prepared: PreparedClaims,
  pod: Pod = {},
): readonly string[] {
  const extended = requestsOfContainer(pod, container).map((request) => ({ name: extendedEntry, request }));
  const ids = [...(resources?.claims ?? []), ...extended].flatMap(({ name, request = '' }) =>
    (prepared.get(name) ?? [])
      .filter(({ requests }) => request === '' || requests.length === 0 || requests.some(isOf(request)))
      .flatMap(({ cdiIds }) => cdiIds),
  );
  return [...new Set(ids)];
}

/** A container names a request as the claim does; a driver may say which of its alternatives it is. */
export function isOf(request: string): (name: string) => boolean {
  return (name) => name === request || name.startsWith(`${request}/`);
}
