/* Pages for people who look into a running program, and what programs read of it (KEP-4827, KEP-4828): of server and kubelet alike. */
import { gitVersion } from '#api/release.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatTime } from '#api/meta/time.ts';

export type PageKind = 'Statusz' | 'Flagz';

/** How a page is wanted: as text, or as an object of that version of config.k8s.io. */
export type PageForm = 'text' | { readonly version: string };

const group = 'config.k8s.io';
const versions: readonly string[] = ['v1beta1', 'v1alpha1'];

/** By an Accept header; undefined: as none that there is (406). An object is asked for with all three of `g`, `v` and `as`. Pure. */
export function pageForm(accept: string | undefined, kind: PageKind): PageForm | undefined {
  if (accept === undefined || accept.trim() === '') return 'text';
  for (const clause of accept.split(',')) {
    const [type = '', ...rest] = clause.split(';').map((part) => part.trim().toLowerCase());
    const parameters = new Map(
      rest.map((part): [string, string] => {
        const [name = '', value = ''] = part.split('=', 2);
        return [name, value];
      }),
    );
    if (type === '*/*' || type === 'text/*' || type === 'text/plain') return 'text';
    const version = versions.find((one) => one === parameters.get('v'));
    const isOurs = parameters.get('g') === group && parameters.get('as') === kind.toLowerCase();
    if (type === 'application/json' && isOurs && version !== undefined) return { version };
  }
  return undefined;
}

const warning =
  'Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.';

function headOf(component: string, kind: PageKind): string {
  return `\n${component} ${kind.toLowerCase()}\n${warning}\n\n`;
}

function objectOf(component: string, kind: PageKind, version: string): JsonObject {
  return { kind, apiVersion: `${group}/${version}`, metadata: { name: component } };
}

export interface ProgramStatus {
  /** `kube-apiserver`, `kubelet`. */
  readonly component: string;
  readonly nowMs: number;
  readonly upSeconds: number;
  /** Of which the first segments are told. */
  readonly paths: readonly string[];
}

/** /statusz. Pure. */
export function renderStatus(status: ProgramStatus, form: PageForm): string {
  const { component, nowMs, upSeconds } = status;
  const startMs = nowMs - upSeconds * 1000;
  const binaryVersion = gitVersion.replace(/^v/, '');
  const emulationVersion = /^\d+\.\d+/.exec(binaryVersion)?.[0] ?? '';
  const goVersion = `node${process.versions.node}`;
  const firsts = status.paths.map((path) => `/${path.split('/')[1] ?? ''}`);
  const paths = [...new Set(firsts.filter((path) => path !== '/'))].toSorted();
  if (form !== 'text') {
    return JSON.stringify({
      ...objectOf(component, 'Statusz', form.version),
      startTime: formatTime(startMs),
      uptimeSeconds: Math.floor(upSeconds),
      ...{ goVersion, binaryVersion, emulationVersion, paths },
    });
  }
  const pad = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const up = `${Math.floor(upSeconds / 3600)} hr ${pad((upSeconds / 60) % 60)} min ${pad(upSeconds % 60)} sec`;
  const lines = [
    `Started: ${unixDate(startMs)}`,
    `Up: ${up}`,
    `Go version: ${goVersion}`,
    `Binary version: ${binaryVersion}`,
    `Emulation version: ${emulationVersion}`,
    `Paths: ${paths.join(' ')}`,
  ];
  return `${headOf(component, 'Statusz')}${lines.join('\n')}\n`;
}

/** `Thu Jan  1 00:00:00 UTC 1970`, as date(1) prints it. */
function unixDate(ms: number): string {
  const [weekday = '', day = '', month = '', year = '', time = ''] = new Date(ms).toUTCString().split(' ');
  return `${weekday.replace(',', '')} ${month} ${String(Number(day)).padStart(2)} ${time} UTC ${year}`;
}

/** /flagz: what a program was started with, by the names of Kubernetes' flags. Pure. */
export function renderFlags(
  component: string,
  flags: Readonly<Record<string, string>>,
  form: PageForm,
): string {
  const sorted = Object.entries(flags).toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (form !== 'text') {
    return JSON.stringify({
      ...objectOf(component, 'Flagz', form.version),
      flags: Object.fromEntries(sorted),
    });
  }
  return `${headOf(component, 'Flagz')}${sorted.map(([name, value]) => `${name}=${value}\n`).join('')}`;
}
