/** What a campaign on a shared store has seen: what the store wrote, what clients asked for, what watchers were told. Data only. */
import { createHash } from 'node:crypto';

import type { JsonObject } from '#api/meta/object.ts';
import { at, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';

/** The namespace in which clients work, and the resources of it that they write. */
export const namespace = 'campaign';
export const resources = ['configmaps', 'services'] as const;
export type Resource = (typeof resources)[number];

/** An object's key is as in its path: `configmaps/r-1`. */
export function keyOf(resource: string, name: string): string {
  return `${resource}/${name}`;
}

/** One key at one revision, as it was written; `value` undefined: deleted. */
export interface Written {
  readonly revision: number;
  readonly key: string;
  readonly value: JsonObject | undefined;
}

/** A request, and what its client knows of it. Times are of one monotonic clock. */
export interface Operation {
  readonly client: number;
  readonly verb: 'create' | 'replace' | 'compare' | 'patch' | 'delete' | 'read' | 'list';
  /** Of a list: its resource. */
  readonly key: string;
  /** What it writes and nobody else does; '' for reads, deletes and bare counters. */
  readonly token: string;
  /** compare: the revision that has to be there. */
  readonly base?: number;
  /** Of counters: the number that it writes. */
  readonly count?: number;
  readonly startMs: number;
  readonly endMs: number;
  /** `unknown`: no answer came, or one that does not say whether it was done. */
  readonly fate: 'done' | 'refused' | 'unknown';
  /** HTTP's; 0: no answer. */
  readonly status: number;
  /** done: of the object that was written or read, or of the list. A read that found nothing has none. */
  readonly revision?: number | undefined;
  /** Of a delete: of the object that went. */
  readonly uid?: string;
  /** Of a list: by key, the revision of each item. */
  readonly items?: ReadonlyMap<string, number>;
}

export interface Told {
  readonly revision: number;
  readonly key: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** Of all that the event shows, but for its revision. */
  readonly digest: string;
  readonly object: JsonObject;
}

/** What a watcher was told from a list on, over all its connections. */
export interface Stretch {
  readonly from: number;
  readonly listed: ReadonlyMap<string, Held>;
  readonly events: readonly Told[];
}

/** An object that a watcher or a list holds. */
export interface Held {
  readonly revision: number;
  readonly digest: string;
  /** Of what a watcher listed. */
  readonly object?: JsonObject;
}

export interface Watched {
  readonly name: string;
  readonly resource: Resource;
  readonly stretches: readonly Stretch[];
}

/** From the kill of who ran the controllers to what another did. */
export interface Takeover {
  readonly leaseMs: number;
  /** How long of it nobody could write, but for the time of an election: nobody can lead then. */
  readonly outageMs: number;
  readonly boundMs: number;
  readonly replicaSetMs: number;
}

/** The store as it is in the end: by the store's own keys. */
export type Dump = ReadonlyMap<string, { readonly revision: number; readonly value: JsonObject }>;

/** What an object says, apart from what depends on who asks and when. */
export function digestOf(object: JsonObject): string {
  const { apiVersion: _version, kind: _kind, metadata, ...rest } = object;
  const { resourceVersion: _revision, ...meta } = objectOf(metadata);
  return createHash('sha1')
    .update(JSON.stringify({ metadata: meta, ...rest }))
    .digest('base64');
}

export function revisionOf(object: JsonObject): number {
  return Number(stringOf(at(object, 'metadata.resourceVersion')));
}

export function writerOf(object: JsonObject | undefined): string {
  return stringOf(at(object, 'metadata.annotations.writer'));
}

/** The number in a counter. */
export function countIn(object: JsonObject | undefined): number {
  return Number(stringOf(at(object, 'data.count')) || '0');
}

/** The cluster addresses and node ports that an object holds. */
export function claimsOf(service: JsonObject | undefined): readonly string[] {
  const ports = objectsOf(at(service, 'spec.ports')).map((port) => port['nodePort']);
  const addresses = listOf(at(service, 'spec.clusterIPs')).filter((address) => address !== 'None');
  return [
    ...addresses.map((address) => `serviceips/${String(address)}`),
    ...ports.filter((port) => port !== undefined).map((port) => `servicenodeports/${String(port)}`),
  ];
}

export interface History {
  readonly byKey: ReadonlyMap<string, readonly Written[]>;
  readonly newest: number;
}

export function historyOf(written: readonly Written[]): History {
  const byKey = new Map<string, Written[]>();
  for (const entry of written) byKey.set(entry.key, [...(byKey.get(entry.key) ?? []), entry]);
  return { byKey, newest: written.at(-1)?.revision ?? 0 };
}
