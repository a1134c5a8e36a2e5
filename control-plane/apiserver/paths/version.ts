import type { Info } from '#api/generated/objects.ts';
import { gitVersion } from '#api/release.ts';

/** What `/version` answers: the version of Kubernetes whose API this is, and ours beside it. */
export const versionInfo: Info = {
  major: '1',
  minor: '36',
  gitVersion,
  gitCommit: '0'.repeat(40), // Not known; clients take only hexadecimal digits for an answer.
  gitTreeState: 'clean',
  buildDate: '2026-11-20T00:00:00Z',
  goVersion: `node${process.versions.node}`,
  compiler: 'v8',
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};
