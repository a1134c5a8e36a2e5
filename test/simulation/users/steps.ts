/** What users of a simulated cluster do, planned ahead: a step names all that it is about, so that leaving one out changes no other. */
import { ownPlurals } from './own-kinds.ts';
import { createDice, type Dice, type Weighted } from '#test/simulation/dice.ts';

export type Step =
  | { readonly kind: 'namespace'; readonly name: string; readonly podsMax: number | undefined }
  | { readonly kind: 'delete-namespace'; readonly name: string }
  | {
      readonly kind: 'deployment';
      readonly at: Place;
      readonly replicas: number;
      readonly graceSeconds: number;
      readonly isRecreate: boolean;
      readonly isProbed: boolean;
    }
  | {
      readonly kind: 'stateful-set';
      readonly at: Place;
      readonly replicas: number;
      readonly isParallel: boolean;
    }
  | { readonly kind: 'daemon-set'; readonly at: Place }
  | {
      readonly kind: 'job';
      readonly at: Place;
      readonly completions: number;
      readonly parallelism: number;
      readonly seconds: number;
      readonly exitCode: number;
    }
  | { readonly kind: 'service'; readonly at: Place }
  | { readonly kind: 'budget'; readonly at: Place; readonly minAvailable: number }
  | { readonly kind: 'config'; readonly at: Place; readonly hasFinalizer: boolean }
  /** Pods of one and a half cores each, of which so many are to run together or none. */
  | { readonly kind: 'gang'; readonly at: Place; readonly pods: number; readonly minCount: number }
  /** A definition of a kind of the users' own. */
  | { readonly kind: 'definition'; readonly name: string }
  | { readonly kind: 'delete-definition'; readonly name: string }
  | { readonly kind: 'custom'; readonly of: string; readonly at: Place; readonly hasFinalizer: boolean }
  | { readonly kind: 'quota'; readonly namespace: string; readonly podsMax: number }
  | { readonly kind: 'suspend'; readonly at: Place; readonly isOn: boolean }
  | { readonly kind: 'roll'; readonly of: Rolled; readonly at: Place; readonly to: number }
  | {
      readonly kind: 'scale';
      readonly of: 'deployments' | 'statefulsets';
      readonly at: Place;
      readonly replicas: number;
    }
  | {
      readonly kind: 'delete';
      readonly of: Deletable;
      readonly at: Place;
      readonly policy: 'Background' | 'Foreground';
    }
  | { readonly kind: 'delete-pod'; readonly at: Place; readonly index: number }
  | { readonly kind: 'evict'; readonly at: Place; readonly count: number }
  | { readonly kind: 'cordon'; readonly node: string; readonly isOn: boolean };

export type Rolled = 'deployments' | 'statefulsets' | 'daemonsets';
export type Deletable = Rolled | 'jobs' | 'services' | 'configmaps' | 'podgroups';

export interface Place {
  readonly namespace: string;
  readonly name: string;
}

export interface PlannedStep {
  readonly id: number;
  readonly atMs: number;
  readonly step: Step;
}

const namespaceCount = 3;
const names: Readonly<Record<Deletable, string>> = {
  deployments: 'web',
  statefulsets: 'db',
  daemonsets: 'ds',
  jobs: 'job',
  services: 'web',
  configmaps: 'cm',
  podgroups: 'gang',
};

interface Chance {
  readonly dice: Dice;
  readonly nodes: number;
  readonly place: (name: string) => Place;
}

