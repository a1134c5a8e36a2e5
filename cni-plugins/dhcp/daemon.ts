/** Holds the leases of containers for as long as those live: asks for more time, and goes on where an earlier daemon ended. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { timeoutSignal, type Clock } from '#base/clock.ts';
import { removeDrafts, writeDurablySync } from '#base/durable-file.ts';
import { describeError, errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { namesIn } from '#base/names-in.ts';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import type { CniAttachment } from '#api/cni/network-config.ts';
import type { Netlink } from '#native/netlink/netlink.ts';
import { planContainer } from '#cni-plugins/skel/link-plan.ts';
import { attachmentKey } from '#cni-plugins/skel/plugin.ts';
import {
  obtainLease,
  ownAddress,
  releaseLease,
  renewLease,
  type ClientParts,
  type DhcpLink,
} from './client.ts';
import { encodeHolding, decodeHolding, type Holding, type LeaseRequest, takenOf } from './holding.ts';
import type { Lease } from './lease.ts';

/** What the plugin asks of a daemon, wherever that is. */
export interface DhcpDaemon {
  /** The lease that the attachment has, or a new one. @throws code 11 where no server answers in time */
  acquire(request: LeaseRequest, signal: AbortSignal): Promise<Lease>;
  /** Succeeds if there is none. */
  release(attachment: Attachment, signal: AbortSignal): Promise<void>;
  /** Undefined: there is none, or it has ended. */
  leaseOf(attachment: Attachment, signal: AbortSignal): Promise<Lease | undefined>;
  /** Releases those of a network that nobody of the list has. */
  retain(network: string, valid: readonly CniAttachment[], signal: AbortSignal): Promise<void>;
  /** @throws where nobody answers */
  ping(signal: AbortSignal): Promise<void>;
}

export type Attachment = Pick<LeaseRequest, 'network' | 'containerId' | 'ifname'>;

export interface DaemonOptions {
  readonly netlink: Pick<Netlink, 'apply' | 'state'>;
  /** @throws E_NOT_FOUND where the namespace or the link is gone */
  readonly openLink: (netns: string, ifname: string) => Promise<DhcpLink>;
  /** Where leases are kept for the next daemon; they are of no use after the machine has started anew. */
  readonly stateDir: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onProblem: (problem: string) => void;
}

const acquireMsMax = 20_000;
const leasesMax = 4_096;
/** Between two requests for more time, and between two tries to get a lost address again: of the lease's time, and at most. */
const [againPart, againMsMax] = [0.1, 60_000];

interface Held extends Holding {
  timer?: Disposable;
}

export interface RunningDaemon extends DhcpDaemon, AsyncDisposable {}

/** Goes on with what is in `stateDir`; leases stay there when it is disposed. */
export async function startDhcpDaemon(options: DaemonOptions): Promise<RunningDaemon> {
  mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
  removeDrafts(options.stateDir);
  const daemon = new Daemon(options);
  await daemon.resume();
  return daemon;
}

class Daemon implements RunningDaemon {
  readonly #options: DaemonOptions;
  readonly #held = new Map<string, Held>();
  /** Attachments that are asked for. */
  readonly #asking = new Set<string>();
  readonly #ended = new AbortController();
  readonly #working = new Set<Promise<void>>();

  constructor(options: DaemonOptions) {
    this.#options = options;
  }

