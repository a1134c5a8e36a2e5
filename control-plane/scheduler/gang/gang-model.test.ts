import { expect, it } from 'vitest';
import * as kinds from '#api/schema/kind-ref.ts';
import type { Pod } from '#api/generated/objects.ts';
import { podGroupKeyOf } from '#api/pod/scheduling-group.ts';
import { createRandom } from '#base/random.fixture.ts';
import { gang, nodeOf, podOf, startGangCluster, type GangCluster } from './gang.fixture.ts';

const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? 7);
const rounds = Number(process.env['PODWRIGHT_GANG_ROUNDS'] ?? 1);
const steps = 25;
/** Longer than any back-off, and shorter than the time after which a pod is tried though nothing happened. */
const restMs = 12_000;

/** What is there, and what a test does next. Nobody evicts: gangs of one priority. */
interface Model {
  readonly cluster: GangCluster;
  readonly random: () => number;
  readonly minimums: Map<string, number>;
  count: number;
}

function pick<T>({ random }: Model, list: readonly T[]): T | undefined {
  return list[Math.floor(random() * list.length)];
}

async function addGang(model: Model): Promise<void> {
  const name = `g${model.count++}`;
  const size = 1 + Math.floor(model.random() * 5);
  const minimum = 1 + Math.floor(model.random() * size);
  model.minimums.set(`default/${name}`, minimum);
  const making = [
    () => model.cluster.client.create(kinds.podGroups, gang(name, minimum)),
    ...Array.from(
      { length: size },
      (_, index) => () => model.cluster.client.create(kinds.pods, podOf(`${name}-${index}`, name)),
    ),
  ];
  // The group comes first, last or in between.
  making.push(...making.splice(0, Math.floor(model.random() * making.length)));
  for (const make of making) await make();
}

/** A gang goes as a whole: what is left of one by others is not the scheduler's doing. */
async function removeGang(model: Model): Promise<void> {
  const key = pick(model, [...model.minimums.keys()]);
  if (key === undefined) return;
  model.minimums.delete(key);
  for (const pod of podsOf(model, key))
    await model.cluster.client.delete(
      kinds.pods,
      { namespace: 'default', name: pod.metadata?.name ?? '' },
      { gracePeriodSeconds: 0 },
    );
}

function podsOf({ cluster }: Model, key: string): readonly Pod[] {
  return cluster.client.all(kinds.pods).filter((pod) => podGroupKeyOf(pod) === key);
}

function isPlaced({ spec }: Pod): boolean {
  return (spec?.nodeName ?? '') !== '';
}

/** Cores that are free: every pod asks for one. */
function freeCores({ cluster }: Model): number {
  const all = cluster.client
    .all(kinds.nodes)
    .reduce((sum, { status }) => sum + Number(status?.allocatable?.['cpu'] ?? 0), 0);
  return all - cluster.client.all(kinds.pods).filter(isPlaced).length;
}

function judge(model: Model, isAtRest: boolean): void {
  for (const [key, minimum] of model.minimums) {
    const members = podsOf(model, key);
    const placed = members.filter(isPlaced).length;
    if (isAtRest) expect([0, ...upFrom(minimum)], `${key} is whole or nowhere`).toContain(placed);
    const free = freeCores(model);
    if (!isAtRest) continue;
    expect(placed === 0 && free >= minimum, `${key} sleeps, though ${free} cores are free`).toBe(false);
    expect(placed > 0 && placed < members.length && free > 0, `a pod of ${key} sleeps`).toBe(false);
  }
}

function upFrom(minimum: number): readonly number[] {
  return Array.from({ length: 6 }, (_, index) => minimum + index);
}

it.each(Array.from({ length: rounds }, (_, round) => seed + round))(
  'gangs are whole or nowhere, and none sleeps that fits (PODWRIGHT_FUZZ_SEED=%d)',
  async (each) => {
    await using cluster = await startGangCluster({ a: '3', b: '2' });

    const model: Model = { cluster, random: createRandom(each), minimums: new Map(), count: 0 };
    for (let step = 0; step < steps; step++) {
      const chance = model.random();
      if (chance < 0.5) await addGang(model);
      else if (chance < 0.8) await removeGang(model);
      else if (chance < 0.9) cluster.client.seed(kinds.nodes, nodeOf(`n${step}`, '1'));
      else await cluster.client.create(kinds.pods, podOf(`single-${step}`));
      const isAtRest = model.random() < 0.5;
      await cluster.settle(isAtRest ? restMs : 0);
      judge(model, isAtRest);
    }
  },
);
