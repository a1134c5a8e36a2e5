import { parseGroupVersion } from '#api/schema/kinds.ts';
import { at, objectsOf, stringOf } from '#api/wire/json.ts';
import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { ApiClient } from '#client/client.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';

/** How long it is known what a kind is called in paths: definitions change seldom. */
const knownMs = 30_000;
const knownMax = 1_000;

/** As an owner, or a target, names its kind. */
export interface NamedKind {
  readonly apiVersion: string;
  readonly kind: string;
}

/** What a kind is called in paths, and whether its objects have a Scale. */
export interface ScaledKind {
  readonly ref: KindRef<unknown>;
  readonly isScaled: boolean;
}

/** Finds kinds by what objects call them, whatever kind it is, by discovery. */
export interface ScaledKinds {
  /** undefined: nobody serves it in that version. @throws {E_API} for another failure */
  find(named: NamedKind): Promise<ScaledKind | undefined>;
  /** The same in any version of its group, the one that is named first. */
  findInGroup(named: NamedKind): Promise<ScaledKind | undefined>;
}

/** As the REST mapper of Kubernetes' controllers finds them. */
export function createScaledKinds(client: ApiClient, clock: Clock): ScaledKinds {
  const known = new Map<string, { readonly found: ScaledKind; readonly untilMs: number }>();
  const find = async (named: NamedKind): Promise<ScaledKind | undefined> => {
    const key = `${named.apiVersion} ${named.kind}`;
    const before = known.get(key);
    if (before !== undefined && before.untilMs > clock.monotonic()) return before.found;
    known.delete(key);
    const found = await discover(client, named);
    if (found === undefined) return undefined;
    if (known.size >= knownMax) known.clear();
    known.set(key, { found, untilMs: clock.monotonic() + knownMs });
    return found;
  };
  return {
    find,
    findInGroup: async (named) => {
      const found = await find(named);
      const { group } = parseGroupVersion(named.apiVersion);
      if (found !== undefined || group === '') return found;
      for (const apiVersion of await versionsOf(client, group)) {
        const other = apiVersion === named.apiVersion ? undefined : await find({ ...named, apiVersion });
        if (other !== undefined) return other;
      }
      return undefined;
    },
  };
}

async function discover(client: ApiClient, { apiVersion, kind }: NamedKind): Promise<ScaledKind | undefined> {
  const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const resources = objectsOf(at(await readDocument(client, path), 'resources'));
  const nameOf = (each: unknown): string => stringOf(at(each, 'name'));
  const own = resources.find((each) => each['kind'] === kind && !nameOf(each).includes('/'));
  if (own === undefined) return undefined;
  const resource = nameOf(own);
  const { group, version } = parseGroupVersion(apiVersion);
  return {
    ref: { group, version, kind, resource, namespaced: own['namespaced'] === true },
    isScaled: resources.some((each) => nameOf(each) === `${resource}/scale`),
  };
}

/** Of a group, the preferred one first. */
async function versionsOf(client: ApiClient, group: string): Promise<readonly string[]> {
  const document = await readDocument(client, `/apis/${group}`);
  const preferred = stringOf(at(document, 'preferredVersion.groupVersion'));
  const all = objectsOf(at(document, 'versions')).map((each) => stringOf(each['groupVersion']));
  return all.toSorted((a, b) => Number(b === preferred) - Number(a === preferred));
}

/** undefined: nobody serves it. */
async function readDocument(client: ApiClient, path: string): Promise<unknown> {
  const { status, body } = await client.raw('GET', path);
  if (status === 404) return undefined;
  if (status !== 200) throw new PodwrightError('E_API', `GET ${path}: HTTP ${status}`);
  return JSON.parse(body) as unknown;
}