  async resume(): Promise<void> {
    for (const name of await namesIn(this.#options.stateDir)) {
      const path = join(this.#options.stateDir, name);
      const holding = decodeHolding(readFileSync(path, 'utf8'));
      if (holding === undefined) this.#options.onProblem(`${path} is no lease; it is left alone`);
      else this.#hold(holding);
    }
  }

  async acquire(request: LeaseRequest, signal: AbortSignal): Promise<Lease> {
    const key = keyOf(request);
    const held = this.#held.get(key);
    if (held !== undefined && held.request.netns === request.netns && !held.isLost) return held.lease;
    if (this.#held.size + this.#asking.size >= leasesMax)
      throw new PodwrightError('E_LIMIT', `acquire a lease for ${key}: there are ${leasesMax}`);
    if (this.#asking.has(key)) throw cniError(cniErrorCode.tryAgainLater, `dhcp: ${key} is being asked for`);
    this.#asking.add(key);
    try {
      using link = await this.#options.openLink(request.netns, request.ifname);

      const lease = await this.#obtain(link, request, signal);
      using undo = new DisposableStack();

      undo.defer(() => releaseLease(this.#parts(link, request), lease));
      const holding = { request, lease, obtainedAtMs: this.#options.clock.now(), isLost: false };
      this.#write(holding);
      this.#hold(holding);
      undo.move();
      return lease;
    } finally {
      this.#asking.delete(key);
    }
  }

  async #obtain(link: DhcpLink, request: LeaseRequest, signal: AbortSignal): Promise<Lease> {
    const inTime = timeoutSignal(acquireMsMax);
    try {
      return await obtainLease(
        this.#parts(link, request),
        undefined,
        AbortSignal.any([signal, inTime, this.#ended.signal]),
      );
    } catch (cause) {
      if (!inTime.aborted) throw cause;
      throw cniError(
        cniErrorCode.tryAgainLater,
        `dhcp: no server gave ${request.ifname} an address in ${acquireMsMax / 1000} s`,
        { cause },
      );
    }
  }

  async release(attachment: Attachment): Promise<void> {
    const held = this.#held.get(keyOf(attachment));
    if (held === undefined) return;
    this.#forget(held);
    if (held.isLost) return;
    try {
      using link = await this.#options.openLink(held.request.netns, held.request.ifname);

      releaseLease(this.#parts(link, held.request), held.lease);
    } catch (error) {
      // With the namespace went the way to the server: it learns of it when the lease ends.
      if (!isGone(error)) throw error;
    }
  }

  async leaseOf(attachment: Attachment): Promise<Lease | undefined> {
    const held = this.#held.get(keyOf(attachment));
    return held === undefined || held.isLost ? undefined : held.lease;
  }

  async retain(network: string, valid: readonly CniAttachment[]): Promise<void> {
    const kept = new Set(valid.map((item) => attachmentKey(item.containerID, item.ifname)));
    for (const { request } of [...this.#held.values()]) {
      if (request.network === network && !kept.has(attachmentKey(request.containerId, request.ifname)))
        await this.release(request);
    }
  }

  async ping(): Promise<void> {
    // It is this process.
  }

  #hold(holding: Holding): void {
    const key = keyOf(holding.request);
    this.#held.get(key)?.timer?.[Symbol.dispose]();
    const held: Held = { ...holding };
    this.#held.set(key, held);
    this.#wakeUp(held);
  }

  /** For the next daemon. */
  #write(holding: Holding): void {
    const path = this.#pathOf(keyOf(holding.request));
    writeDurablySync(path, encodeHolding(holding), { mode: 0o600, survives: 'kill' });
  }

  /** What has happened to a lease holds, whether it can be written or not: the next daemon would only ask once more. */
  #update(holding: Holding): void {
    this.#hold(holding);
    try {
      this.#write(holding);
    } catch (error) {
      this.#options.onProblem(`write the lease of ${keyOf(holding.request)}: ${describeError(error)}`);
    }
  }

  #forget({ request, timer }: Held): void {
    timer?.[Symbol.dispose]();
    const key = keyOf(request);
    this.#held.delete(key);
    rmSync(this.#pathOf(key), { force: true });
  }

  #pathOf(key: string): string {
    return join(
      this.#options.stateDir,
      `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`,
    );
  }

  /** When there is something to do for it next. */
  #wakeUp(held: Held, inMs = held.obtainedAtMs + held.lease.renewMs - this.#options.clock.now()): void {
    held.timer?.[Symbol.dispose]();
    const waitMs = held.isLost ? againMs(held.lease) : inMs;
    held.timer = this.#options.clock.after(Math.max(waitMs, 0), () => {
      const work = this.#tend(held).finally(() => this.#working.delete(work));
      this.#working.add(work);
    });
  }

  /** Never fails. */
  async #tend(held: Held): Promise<void> {
    const isOurs = (): boolean => this.#held.get(keyOf(held.request)) === held && !this.#ended.signal.aborted;
    if (!isOurs()) return;
    try {
      using link = await this.#options.openLink(held.request.netns, held.request.ifname);

      await (held.isLost ? this.#regain(held, link, isOurs) : this.#extend(held, link, isOurs));
    } catch (error) {
      if (!isOurs()) return;
      if (isGone(error)) {
        this.#forget(held); // A container that ended while nobody listened.
        return;
      }
      this.#options.onProblem(`keep the lease of ${keyOf(held.request)}: ${describeError(error)}`);
      this.#wakeUp(held, againMs(held.lease));
    }
  }

  async #extend(held: Held, link: DhcpLink, isOurs: () => boolean): Promise<void> {
    const { lease, request, obtainedAtMs } = held;
    const ageMs = this.#options.clock.now() - obtainedAtMs;
    if (ageMs >= lease.expiryMs) return this.#lose(held, 'no server gave it more time');
    const all = ageMs >= lease.rebindMs;
    const askedAtMs = this.#options.clock.now();
    const answer = await renewLease(this.#parts(link, request), { lease, all }, this.#ended.signal);
    if (!isOurs()) return;
    if (answer === 'refused') return this.#lose(held, 'its server refused to give it more time');
    if (answer === undefined) {
      const nextMs = (all ? lease.expiryMs : lease.rebindMs) - ageMs;
      this.#wakeUp(held, Math.min(againMs(lease), Math.max(nextMs, 0)));
      return;
    }
    if (answer.address !== lease.address) return this.#lose(held, `its server gave it ${answer.address}`);
    this.#update({ request, lease: answer, obtainedAtMs: askedAtMs, isLost: false });
  }

  /** The address may be another's from now on. */
  async #lose(held: Held, why: string): Promise<void> {
    const { request, lease, obtainedAtMs } = held;
    this.#options.onProblem(`${keyOf(request)} has lost ${lease.address}: ${why}`);
    this.#update({ request, lease, obtainedAtMs, isLost: true });
    await this.#options.netlink.apply({ kind: 'path', path: request.netns }, [
      { op: 'removeAddress', name: request.ifname, address: lease.address },
    ]);
  }

