/** Stores for tests that damage them: what they hold, and copies of their files at several moments. */
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { createFakeClock } from '#base/clock.ts';
import { openEmbeddedStore } from './embedded.ts';
import { put } from './store.conformance.ts';
import type { Store } from './store.ts';

/** What must be there when a store opens: every key with its revision and value, as `text@revision`. */
export type Acknowledged = ReadonlyMap<string, string>;

export interface StoreCopies {
  /** Taken while it was open, as after kill -9: the newest writes are in store.db-wal. */
  readonly killed: string;
  /** Taken after it was closed. */
  readonly closed: string;
  /** Of both, some writes earlier. */
  readonly killedEarlier: string;
  readonly closedEarlier: string;
  /** Another cluster's, with as many revisions. */
  readonly other: string;
  readonly acknowledged: Acknowledged;
  readonly revision: number;
}

const openIn = (directory: string): Promise<Store> =>
  openEmbeddedStore({ directory, markFile: `${directory}.mark`, clock: createFakeClock(1000) });

/** The files of a store: the directory, and the mark beside it. */
export function copyStore(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    if (name.startsWith('store.')) cpSync(join(from, name), join(to, name));
  }
  if (existsSync(`${from}.mark`)) cpSync(`${from}.mark`, `${to}.mark`);
}

export async function readAll(store: Store): Promise<Acknowledged> {
  const { values } = await store.range('/');
  return new Map(
    values.map(({ key, value, modRevision }) => [
      key,
      `${Buffer.from(value).toString('latin1')}@${modRevision}`,
    ]),
  );
}

/** The value says of which revision it is: nobody else writes. */
async function write(store: Store, key: string, text: string, lease = 0): Promise<void> {
  await store.commit({ expect: [], ops: [put(key, `${text}@${store.revision + 1}`, lease)] });
}

async function fill(
  store: Store,
  from: number,
  to: number,
  random: (below: number) => number,
): Promise<void> {
  for (let step = from; step < to; step++) {
    const key = `/k/${random(60)}`;
    const size = random(8) === 0 ? 6000 + random(9000) : random(900);
    if (random(6) === 0) await store.commit({ expect: [], ops: [{ op: 'delete', key }] });
    else if (random(9) === 0) await write(store, key, `lease ${step}`, await store.grantLease(600));
    else await write(store, key, `${step} `.padEnd(size, 'abcdefgh'));
    if (random(50) === 0) await store.compact(Math.max(1, store.revision - 20));
  }
}

/** @param root an empty directory of the caller's */
export async function makeStores(root: string, random: (below: number) => number): Promise<StoreCopies> {
  const at = (name: string): string => join(root, name);
  const live = at('live');
  let store = await openIn(live);
  await write(store, '/needle', 'a needle in the stack');
  await fill(store, 0, 120, random);
  copyStore(live, at('killed-earlier'));
  await store[Symbol.asyncDispose]();
  copyStore(live, at('closed-earlier'));
  store = await openIn(live);
  await fill(store, 120, 240, random);
  await write(store, '/last', 'the last of all');
  const [acknowledged, revision] = [await readAll(store), store.revision];
  copyStore(live, at('killed'));
  await store[Symbol.asyncDispose]();
  copyStore(live, at('closed'));
  const other = await openIn(at('other'));
  while (other.revision < revision) await write(other, '/k/other', 'x'.repeat(700));
  await other[Symbol.asyncDispose]();
  return {
    killed: at('killed'),
    closed: at('closed'),
    killedEarlier: at('killed-earlier'),
    closedEarlier: at('closed-earlier'),
    other: at('other'),
    acknowledged,
    revision,
  };
}

export { openIn as openStoreIn };
