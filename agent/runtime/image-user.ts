/** passwd(5) and group(5) of an image, and the user that a container runs as. Pure. */
import { PodwrightError } from '#base/errors.ts';
import type { LaunchUser } from '#native/launch/launch.ts';
import type { ContainerConfig } from './runtime.ts';

export interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

export interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

export interface ImageAccounts {
  readonly users: readonly PasswdEntry[];
  readonly groups: readonly GroupEntry[];
}

/** Lines that are not well formed are passed over, as getpwent(3) does. */
export function parseAccounts(passwd: string, group: string): ImageAccounts {
  const users = linesOf(passwd).flatMap(([name, , uid, gid, , home]) => {
    if (name === undefined || !isId(uid) || !isId(gid)) return [];
    return [{ name, uid: Number(uid), gid: Number(gid), home: home ?? '' }];
  });
  const groups = linesOf(group).flatMap(([name, , gid, members]) => {
    if (name === undefined || !isId(gid)) return [];
    return [{ name, gid: Number(gid), members: (members ?? '').split(',').filter((each) => each !== '') }];
  });
  return { users, groups };
}

export interface ResolvedUser extends LaunchUser {
  readonly home: string;
}

/**
 * The user as the Kubernetes API and the image say together: runAsUser, else the image's USER (`uid`, `name`, either with
 * `:group`); runAsGroup, else the group named there, else the account's own, else root's. The account's further groups of the
 * image are kept, unless supplementalGroupsPolicy is Strict.
 *
 * @throws E_INVALID when a name is not in the image
 */
export function resolveUser(
  asked: ContainerConfig['user'],
  userOfImage: string,
  accounts: ImageAccounts,
): ResolvedUser {
  const imageUser = asked.name ?? userOfImage;
  const [userText = '', groupText] = imageUser.split(':', 2);
  const account =
    asked.uid === undefined
      ? findUser(userText === '' ? '0' : userText, accounts)
      : findUser(String(asked.uid), accounts);
  const imageGroup =
    asked.uid === undefined && groupText !== undefined ? findGroup(groupText, accounts) : undefined;
  const gid = asked.gid ?? imageGroup ?? account.gid;
  const memberships =
    asked.leavesImageGroups === true
      ? []
      : accounts.groups.filter((group) => group.members.includes(account.name)).map((group) => group.gid);
  // The primary one too: without it a process could leave the group, and what is denied to the group would be open (CVE-2022-2995).
  const additional = [gid, ...(asked.additionalGids ?? []), ...asked.fsGroups, ...memberships];
  return {
    uid: account.uid,
    gid,
    additionalGids: [...new Set(additional)].toSorted((a, b) => a - b),
    home: account.home === '' ? '/' : account.home,
  };
}

/** What runAsNonRoot says of this user, in the kubelet's words; undefined when it may run. */
export function nonRootRefusal(asked: ContainerConfig['user'], imageUser: string): string | undefined {
  if (asked.uid !== undefined) {
    return asked.uid === 0 ? "container's runAsUser breaks non-root policy" : undefined;
  }
  const user = imageUser.split(':', 1)[0] ?? '';
  if (user === '' || /^0+$/.test(user)) return 'container has runAsNonRoot and image will run as root';
  if (isId(user)) return undefined;
  return `container has runAsNonRoot and image has non-numeric user (${user}), cannot verify user is non-root`;
}

/** A number may have no account: it then has no name, and root's group. */
function findUser(text: string, accounts: ImageAccounts): PasswdEntry {
  const found = accounts.users.find((user) => (isId(text) ? user.uid === Number(text) : user.name === text));
  if (found !== undefined) return found;
  if (isId(text)) return { name: '', uid: Number(text), gid: 0, home: '/' };
  throw new PodwrightError('E_INVALID', `find user ${text}: not in the image's /etc/passwd`);
}

function findGroup(text: string, accounts: ImageAccounts): number {
  if (isId(text)) return Number(text);
  const found = accounts.groups.find((group) => group.name === text);
  if (found !== undefined) return found.gid;
  throw new PodwrightError('E_INVALID', `find group ${text}: not in the image's /etc/group`);
}

function linesOf(text: string): readonly (readonly (string | undefined)[])[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}

/** uid_t without (uid_t)-1, which means "unchanged" to chown(2) and setresuid(2). */
function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) < 0xffff_ffff;
}
