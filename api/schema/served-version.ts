import {
  kinds as builtInKinds,
  formatGroupVersion,
  optionalKinds,
  type GroupVersion,
  type Kind,
} from './kinds.ts';

/**
 * A group version and its kinds, as they are at one moment. Never changed: what is made of it (a document, say) may be kept for as long
 * as it is served, and shared by all who serve it.
 */
export interface ServedVersion extends GroupVersion {
  /** In discovery order. */
  readonly kinds: readonly Kind[];
  /** By plural name. */
  readonly byResource: ReadonlyMap<string, Kind>;
  /** By the `kind` of their objects. */
  readonly byName: ReadonlyMap<string, Kind>;
}

/** The kinds by group version: these in order of their first kinds, and the kinds of each as they come. */
export function servedVersions(kinds: readonly Kind[]): readonly ServedVersion[] {
  return [...Map.groupBy(kinds, formatGroupVersion).values()].flatMap((own) => {
    const [first] = own;
    return first === undefined ? [] : [servedVersion(first, own)];
  });
}

/** A group version with these kinds. */
export function servedVersion({ group, version }: GroupVersion, kinds: readonly Kind[]): ServedVersion {
  return {
    group,
    version,
    kinds,
    byResource: new Map(kinds.map((kind) => [kind.resource, kind])),
    byName: new Map(kinds.map((kind) => [kind.kind, kind])),
  };
}

/** What every server serves, in order of preference. */
export const builtInVersions: readonly ServedVersion[] = servedVersions(builtInKinds);

/** What a server serves besides, each where it is told (`--runtime-config`). */
export const optionalVersions: readonly ServedVersion[] = servedVersions(optionalKinds);
