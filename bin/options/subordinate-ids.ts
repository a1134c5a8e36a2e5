/** The ids of this host that pods with user namespaces of their own are given. */
import { readIdSpace } from '#agent/node/user-namespaces.ts';
import type { IdSpace } from '#agent/runtime/id-ranges.ts';
import type { KubeletSettings } from '#agent/kubelet/config/settings.ts';
import { describeError } from '#base/errors.ts';
import type { AgentCommandOptions } from '#bin/options/command-options.ts';

type IdOptions = Pick<AgentCommandOptions, 'subordinateIds' | 'maxPods'> & {
  readonly settings: Pick<KubeletSettings, 'idsPerPod'>;
};

const leastIds = 65_536;
/** The last id is nobody's: -1 (setresuid(2)). */
const idMax = 4_294_967_294;

/** @throws {E_INVALID} where /etc/subuid does not serve */
export function idSpaceFor({ subordinateIds, maxPods, settings: { idsPerPod } }: IdOptions): IdSpace {
  if (subordinateIds === undefined) return readIdSpace({ podsMax: maxPods, idsPerPod });
  const [first = NaN, count = NaN] = subordinateIds.split(':').map(Number);
  return { first, count, idsPerPod };
}

export function subordinateIdProblems(options: IdOptions): readonly string[] {
  const { subordinateIds: text } = options;
  if (text === undefined) {
    try {
      idSpaceFor(options);
      return [];
    } catch (error) {
      return [describeError(error)];
    }
  }
  const [first = NaN, count = NaN] = text.split(':').map(Number);
  if (!/^\d+:\d+$/.test(text) || first < leastIds || count < leastIds || first + count - 1 > idMax)
    return [`--subordinate-ids ${text}: write FIRST:COUNT, from ${leastIds} on, at least as many`];
  return [];
}

/** Nodes of one machine, told apart by its number in a cluster: ranges of 256 pods each, far from those of users. */
export function subordinateIdsOf(cluster: string, node: number): string {
  const [base, podsOfNode, places] = [2 ** 30, 256, 64];
  const place = (Number.parseInt(cluster.slice(0, 8), 16) + node) % places;
  return `${base + place * podsOfNode * leastIds}:${podsOfNode * leastIds}`;
}
