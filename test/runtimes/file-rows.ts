import type { PodSpec, Volume, VolumeMount } from '#api/generated/objects.ts';
import { image, once, shell, type Behaviour } from './behaviour.ts';

const mountPath = '/v';
const mounted = (
  script: string,
  source: Omit<Volume, 'name'>,
  more: Partial<VolumeMount> = {},
): { spec: PodSpec } =>
  once(
    script,
    { volumeMounts: [{ name: 'v', mountPath, ...more }] },
    { volumes: [{ name: 'v', ...source }] },
  );
const mountLine = `grep ' ${mountPath} ' /proc/self/mountinfo`;
const isTmpfs = (pattern: string): RegExp => new RegExp(`- tmpfs ${pattern}`);

/** The files of a container: its volumes, how they are mounted, its devices. */
export const fileRows: readonly Behaviour[] = [
  {
    name: 'empty-dir',
    ...mounted('stat -c "%a %F" /v; echo x > /v/x && cat /v/x', { emptyDir: {} }),
    want: '777 directory\nx\n',
  },
  {
    name: 'empty-dir-in-memory',
    ...mounted(mountLine, { emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } }),
    want: isTmpfs('\\S+ .*size=1024k'),
  },
  {
    name: 'config-map',
    ...mounted('stat -Lc %a /v/q; cat /v/q; ls /v', {
      configMap: { name: 'values', defaultMode: 0o440, items: [{ key: 'k', path: 'q' }] },
    }),
    want: '440\nof mapq\n',
  },
  {
    name: 'secret',
    ...mounted('cat /v/k; grep -o " - tmpfs" /proc/self/mountinfo | head -n 1', {
      secret: { secretName: 'values' },
    }),
    want: /^of secret - tmpfs\n$/,
  },
  {
    name: 'downward-api',
    ...mounted('cat /v/name', {
      downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] },
    }),
    want: /^downward-api-\w+$/,
  },
  {
    name: 'account-token',
    ...once('wc -c < /var/run/secrets/kubernetes.io/serviceaccount/token'),
    want: /^[1-9]\d{2,}\n$/,
  },
  {
    name: 'host-path',
    ...mounted('cat /v', { hostPath: { path: '/etc/hostname', type: 'File' } }),
    see: async (pod) => (await pod.logs()) === (await pod.onNode('cat /etc/hostname')),
    want: true,
  },
  {
    name: 'host-device',
    ...mounted('echo x > /v; stat -c %F /v', { hostPath: { path: '/dev/null', type: 'CharDevice' } }),
    want: 'character special file\n',
  },
  {
    name: 'part-of-volume',
    ...mounted('cat /v', { configMap: { name: 'values' } }, { subPath: 'k' }),
    want: 'of map',
  },
  {
    name: 'part-by-variable',
    ...once(
      'touch /v/x; ls /w',
      {
        env: [{ name: 'A', value: 'a' }],
        volumeMounts: [
          { name: 'v', mountPath, subPathExpr: 'of-$(A)' },
          { name: 'v', mountPath: '/w' },
        ],
      },
      { volumes: [{ name: 'v', emptyDir: {} }] },
    ),
    want: 'of-a\n',
  },
  {
    name: 'mount-read-only',
    ...mounted('touch /v/x 2>&1 || echo no', { emptyDir: {} }, { readOnly: true }),
    want: /Read-only[^]*no\n/,
  },
  {
    name: 'mount-read-only-down',
    ...mounted(
      'touch /v/run/x 2>&1 || echo no',
      { hostPath: { path: '/' } },
      { readOnly: true, recursiveReadOnly: 'Enabled' },
    ),
    want: /no\n$/,
    refused: { containerd: /no recursive read-only mounts|does not support recursive read-only mounts/ },
  },
  {
    name: 'propagation-none',
    ...mounted(`${mountLine} | grep -cE 'shared:|master:' || true`, { emptyDir: {} }),
    want: '0\n',
  },
  {
    name: 'propagation-from-host',
    ...mounted(mountLine, { emptyDir: {} }, { mountPropagation: 'HostToContainer' }),
    want: /master:\d+/,
  },
  {
    name: 'propagation-both',
    ...once(
      'mkdir -p /v/in && mount -t tmpfs of-container /v/in && touch /done; exec sleep 100000',
      {
        securityContext: { privileged: true },
        volumeMounts: [{ name: 'v', mountPath, mountPropagation: 'Bidirectional' }],
        readinessProbe: { exec: { command: ['test', '-e', '/done'] }, periodSeconds: 1 },
        lifecycle: { preStop: { exec: { command: ['umount', '/v/in'] } } },
      },
      { volumes: [{ name: 'v', emptyDir: {} }] },
    ),
    when: 'ready',
    see: (pod) =>
      pod
        .logs()
        .then(async () => (await pod.kubectl(`exec ${pod.name} -- grep /v /proc/self/mountinfo`)).stdout),
    want: /\/v [^\n]*shared:\d+[^]*\/v\/in [^\n]*shared:\d+/,
  },
  {
    name: 'files-of-image',
    ...mounted('ls /v; touch /v/x 2>&1 || echo no', { image: { reference: image } }),
    want: /www\n[^]*no\n/,
    refused: { containerd: /image/ },
  },
  {
    name: 'volume-between',
    spec: {
      restartPolicy: 'Never',
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [
        shell('until test -e /v/x; do sleep 0.1; done; cat /v/x', {
          volumeMounts: [{ name: 'v', mountPath }],
        }),
        shell('echo of d > /v/x', { name: 'd', volumeMounts: [{ name: 'v', mountPath }] }),
      ],
    },
    want: 'of d\n',
  },
  {
    name: 'devices',
    ...once(
      'for d in full null ptmx random tty urandom zero fd/1 stdin shm pts; do test -e /dev/$d || echo no $d; done; mknod /dev/own b 7 0 2>&1; cat /dev/own; true',
    ),
    want: /^(?!no )[^]*(not permitted|denied)/i,
  },
];
