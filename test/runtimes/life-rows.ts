import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Container, ContainerState, ContainerStatus, PodSpec } from '#api/generated/objects.ts';
import { image, once, shell, staying, type Behaviour, type SeenPod } from './behaviour.ts';

const statusOf = async (pod: SeenPod, name = 'c'): Promise<ContainerStatus | undefined> => {
  const { status } = await pod.get();
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return all.find((each) => each.name === name);
};
const ended = async (
  pod: SeenPod,
): Promise<Partial<NonNullable<ContainerState['terminated']>> | undefined> => {
  const { exitCode, reason, message } = (await statusOf(pod))?.state?.terminated ?? {};
  return exitCode === undefined
    ? undefined
    : {
        exitCode,
        ...(reason === undefined ? {} : { reason }),
        ...(message === undefined ? {} : { message }),
      };
};
/** How its last run ended, once it runs again. */
const endedBefore = async (pod: SeenPod): Promise<unknown> => {
  const status = await statusOf(pod);
  return status?.state?.running === undefined ? undefined : status.lastState?.terminated?.exitCode;
};

/** Once, without a word, then with what the first run left in a volume. */
const twice = (
  first: string,
  more: Partial<Container>,
  pod: Partial<PodSpec> = {},
): { spec: PodSpec; when: 'any' } => ({
  when: 'any',
  spec: {
    terminationGracePeriodSeconds: 20,
    volumes: [{ name: 'v', emptyDir: {} }],
    containers: [
      shell(`if test -e /v/again; then sleep 100000; fi; touch /v/again; ${first}`, {
        volumeMounts: [{ name: 'v', mountPath: '/v' }],
        ...more,
      }),
    ],
    ...pod,
  },
});
/** True in the second run alone: the first is stopped. */
const aliveAgain = { exec: { command: ['test', '-e', '/v/stopped'] }, periodSeconds: 1, failureThreshold: 2 };
const waits = 'while :; do sleep 0.1; done';

function hasCpuController(): boolean {
  const files = ['/sys/fs/cgroup/cgroup.controllers', '/sys/fs/cgroup/unified/cgroup.controllers'];
  const found = files.find((file) => existsSync(file));
  return found !== undefined && readFileSync(found, 'utf8').split(/\s/).includes('cpu');
}

