import { expect } from 'vitest';
import { once, staying, type Behaviour } from './behaviour.ts';

const asked = String.raw`printf 'GET /own HTTP/1.0\r\n\r\n' | busybox nc -w 5`;

/** What clients say to containers and hear of them. */
export const streamRows: readonly Behaviour[] = [
  {
    name: 'logs',
    ...once('for i in 1 2 3; do echo $i; done; printf end'),
    see: async (pod) => [
      await pod.logs(),
      await pod.logs('--tail=2'),
      (await pod.logs('--timestamps --tail=1')).replace(/^\S+Z /, ''),
    ],
    want: ['1\n2\n3\nend', '3\nend', 'end'],
  },
  {
    name: 'exec',
    ...staying(
      'true',
      { env: [{ name: 'A', value: 'a' }], workingDir: '/www' },
      { securityContext: { runAsUser: 1234, supplementalGroups: [9] } },
    ),
    see: async (pod) => {
      const { code, stdout, stderr } = await pod.kubectl(
        `exec ${pod.name} -- sh -c "echo \\$A; pwd; id -u; id -G; echo err >&2; exit 3"`.replaceAll(
          '\\$',
          '$',
        ),
      );
      return { code, stdout, stderr: stderr.split('\n')[0] };
    },
    want: { code: 3, stdout: 'a\n/www\n1234\n0 9\n', stderr: 'err' },
  },
  {
    name: 'exec-with-input',
    ...staying('true'),
    see: async (pod) => (await pod.kubectl(`exec -i ${pod.name} -- tr a-z A-Z`, 'words\n')).stdout,
    want: 'WORDS\n',
  },
  {
    name: 'exec-of-nothing',
    ...staying('true'),
    see: async (pod) => {
      const { code, stderr } = await pod.kubectl(`exec ${pod.name} -- xyz`);
      return [code === 0, stderr];
    },
    want: [false, expect.stringMatching(/exec: "xyz": executable file not found in \$PATH/)],
  },
  {
    name: 'attach',
    when: 'ready',
    ...once('read line; echo got $line', { stdin: true, stdinOnce: true }),
    see: async (pod) => {
      await pod.kubectl(`attach -i ${pod.name}`, 'words\n');
      const log = await pod.logs();
      return log === '' ? undefined : log;
    },
    want: 'got words\n',
  },
  {
    name: 'port-forward',
    ...staying('echo served > /www/own; httpd -p 127.0.0.1:8090 -h /www'),
    see: async (pod) =>
      (await pod.outside(
        '$KUBECTL port-forward $POD :8090 > $DIR/forward & p=$!; until port=$(grep -om1 "127.0.0.1:[0-9]*" $DIR/forward); do sleep 0.1; done; ' +
          asked +
          ' $(echo $port | tr : " ") | tail -n 1; kill $p',
      )) || undefined,
    want: 'served\n',
  },
  {
    name: 'host-port',
    ...staying('echo served > /www/own; httpd -p 80 -h /www', {
      ports: [{ containerPort: 80, hostPort: 21_790 }],
    }),
    see: async (pod) => (await pod.outside(`${asked} $NODE 21790 | tail -n 1`)) || undefined,
    want: 'served\n',
  },
];
