import { expect } from 'vitest';
import type { PodSecurityContext, SecurityContext } from '#api/generated/objects.ts';
import { once, type Behaviour } from './behaviour.ts';

const status = (words: string): string => `grep -E '^(${words}):' /proc/self/status | tr '\\t' ' '`;
const own = (securityContext: SecurityContext): { securityContext: SecurityContext } => ({ securityContext });
const ofPod = (securityContext: PodSecurityContext): { securityContext: PodSecurityContext } => ({
  securityContext,
});
const noUsers = { containerd: /the runtime has no user namespaces/ };

/** Who a container is, and what it may. */
export const securityRows: readonly Behaviour[] = [
  {
    name: 'user-and-groups',
    ...once(
      'id -u; id -g; id -G | tr " " "\\n" | sort -n | tr "\\n" " "; stat -c %g /v; touch /v/x && stat -c %g /v/x',
      {
        volumeMounts: [{ name: 'v', mountPath: '/v' }],
      },
      {
        ...ofPod({ runAsUser: 1234, runAsGroup: 1235, supplementalGroups: [7], fsGroup: 8 }),
        volumes: [{ name: 'v', emptyDir: {} }],
      },
    ),
    want: '1234\n1235\n7 8 1235 8\n8\n',
  },
  {
    name: 'user-of-container-first',
    ...once('id -u; id -g', own({ runAsUser: 5 }), ofPod({ runAsUser: 6, runAsGroup: 9 })),
    want: '5\n9\n',
  },
  // The image's /etc/passwd has demo, 1000, with its group.
  {
    name: 'user-of-image',
    ...once('id', own({ runAsUser: 1000 })),
    want: /^uid=1000\(demo\) gid=1000\(demo\)/,
  },
  {
    name: 'root-refused',
    ...once('true', own({ runAsNonRoot: true })),
    when: 'any',
    see: async (pod) => (await pod.get()).status?.containerStatuses?.[0]?.state?.waiting,
    want: {
      reason: 'CreateContainerConfigError',
      message: expect.stringMatching(/runAsNonRoot.*image.*root/),
    },
  },
  {
    name: 'groups-of-pod-alone',
    ...once('id -G', {}, ofPod({ supplementalGroups: [7], supplementalGroupsPolicy: 'Strict' })),
    want: '0 7\n',
    refused: { containerd: /supplementalGroupsPolicy Strict: the runtime does not support it/ },
  },
  {
    name: 'capabilities-of-default',
    ...once(status('CapEff|CapBnd|CapAmb')),
    want: 'CapEff: 00000000a80425fb\nCapBnd: 00000000a80425fb\nCapAmb: 0000000000000000\n',
  },
  {
    name: 'capabilities-chosen',
    ...once(
      status('CapPrm|CapEff|CapBnd'),
      own({ capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } }),
    ),
    want: 'CapPrm: 0000000000000400\nCapEff: 0000000000000400\nCapBnd: 0000000000000400\n',
  },
  {
    name: 'capabilities-of-user',
    ...once(status('CapEff|CapBnd'), own({ runAsUser: 1000 })),
    want: 'CapEff: 0000000000000000\nCapBnd: 00000000a80425fb\n',
  },
  {
    name: 'privileged',
    ...once(
      `${status('CapEff|Seccomp')}; test -b /dev/loop0 && echo loop; test -w /proc/sys/kernel/domainname && echo written`,
      own({ privileged: true }),
    ),
    want: /^CapEff: 0{5}1[0-9a-f]{10}\nSeccomp: 0\n(loop\n)?written\n$/,
  },
  {
    name: 'no-new-privileges',
    ...once(status('NoNewPrivs'), own({ allowPrivilegeEscalation: false })),
    want: 'NoNewPrivs: 1\n',
  },
  { name: 'new-privileges', ...once(status('NoNewPrivs')), want: 'NoNewPrivs: 0\n' },
  {
    name: 'seccomp-of-runtime',
    ...once(
      `${status('Seccomp')}; unshare -U true || echo no`,
      own({ runAsUser: 7, seccompProfile: { type: 'RuntimeDefault' } }),
    ),
    want: /Seccomp: 2\n[^]*no\n/,
  },
  {
    name: 'seccomp-none',
    ...once(status('Seccomp'), own({ seccompProfile: { type: 'Unconfined' } })),
    want: 'Seccomp: 0\n',
  },
  {
    name: 'seccomp-of-node',
    ...once(
      `${status('Seccomp')}; mkdir /tmp/x 2>&1 || mkdir /x 2>&1`,
      own({ seccompProfile: { type: 'Localhost', localhostProfile: 'no-mkdir.json' } }),
    ),
    see: async (pod) => [(await pod.logs()).match(/Seccomp: \d|No space/g), (await pod.get()).status?.phase],
    want: [['Seccomp: 2', 'No space', 'No space'], 'Failed'],
  },
  {
    name: 'root-read-only',
    ...once('touch /x 2>&1 || touch /dev/shm/x && echo elsewhere', own({ readOnlyRootFilesystem: true })),
    want: /Read-only file system\n(.*\n)*elsewhere\n/,
  },
  {
    name: 'proc-masked',
    ...once('ls -A /sys/firmware | wc -l; (echo 1 > /proc/sys/kernel/domainname) 2>&1 || echo no'),
    want: /^0\n.+\nno\n$/,
  },
  {
    name: 'own-users',
    ...once(
      'tr -s " " < /proc/self/uid_map; id -u; touch /v/x && stat -c %u /v/x',
      { volumeMounts: [{ name: 'v', mountPath: '/v' }] },
      {
        hostUsers: false,
        volumes: [{ name: 'v', emptyDir: {} }],
      },
    ),
    want: /^ ?0 [1-9]\d* 65536\n0\n0\n$/,
    refused: noUsers,
  },
  {
    name: 'proc-unmasked',
    ...once('grep -c " /proc/" /proc/self/mountinfo', own({ procMount: 'Unmasked' }), { hostUsers: false }),
    want: '0\n',
    refused: noUsers,
  },
];
