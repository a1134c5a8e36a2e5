/**
 * Addresses of load balancers on the nodes' link: of each group one node, which holds the group's Lease, answers who asks for them. The
 * others ask, too, again and again; where nobody answers any more, one of them takes the Lease and tells the link (decision 0109).
 */
import type { Clock } from '#base/clock.ts';
import { done, KeyedQueue, type KeyOutcome } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import type { ApiClient } from '#client/client.ts';
import type { Announcer, HeardClaim } from '#native/neighbour/announcer.ts';
import type { AnnouncedGroup } from './announced-groups.ts';
import { createGroupLease, type GroupLease, type LeaseView } from './group-lease.ts';

export interface AnnounceOptions {
  readonly identity: string;
  readonly client: ApiClient;
  /** Opened when there is something to announce; again after its end. @throws where the link cannot have one */
  readonly open: (events: AnnouncerEvents) => Promise<Announcer>;
  /** What has to be so before this node answers for a group; where it throws, nobody here answers, and it is tried again. */
  readonly prepare?: (group: AnnouncedGroup) => Promise<void>;
  /** Told of what this node announces from now on. */
  readonly onHeld?: (group: AnnouncedGroup) => void;
  /** Told of what this node announces no more. */
  readonly onLost?: (group: AnnouncedGroup) => void;
  /** Of a Lease, and how often it is renewed and looked at by others. */
  readonly times?: LeaseTimes;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What a takeover takes at most where the holder was never heard: of another link, or dead before this node began. */
export interface LeaseTimes {
  readonly leaseSeconds: number;
  readonly renewMs: number;
  /** Between two looks, unless it may be free sooner. */
  readonly lookMs: number;
}

const defaultTimes: LeaseTimes = { leaseSeconds: 15, renewMs: 5_000, lookMs: 5_000 };

export interface AnnouncerEvents {
  readonly onHeard: (claim: HeardClaim) => void;
  readonly onDeath: () => void;
}

export interface Announcements extends AsyncDisposable {
  /** All groups that there are now. */
  set(groups: readonly AnnouncedGroup[]): void;
  /** What this node answers for. */
  held(): readonly string[];
}

/** Between two questions to a holder; four in a row that it does not answer, and it is taken for dead: within a second. */
const askMs = 150;
const missesMax = 4;
/** From so many on, all of the link is asked: another may have taken over unheard. */
const missesUnicast = 2;
/** The first look at the Lease of a holder: it may be giving it back. */
const firstLookMs = 250;
/** Each of those who did not hear the first hears another. */
const announceAgainMs = [1_000, 2_000, 4_000] as const;
/** Of a dispute, or of an API that does not answer. */
const attemptMs = 500;
const reopenMs = 1_000;

/** What is known of a group that this node does not hold. */
interface Watch {
  mac: string | undefined;
  misses: number;
}

interface GroupState {
  group: AnnouncedGroup;
  isGone: boolean;
  readonly lease: GroupLease;
  isHeld: boolean;
  isDisputed: boolean;
  watch: Watch;
  /** Who had the Lease when it was looked at: who is taken for dead when nobody answers. */
  holder: string | undefined;
  /** In a row that found another's. */
  looks: number;
  /** No attempt before. */
  notBeforeMs: number;
}

const unheard = (): Watch => ({ mac: undefined, misses: 0 });

const isSilent = ({ mac, misses }: Watch): boolean => mac !== undefined && misses >= missesMax;

export function startAnnouncing(options: AnnounceOptions): Announcements {
  return new Announcing(options);
}

class Announcing implements Announcements {
  readonly #options: AnnounceOptions;
  readonly #times: LeaseTimes;
  readonly #states = new Map<string, GroupState>();
  readonly #timers = new Set<Disposable>();
  readonly #queue: KeyedQueue<string>;
  #announcer: Announcer | undefined;
  #opening: Promise<void> | undefined;
  #isOpen = true;
  #isTicking = false;

