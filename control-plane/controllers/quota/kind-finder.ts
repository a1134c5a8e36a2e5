import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import { kinds as builtInKinds } from '#api/schema/kinds.ts';
import type { KindName } from '#api/quota/usage.ts';
import type { ApiClient } from '#client/client.ts';
import { discoverKinds, type Discovery } from '#client/discover-kinds.ts';

/** A kind whose objects quotas count. */
export type CountedKind = Omit<KindRef<unknown>, '__object'>;

export interface KindFinder {
  /**
   * The namespaced kinds of these names. Those that the server does not have are left out.
   * @throws {E_CONNECTION} while nobody knows what else the server has
   */
  find(names: readonly KindName[]): Promise<readonly CountedKind[]>;
}

/** Kinds that clients bring come and go; what is known of them is as old as this at most. */
export const discoverEveryMs = 30_000;

/** Those of Kubernetes are known; others the server is asked for, when a quota names one. */
export function createKindFinder(client: ApiClient, clock: Clock): KindFinder {
  let asked: { readonly atMs: number; readonly found: Promise<Discovery> } | undefined;
  const discover = async (): Promise<Discovery> => {
    const nowMs = clock.monotonic();
    if (asked === undefined || nowMs - asked.atMs >= discoverEveryMs)
      asked = { atMs: nowMs, found: discoverKinds(client) };
    const { found } = asked;
    try {
      const discovery = await found;
      if (discovery.failed.length > 0 && asked?.found === found) asked = undefined; // The next quota asks again.
      return discovery;
    } catch (error) {
      if (asked?.found === found) asked = undefined; // The next quota asks again.
      throw error;
    }
  };
  return {
    find: async (names) => {
      const asksFor = names.filter((name) => !isBuiltIn(name));
      const { kinds: others, failed } = asksFor.length === 0 ? nothing : await discover();
      // A group that did not answer keeps those who count kinds of others from nothing.
      const silent = failed.filter((groupVersion) =>
        asksFor.some(
          (name) => groupVersion.startsWith(`${name.group}/`) && !others.some((kind) => isNamed(kind, name)),
        ),
      );
      if (silent.length > 0)
        throw new PodwrightError('E_CONNECTION', `discover kinds: no answer of ${silent.join(', ')}`);
      return names.flatMap((name) => {
        const found = [...builtInKinds, ...others].find((kind) => isNamed(kind, name));
        return found?.namespaced === true ? [found] : [];
      });
    },
  };
}

const nothing: Discovery = { kinds: [], failed: [] };

/** Whether the name is one of a kind that is always there. */
export function isBuiltIn(name: KindName): boolean {
  return builtInKinds.some((kind) => isNamed(kind, name));
}

/** Whether the kind, or the other name, has that name. */
export function isNamed(kind: KindName, { group, resource }: KindName): boolean {
  return kind.group === group && kind.resource === resource;
}
