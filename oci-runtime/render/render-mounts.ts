/** Mounts of a bundle as the launch takes them. Pure but for what `facts` asks. */
import { isAbsolute, join, posix } from 'node:path';
import { PodwrightError } from '#base/errors.ts';
import type { OciIdMapping, OciMount } from '#api/oci/runtime/config.ts';
import type { BundleMount } from '#native/launch/runner/bundle-launch.ts';

export interface MountFacts {
  readonly bundle: string;
  /** Whether a path of the host is something else than a directory. @throws E_NOT_FOUND */
  readonly isFile: (path: string) => boolean;
  /** Whether a directory of the root has nothing in it, or is not there; no link is followed. */
  readonly isEmpty: (target: string) => boolean;
}

/** Words of mount(8) that are of the mount, in whose place there is another word of the launch, or none. */
const mountWords: Readonly<Record<string, string | undefined>> = {
  ...Object.fromEntries(
    [
      ...['ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'nodiratime', 'strictatime', 'nosymfollow'],
      ...['rro', 'rnosuid', 'rnodev', 'rnoexec', 'rnoatime', 'rnodiratime', 'rstrictatime', 'rnosymfollow'],
      ...['private', 'slave', 'shared', 'unbindable', 'rprivate', 'rslave', 'rshared', 'runbindable'],
      ...['bind', 'rbind'],
    ].map((word) => [word, word]),
  ),
  // There is nothing to be copied, or it is refused.
  tmpcopyup: undefined,
  // What is so without a word.
  ...Object.fromEntries(
    [
      ...[
        'defaults',
        'rw',
        'suid',
        'dev',
        'exec',
        'atime',
        'diratime',
        'relatime',
        'nostrictatime',
        'symfollow',
      ],
      ...['async', 'loud', 'nomand', 'noiversion', 'nolazytime', 'norelatime'],
    ].map((word) => [word, undefined]),
  ),
};

/** Words that would have to be done, and are not. */
const refusedWords: Readonly<Record<string, string>> = {
  remount: 'a mount is made once, with all its options',
  idmap: 'give uidMappings and gidMappings',
  ridmap: 'give uidMappings and gidMappings',
  ...Object.fromEntries(
    [
      'rrw',
      'rsuid',
      'rdev',
      'rexec',
      'ratime',
      'rdiratime',
      'rrelatime',
      'rsymfollow',
      'rnorelatime',
      'rnostrictatime',
    ].map((word) => [word, 'what a mount forbids is not allowed below it']),
  ),
};

/** @param ids of the container's user namespace */
export function renderMounts(
  mounts: readonly OciMount[],
  facts: MountFacts,
  ids: { readonly uid: readonly OciIdMapping[]; readonly gid: readonly OciIdMapping[] },
): readonly BundleMount[] {
  return mounts.map((mount, index) => {
    const at = `mounts[${index}]`;
    const { options = [], destination } = mount;
    const target = posix.normalize(isAbsolute(destination) ? destination : `/${destination}`);
    const isBind = mount.type === 'bind' || options.includes('bind') || options.includes('rbind');
    const words = options.flatMap((word) => {
      if (word === 'tmpcopyup' && !facts.isEmpty(target))
        throw new PodwrightError(
          'E_UNSUPPORTED',
          `${at}.options: ${word}: the files of ${target} are not copied`,
        );
      const why = refusedWords[word];
      if (why !== undefined) throw new PodwrightError('E_UNSUPPORTED', `${at}.options: ${word}: ${why}`);
      const own = mountWords[word];
      return own === undefined ? [] : [own];
    });
    const data = options.filter((word) => !Object.hasOwn(mountWords, word));
    const isIdMapped = idMapped(mount, at, ids);
    if (isBind) return renderBind({ mount, target, words, data, at, isIdMapped }, facts);
    if (isIdMapped)
      throw new PodwrightError('E_UNSUPPORTED', `${at}.uidMappings: ids are shifted of bind mounts alone`);
    const { type = '' } = mount;
    if (type === '') throw new PodwrightError('E_INVALID', `${at}.type: it is missing`);
    // Controllers of v1 are nobody's here: a container sees its own part of the one hierarchy.
    const known = type === 'cgroup' ? 'cgroup2' : type;
    return {
      type: known,
      source: type === 'cgroup' ? 'cgroup2' : (mount.source ?? type),
      target,
      options: words,
      data: type === 'cgroup' ? '' : data.join(','),
    };
  });
}

function renderBind(
  bind: {
    readonly mount: OciMount;
    readonly target: string;
    readonly words: readonly string[];
    readonly data: readonly string[];
    readonly at: string;
    readonly isIdMapped: boolean;
  },
  facts: MountFacts,
): BundleMount {
  const { mount, target, words, data, at, isIdMapped } = bind;
  if (mount.source === undefined || mount.source === '')
    throw new PodwrightError('E_INVALID', `${at}.source: it is missing`);
  const odd = data[0];
  if (odd !== undefined)
    throw new PodwrightError('E_INVALID', `${at}.options: ${odd} is no option of a bind mount`);
  const source = isAbsolute(mount.source) ? mount.source : join(facts.bundle, mount.source);
  // Without one of the two words type `bind` says nothing of what is mounted below.
  return {
    ...{ type: 'bind', source, target, isFile: facts.isFile(source), isIdMapped },
    options: words.includes('rbind') || words.includes('bind') ? words : ['bind', ...words],
  };
}

function idMapped(mount: OciMount, at: string, ids: Parameters<typeof renderMounts>[2]): boolean {
  const { uidMappings = [], gidMappings = [] } = mount;
  if (uidMappings.length === 0 && gidMappings.length === 0) return false;
  const isSame = (a: readonly OciIdMapping[], b: readonly OciIdMapping[]): boolean =>
    a.length === b.length &&
    a.every(
      ({ containerID, hostID, size }, index) =>
        containerID === b[index]?.containerID && hostID === b[index].hostID && size === b[index].size,
    );
  if (ids.uid.length > 0 && isSame(uidMappings, ids.uid) && isSame(gidMappings, ids.gid)) return true;
  throw new PodwrightError('E_UNSUPPORTED', `${at}.uidMappings: they must be those of the container`);
}

/** All that are acted on, or are so anyway. */
export const mountOptionNames: readonly string[] = Object.keys(mountWords).toSorted();
