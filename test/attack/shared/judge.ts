/**
 * Judges what a campaign has seen, as Jepsen does: what is acknowledged was done, once, in the order of real time; what was refused was not
 * done; what nobody knows may have been done once. Everything here is pure; each finding is one line.
 */
import type { JsonObject } from '#api/meta/object.ts';
import { at, stringOf } from '#api/wire/json.ts';
import {
  claimsOf,
  countIn,
  historyOf,
  writerOf,
  type History,
  type Operation,
  type Takeover,
  type Watched,
  type Written,
} from './history.ts';
import { judgeWatchers } from './judge-watchers.ts';

export interface Seen {
  /** All that was written under the watched resources, in order of revisions. */
  readonly written: readonly Written[];
  readonly operations: readonly Operation[];
  readonly watched: readonly Watched[];
  readonly takeovers: readonly Takeover[];
}

export function judge(seen: Seen): readonly string[] {
  const history = historyOf(seen.written);
  return [
    ...judgeOrder(seen.written),
    ...judgeWrites(seen.operations, history),
    ...judgeTokens(seen.operations, history),
    ...judgeRealTime(seen.operations, history),
    ...judgeCounters(seen.operations, history),
    ...judgeClaims(seen.written),
    ...judgeWatchers(seen.watched, history),
    ...judgeTakeovers(seen.takeovers),
  ];
}

/** A revision is for one object, and none comes back. */
function judgeOrder(written: readonly Written[]): readonly string[] {
  return written.flatMap(({ revision, key }, index) => {
    const before = written[index - 1];
    return before === undefined || before.revision < revision
      ? []
      : [`revision ${revision} of ${key} after revision ${before.revision} of ${before.key}`];
  });
}

const isWrite = ({ verb }: Operation): boolean => verb !== 'read' && verb !== 'list' && verb !== 'delete';
const nameOf = ({ client, verb, key, token, base }: Operation): string =>
  `client ${client}: ${verb} ${key}${token === '' ? '' : ` ${token}`}${base === undefined ? '' : ` on ${base}`}`;

function entryAt(history: History, { key, revision }: Operation): readonly [number, readonly Written[]] {
  const entries = history.byKey.get(key) ?? [];
  return [entries.findIndex((entry) => entry.revision === revision), entries];
}

/** Each acknowledged write is there at its revision, on what it was to be on, and nobody else was told that it is theirs. */
function judgeWrites(operations: readonly Operation[], history: History): readonly string[] {
  const owners = new Map<string, Operation>();
  const claim = (operation: Operation, place: string): readonly string[] => {
    const other = owners.get(place);
    owners.set(place, operation);
    return other === undefined
      ? []
      : [`${nameOf(operation)}: acknowledged, and so was ${nameOf(other)}, at ${place}`];
  };
  return operations.flatMap((operation) => {
    if (operation.fate !== 'done') return [];
    if (operation.verb === 'delete') return judgeDelete(operation, history, claim);
    if (!isWrite(operation)) return [];
    const [index, entries] = entryAt(history, operation);
    const [entry, before] = [entries[index], entries[index - 1]];
    if (entry?.value === undefined || writerOf(entry.value) !== operation.token) {
      return [`${nameOf(operation)}: acknowledged at revision ${operation.revision}, and is not there`];
    }
    return [
      ...claim(operation, `${operation.key}@${entry.revision}`),
      ...(operation.verb === 'create' && before?.value !== undefined
        ? [`${nameOf(operation)}: created where revision ${before.revision} was`]
        : []),
      ...(operation.verb === 'compare' && before?.revision !== operation.base
        ? [`${nameOf(operation)}: written on revision ${before?.revision}`]
        : []),
      ...(operation.verb === 'patch' && !isPatchOf(entry.value, before?.value)
        ? [`${nameOf(operation)}: others' fields are not as at revision ${before?.revision}`]
        : []),
    ];
  });
}

function judgeDelete(
  operation: Operation,
  history: History,
  claim: (operation: Operation, place: string) => readonly string[],
): readonly string[] {
  const entries = history.byKey.get(operation.key) ?? [];
  const uidAt = (index: number): string => stringOf(at(entries[index]?.value, 'metadata.uid'));
  const index = entries.findIndex(
    ({ value }, position) => value === undefined && uidAt(position - 1) === operation.uid,
  );
  if (index < 0) return [`${nameOf(operation)}: acknowledged for uid ${operation.uid}, and not done`];
  return claim(operation, `${operation.key}@${entries[index]?.revision}`);
}

/** Of a ConfigMap: every field of the state before is kept, but for the one that the patch is about. */
function isPatchOf(value: JsonObject, before: JsonObject | undefined): boolean {
  if (before === undefined) return false;
  const own = writerOf(value).split('-')[0] ?? '';
  const dataOf = (object: JsonObject): string =>
    JSON.stringify(
      Object.entries(at(object, 'data') ?? {})
        .filter(([name]) => name !== `p${own}`)
        .toSorted(),
    );
  return dataOf(value) === dataOf(before);
}

/** What is in the store was asked for by an operation that was not refused, and is there once. */
function judgeTokens(operations: readonly Operation[], history: History): readonly string[] {
  const byToken = new Map(operations.filter(({ token }) => token !== '').map((each) => [each.token, each]));
  const seen = new Set<string>();
  return [...history.byKey].flatMap(([key, entries]) =>
    entries.flatMap(({ revision, value }) => {
      const token = writerOf(value);
      if (token === '') return [];
      const operation = byToken.get(token);
      const isAgain = seen.has(token);
      seen.add(token);
      if (operation === undefined || operation.key !== key)
        return [`${key}@${revision}: ${token} is nobody's`];
      return [
        ...(isAgain ? [`${nameOf(operation)}: done again at revision ${revision}`] : []),
        ...(operation.fate === 'refused'
          ? [`${nameOf(operation)}: refused with ${operation.status}, and done at revision ${revision}`]
          : []),
      ];
    }),
  );
}

