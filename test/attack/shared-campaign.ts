/**
 * Clients write to a store that servers share, while servers and members of the store are killed and a clock is wrong; then everything that
 * was acknowledged, refused, told to watchers and stored is judged.
 *
 *     node test/attack/shared-campaign.ts [--engine etcd|embedded] [--writes 10000] [--seed N] [--clients 16] [--pace-ms 400] [--kill-ms 3000] [--keep]
 *
 * The seed decides what is written and who is killed; what they were doing then, the machine decides.
 */
import { parseArgs } from 'node:util';

import { systemClock } from '#base/clock.ts';
import type { Transport } from '#client/transport.ts';
import { eventually } from '#test/cluster/cluster.ts';
import { randomFrom } from '#test/fuzz/damage.ts';
import { firstCounters, paths, runClient } from './shared/clients.ts';
import { readStore, watchStore } from './shared/etcdctl.ts';
import {
  historyOf,
  namespace,
  resources,
  type Dump,
  type Operation,
  type Takeover,
  type Watched,
  type Written,
} from './shared/history.ts';
import { judge } from './shared/judge.ts';
import { judgeEnd, stateOf, storedState } from './shared/judge-watchers.ts';
import { startKilling } from './shared/kills.ts';
import { makePlace, type Engine, type Place } from './shared/place.ts';
import { makeNode, must } from './shared/takeover.ts';
import { startWatcher, type Watcher } from './shared/watchers.ts';

export interface SharedCampaignOptions {
  readonly engine: Engine;
  readonly writes: number;
  readonly seed: number;
  readonly clients: number;
  /** The longest pause of a client between two operations. */
  readonly paceMs: number;
  /** Between kills, on average. */
  readonly killMs: number;
  /** Whether a late takeover is a fault: it is measured by the clock, which on a busy machine says other things as well. */
  readonly judgesTime: boolean;
  /** A copy of logs and stores is left there. */
  readonly keep?: string | undefined;
  readonly say: (line: string) => void;
}

export interface SharedCampaignReport {
  readonly engine: Engine;
  readonly seed: number;
  readonly seconds: number;
  readonly kills: Readonly<Record<string, number>>;
  /** Writes by what became of them. */
  readonly writes: Readonly<Record<Operation['fate'], number>>;
  readonly reads: number;
  /** Objects that were written, by the store's history. */
  readonly written: number;
  readonly watchers: Readonly<Record<'events' | 'cuts' | 'relists', number>>;
  readonly takeovers: readonly Takeover[];
  /** What was not as it should be; [] is the proof. */
  readonly faults: readonly string[];
}

const cutMs = 4000;
/** Certificates are valid from five minutes ago, so that clocks may differ by less. */
const shiftMsMax = 240_000;
const patienceMs = 120_000;
const faultsMax = 60;

export async function runSharedCampaign(options: SharedCampaignOptions): Promise<SharedCampaignReport> {
  const startedMs = systemClock.monotonic();
  await using place = await makePlace(options.engine, options.keep);

  const report = await runIn(place, options);
  return { ...report, seconds: Math.round((systemClock.monotonic() - startedMs) / 1000) };
}

async function runIn(place: Place, options: SharedCampaignOptions): Promise<SharedCampaignReport> {
  const { engine, seed, say } = options;
  await using stack = new AsyncDisposableStack();

  const transports = place.servers.map((server) => stack.use(server.connect()));
  await prepare(transports);
  const follower = engine === 'etcd' ? stack.use(watchStore(await place.readStoreBy())) : undefined;
  const watchers = place.servers.flatMap((server, at) =>
    resources.flatMap((resource) =>
      ['a', 'b'].map((letter, index) => {
        const name = `${server.name} ${resource} ${letter}`;
        const random = randomFrom(seed + 1000 + at * 10 + index);
        return stack.use(startWatcher({ name, resource, transports, random, cutMs }));
      }),
    ),
  );
  const { operations, kills, takeovers, faults } = await work(place, options, transports);
  say(`all is written: ${operations.length} operations; watchers come to the end`);
  const dump = await readStore(await place.readStoreBy());
  await caughtUp(watchers, dump);
  await Promise.all(watchers.map((watcher) => watcher[Symbol.asyncDispose]()));
  const watched = watchers.map((watcher) => watcher.watched);
  if (follower !== undefined) await historyComplete(follower.written, dump);
  const written = follower?.written ?? writtenOf(watched);
  const found = [
    ...faults,
    ...judge({
      written,
      operations,
      watched,
      takeovers: engine === 'etcd' && options.judgesTime ? takeovers : [],
    }),
    ...judgeEnd(dump, watched, historyOf(written)),
  ];
  const total = (count: (watcher: Watcher) => number): number =>
    watchers.reduce((sum, watcher) => sum + count(watcher), 0);
  return {
    engine,
    seed,
    seconds: 0,
    kills,
    writes: countFates(operations),
    reads: operations.filter(({ verb }) => verb === 'read' || verb === 'list').length,
    written: written.length,
    watchers: {
      events: total(({ watched: { stretches } }) => stretches.flatMap(({ events }) => events).length),
      cuts: total(({ counts }) => counts.cuts),
      relists: total(({ counts }) => counts.relists - 1),
    },
    takeovers,
    faults: [...found.slice(0, faultsMax), ...(found.length > faultsMax ? [`${found.length} in all`] : [])],
  };
}

