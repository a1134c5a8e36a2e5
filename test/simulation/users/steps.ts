/** What users of a simulated cluster do, planned ahead: a step names all that it is about, so that leaving one out changes no other. */
import { createRandom } from '#base/random.fixture.ts';

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
export type Deletable = Rolled | 'jobs' | 'services' | 'configmaps';

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
  const random = createRandom(seed ^ 0x0005_7e95);
  const between = (low: number, high: number): number => Math.floor(low + random() * (high - low + 1));
  const place = (name: string): Place => ({
    namespace: `n${between(1, namespaceCount)}`,
    name: `${name}${between(1, 3)}`,
  });
  const names: Readonly<Record<Rolled, string>> = {
    deployments: 'web',
    statefulsets: 'db',
    daemonsets: 'ds',
  };
  const rolled = (): Rolled =>
    (['deployments', 'deployments', 'statefulsets', 'daemonsets'] as const)[between(0, 3)] ?? 'deployments';
  const made = (): Step => {
    const dice = random();
    if (dice < 0.32)
      return {
        kind: 'deployment',
        at: place('web'),
        replicas: between(1, 5),
        graceSeconds: 1 + between(0, 1) * 10,
        isRecreate: random() < 0.2,
        isProbed: random() < 0.2,
      };
    if (dice < 0.5)
      return { kind: 'stateful-set', at: place('db'), replicas: between(1, 3), isParallel: random() < 0.3 };
    if (dice < 0.58) return { kind: 'daemon-set', at: place('ds') };
    if (dice < 0.78)
      return {
        kind: 'job',
        at: place('job'),
        completions: between(1, 4),
        parallelism: between(1, 3),
        seconds: between(0, 40),
        exitCode: random() < 0.2 ? 1 : 0,
      };
    if (dice < 0.83) return { kind: 'service', at: place('web') };
    if (dice < 0.95)
      return { kind: 'budget', at: place(random() < 0.6 ? 'web' : 'db'), minAvailable: between(1, 3) };
    return { kind: 'config', at: place('cm'), hasFinalizer: random() < 0.5 };
  };
  const changed = (): Step => {
    const dice = random();
    const of = rolled();
    if (dice < 0.3) return { kind: 'roll', of, at: place(names[of]), to: between(1, 1000) };
    if (dice < 0.5) {
      const scaled = random() < 0.7 ? 'deployments' : 'statefulsets';
      return { kind: 'scale', of: scaled, at: place(names[scaled]), replicas: between(0, 6) };
    }
    if (dice < 0.62) {
      const gone =
        (['deployments', 'statefulsets', 'daemonsets', 'jobs', 'services', 'configmaps'] as const)[
          between(0, 5)
        ] ?? 'jobs';
      const name = { ...names, jobs: 'job', services: 'web', configmaps: 'cm' }[gone];
      return {
        kind: 'delete',
        of: gone,
        at: place(name),
        policy: random() < 0.3 ? 'Foreground' : 'Background',
      };
    }
    if (dice < 0.72)
      return { kind: 'delete-pod', at: place(random() < 0.4 ? 'db' : 'web'), index: between(0, 3) };
    if (dice < 0.9) return { kind: 'evict', at: place(random() < 0.4 ? 'db' : 'web'), count: between(1, 3) };
    if (dice < 0.97) return { kind: 'cordon', node: `node-${between(1, nodes)}`, isOn: random() < 0.6 };
    return { kind: 'delete-namespace', name: `n${between(1, namespaceCount)}` };
  };
  const steps: Step[] = Array.from({ length: namespaceCount }, (_, at) => ({
    kind: 'namespace',
    name: `n${at + 1}`,
    podsMax: random() < 0.4 ? between(4, 9) : undefined,
  }));
  const times = steps.map(() => startMs);
  for (let made_ = 0; made_ < count; made_++) {
    const isEarly = made_ < count / 3;
    steps.push(isEarly || random() < 0.3 ? made() : changed());
    // In bursts: what happens together meets.
    const at = isEarly ? startMs + 1000 + random() * 60_000 : startMs + random() * (endMs - startMs);
    times.push(Math.round(random() < 0.5 ? at - (at % 20_000) + random() * 300 : at));
  }
  return steps
    .map((step, id) => ({ id, atMs: Math.max(startMs, times[id] ?? startMs), step }))
    .toSorted((one, other) => one.atMs - other.atMs || one.id - other.id);
}

export function stepText({ id, atMs, step }: PlannedStep): string {
  const { kind, ...more } = step;
  const words = Object.entries(more).map(([name, value]) =>
    typeof value === 'object' ? `${name}=${value.namespace}/${value.name}` : `${name}=${value}`,
  );
  return `step ${id} at ${(atMs / 1000).toFixed(3)} s: ${[kind, ...words].join(' ')}`;
}
