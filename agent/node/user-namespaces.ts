/** Whether this host has user namespaces for pods, and with which ids. */
import { readFileSync } from 'node:fs';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { defaultIdSpace, type IdSpace } from '#agent/runtime/id-ranges.ts';

/** Every id of a user namespace, as upstream counts them (KubeletConfiguration, userNamespaces.idsPerPod). */
const idsPerPodDefault = 65_536;
/** Whose line of /etc/subuid and /etc/subgid is the node's (Kubernetes, "User Namespaces", "Set up a node"). */
const owner = 'kubelet';

/** What a host says of user namespaces. */
export interface UserNamespaceFacts {
  /** Text of /proc/sys/user/max_user_namespaces; undefined: the kernel has none. */
  readonly max: string | undefined;
  /** Text of /proc/self/uid_map. */
  readonly uidMap: string;
  /** `6.1.0-18-amd64` */
  readonly kernelRelease: string;
}

/** Why no pod can have one, in words; undefined: they can. Pure. */
export function userNamespaceProblem(facts: UserNamespaceFacts, space: IdSpace): string | undefined {
  if (facts.max === undefined) return 'its kernel has no user namespaces (CONFIG_USER_NS)';
  if (Number(facts.max) === 0) return 'the sysctl user.max_user_namespaces is 0';
  const [major = 0, minor = 0] = facts.kernelRelease.split(/[.-]/).map(Number);
  // Overlays of idmapped layers: 5.19. tmpfs, which Secrets and tokens are on, is idmapped from 6.3 on; without, their mounts say so.
  if (major < 5 || (major === 5 && minor < 19))
    return `its kernel ${facts.kernelRelease} has no overlays of idmapped layers (5.19)`;
  const last = space.first + space.count - 1;
  return isMapped(facts.uidMap, space)
    ? undefined
    : `its own user namespace does not have the ids ${space.first} to ${last} (/proc/self/uid_map)`;
}

function isMapped(uidMap: string, { first, count }: IdSpace): boolean {
  return uidMap.split('\n').some((line) => {
    const [inside = NaN, , length = NaN] = line.trim().split(/\s+/).map(Number);
    return inside <= first && first + count <= inside + length;
  });
}

/**
 * The node's ids: what /etc/subuid and /etc/subgid give to user kubelet, who must have the same in both; without a line of his, 64Ki
 * for each of `podsMax` pods from 65536 on. Pure. @throws {E_INVALID} for lines that do not serve
 */
export function idSpaceOf(
  files: { readonly subuid: string; readonly subgid: string },
  wanted: { readonly podsMax: number; readonly idsPerPod?: number | undefined },
): IdSpace {
  const { podsMax, idsPerPod = idsPerPodDefault } = wanted;
  const [uids, gids] = [linesOf(files.subuid), linesOf(files.subgid)];
  if (uids.length === 0 && gids.length === 0)
    return { first: defaultIdSpace.first, count: idsPerPod * podsMax, idsPerPod };
  const refuse = (why: string): never => {
    throw new PodwrightError(
      'E_INVALID',
      `read the ids of user ${owner} from /etc/subuid and /etc/subgid: ${why}`,
    );
  };
  const [own] = uids;
  if (uids.length !== 1 || gids.length !== 1 || own === undefined || uids[0] !== gids[0])
    return refuse('one line with the same ids is wanted in each');
  const [first = NaN, count = NaN] = own.split(':').map(Number);
  if (!Number.isInteger(first) || !Number.isInteger(count)) return refuse(`${own} is not FIRST:COUNT`);
  if (first < idsPerPodDefault || first % idsPerPodDefault !== 0)
    return refuse(`the first, ${first}, is no multiple of ${idsPerPodDefault}`);
  if (count < idsPerPod * podsMax)
    return refuse(`${count} are too few for ${podsMax} pods of ${idsPerPod} each (maxPods)`);
  return { first, count, idsPerPod };
}

/** `FIRST:COUNT` of each line of the owner's. */
function linesOf(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${owner}:`))
    .map((line) => line.slice(owner.length + 1).trim());
}

export function readUserNamespaceFacts(kernelRelease: string): UserNamespaceFacts {
  return {
    max: readIfThere('/proc/sys/user/max_user_namespaces'),
    uidMap: readIfThere('/proc/self/uid_map') ?? '',
    kernelRelease,
  };
}

/** @throws {E_INVALID} for lines that do not serve */
export function readIdSpace(wanted: Parameters<typeof idSpaceOf>[1]): IdSpace {
  const [subuid, subgid] = [readIfThere('/etc/subuid') ?? '', readIfThere('/etc/subgid') ?? ''];
  return idSpaceOf({ subuid, subgid }, wanted);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