/** Whoever begins after something was acknowledged, with whichever server, is not in the time before it. */
function judgeRealTime(operations: readonly Operation[], history: History): readonly string[] {
  const starts = operations.toSorted((a, b) => a.startMs - b.startMs);
  const ends = operations
    .filter(({ fate, revision }) => fate === 'done' && revision !== undefined)
    .toSorted((a, b) => a.endMs - b.endMs);
  let [known, next] = [0, 0];
  return starts.flatMap((operation) => {
    for (let end = ends[next]; end !== undefined && end.endMs < operation.startMs; end = ends[++next]) {
      known = Math.max(known, end.revision ?? 0);
    }
    const fault = pastOf(operation, known, history);
    return fault === undefined ? [] : [`${nameOf(operation)}: ${fault}, after revision ${known} was known`];
  });
}

/** What an answer shows that was over before `known`. */
function pastOf(operation: Operation, known: number, history: History): string | undefined {
  const { verb, key, fate, status, revision = 0, base = 0 } = operation;
  const entries = history.byKey.get(key) ?? [];
  const wasSo = (holds: (entry: Written | undefined) => boolean): boolean =>
    [undefined, ...entries].some(
      (entry, index) => holds(entry) && (entries[index]?.revision ?? Infinity) > known,
    );
  if (fate === 'refused') {
    if (status === 404 && !wasSo((entry) => entry?.value === undefined)) return 'not found, and it was there';
    if (status === 409 && verb === 'create' && !wasSo((entry) => entry?.value !== undefined)) {
      return 'exists already, and it did not';
    }
    if (status === 409 && verb === 'compare' && !wasSo((entry) => entry?.revision !== base)) {
      return 'a conflict, and there was none';
    }
    return undefined;
  }
  if (fate !== 'done' || verb === 'delete') return undefined;
  if (verb === 'list') return judgeList(operation, known, history);
  if (verb !== 'read') return revision > known ? undefined : `written at revision ${revision}`;
  if (revision === 0) return wasSo((entry) => entry?.value === undefined) ? undefined : 'not found';
  return wasSo((entry) => entry?.revision === revision) ? undefined : `read revision ${revision}`;
}

/** A list is as new as what was known, and is the state of its revision. */
function judgeList(
  { key, revision = 0, items = new Map() }: Operation,
  known: number,
  { byKey }: History,
): string | undefined {
  if (revision < known) return `a list of revision ${revision}`;
  for (const [name, entries] of byKey) {
    if (!name.startsWith(`${key}/`)) continue;
    const last = entries.findLast((entry) => entry.revision <= revision);
    const want = last?.value === undefined ? undefined : last.revision;
    if (items.get(name) !== want) {
      return `a list of revision ${revision} has ${name} of revision ${items.get(name)} instead of ${want}`;
    }
  }
  return undefined;
}

/** Counters that are raised on what was read: each count is one more than the last, and none that was acknowledged is missing. */
function judgeCounters(operations: readonly Operation[], { byKey }: History): readonly string[] {
  const counters = new Set(operations.filter(({ count }) => count !== undefined).map(({ key }) => key));
  return [...counters].flatMap((key) => {
    const entries = byKey.get(key) ?? [];
    const raised = (fate: Operation['fate']): number =>
      operations.filter((each) => each.key === key && each.count !== undefined && each.fate === fate).length;
    const final = countIn(entries.at(-1)?.value);
    const [done, unknown] = [raised('done'), raised('unknown')];
    return [
      ...entries.flatMap(({ revision, value }, index) =>
        countIn(value) === index ? [] : [`${key}@${revision}: ${countIn(value)} after ${index - 1}`],
      ),
      ...(final < done || final > done + unknown
        ? [`${key}: ${final}, of ${done} acknowledged and ${unknown} unknown increments`]
        : []),
    ];
  });
}

/** At no revision have two Services one address or one port. */
export function judgeClaims(written: readonly Written[]): readonly string[] {
  const owners = new Map<string, string>();
  const held = new Map<string, readonly string[]>();
  return written.flatMap(({ key, revision, value }) => {
    for (const claim of held.get(key) ?? []) if (owners.get(claim) === key) owners.delete(claim);
    const claims = key.startsWith('services/') ? claimsOf(value) : [];
    held.set(key, claims);
    return claims.flatMap((claim) => {
      const owner = owners.get(claim);
      if (owner === undefined) owners.set(claim, key);
      return owner === undefined ? [] : [`${key}@${revision}: ${claim} is ${owner}'s`];
    });
  });
}

/** The lease says how long nobody may have led. */
function judgeTakeovers(takeovers: readonly Takeover[]): readonly string[] {
  return takeovers.flatMap(({ leaseMs, outageMs, boundMs, replicaSetMs }) =>
    Object.entries({ 'a pod was bound': boundMs, 'a ReplicaSet was made': replicaSetMs })
      .filter(([, ms]) => ms - outageMs >= leaseMs)
      .map(
        ([what, ms]) =>
          `${what} ${Math.round(ms)} ms after the kill, ${Math.round(outageMs)} ms of them without a store, and the lease is ${leaseMs} ms`,
      ),
  );
}