async function prepare([transport]: readonly Transport[]): Promise<void> {
  if (transport === undefined) throw new Error('prepare: no server');
  await must(transport, 'POST', '/api/v1/namespaces', { metadata: { name: namespace } });
  for (const body of firstCounters()) await must(transport, 'POST', paths.configmaps, body);
  await makeNode(transport);
  const account = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
  const isThere = (): Promise<unknown> => must(transport, 'GET', account).catch(() => undefined);
  await eventually('the service account', isThere, patienceMs); // Without it no pod can be made.
}

/** All clients until their writes are done, under kills; then all that was killed runs again. */
async function work(
  place: Place,
  { writes, seed, clients, paceMs, killMs, say }: SharedCampaignOptions,
  transports: readonly Transport[],
): Promise<
  Pick<SharedCampaignReport, 'kills' | 'takeovers' | 'faults'> & { readonly operations: Operation[] }
> {
  const operations: Operation[] = [];
  const budget = { writes };
  const { servers, members } = place;
  const killing = startKilling({
    servers,
    members,
    random: randomFrom(seed),
    paceMs: killMs,
    shiftMsMax,
    say,
  });
  {
    await using _ended = killing;

    const numbers = Array.from({ length: clients }, (_, client) => client);
    const work = numbers.map((client) => {
      const random = randomFrom(seed * 100 + client);
      return runClient({ client, transports, random, paceMs, operations, budget });
    });
    await Promise.all(work);
  }
  const failed = servers.reduce((sum, { failedStarts }) => sum + failedStarts, 0);
  const { takeovers } = killing;
  const kills = { ...killing.counts, ...(failed > 0 ? { 'starts that failed': failed } : {}) };
  const faults = [...killing.faults, ...servers.flatMap(({ endings }) => endings)];
  return { operations, kills, takeovers, faults };
}

/** Until every watcher holds what is stored; one that never does is judged. */
async function caughtUp(watchers: readonly Watcher[], dump: Dump): Promise<void> {
  const isEven = ({ watched }: Watcher): boolean => {
    const [state, stored] = [stateOf(watched), storedState(dump, watched.resource)];
    return (
      state.size === stored.size &&
      [...stored].every(([key, { revision }]) => state.get(key)?.revision === revision)
    );
  };
  await eventually('watchers are at the end', async () => watchers.every(isEven), patienceMs).catch(
    () => undefined,
  );
}

async function historyComplete(written: readonly Written[], dump: Dump): Promise<void> {
  const newest = Math.max(
    ...resources.flatMap((resource) =>
      [...storedState(dump, resource).values()].map(({ revision }) => revision),
    ),
  );
  await eventually(
    'etcdctl is at the end',
    async () => (written.at(-1)?.revision ?? 0) >= newest,
    patienceMs,
  );
}

/** The history as watchers were told it, where nobody else can follow the store over all kills. */
function writtenOf(watched: readonly Watched[]): readonly Written[] {
  const byRevision = new Map<number, Written>();
  for (const { stretches } of watched) {
    for (const [key, { revision, object }] of stretches[0]?.listed ?? []) {
      byRevision.set(revision, { revision, key, value: object });
    }
    for (const { events } of stretches) {
      for (const { revision, key, type, object } of events) {
        byRevision.set(revision, { revision, key, value: type === 'DELETED' ? undefined : object });
      }
    }
  }
  return [...byRevision.values()].toSorted((a, b) => a.revision - b.revision);
}

function countFates(operations: readonly Operation[]): Record<Operation['fate'], number> {
  const counts = { done: 0, refused: 0, unknown: 0 };
  for (const { verb, fate } of operations) if (verb !== 'read' && verb !== 'list') counts[fate]++;
  return counts;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      engine: { type: 'string', default: 'etcd' },
      writes: { type: 'string', default: '10000' },
      seed: { type: 'string', default: String(systemClock.now() % 1_000_000) },
      clients: { type: 'string', default: '16' },
      'pace-ms': { type: 'string', default: '400' },
      'kill-ms': { type: 'string', default: '3000' },
      keep: { type: 'string' },
    },
  });
  console.log(`seed ${values.seed}`);
  const report = await runSharedCampaign({
    engine: values.engine === 'embedded' ? 'embedded' : 'etcd',
    writes: Number(values.writes),
    seed: Number(values.seed),
    clients: Number(values.clients),
    paceMs: Number(values['pace-ms']),
    killMs: Number(values['kill-ms']),
    judgesTime: true,
    keep: values.keep,
    say: (line) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`),
  });
  console.log(JSON.stringify(report, undefined, 2));
  process.exit(report.faults.length === 0 ? 0 : 1);
}
