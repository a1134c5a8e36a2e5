/** What goes wrong in a world, planned ahead: each fault has a chance of its own, so that leaving one out changes no other. */
import { createDice, type Weighted } from '#test/simulation/dice.ts';

export type Target = 'server' | 'loops' | `node-${number}`;

export type Fault =
  /** Crashes at the call of a port that many after the moment, and is started again. */
  | { readonly kind: 'crash'; readonly target: Target; readonly calls: number; readonly downMs: number }
  /** The machine goes down with all that runs on it, and comes back. */
  | { readonly kind: 'reboot'; readonly target: Target; readonly downMs: number }
  /** What happens to requests of the target, each with the chance. */
  | { readonly kind: Wrong; readonly target: Target; readonly forMs: number; readonly chance: number }
  /** Answers and events come late by up to so much. */
  | { readonly kind: 'slow'; readonly target: Target; readonly forMs: number; readonly byMs: number }
  /** What its watches tell comes late, and answers do not: it decides on what was. */
  | { readonly kind: 'stale'; readonly target: Target; readonly forMs: number; readonly byMs: number }
  /** Its watches break. */
  | { readonly kind: 'cut'; readonly target: Target }
  /** Its wall clock is set. */
  | { readonly kind: 'clock'; readonly target: Target; readonly byMs: number; readonly forMs: number }
  /** The store keeps nothing of the past: a watch that is resumed is too old. */
  | { readonly kind: 'compact' }
  | { readonly kind: 'full'; readonly forMs: number };

/** Never arrived · done, and the answer lost · done twice · refused by a busy or broken server · somebody else was first. */
export type Wrong = 'lost' | 'unanswered' | 'twice' | 'refused' | 'conflict';

export interface PlannedFault {
  readonly id: number;
  readonly atMs: number;
  readonly fault: Fault;
  /** Of its own chance. */
  readonly seed: number;
}

const wrongs: readonly [Wrong, ...Wrong[]] = ['lost', 'unanswered', 'twice', 'refused', 'conflict'];

/** Faults of a world from `startMs` to `endMs`, after its beginning. Pure. */
export function planFaults(
  seed: number,
  {
    startMs,
    endMs,
    nodes,
    count,
  }: { readonly startMs: number; readonly endMs: number; readonly nodes: number; readonly count: number },
): readonly PlannedFault[] {
  const dice = createDice(seed ^ 0x5eed_fa01);
  const { between, oneOf, weighted } = dice;
  const node = (): Target => `node-${between(1, nodes)}`;
  const client = (): Target => (dice.chance(0.5) ? 'loops' : node());
  const target = (): Target => (dice.chance(0.2) ? 'server' : client());
  const faults: readonly Weighted<Fault>[] = [
    [30, () => ({ kind: 'crash', target: target(), calls: between(0, 60), downMs: between(50, 20_000) })],
    [6, () => ({ kind: 'reboot', target: node(), downMs: between(2000, 400_000) })],
    [
      32,
      () => ({
        kind: oneOf(wrongs),
        target: client(),
        forMs: between(500, 120_000),
        chance: between(1, 100) / 100,
      }),
    ],
    [10, () => ({ kind: 'slow', target: client(), forMs: between(1000, 120_000), byMs: between(20, 8000) })],
    [
      8,
      () => ({ kind: 'stale', target: client(), forMs: between(1000, 120_000), byMs: between(20, 30_000) }),
    ],
    [6, () => ({ kind: 'cut', target: client() })],
    [3, () => ({ kind: 'compact' })],
    [
      6,
      () => ({
        kind: 'clock',
        target: target(),
        byMs: between(-600_000, 600_000),
        forMs: between(1000, 300_000),
      }),
    ],
    [3, () => ({ kind: 'full', forMs: between(500, 30_000) })],
  ];
  return Array.from({ length: count }, (_, id) => ({
    id,
    atMs: between(startMs, endMs),
    fault: weighted(faults),
    seed: between(1, 2 ** 31),
  })).toSorted((one, other) => one.atMs - other.atMs || one.id - other.id);
}

/** A fault in a line. */
export function faultText({ id, atMs, fault }: PlannedFault): string {
  const { kind, ...more } = fault;
  const words = Object.entries(more).map(([name, value]) => `${name}=${value}`);
  return `fault ${id} at ${(atMs / 1000).toFixed(3)} s: ${[kind, ...words].join(' ')}`;
}