  /** The same address again, or none: who is in the container was told no other. */
  async #regain(held: Held, link: DhcpLink, isOurs: () => boolean): Promise<void> {
    const { request, lease } = held;
    const parts = this.#parts(link, request);
    const signal = AbortSignal.any([timeoutSignal(acquireMsMax), this.#ended.signal]);
    const askedAtMs = this.#options.clock.now();
    const given = await obtainLease(parts, ownAddress(lease), signal).catch(() => undefined);
    if (!isOurs()) return;
    if (given?.address !== lease.address) {
      if (given !== undefined) releaseLease(parts, given);
      return this.#wakeUp(held);
    }
    const { gateway, routes } = takenOf(given, request);
    const ips = [{ address: given.address, ...(gateway === undefined ? {} : { gateway }) }];
    await this.#options.netlink.apply(
      { kind: 'path', path: request.netns },
      planContainer(request.ifname, { ips, routes }),
    );
    this.#update({ request, lease: given, obtainedAtMs: askedAtMs, isLost: false });
  }

  #parts(link: DhcpLink, { clientId, parameters, options }: LeaseRequest): ClientParts {
    const { clock, random } = this.#options;
    const told = options.map(([code, value]) => [code, Buffer.from(value, 'base64')] as const);
    return { link, identity: { clientId, parameters, options: told }, clock, random };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new PodwrightError('E_CLOSED', 'the DHCP daemon ends'));
    for (const { timer } of this.#held.values()) timer?.[Symbol.dispose]();
    await Promise.all(this.#working);
  }
}

const againMs = ({ expiryMs }: Lease): number => Math.min(expiryMs * againPart, againMsMax);

function keyOf({ network, containerId, ifname }: Attachment): string {
  return `${network}/${attachmentKey(containerId, ifname)}`;
}

function isGone(error: unknown): boolean {
  return (
    isPodwrightError(error, 'E_NOT_FOUND') || errnoOf(error) === 'ENXIO' || errnoOf(error) === 'ENETDOWN'
  );
}
