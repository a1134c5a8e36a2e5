import { versionInfo } from './version.ts';

/* Pages for people who look into a running server, as kube-apiserver has them (KEP-4827, KEP-4828). */
const warning =
  'Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.';

export interface ServerStatus {
  readonly nowMs: number;
  readonly upSeconds: number;
  readonly paths: readonly string[];
}

/** /statusz. Pure. */
export function renderStatus({ nowMs, upSeconds, paths }: ServerStatus): string {
  const pad = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const up = `${Math.floor(upSeconds / 3600)} hr ${pad((upSeconds / 60) % 60)} min ${pad(upSeconds % 60)} sec`;
  const roots = paths.filter((path) => path.split('/').length === 2 && path !== '/').toSorted();
  const lines = [
    `Started: ${new Date(nowMs - upSeconds * 1000).toUTCString()}`,
    `Up: ${up}`,
    `Go version: ${versionInfo.goVersion}`,
    `Binary version: ${versionInfo.gitVersion}`,
    `Emulation version: ${versionInfo.major}.${versionInfo.minor}`,
    `Paths: ${roots.join(' ')}`,
  ];
  return `\nkube-apiserver statusz\n${warning}\n\n${lines.join('\n')}\n`;
}

/** /flagz. Pure. */
export function renderFlags(flags: Readonly<Record<string, string>>): string {
  const lines = Object.entries(flags)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}\n`);
  return `\nkube-apiserver flagz\n${warning}\n\n${lines.join('')}`;
}
