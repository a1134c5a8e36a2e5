/** The pods of the kill campaign: what each does, and what has to be true of it in the end. Pure. */

export const image = 'podwright/demo:1';

/** A small log, so that it is rotated often: containerLogMaxSize and containerLogMaxFiles of the campaign's nodes. */
export const logSizeBytesMax = 65_536;
export const logFilesMax = 12;

/**
 * `ends`: writes numbered lines, checks its volumes, and ends well; not started again. `again`: fails once, then ends well.
 * `stays`: serves HTTP under probes and writes on until it is deleted.
 */
export type PodRole = 'ends' | 'again' | 'stays';

/**
 * What is written by those that stay: a line each second; before that so many bursts that each is one file of the log or more and
 * all are kept; bursts without end, of which the oldest are removed.
 */
export type Noise = 'little' | 'bursts' | 'endless';

export interface CampaignPod {
  readonly index: number;
  readonly name: string;
  readonly role: PodRole;
  readonly noise: Noise;
  readonly hostPort: number | undefined;
  /** Numbered lines that its log has at least when it is as it should be. */
  readonly linesMin: number;
}

const linesOfQuiet = 60;
/** With timestamps some 72 KB. */
const linesOfBurst = 600;
/** With the quiet lines of ten minutes that follow fewer than logFilesMax. */
const burstsMax = 9;
/** Between bursts: each becomes a file, where the agent lives long enough to look every 10 s. */
const pauseSeconds = { bursts: 8, endless: 3 } as const;

export function campaignPod(index: number): CampaignPod {
  const role: PodRole = index % 5 === 2 ? 'again' : index % 5 >= 3 ? 'stays' : 'ends';
  const noise = noiseOf(index);
  return {
    index,
    name: `k${index}`,
    role,
    noise,
    hostPort: index % 4 === 0 ? 20_000 + index : undefined,
    linesMin: role === 'ends' ? linesOfQuiet : noise === 'little' ? 1 : linesOfBurst,
  };
}

/** Those that are not quiet have the role `stays`, so that the log is looked at while they write. */
function noiseOf(index: number): Noise {
  if (index % 20 === 8) return 'endless';
  return index % 10 === 3 ? 'bursts' : 'little';
}

/** What it reads of its volumes has to be its own. */
function checksOf(index: number): string {
  const checks = [
    ['/config/a', index],
    ['/secret/s', `secret-${index}`],
    ['/projected/name', `k${index}`],
    ['/projected/config/a', index],
  ];
  return checks.map(([file, value]) => `[ "$(cat ${file})" = "${value}" ] || exit 3;`).join(' ');
}

function scriptOf({ index, role, noise }: CampaignPod): string {
  const checks = checksOf(index);
  switch (role) {
    case 'ends':
      return `${checks} i=0; while [ $i -lt ${linesOfQuiet} ]; do echo line $i; i=$((i+1)); [ $((i % 10)) = 0 ] && usleep 300000; done; exit 0`;
    case 'again':
      return `${checks} echo line 0; sleep 1; [ -e /disk/failed ] || { touch /disk/failed; exit 1; }; exit 0`;
    case 'stays':
      return `${checks} trap 'exit 0' TERM; httpd -p 80 -h /config; i=0; ${burstsOf(noise)} while :; do echo line $i; i=$((i+1)); sleep 1 & wait $!; done`;
  }
}

function burstsOf(noise: Noise): string {
  if (noise === 'little') return '';
  const isMore = noise === 'endless' ? ':' : `[ $i -lt ${burstsMax * linesOfBurst} ]`;
  const burst = `n=0; while [ $n -lt ${linesOfBurst} ]; do echo line $i ${'x'.repeat(70)}; i=$((i+1)); n=$((n+1)); done`;
  return `while ${isMore}; do ${burst}; sleep ${pauseSeconds[noise]} & wait $!; done;`;
}

const probes = {
  readinessProbe: {
    httpGet: { port: 80, path: '/a' },
    periodSeconds: 3,
    timeoutSeconds: 5,
    failureThreshold: 5,
  },
  // Patient, as a loaded machine is no fault of the pod's.
  livenessProbe: {
    exec: { command: ['cat', '/projected/name'] },
    periodSeconds: 10,
    timeoutSeconds: 30,
    failureThreshold: 10,
  },
};