/** How containers begin and end, and what is told of it. */
export const lifeRows: readonly Behaviour[] = [
  { name: 'ends-well', ...once('true'), see: ended, want: { exitCode: 0, reason: 'Completed' } },
  { name: 'ends-ill', ...once('exit 7'), see: ended, want: { exitCode: 7, reason: 'Error' } },
  {
    name: 'no-such-command',
    ...once('', { command: ['xyz'] }),
    see: ended,
    want: {
      exitCode: 128,
      reason: 'StartError',
      message: expect.stringMatching(/exec: "xyz": executable file not found in \$PATH/),
    },
  },
  {
    name: 'last-words',
    ...once('printf "last words" > /said; exit 3', { terminationMessagePath: '/said' }),
    see: ended,
    want: { exitCode: 3, reason: 'Error', message: 'last words' },
  },
  {
    name: 'last-words-of-log',
    ...once('echo of the log; exit 3', { terminationMessagePolicy: 'FallbackToLogsOnError' }),
    see: ended,
    want: { exitCode: 3, reason: 'Error', message: 'of the log\n' },
  },
  {
    name: 'no-image',
    ...once('true', { image: 'example.com/none:1', imagePullPolicy: 'Never' }),
    when: 'any',
    see: async (pod) => (await statusOf(pod))?.state?.waiting?.reason,
    want: 'ErrImageNeverPull',
  },
  {
    name: 'again-on-failure',
    ...twice('echo first; exit 5', {}, { restartPolicy: 'OnFailure' }),
    see: async (pod) => {
      const status = await statusOf(pod);
      const before = status?.lastState?.terminated;
      return status?.state?.running === undefined || before === undefined
        ? undefined
        : [status.restartCount, before.exitCode, await pod.logs('--previous')];
    },
    want: [1, 5, 'first\n'],
  },
  { name: 'again-always', ...twice('exit 0', {}), see: endedBefore, want: 0 },
  {
    name: 'again-by-rule',
    ...twice(
      'exit 42',
      {
        restartPolicy: 'Never',
        restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
      },
      { restartPolicy: 'Never' },
    ),
    see: endedBefore,
    want: 42,
  },
  {
    name: 'deadline',
    ...once(`trap "exit 0" TERM; ${waits}`, {}, { activeDeadlineSeconds: 2 }),
    see: async (pod) => (await pod.get()).status?.reason,
    want: 'DeadlineExceeded',
  },
  {
    name: 'stopped-by-signal',
    ...twice(`trap "touch /v/stopped; exit 9" TERM; ${waits}`, { livenessProbe: aliveAgain }),
    see: endedBefore,
    want: 9,
  },
  {
    name: 'stopped-by-own-signal',
    ...twice(
      `trap "touch /v/stopped; exit 9" USR1; ${waits}`,
      { livenessProbe: aliveAgain, lifecycle: { stopSignal: 'SIGUSR1' } },
      { os: { name: 'linux' } },
    ),
    see: endedBefore,
    want: 9,
    refused: { containerd: /stopSignal SIGUSR1: the runtime takes no notice of it/ },
  },
  {
    name: 'killed-after-grace',
    ...twice(`trap "touch /v/stopped" TERM; ${waits}`, {
      livenessProbe: { ...aliveAgain, terminationGracePeriodSeconds: 1 },
    }),
    see: endedBefore,
    want: 137,
  },
  {
    name: 'hook-before-stop',
    ...twice(waits, {
      livenessProbe: { ...aliveAgain, terminationGracePeriodSeconds: 3 },
      lifecycle: { preStop: { exec: { command: ['sh', '-c', 'echo hook > /v/stopped'] } } },
    }),
    see: async (pod) =>
      (await endedBefore(pod)) === undefined
        ? undefined
        : (await pod.kubectl(`exec ${pod.name} -- cat /v/stopped`)).stdout || undefined,
    want: 'hook\n',
  },
  {
    name: 'hook-after-start',
    ...once('until test -e /hook; do sleep 0.1; done; cat /hook', {
      lifecycle: { postStart: { exec: { command: ['sh', '-c', 'echo hook > /hook'] } } },
    }),
    want: 'hook\n',
  },
  {
    name: 'hook-that-fails',
    ...once(
      waits,
      { lifecycle: { postStart: { exec: { command: ['false'] } } } },
      { terminationGracePeriodSeconds: 1 },
    ),
    see: async (pod) =>
      /PostStartHook|FailedPostStartHook/.test(await pod.events()) && (await pod.get()).status?.phase,
    want: 'Failed',
  },
  ...(
    [
      ['exec', { exec: { command: ['test', '-e', '/up'] } }],
      ['http', { httpGet: { path: '/up', port: 80 } }],
      ['tcp', { tcpSocket: { port: 80 } }],
    ] as const
  ).map(([kind, handler]): Behaviour => ({
    name: `probe-${kind}`,
    ...staying('sleep 1; touch /up; httpd -p 80 -h /', {
      startupProbe: { ...handler, periodSeconds: 1, failureThreshold: 60 },
      readinessProbe: { ...handler, periodSeconds: 1 },
    }),
    see: async (pod) => {
      const { started, ready } = (await statusOf(pod)) ?? {};
      return [started, ready];
    },
    want: [true, true],
  })),
  {
    name: 'init-in-order',
    spec: {
      restartPolicy: 'Never',
      volumes: [{ name: 'v', emptyDir: {} }],
      initContainers: ['one', 'two'].map((name) =>
        shell(`echo ${name} >> /v/x`, { name, volumeMounts: [{ name: 'v', mountPath: '/v' }] }),
      ),
      containers: [shell('cat /v/x', { volumeMounts: [{ name: 'v', mountPath: '/v' }] })],
    },
    want: 'one\ntwo\n',
  },
  {
    name: 'sidecar',
    spec: {
      restartPolicy: 'Never',
      volumes: [{ name: 'v', emptyDir: {} }],
      initContainers: [
        shell(`trap "exit 0" TERM; touch /v/beside; ${waits}`, {
          name: 'side',
          restartPolicy: 'Always',
          volumeMounts: [{ name: 'v', mountPath: '/v' }],
          startupProbe: { exec: { command: ['test', '-e', '/v/beside'] }, periodSeconds: 1 },
        }),
      ],
      containers: [shell('ls /v', { volumeMounts: [{ name: 'v', mountPath: '/v' }] })],
    },
    see: async (pod) => [
      await pod.logs(),
      (await pod.get()).status?.phase,
      (await statusOf(pod, 'side'))?.state?.terminated?.exitCode,
    ],
    want: ['beside\n', 'Succeeded', 0],
  },
  {
    name: 'debug-container',
    ...staying('true'),
    see: async (pod) => {
      await pod.kubectl(
        `debug ${pod.name} --image=${image} --target=c -c d --profile=general -- sh -c "ps; exec sleep 100000"`,
      );
      const log = await pod.logs('-c d').catch(() => '');
      return log.includes('sleep') ? log : undefined;
    },
    want: /^ +1 .* sleep 100000/m,
  },
  {
    name: 'resized',
    ...staying('true', { resources: { requests: { cpu: '10m' }, limits: { cpu: '200m' } } }),
    see: async (pod) => {
      await pod.kubectl(
        `patch pod ${pod.name} --subresource resize -p '{"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":"300m"}}}]}}'`,
      );
      const status = await statusOf(pod);
      return status?.resources?.limits?.['cpu'] === '300m' ? status.restartCount : undefined;
    },
    want: 0,
    // It writes what the cgroup has not got, where CPUs are another hierarchy's (cgroup v1 beside v2).
    refused: hasCpuController() ? {} : { containerd: /cpu\.weight: no such file or directory/ },
  },
];
