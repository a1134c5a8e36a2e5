import type { JsonObject } from '#api/meta/object.ts';
import { at, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';

/** A file that a volume is to have, and what of a projected volume brings it. */
interface VolumePath {
  readonly path: string;
  readonly source?: string;
}

/**
 * Files of one volume that lie at the same path, or one below the other: the later one takes its place, or neither can be written
 * (pkg/api/pod/warnings.go).
 */
export function overlapWarnings(volume: JsonObject): readonly string[] {
  const name = JSON.stringify(stringOf(volume['name']));
  const tell = (of: string, paths: readonly VolumePath[]): readonly string[] =>
    overlapsOf(paths).map((overlap) => `volume ${name} (${of}): overlapping paths: ${overlap}`);
  const { configMap, secret, downwardAPI } = volume;
  const projected = objectsOf(at(volume, 'projected.sources'));
  return [
    ...tell(named('ConfigMap', at(configMap, 'name')), itemPaths(configMap)),
    ...tell(named('Secret', at(secret, 'secretName')), itemPaths(secret)),
    ...tell('DownwardAPI', itemPaths(downwardAPI)),
    ...projected.flatMap((source) =>
      Object.keys(source).length === 0 ? [`volume ${name} (Projected) has no sources provided`] : [],
    ),
    ...tell('Projected', projected.flatMap(sourcePaths)),
  ];
}

function named(kind: string, name: unknown): string {
  return `${kind} ${JSON.stringify(stringOf(name))}`;
}

function itemPaths(holder: unknown, source?: string): readonly VolumePath[] {
  return objectsOf(at(holder, 'items')).map(({ path }) => ({
    path: stringOf(path),
    ...(source === undefined ? {} : { source }),
  }));
}

/** What one source of a projected volume brings: of several in one, the first. */
function sourcePaths(given: JsonObject): readonly VolumePath[] {
  const { configMap, secret, downwardAPI, serviceAccountToken, clusterTrustBundle, podCertificate } = given;
  const pathOf = (holder: unknown, source: string, field = 'path'): readonly VolumePath[] => {
    const path = stringOf(at(holder, field));
    return path === '' ? [] : [{ path, source }];
  };
  if (at(configMap, 'items') !== undefined)
    return itemPaths(configMap, named('ConfigMap', at(configMap, 'name')));
  if (at(secret, 'items') !== undefined) return itemPaths(secret, named('Secret', at(secret, 'name')));
  if (at(downwardAPI, 'items') !== undefined) return itemPaths(downwardAPI, 'DownwardAPI');
  if (serviceAccountToken !== undefined) return pathOf(serviceAccountToken, 'ServiceAccountToken');
  if (clusterTrustBundle !== undefined) {
    const { name, signerName } = objectOf(clusterTrustBundle);
    return pathOf(clusterTrustBundle, named('ClusterTrustBundle', name ?? signerName));
  }
  return [
    ...pathOf(podCertificate, 'PodCertificate chain', 'certificateChainPath'),
    ...pathOf(podCertificate, 'PodCertificate key', 'keyPath'),
    ...pathOf(podCertificate, 'PodCertificate credential bundle', 'credentialBundlePath'),
  ];
}

/** Overlaps that are told of one volume: what an answer's headers hold is less (4 KiB of text). */
const overlapsMax = 100;

/** `"a/b" (DownwardAPI) with "a" (Secret "s")`: each path with those before it that it overlaps. */
function overlapsOf(paths: readonly VolumePath[]): readonly string[] {
  const known = paths.map((one) => ({ ...one, path: one.path.replace(/\/+$/, '') }));
  return overlappingPairs(known.map(({ path }) => path)).flatMap(([index, other]) => {
    const [one, before] = [known[index], known[other]];
    return one === undefined || before === undefined ? [] : [`${shown(one)} with ${shown(before)}`];
  });
}

/** Places of paths of which one is the other, or below it: the later one first. In order of names, what is below a path comes right after it. */
function overlappingPairs(paths: readonly string[]): readonly (readonly [later: number, earlier: number])[] {
  const sorted = paths
    .map((path, index) => ({ path: `${path}/`, index }))
    .filter(({ path }) => path !== '/')
    .toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.index - b.index));
  const pairs: (readonly [number, number])[] = [];
  const above: (typeof sorted)[number][] = [];
  for (const one of sorted) {
    while (above.length > 0 && !one.path.startsWith(above.at(-1)?.path ?? '')) above.pop();
    for (const { index } of above) {
      pairs.push([Math.max(index, one.index), Math.min(index, one.index)]);
    }
    if (pairs.length >= overlapsMax) break;
    above.push(one);
  }
  return pairs.slice(0, overlapsMax).toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
}

function shown({ path, source }: VolumePath): string {
  return source === undefined ? JSON.stringify(path) : `${JSON.stringify(path)} (${source})`;
}