const restartPolicies: Readonly<Record<PodRole, string>> = {
  ends: 'Never',
  again: 'OnFailure',
  stays: 'Always',
};

const mounts = ['disk', 'memory', 'config', 'secret', 'projected', 'hooks'] as const;

export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
}

/** The pod, its ConfigMap and its Secret. Its hooks leave a line each in a directory of the machine. */
export function manifestsOf(
  pod: CampaignPod,
  hooksDirectory: string,
): readonly (Manifest & Readonly<Record<string, unknown>>)[] {
  const { index, name, role, hostPort } = pod;
  const labels = { campaign: 'kill' };
  const hook = (what: string): unknown => ({
    exec: { command: ['sh', '-c', `echo ${what} >> /hooks/${name}.${what}; echo ${what} > /memory/hook`] },
  });
  return [
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: `c${index}`, labels },
      data: { a: String(index) },
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: `s${index}`, labels },
      stringData: { s: `secret-${index}` },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { ...labels, role } },
      spec: {
        restartPolicy: restartPolicies[role],
        terminationGracePeriodSeconds: 15,
        volumes: volumesOf(index, hooksDirectory),
        containers: [
          {
            name: 'main',
            image,
            command: ['sh', '-c', scriptOf(pod)],
            ports: hostPort === undefined ? [] : [{ containerPort: 80, hostPort }],
            lifecycle: { postStart: hook('start'), preStop: hook('stop') },
            ...(role === 'stays' ? probes : {}),
            volumeMounts: mounts.map((mount) => ({ name: mount, mountPath: `/${mount}` })),
          },
        ],
      },
    },
  ];
}

function volumesOf(index: number, hooksDirectory: string): readonly unknown[] {
  const config = { name: `c${index}` };
  return [
    { name: 'disk', emptyDir: {} },
    { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
    { name: 'config', configMap: config },
    { name: 'secret', secret: { secretName: `s${index}` } },
    {
      name: 'projected',
      projected: {
        sources: [
          { configMap: { ...config, items: [{ key: 'a', path: 'config/a' }] } },
          { downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] } },
          { serviceAccountToken: { path: 'token', expirationSeconds: 600 } },
        ],
      },
    },
    { name: 'hooks', hostPath: { path: hooksDirectory } },
  ];
}

/** Of a node before the campaign. */
export function warmUpPod(node: string): unknown {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `warm-${node}`, labels: { campaign: 'warm' } },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 1,
      containers: [
        { name: 'main', image, command: ['sleep', '3600'], ports: [{ containerPort: 80, hostPort: 19_999 }] },
      ],
    },
  };
}

/** Its endpoints are the pods that stay: elements of nftables come and go with them. */
export const service: unknown = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'campaign' },
  spec: { selector: { campaign: 'kill', role: 'stays' }, ports: [{ port: 80 }] },
};

export interface FoundPod {
  readonly name: string;
  readonly uid: string;
  readonly node: string;
  readonly phase: string;
  readonly isReady: boolean;
  readonly isDeleted: boolean;
  readonly restarts: number;
  readonly why: string;
}

interface PodJson {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly phase?: string;
    readonly reason?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount: number; readonly state: unknown }[];
  };
}

/** Of the answer to a list of pods. */
export function parsePods(text: string): readonly FoundPod[] {
  const { items } = JSON.parse(text) as { readonly items: readonly PodJson[] };
  return items.map(({ metadata, spec, status }) => ({
    name: metadata.name,
    uid: metadata.uid,
    node: spec.nodeName ?? '',
    phase: status.phase ?? '',
    isReady: status.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') === true,
    isDeleted: metadata.deletionTimestamp !== undefined,
    restarts: status.containerStatuses?.[0]?.restartCount ?? 0,
    why: `${status.reason ?? ''} ${JSON.stringify(status.containerStatuses?.[0]?.state ?? '')}`,
  }));
}

/** Whether a pod has come to where its role leads. One whose supervisor was killed may have failed, where it may not start again. */
export function isAsItShould({ role }: CampaignPod, found: FoundPod, isStruck: boolean): boolean {
  switch (role) {
    case 'ends':
      return found.phase === 'Succeeded' || (isStruck && found.phase === 'Failed');
    case 'again':
      return found.phase === 'Succeeded';
    case 'stays':
      return found.phase === 'Running' && found.isReady;
  }
}