/** What users make. */
function makings({ dice, place }: Chance): readonly Weighted<Step>[] {
  const { between, chance, oneOf } = dice;
  return [
    [
      32,
      () => ({
        kind: 'deployment',
        at: place('web'),
        replicas: between(1, 5),
        graceSeconds: oneOf([1, 11]),
        isRecreate: chance(0.2),
        isProbed: chance(0.2),
      }),
    ],
    [16, () => ({ kind: 'stateful-set', at: place('db'), replicas: between(1, 3), isParallel: chance(0.3) })],
    [8, () => ({ kind: 'daemon-set', at: place('ds') })],
    [
      18,
      () => ({
        kind: 'job',
        at: place('job'),
        completions: between(1, 4),
        parallelism: between(1, 3),
        seconds: between(0, 40),
        exitCode: chance(0.2) ? 1 : 0,
      }),
    ],
    [6, () => ({ kind: 'service', at: place('web') })],
    [12, () => ({ kind: 'budget', at: place(chance(0.6) ? 'web' : 'db'), minAvailable: between(1, 3) })],
    [8, () => ({ kind: 'config', at: place('cm'), hasFinalizer: chance(0.6) })],
    [6, () => gangOf(place('gang'), dice)],
    [2, () => ({ kind: 'definition', name: oneOf(ownPlurals) })],
    [4, () => ({ kind: 'custom', of: oneOf(ownPlurals), at: place('own'), hasFinalizer: chance(0.5) })],
  ];
}

function gangOf(at: Place, { between }: Dice): Step {
  const pods = between(2, 4);
  return { kind: 'gang', at, pods, minCount: between(2, pods) };
}

/** What users do with what is there. */
function changes({ dice, place, nodes }: Chance): readonly Weighted<Step>[] {
  const { between, chance, oneOf } = dice;
  const rolled = (): Rolled => oneOf(['deployments', 'deployments', 'statefulsets', 'daemonsets']);
  const scaled = (): 'deployments' | 'statefulsets' => oneOf(['deployments', 'deployments', 'statefulsets']);
  const gone = (): Deletable =>
    oneOf(['deployments', 'statefulsets', 'daemonsets', 'jobs', 'services', 'configmaps', 'podgroups']);
  const namespace = (): string => `n${between(1, namespaceCount)}`;
  const here = <T extends Deletable>(of: T): { readonly of: T; readonly at: Place } => ({
    of,
    at: place(names[of]),
  });
  return [
    [28, () => ({ kind: 'roll', ...here(rolled()), to: between(1, 1000) })],
    [20, () => ({ kind: 'scale', ...here(scaled()), replicas: between(0, 6) })],
    [14, () => ({ kind: 'delete', ...here(gone()), policy: chance(0.3) ? 'Foreground' : 'Background' })],
    [
      10,
      () => ({ kind: 'delete-pod', at: place(oneOf(['db', 'web', 'web', 'gang'])), index: between(0, 3) }),
    ],
    [18, () => ({ kind: 'evict', at: place(chance(0.4) ? 'db' : 'web'), count: between(1, 3) })],
    [6, () => ({ kind: 'cordon', node: `node-${between(1, nodes)}`, isOn: chance(0.6) })],
    [4, () => ({ kind: 'quota', namespace: namespace(), podsMax: between(2, 9) })],
    [4, () => ({ kind: 'suspend', at: place('job'), isOn: chance(0.5) })],
    [3, () => ({ kind: 'delete-namespace', name: namespace() })],
    [1, () => ({ kind: 'delete-definition', name: oneOf(ownPlurals) })],
  ];
}

