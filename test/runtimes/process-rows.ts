import { once, shell, type Behaviour, type SeenPod } from './behaviour.ts';

const inOrder = (words: string): RegExp => new RegExp(`^${words}\\n$`);

const whose = async (pod: SeenPod): Promise<string> =>
  (await pod.logs()) === (await pod.onNode('readlink /proc/self/ns/ipc')) ? "the node's" : 'its own';

/** What the first process of a container finds: its words, its variables, its names, its namespaces. */
export const processRows: readonly Behaviour[] = [
  {
    name: 'env',
    ...once('echo $A $B $C $D $KUBERNETES_SERVICE_HOST', {
      env: [
        { name: 'A', value: 'one' },
        { name: 'B', value: '$(A)-two $$(A)' },
        { name: 'C', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'D', valueFrom: { resourceFieldRef: { resource: 'limits.memory' } } },
      ],
      resources: { limits: { memory: '64Mi' } },
    }),
    want: inOrder(String.raw`one one-two \$\(A\) env-\w+ 67108864 10\.96\.0\.1`),
  },
  {
    name: 'args',
    ...once('echo "$#:$0:$1:$2"', { args: ['zero', '$(A) b', ''], env: [{ name: 'A', value: 'a' }] }),
    want: '2:zero:a b:\n',
  },
  { name: 'working-dir', ...once('pwd', { workingDir: '/made/here' }), want: '/made/here\n' },
  {
    name: 'no-service-links',
    ...once('env | grep -c _SERVICE_', {}, { enableServiceLinks: false }),
    // Those of the API server are there all the same.
    want: /^[23]\n$/,
  },
  {
    name: 'names',
    ...once(
      'hostname; hostname -f; grep more /etc/hosts',
      {},
      {
        hostname: 'first',
        subdomain: 'second',
        hostAliases: [{ ip: '192.0.2.77', hostnames: ['more', 'names'] }],
      },
    ),
    want: /^first\nfirst\.second\.default\.svc\.cluster\.local\n192\.0\.2\.77\tmore\tnames\n$/,
  },
  {
    name: 'fqdn-as-name',
    ...once('hostname', {}, { hostname: 'a', subdomain: 'b', setHostnameAsFQDN: true }),
    want: 'a.b.default.svc.cluster.local\n',
  },
  {
    name: 'resolver',
    ...once(
      'cat /etc/resolv.conf',
      {},
      {
        dnsPolicy: 'None',
        dnsConfig: {
          nameservers: ['192.0.2.53'],
          searches: ['x.example'],
          options: [{ name: 'ndots', value: '3' }],
        },
      },
    ),
    want: 'search x.example\nnameserver 192.0.2.53\noptions ndots:3\n',
  },
  {
    name: 'host-network',
    ...once('cat /proc/net/dev', {}, { hostNetwork: true }),
    want: /eth1:/,
  },
  {
    name: 'host-ipc',
    ...once('readlink /proc/self/ns/ipc', {}, { hostIPC: true }),
    see: whose,
    want: "the node's",
  },
  {
    name: 'own-ipc',
    ...once('readlink /proc/self/ns/ipc'),
    see: whose,
    want: 'its own',
  },
  // The first process is that of the node, or of the namespace that its runtime has been given.
  {
    name: 'host-pid',
    ...once('cat /proc/1/comm', {}, { hostPID: true }),
    want: /^(?!sh$|sleep$)./,
  },
  { name: 'own-pid', ...once('exec readlink /proc/self'), want: '1\n' },
  {
    name: 'shared-pids',
    spec: {
      restartPolicy: 'Never',
      shareProcessNamespace: true,
      containers: [
        shell(
          'until ps | grep -q "[s]leep 3333"; do sleep 0.2; done; killall sleep; exec readlink /proc/self',
        ),
        shell('sleep 3333; true', { name: 'd' }),
      ],
    },
    want: /^([2-9]|\d\d+)\n$/,
  },
  {
    name: 'sysctls',
    ...once(
      'cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_unprivileged_port_start',
      {},
      {
        securityContext: {
          sysctls: [
            { name: 'kernel.shm_rmid_forced', value: '1' },
            { name: 'net.ipv4.ip_unprivileged_port_start', value: '77' },
          ],
        },
      },
    ),
    want: '1\n77\n',
  },
  {
    name: 'streams-apart',
    ...once('echo out; echo err >&2; test -t 1; echo $?; readlink /proc/self/fd/0'),
    want: /out\n(.*\n)*1\n\/dev\/null\n/,
  },
  {
    name: 'terminal',
    ...once('test -t 0 && test -t 2 && tty', { tty: true, stdin: true }),
    // containerd's logs have no carriage returns.
    want: /^\/dev\/(pts\/0|console)\r?\n$/,
  },
];
