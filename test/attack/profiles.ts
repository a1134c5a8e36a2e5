/** The pods that the attack lane attacks from: what each may do, and what is done with it meanwhile. */

export type Manifest = Readonly<Record<string, unknown>>;

const image = 'podwright/demo:1';

export interface Profile {
  readonly name: string;
  readonly security: Manifest;
  /** `given`: a privileged container, whose own rights are not tried. */
  readonly how: 'all' | 'given';
}

const capabilities = [
  'SYS_PTRACE',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'CHOWN',
  'MKNOD',
  'SYS_CHROOT',
  'NET_RAW',
  'NET_ADMIN',
  'SETUID',
  'SETPCAP',
  'SETFCAP',
  'KILL',
  'LINUX_IMMUTABLE',
  'SYS_NICE',
  'SYS_RESOURCE',
  'IPC_LOCK',
];

const drop = ['ALL'];
const restricted: Manifest = {
  runAsUser: 1000,
  runAsGroup: 1000,
  runAsNonRoot: true,
  allowPrivilegeEscalation: false,
  capabilities: { drop },
  seccompProfile: { type: 'RuntimeDefault' },
};

export const profiles: readonly Profile[] = [
  { name: 'default', security: {}, how: 'all' },
  { name: 'restricted', security: restricted, how: 'all' },
  { name: 'laden', security: { capabilities: { drop, add: capabilities } }, how: 'all' },
  {
    name: 'laden-filtered',
    security: {
      capabilities: { drop, add: capabilities },
      allowPrivilegeEscalation: false,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    how: 'all',
  },
  { name: 'privileged', security: { privileged: true }, how: 'given' },
];

/** One capability each. */
export const single: readonly Profile[] = capabilities.map((name) => ({
  name: name.toLowerCase().replaceAll('_', '-'),
  security: { capabilities: { drop, add: [name] } },
  how: 'all',
}));

export interface Place {
  /** Holds the breaker's program. */
  readonly programs: string;
  /** Given to every pod: in it is swapped. */
  readonly shared: string;
  /** Not given to anybody; without its first slash. */
  readonly canary: string;
  readonly secret: string;
  readonly seconds: number;
  /** Of one processor, for each breaker: all of them spin. */
  readonly millicores: number;
}

/** With probes and hooks that run beside the breaker, and a sibling in the same pid namespace that ends again and again. */
export function attackerPod({ name, security, how }: Profile, place: Place): Manifest {
  const { seconds, canary, secret } = place;
  const probe = { exec: { command: ['true'] }, periodSeconds: 1, timeoutSeconds: 20, failureThreshold: 1000 };
  const program = { name: 'programs', mountPath: '/b', readOnly: true };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { lane: 'attack' } },
    spec: {
      terminationGracePeriodSeconds: 1,
      shareProcessNamespace: true,
      ...(name === 'restricted' ? { securityContext: { fsGroup: 3000 } } : {}),
      volumes: [
        { name: 'programs', hostPath: { path: place.programs } },
        { name: 'shared', hostPath: { path: place.shared } },
        { name: 'own', emptyDir: {} },
        { name: 'config', configMap: { name: 'attack' } },
      ],
      containers: [
        {
          name: 'breaker',
          image,
          command: ['/b/breaker', String(seconds), canary, secret, how],
          securityContext: security,
          resources: { requests: { cpu: '1m' }, limits: { cpu: `${place.millicores}m` } },
          terminationMessagePath: '/own/message',
          volumeMounts: [
            program,
            { name: 'shared', mountPath: '/volume' },
            { name: 'own', mountPath: '/own' },
            { name: 'config', mountPath: '/config' },
          ],
          readinessProbe: probe,
          livenessProbe: probe,
          lifecycle: {
            postStart: { exec: { command: ['true'] } },
            preStop: { exec: { command: ['sh', '-c', 'ln -sf /proc/1/root /own/link; true'] } },
          },
        },
        { name: 'sibling', image, command: ['sh', '-c', 'usleep 300000'], securityContext: security },
      ],
    },
  };
}

/** Enters by subPath what is swapped, and says what it sees; its message and user come from where the attacker writes. */
export function victimPod(name: string, place: Place): Manifest {
  const file = place.canary.split('/').at(-1) ?? '';
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { lane: 'attack', victim: 'yes' } },
    spec: {
      terminationGracePeriodSeconds: 0,
      restartPolicy: 'Never',
      securityContext: { fsGroup: 4000 },
      volumes: [{ name: 'shared', hostPath: { path: place.shared } }],
      containers: ['a', 'b', 'b/c'].map((subPath, index) => ({
        name: `c${index}`,
        image,
        command: [
          'sh',
          '-c',
          `cat /m/${file} /m/*/${file} /m/${place.canary}; echo x > /m/written; echo seen`,
        ],
        volumeMounts: [{ name: 'shared', mountPath: '/m', subPath }],
      })),
    },
  };
}