  constructor(options: AnnounceOptions) {
    this.#options = options;
    this.#times = options.times ?? defaultTimes;
    this.#queue = new KeyedQueue({
      clock: options.clock,
      concurrencyMax: 8,
      backoff: { initialMs: 200, factor: 2, maxMs: 5_000 },
      work: (lease) => this.#settle(lease),
      onError: (lease, error, retryMs) =>
        options.log.warn({ lease, error, retryMs }, 'who announces addresses is not settled'),
    });
  }

  held(): readonly string[] {
    return [...this.#states.values()].flatMap(({ isHeld, group }) => (isHeld ? group.addresses : []));
  }

  set(groups: readonly AnnouncedGroup[]): void {
    for (const group of groups) this.#setGroup(group);
    const names = new Set(groups.map(({ lease }) => lease));
    for (const [name, state] of this.#states) {
      if (names.has(name)) continue;
      state.isGone = true;
      if (state.isHeld) this.#queue.add(name);
      else this.#states.delete(name);
    }
    this.#tellAnnouncer();
    if (this.#states.size === 0) return;
    this.#opening ??= this.#open();
    if (!this.#isTicking) this.#tick();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOpen = false;
    for (const timer of this.#timers) timer[Symbol.dispose]();
    await this.#queue[Symbol.asyncDispose]();
    await this.#opening;
    await this.#announcer?.[Symbol.asyncDispose]();
    // So that another need not find out.
    const leaving = [...this.#states.values()].filter(({ isHeld }) => isHeld);
    await Promise.all(leaving.map(({ lease }) => lease.release(false).catch(() => undefined)));
  }

  #setGroup(group: AnnouncedGroup): void {
    const { client, clock, identity, onHeld } = this.#options;
    const state = this.#states.get(group.lease);
    if (state === undefined) {
      const { leaseSeconds } = this.#times;
      const lease = createGroupLease({ client, clock, identity, name: group.lease, leaseSeconds });
      const fresh = {
        isGone: false,
        isHeld: false,
        isDisputed: false,
        watch: unheard(),
        holder: undefined,
        looks: 0,
        notBeforeMs: 0,
      };
      this.#states.set(group.lease, { group, lease, ...fresh });
      this.#queue.add(group.lease);
      return;
    }
    const before = state.group;
    Object.assign(state, { group, isGone: false });
    if (before.isCandidate !== group.isCandidate) {
      state.looks = 0;
      this.#queue.add(group.lease);
    }
    const added = group.addresses.filter((each) => !before.addresses.includes(each));
    if (!state.isHeld || added.length === 0) return;
    this.#tellAnnouncer();
    this.#announceOften(added);
    onHeld?.(group);
  }

  /** The Lease of a group as the node would have it. */
  async #settle(name: string): Promise<KeyOutcome> {
    const state = this.#states.get(name);
    if (state === undefined) return done;
    const { lease, group } = state;
    if (!group.isCandidate || state.isGone) {
      this.#lose(state);
      await lease.release(state.isGone);
      if (state.isGone) this.#states.delete(name);
      return done;
    }
    state.notBeforeMs = this.#options.clock.monotonic() + attemptMs;
    let view: LeaseView;
    try {
      view = await lease.hold(!state.isHeld && isSilent(state.watch) ? state.holder : undefined);
      // Whoever is told that the address is here comes at once: what leads it on has to be there by then.
      if (view.kind === 'ours' && !state.isHeld) await this.#options.prepare?.(group);
    } catch (error) {
      // Another says that it is there, and nobody can be asked who is right.
      if (state.isDisputed) this.#lose(state);
      throw error;
    }
    if (view.kind === 'ours') {
      this.#hold(state);
      return { kind: 'again', afterMs: this.#times.renewMs };
    }
    if (state.isHeld) this.#lose(state);
    else if (isSilent(state.watch)) this.#watchAnew(state, view.holder);
    state.holder = view.holder;
    const lookMs = Math.min(this.#times.lookMs, firstLookMs * 2 ** state.looks++);
    return { kind: 'again', afterMs: Math.max(0, Math.min(lookMs, view.leftMs)) };
  }

  /** Of one that was taken for dead, but has renewed the Lease meanwhile, or has lost it to another. */
  #watchAnew(state: GroupState, holder: string): void {
    const { mac } = state.watch;
    // Another is heard soon, or given the time of a dead one.
    state.watch = holder === state.holder ? { mac, misses: 0 } : unheard();
  }

  #hold(state: GroupState): void {
    const { addresses } = state.group;
    const isNew = !state.isHeld;
    Object.assign(state, { isHeld: true, looks: 0, holder: undefined });
    if (isNew) {
      this.#tellAnnouncer();
      this.#options.log.info({ addresses }, 'announcing addresses');
      this.#options.onHeld?.(state.group);
    }
    if (isNew || state.isDisputed) this.#announceOften(addresses);
    state.isDisputed = false;
  }

  #lose(state: GroupState): void {
    const { addresses } = state.group;
    const wasHeld = state.isHeld;
    Object.assign(state, { isHeld: false, isDisputed: false, watch: unheard() });
    this.#tellAnnouncer();
    if (!wasHeld) return;
    this.#options.log.info({ addresses }, 'addresses are announced no more');
    this.#options.onLost?.(state.group);
  }

  #tellAnnouncer(): void {
    this.#announcer?.setAnswered(new Set(this.held()));
    this.#announcer?.setWatched(new Set([...this.#states.values()].flatMap(({ group }) => group.addresses)));
  }

  #announce(addresses: readonly string[]): void {
    const held = new Set(this.held());
    for (const address of addresses) if (held.has(address)) this.#announcer?.announce(address);
  }

  #announceOften(addresses: readonly string[]): void {
    this.#announce(addresses);
    for (const ms of announceAgainMs) this.#after(ms, () => this.#announce(addresses));
  }

  #hear({ address, mac }: HeardClaim): void {
    for (const state of this.#states.values()) {
      if (!state.group.addresses.includes(address)) continue;
      const isAnother = mac !== state.watch.mac;
      state.watch = { mac, misses: 0 };
      // Who it is has to be known by the time that it is silent.
      if (state.isHeld ? state.isDisputed : !isAnother) continue;
      state.isDisputed = state.isHeld;
      this.#queue.addAfter(state.group.lease, state.notBeforeMs - this.#options.clock.monotonic());
    }
  }

  #tick(): void {
    this.#isTicking = this.#isOpen && this.#states.size > 0;
    if (!this.#isTicking) return;
    for (const state of this.#states.values()) this.#ask(state);
    this.#after(askMs, () => this.#tick());
  }

  #ask({ watch, group, isHeld, isGone, notBeforeMs }: GroupState): void {
    const [address] = group.addresses;
    if (isHeld || isGone || !group.isCandidate || address === undefined || this.#announcer === undefined)
      return;
    if (watch.mac !== undefined && watch.misses === missesMax)
      this.#options.log.info({ addresses: group.addresses, mac: watch.mac }, 'nobody answers for addresses');
    if (isSilent(watch) && this.#options.clock.monotonic() >= notBeforeMs) this.#queue.add(group.lease);
    this.#announcer.ask(address, watch.misses < missesUnicast ? watch.mac : undefined);
    watch.misses += 1;
  }

  async #open(): Promise<void> {
    const reopen = (): void => this.#after(reopenMs, () => void (this.#opening = this.#open()));
    try {
      this.#announcer = await this.#options.open({
        onHeard: (claim) => this.#hear(claim),
        onDeath: () => {
          this.#announcer = undefined;
          reopen();
        },
      });
      this.#tellAnnouncer();
      this.#announceOften(this.held());
    } catch (error) {
      this.#options.log.warn({ error }, 'addresses of load balancers cannot be announced');
      reopen();
    }
  }

  /** Unless all of this has ended by then. */
  #after(ms: number, act: () => void): void {
    if (!this.#isOpen) return;
    const timer = this.#options.clock.after(ms, () => {
      this.#timers.delete(timer);
      act();
    });
    this.#timers.add(timer);
  }
}
