/** The versions of the CNI specification that we speak, oldest first. */
export const cniVersions = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

export type CniVersion = (typeof cniVersions)[number];

/** What a configuration means that says none (libcni, version.ConfigDecoder). */
export const unsaidCniVersion: CniVersion = '0.1.0';

export const latestCniVersion: CniVersion = '1.1.0';

export function isCniVersion(text: unknown): text is CniVersion {
  return cniVersions.includes(text as CniVersion);
}

/** Whether `version` has what came with `since`. */
export function isAtLeast(version: CniVersion, since: CniVersion): boolean {
  return cniVersions.indexOf(version) >= cniVersions.indexOf(since);
}

/** The highest version that we and a list of versions have in common. */
export function highestCommonVersion(offered: readonly string[]): CniVersion | undefined {
  return cniVersions.findLast((version) => offered.includes(version));
}
