import type { OwnerReference, Pod, Scale } from '#api/generated/objects.ts';
import { controllerRef } from '#api/meta/owner.ts';
import { parseGroupVersion } from '#api/schema/kinds.ts';
import { at, objectsOf, stringOf } from '#api/wire/json.ts';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { readScale } from '#client/subresources/scale.ts';
import type { AskedScales, FoundScale } from './plan.ts';
import { isCached } from './scale-finder.ts';

/** Asks for the scale of whoever controls pods, and is no kind that is cached. */
export interface ScaleAsker {
  /** One question for each owner; what cannot be known is told by a text. Never rejects. */
  ask(pods: readonly Pod[]): Promise<AskedScales>;
}

/** How long it is known what a kind is called in paths: definitions change seldom. */
const knownMs = 30_000;
const knownMax = 1_000;

interface ScaledResource {
  readonly resource: string;
  readonly isScaled: boolean;
  readonly untilMs: number;
}

/** As the disruption controller of Kubernetes does it: by discovery and the subresource scale, whatever kind it is (getScaleController). */
export function createScaleAsker(client: ApiClient, clock: Clock): ScaleAsker {
  const known = new Map<string, ScaledResource>();
  const resourceOf = async ({ apiVersion, kind }: OwnerReference): Promise<ScaledResource | undefined> => {
    const key = `${apiVersion} ${kind}`;
    const before = known.get(key);
    if (before !== undefined && before.untilMs > clock.monotonic()) return before;
    known.delete(key);
    const found = await discover(client, { apiVersion, kind });
    if (found === undefined) return undefined;
    if (known.size >= knownMax) known.clear();
    const resource = { ...found, untilMs: clock.monotonic() + knownMs };
    known.set(key, resource);
    return resource;
  };
  const askOne = async (owner: OwnerReference, namespace: string | undefined): Promise<FoundScale> => {
    const { apiVersion, kind, name, uid } = owner;
    const { group, version } = parseGroupVersion(apiVersion);
    try {
      const found = await resourceOf(owner);
      if (found === undefined)
        return `no matches for kind ${JSON.stringify(kind)} in version ${JSON.stringify(apiVersion)}`;
      const { resource } = found;
      if (!found.isScaled)
        return `${group === '' ? resource : `${resource}.${group}`} does not implement the scale subresource`;
      const ref = { group, version, kind, resource, namespaced: true };
      const scale: Scale = await readScale(client, ref, { namespace, name });
      if (scale.metadata?.uid !== uid) return undefined;
      return { uid, replicas: scale.spec?.replicas ?? 0 };
    } catch (error) {
      return isNotFound(error) ? undefined : describeError(error);
    }
  };
  return {
    ask: async (pods) => {
      const answers = new Map<string, FoundScale>();
      for (const pod of pods) {
        const owner = controllerRef(pod);
        if (owner === undefined || isCached(owner) || answers.has(owner.uid)) continue;
        answers.set(owner.uid, await askOne(owner, pod.metadata?.namespace));
      }
      return answers;
    },
  };
}

/** What a kind is called in paths, and whether it has a scale. undefined: nobody serves it. @throws {E_API} for another failure */
async function discover(
  client: ApiClient,
  { apiVersion, kind }: Pick<OwnerReference, 'apiVersion' | 'kind'>,
): Promise<Omit<ScaledResource, 'untilMs'> | undefined> {
  const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const { status, body } = await client.raw('GET', path);
  if (status === 404) return undefined;
  if (status !== 200) throw new Error(`GET ${path}: HTTP ${status}`);
  const resources = objectsOf(at(JSON.parse(body), 'resources'));
  const nameOf = (each: unknown): string => stringOf(at(each, 'name'));
  const own = resources.find((each) => each['kind'] === kind && !nameOf(each).includes('/'));
  if (own === undefined) return undefined;
  const resource = nameOf(own);
  return { resource, isScaled: resources.some((each) => nameOf(each) === `${resource}/scale`) };
}
