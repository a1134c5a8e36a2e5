import { at, objectOf, objectsOf, withPath } from '#api/json.ts';
import type { JsonObject } from '#api/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';

/** The pod with the defaults that LimitRanges of its namespace give to its containers. */
export async function applyLimitRanges(
  context: ServerContext,
  namespace: string,
  pod: JsonObject,
): Promise<JsonObject> {
  const ranges = await context.registry.readAll(builtIn('', 'v1', 'limitranges'), namespace);
  const limits = ranges
    .flatMap((range) => objectsOf(at(range, 'spec.limits')))
    .filter(({ type }) => type === 'Container');
  return limits.length === 0 ? pod : withLimitDefaults(pod, limits);
}

/** Pure part: an absent limit or request of each container becomes the range's. */
export function withLimitDefaults(pod: JsonObject, limits: readonly JsonObject[]): JsonObject {
  const merged = (field: string): JsonObject =>
    Object.assign({}, ...limits.map((limit) => objectOf(limit[field])));
  const [defaults, defaultRequests] = [merged('default'), merged('defaultRequest')];
  const fill = (container: JsonObject): JsonObject => {
    const resources = objectOf(container['resources']);
    const filled = {
      ...resources,
      limits: { ...defaults, ...objectOf(resources['limits']) },
      requests: { ...defaultRequests, ...objectOf(resources['requests']) },
    };
    return { ...container, resources: filled };
  };
  return ['containers', 'initContainers'].reduce((next, list) => {
    const containers = objectsOf(at(next, ['spec', list]));
    return containers.length === 0 ? next : withPath(next, ['spec', list], containers.map(fill));
  }, pod);
}
