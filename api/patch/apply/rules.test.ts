import { describe, expect, it } from 'vitest';
import { createRandom } from '#base/random.fixture.ts';
import { isPodwrightError } from '#base/errors.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { exampleTerms } from './example.fixture.ts';
import { pathsOf } from './field-set.ts';
import { manageApply, manageUpdate, withOwners } from './manage.ts';
import { modelApply, modelUpdate, pathsOfObject, type Model } from './model.fixture.ts';
import { readOwners } from './owner.ts';

const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** Lives of objects; each of ten writes. PODWRIGHT_APPLY_RUNS=100000 for long. */
const runs = Number(process.env['PODWRIGHT_APPLY_RUNS'] ?? 300);
const random = createRandom(seed);
const below = (count: number): number => Math.floor(random() * count);
const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T;
const maybe = <T>(make: () => T): T | undefined => (random() < 0.4 ? make() : undefined);
const word = (): string => pick(['x', 'y', 'z']);

/** Some of some words, at least one, in any order. */
function words(): readonly string[] {
  const some = ['x', 'y', 'z'].filter(() => random() < 0.6).toSorted(() => random() - 0.5);
  return some.length === 0 ? [word()] : some;
}

function members(): JsonObject {
  return Object.fromEntries(words().map((name) => [name, word()]));
}

function randomConfig(): JsonObject {
  const fields = {
    a: maybe(() => below(3)),
    b: maybe(word),
    n: maybe(() => Object.fromEntries(['x', 'y'].slice(below(2)).map((name) => [name, word()]))),
    m: maybe(members),
    k: maybe(() =>
      words().map((name) => ({
        name,
        ...(random() < 0.6 ? { v: word() } : {}),
        ...(random() < 0.4 ? { u: word() } : {}),
      })),
    ),
    s: maybe(words),
    l: maybe(words),
    w: maybe(members),
  };
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return { apiVersion: 'v1', kind: 'Example', metadata: { name: 'e' }, ...Object.fromEntries(given) };
}

function ownersOf(object: JsonObject): ReadonlyMap<string, ReadonlySet<string>> {
  const owners = readOwners((object['metadata'] as JsonObject)['managedFields']);
  return new Map(
    [...owners.values()].map(({ manager, operation, fields }) => [
      `${manager} ${operation}`,
      new Set(pathsOf(fields).map(formatted)),
    ]),
  );
}

/** As the model writes paths: `k[x].v`. */
function formatted(path: readonly string[]): string {
  return path
    .map((element) =>
      element.startsWith('f:') ? `.${element.slice(2)}` : `[${/"([^"]*)"\}?$/.exec(element)?.[1] ?? ''}]`,
    )
    .join('')
    .slice(1);
}

interface State {
  readonly object: JsonObject;
  readonly model: Model;
}

/** One write of somebody; the states of both after it. */
function step({ object, model }: State, nowMs: number): State {
  const config = randomConfig();
  const isApply = random() < 0.6;
  const manager = pick(isApply ? ['ann', 'bob', 'cid'] : ['ann', 'dan']);
  const writer = { manager, subresource: '', nowMs };
  if (!isApply) {
    const next = random() < 0.5 ? config : { ...object, ...config };
    const bare = { ...next, metadata: { name: 'e' } };
    const live = model.object.size === 0 && model.owners.size === 0 ? undefined : object;
    const managed = manageUpdate(exampleTerms, { live, next: bare }, writer);
    return { object: managed, model: modelUpdate(model, pathsOfObject(bare), manager) };
  }
  const isForced = random() < 0.3;
  const want = modelApply(model, config, { manager, isForced });
  try {
    const { object: merged, owners } = manageApply(exampleTerms, { live: object, config, isForced }, writer);
    expect(want).toBeDefined();
    return { object: withOwners(merged ?? object, owners), model: want ?? model };
  } catch (error) {
    if (!isPodwrightError(error, 'E_API')) throw error;
    expect(want).toBeUndefined();
    return { object, model };
  }
}

describe('server-side apply', () => {
  it('does what the rules say, of random objects and managers', { timeout: 3_600_000 }, () => {
    console.log(`PODWRIGHT_FUZZ_SEED=${seed}, ${runs} objects`);
    for (let run = 0; run < runs; run++) {
      let state: State = {
        object: { apiVersion: 'v1', kind: 'Example', metadata: { name: 'e' } },
        model: { object: new Map(), owners: new Map() },
      };
      for (let write = 0; write < 10; write++) {
        state = step(state, write * 1000);
        expect(new Map([...pathsOfObject(state.object)].toSorted())).toEqual(
          new Map([...state.model.object].toSorted()),
        );
        expect(ownersOf(state.object)).toEqual(state.model.owners);
      }
    }
  });
});
