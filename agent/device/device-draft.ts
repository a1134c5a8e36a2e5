/** What of its devices a pod could have, as one of those that the topology manager asks (the kubelet's device manager). */
import type { HintDraft } from '#agent/kubelet/assign/assignment.ts';
import { mostAtOnce, type Claim } from '#agent/kubelet/assign/claims.ts';
import { countOf, nodesIn, subsetsOf, type Hints } from '#agent/kubelet/assign/hints.ts';
import { chooseDevices, choicesOf, type DeviceChoices } from './choose-devices.ts';
import type { Device, DeviceAllocation } from './device.ts';
import type { DeviceRequest } from './device-requests.ts';

/** What a container has, or is to get. */
export type Held = Pick<DeviceAllocation, 'podUid' | 'container' | 'resource' | 'ids'>;

/** Set aside for a container, until its plugin is asked. */
export interface Reservation extends Held {
  /** NUMA nodes that its devices are to lie near; undefined: no matter. */
  readonly near: ReadonlySet<number> | undefined;
}

export interface DraftInput {
  readonly podUid: string;
  readonly requests: readonly DeviceRequest[];
  /** What all containers have, this pod's too. */
  readonly held: readonly Held[];
  /** By resource; undefined: its plugin is not back yet, and what a pod had of it is not asked about. */
  readonly devices: (resource: string) => ReadonlyMap<string, Device> | undefined;
  /** Chosen, and not given yet. */
  readonly pending: (resource: string) => ReadonlySet<string>;
  readonly keep: (reserved: readonly Reservation[]) => void;
}

/** What a request may choose from. @throws {E_BUSY} where there are too few */
export function choicesFor(
  { podUid, held, devices, pending }: Pick<DraftInput, 'podUid' | 'held' | 'devices' | 'pending'>,
  { container, resource, count, reuses }: DeviceRequest,
  near?: ReadonlySet<number>,
): DeviceChoices {
  const isRequest = (each: Held): boolean => each.podUid === podUid && each.container === container;
  const ofResource = held.filter((each) => each.resource === resource);
  const others = ofResource.filter((each) => !isRequest(each));
  // Set aside for it: a container that starts after it may be meant to have them next.
  const aside = new Set(ofResource.filter(isRequest).flatMap(({ ids }) => ids));
  const own = others.filter((each) => each.podUid === podUid);
  const kept = new Set(own.filter((each) => !reuses.includes(each.container)).flatMap(({ ids }) => ids));
  const reusable = own.filter((each) => reuses.includes(each.container)).flatMap(({ ids }) => ids);
  return choicesOf({
    ...{ resource, count, near },
    devices: devices(resource),
    taken: new Set([
      ...others.flatMap(({ ids }) => ids).filter((id) => !aside.has(id)),
      ...pending(resource),
    ]),
    reusable: new Set(reusable.filter((id) => !kept.has(id))),
  });
}

export function draftDevices(input: DraftInput): HintDraft {
  const { podUid, requests, devices } = input;
  let reserved: readonly Reservation[] = [];
  const now = (): DraftInput => ({ ...input, held: [...input.held, ...reserved] });
  const hasAlready = ({ container, resource }: DeviceRequest): boolean =>
    input.held.some(
      (each) => each.podUid === podUid && each.container === container && each.resource === resource,
    );
  return {
    hints: (members, nodes) => {
      const names = new Set(members.map(({ container }) => container));
      const concerned = requests.filter(({ container }) => names.has(container));
      return [...new Set(concerned.map(({ resource }) => resource))].map((resource) =>
        hintsOf(resource, { members, nodes }, now()),
      );
    },
    give: (container, near) => {
      for (const request of requests) {
        const { resource, count } = request;
        const known = devices(resource);
        if (request.container !== container || hasAlready(request) || known === undefined) continue;
        const nodes = near === undefined ? undefined : new Set(nodesIn(near));
        const choices = choicesFor(now(), request, nodes);
        const ids = chooseDevices(choices, { count, devices: known, preferred: [] });
        reserved = [...reserved, { podUid, container, resource, ids, near: nodes }];
      }
    },
    keep: () => input.keep(reserved),
  };
}