/** Pure. */
export function planSteps(
  seed: number,
  {
    startMs,
    endMs,
    nodes,
    count,
  }: { readonly startMs: number; readonly endMs: number; readonly nodes: number; readonly count: number },
): readonly PlannedStep[] {
  const dice = createDice(seed ^ 0x0005_7e95);
  const { between, chance, weighted } = dice;
  const place = (name: string): Place => ({
    namespace: `n${between(1, namespaceCount)}`,
    name: `${name}${between(1, 2)}`,
  });
  const making = makings({ dice, nodes, place });
  const changing = changes({ dice, nodes, place });
  const steps: Step[] = Array.from({ length: namespaceCount }, (_, at) => ({
    kind: 'namespace',
    name: `n${at + 1}`,
    podsMax: chance(0.4) ? between(4, 9) : undefined,
  }));
  const times = steps.map(() => startMs);
  for (let done = 0; done < count; done++) {
    const isEarly = done < count / 3;
    steps.push(weighted(isEarly || chance(0.3) ? making : changing));
    // In bursts: what happens together meets.
    const atMs = isEarly ? between(startMs + 1000, startMs + 61_000) : between(startMs, endMs);
    times.push(chance(0.5) ? atMs - (atMs % 20_000) + between(0, 300) : atMs);
  }
  const tight = planTightGang(createDice(seed ^ 0x0009_a265), { startMs, nodes });
  for (const { atMs, step } of [
    ...planScenes(createDice(seed ^ 0x05ce_059b), { startMs, endMs }),
    ...tight,
  ]) {
    steps.push(step);
    times.push(atMs);
  }
  return steps
    .map((step, id) => ({ id, atMs: Math.max(startMs, times[id] ?? startMs), step }))
    .toSorted((one, other) => one.atMs - other.atMs || one.id - other.id);
}

interface Moment {
  readonly atMs: number;
  readonly step: Step;
}

/**
 * Steps that mean something only after one another, at places of their own, in every other world: chance alone rarely brings them
 * together. Pure.
 *
 * - what is held by two is deleted;
 * - pods with a budget are evicted at once, more than it allows;
 * - pods that stay are joined by others, after whatever happened to their node.
 */
function planScenes(
  dice: Dice,
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
): readonly Moment[] {
  const { between, chance } = dice;
  const place = (name: string): Place => ({ namespace: `n${between(1, 3)}`, name });
  const early = (): number => between(startMs + 1000, startMs + 21_000);
  const late = (): number => between(startMs + 60_000, endMs);
  const deployed = (at: Place, replicas: number): Step => ({
    kind: 'deployment',
    ...{ at, replicas, graceSeconds: 1, isRecreate: false, isProbed: false },
  });
  const held = (at: Place): readonly Moment[] => [
    { atMs: early(), step: { kind: 'config', at, hasFinalizer: true } },
    { atMs: late(), step: { kind: 'delete', of: 'configmaps', at, policy: 'Background' } },
  ];
  const kept = (at: Place): readonly Moment[] => [
    { atMs: early(), step: deployed(at, 3) },
    { atMs: early(), step: { kind: 'budget', at, minAvailable: 2 } },
    { atMs: late(), step: { kind: 'evict', at, count: 3 } },
  ];
  const joined = (at: Place): readonly Moment[] => [
    { atMs: early(), step: deployed(at, 2) },
    { atMs: late(), step: { kind: 'scale', of: 'deployments', at, replicas: 4 } },
    { atMs: late(), step: { kind: 'scale', of: 'deployments', at, replicas: 6 } },
  ];
  const all = [held(place('two1')), kept(place('kept1')), joined(place('many1'))].filter(() => chance(0.8));
  return chance(0.5) ? all.flat() : [];
}

/** Of pods of one and a half cores so many have room on a node of four. */
const gangPodsOfNode = 2;

/** In every fourth world, a gang of one pod more than has room: none of them may be on a node at rest. Pure. */
function planTightGang(
  { between, chance }: Dice,
  { startMs, nodes }: { readonly startMs: number; readonly nodes: number },
): readonly Moment[] {
  if (!chance(0.25)) return [];
  const pods = nodes * gangPodsOfNode + 1;
  const at = { namespace: `n${between(1, 3)}`, name: 'tight1' };
  const atMs = between(startMs + 1000, startMs + 21_000);
  return [{ atMs, step: { kind: 'gang', at, pods, minCount: pods } }];
}

export function stepText({ id, atMs, step }: PlannedStep): string {
  const { kind, ...more } = step;
  const words = Object.entries(more).map(([name, value]) =>
    typeof value === 'object' ? `${name}=${value.namespace}/${value.name}` : `${name}=${value}`,
  );
  return `step ${id} at ${(atMs / 1000).toFixed(3)} s: ${[kind, ...words].join(' ')}`;
}