interface Members {
  readonly members: readonly Claim[];
  readonly nodes: readonly number[];
}

/** Undefined where no device of the resource is near to any node. What the pod has already is not asked for again. */
function hintsOf(resource: string, { members, nodes }: Members, input: DraftInput): Hints {
  const { podUid, requests, held, devices } = input;
  const all = devices(resource);
  if (all === undefined || ![...all.values()].some(({ numaNodes }) => numaNodes.length > 0)) return undefined;
  const amountOf = ({ container }: Claim): number =>
    requests.find((each) => each.container === container && each.resource === resource)?.count ?? 0;
  const count = mostAtOnce(members, amountOf);
  const names = new Set(members.map(({ container }) => container));
  const isOwn = (each: Held): boolean =>
    each.podUid === podUid && each.resource === resource && names.has(each.container);
  const has = new Set(held.filter(isOwn).flatMap(({ ids }) => ids));
  if (has.size > 0) return has.size < count ? [] : deviceHints(all, { available: has, count, nodes });
  const taken = new Set([
    ...held.filter((each) => each.resource === resource).flatMap(({ ids }) => ids),
    ...input.pending(resource),
  ]);
  const healthy = [...all.values()].filter(({ isHealthy }) => isHealthy).map(({ id }) => id);
  const reusable = reusableOf(resource, members, input).filter((id) => healthy.includes(id));
  const available = new Set(healthy.filter((id) => !taken.has(id) || reusable.includes(id)));
  if (available.size < count) return [];
  return deviceHints(all, { available, count, nodes, reusable });
}

/** Of one container: what init containers leave to it. A pod as a whole has nothing yet. */
function reusableOf(resource: string, members: readonly Claim[], input: DraftInput): readonly string[] {
  const [one, another] = members;
  if (one === undefined || another !== undefined) return [];
  const request = input.requests.find(
    (each) => each.container === one.container && each.resource === resource,
  );
  const { reuses = [] } = request ?? {};
  const own = input.held.filter((each) => each.podUid === input.podUid && each.resource === resource);
  const kept = new Set(own.filter(({ container }) => !reuses.includes(container)).flatMap(({ ids }) => ids));
  return own
    .filter(({ container }) => reuses.includes(container))
    .flatMap(({ ids }) => ids)
    .filter((id) => !kept.has(id));
}

export interface HintWish {
  readonly available: ReadonlySet<string>;
  readonly count: number;
  /** Of the machine. */
  readonly nodes: readonly number[];
  /** Those of the available ones that it has in any case: a set of nodes without one of them would not do. */
  readonly reusable?: readonly string[];
}

/** The sets of NUMA nodes near which so many are; preferred is the smallest that would do if none were taken. Pure. */
export function deviceHints(
  all: ReadonlyMap<string, Device>,
  { available, count, nodes, reusable = [] }: HintWish,
): NonNullable<Hints> {
  const masks = subsetsOf(nodes);
  const isNear = (id: string, mask: number): boolean =>
    all.get(id)?.numaNodes.some((node) => (mask & (1 << node)) !== 0) === true;
  const hasNodes = (id: string): boolean => (all.get(id)?.numaNodes.length ?? 0) > 0;
  const within = (ids: Iterable<string>, mask: number): number =>
    [...ids].filter((id) => isNear(id, mask)).length;
  const sizes = masks.filter((mask) => within(all.keys(), mask) >= count).map(countOf);
  const least = Math.min(nodes.length, ...sizes);
  return masks
    .filter(
      (mask) => within(available, mask) >= count && reusable.every((id) => !hasNodes(id) || isNear(id, mask)),
    )
    .map((mask) => ({ nodes: mask, isPreferred: countOf(mask) === least }));
}
