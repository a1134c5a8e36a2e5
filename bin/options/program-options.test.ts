import { describe, expect, it } from 'vitest';

import type { AgentCommandOptions, ServerCommandOptions } from './command-options.ts';
import { agentOptionProblems } from './agent-problems.ts';
import { serverOptionProblems } from './program-options.ts';

const server: ServerCommandOptions = {
  data: '/var/lib/podwright/server',
  listen: ['192.0.2.10:6443'],
  advertiseAddress: '192.0.2.10',
  serviceCidr: ['10.96.0.0/16'],
  enablePriorityAndFairness: 'true',
  maxRequestsInflight: 400,
  maxMutatingRequestsInflight: 200,
  clusterCidr: ['10.244.0.0/16'],
  clusterSigningDuration: '8760h',
  localStorageClass: 'standard',
  clusterDns: ['10.96.0.10'],
  node: ['a=192.0.2.11', 'b.example=192.0.2.12'],
};

const agent: AgentCommandOptions = {
  anonymousAuth: 'false',
  authenticationTokenWebhook: 'true',
  authorizationMode: 'Webhook',
  data: '/var/lib/podwright/agent',
  run: '/run/podwright',
  nodeName: 'a',
  nodeIp: ['192.0.2.11'],
  credentials: '/etc/podwright/a',
  clusterDns: ['10.96.0.10'],
  clusterDomain: 'cluster.local',
  clusterCidr: ['10.244.0.0/16'],
  serviceCidr: ['10.96.0.0/16'],
  fabric: 'host-gw',
  proxyMode: 'nftables',
  fastPath: 'off',
  podEgress: 'masquerade',
  insecureRegistry: ['localhost:5000', '[::1]:5000', 'registry.example'],
  containerLogMaxSize: '10Mi',
  containerLogMaxFiles: 5,
  imageGcHighThreshold: 85,
  imageGcLowThreshold: 80,
  minimumImageTtlDuration: '2m',
  imageMaximumGcAge: '0s',
  maxPods: 110,
};

/** Both families. */
const dual = {
  serviceCidr: ['10.96.0.0/16', 'fd00:10:96::/112'],
  clusterCidr: ['10.244.0.0/16', 'fd00:10:244::/56'],
  clusterDns: ['10.96.0.10', 'fd00:10:96::a'],
};

describe('serverOptionProblems()', () => {
  it('has none for what is right', () => {
    expect(serverOptionProblems(server)).toEqual([]);
    expect(serverOptionProblems({ ...server, ...dual, node: ['a=192.0.2.11,fd00::b'] })).toEqual([]);
    expect(
      serverOptionProblems({
        ...server,
        listen: ['[::1]:6443', 'host.example:1'],
        adminServer: 'https://x:1',
        etcdServers: ['https://a:2379', 'https://b:2379'],
        etcdCafile: '/ca',
      }),
    ).toEqual([]);
    expect(
      serverOptionProblems({
        ...server,
        etcdListen: ['unix:', 'unix:/run/etcd.sock', '[::1]:2379'],
        etcdListenCafile: '/ca',
      }),
    ).toEqual([]);
  });

  const virtual = (...virtualAddress: string[]): Partial<ServerCommandOptions> => ({
    ...{ virtualAddress, etcdServers: ['https://a:2379'] },
  });

  it.each<{ readonly change: Partial<ServerCommandOptions>; readonly want: RegExp }>([
    { change: { advertiseAddress: 'nonsense' }, want: /^--advertise-address nonsense: not an IP address$/ },
    { change: { advertiseAddress: '10.0.0.256' }, want: /not an IP address/ },
    {
      change: { nodeCidrMaskSize: 15 },
      want: /^--cluster-cidr 10.244.0.0\/16: too small; each node gets a \/15$/,
    },
    {
      change: { clusterCidr: ['10.128.0.0/9'], nodeCidrMaskSize: 26 },
      want: /^--node-cidr-mask-size 26: divides --cluster-cidr 10.128.0.0\/9 into too many; at most 25$/,
    },
    { change: { advertiseAddress: '0.0.0.0' }, want: /names no host/ },
    { change: { advertiseAddress: '::1' }, want: /not IPv4, as the first of/ },
    { change: { node: ['a=ff02::2'] }, want: /ff02::2: a link-local multicast address/ },
    { change: { advertiseAddress: '239.1.1.1' }, want: /multicast/ },
    { change: { etcdServers: ['10.0.0.1:2379'] }, want: /^--etcd-servers: .*write http\[s\]:\/\/HOST:PORT$/ },
    { change: { etcdCafile: '/ca' }, want: /^--etcd-cafile: give --etcd-servers too$/ },
    { change: { etcdServers: ['http://a'], etcdCafile: '/ca' }, want: /without TLS$/ },
    { change: { etcdServers: ['https://a'], etcdKeyfile: '/k' }, want: /give both or neither$/ },
    { change: { etcdListen: ['unix:a'] }, want: /^--etcd-listen unix:a: write an absolute path/ },
    { change: { etcdListen: [`unix:/${'a'.repeat(95)}`] }, want: /longer than 95 bytes$/ },
    { change: { etcdListen: ['2379'] }, want: /^--etcd-listen 2379: write HOST:PORT$/ },
    { change: { etcdListen: ['unix:'], etcdListenCafile: '/ca' }, want: /give --etcd-listen HOST:PORT too$/ },
    { change: { etcdListen: ['a:1'], etcdListenKeyfile: '/k' }, want: /give both or neither$/ },
    { change: { etcdListen: ['unix:'], etcdServers: ['http://a'] }, want: /^--etcd-listen: the store is in/ },
    {
      change: { authorizationMode: 'Node,X' },
      want: /^--authorization-mode Node,X: "X" is none of Node, RBAC/,
    },
    {
      change: { authorizationMode: 'Webhook' },
      want: /^--authorization-mode Webhook: give --authorization-webhook-config-file too$/,
    },
    {
      change: { authorizationWebhookConfigFile: '/k' },
      want: /nobody asks it without --authorization-mode Webhook$/,
    },
    {
      change: { authorizationWebhookVersion: 'v2' },
      want: /^--authorization-webhook-version v2: neither v1 nor v1beta1$/,
    },
    {
      change: { authorizationWebhookCacheAuthorizedTtl: 'x' },
      want: /^--authorization-webhook-cache-authorized-ttl: time: invalid/,
    },
    {
      change: { authorizationConfig: '/x', authorizationMode: 'RBAC' },
      want: /^--authorization-mode: cannot be given with/,
    },
    { change: { schedulerPlugins: '/none' }, want: /^--scheduler-plugins: read \/none: ENOENT/ },
    {
      change: { disableScheduler: true, schedulerPort: 10_259 },
      want: /^--scheduler-port: with --disable-scheduler there is none here; leave one of them out$/,
    },
    { change: { schedulerConfig: '/none' }, want: /^--scheduler-config: read \/none: ENOENT/ },
    { change: { authorizationConfig: '/none' }, want: /^--authorization-config: read \/none: ENOENT/ },
    { change: { maxRequestsInflight: 0, maxMutatingRequestsInflight: 0 }, want: /no seats to share out/ },
    { change: { listen: [] }, want: /^--listen: give HOST:PORT/ },
    { change: { listen: ['6443'] }, want: /write HOST:PORT/ },
    { change: { listen: ['192.0.2.10:70000'] }, want: /write HOST:PORT/ },
    { change: { listen: ['192.0.2.10:0'] }, want: /write HOST:PORT/ },
    { change: { listen: ['10.0.0.999:6443'] }, want: /neither an IP address nor a host name/ },
    { change: { listen: ['[192.0.2.1]:6443'] }, want: /neither/ },
    { change: { listen: ['a_b:6443'] }, want: /neither/ },
    { change: { node: ['A=192.0.2.11'] }, want: /^--node A=192.0.2.11: "A": not a name/ },
    { change: { node: ['a'] }, want: /write NAME=IP/ },
    { change: { node: ['a=b=c'] }, want: /write NAME=IP/ },
    { change: { node: ['../x=192.0.2.11'] }, want: /not a name/ },
    { change: { node: ['a=x'] }, want: /x: not an IP address/ },
    { change: { node: ['a=192.0.2.11', 'a=192.0.2.12'] }, want: /a is that of --node a=192.0.2.11/ },
    { change: { node: ['a=192.0.2.11', 'b=192.0.2.11'] }, want: /192.0.2.11 is that of --node a=/ },
    { change: { serviceCidr: ['10.96.0.0'] }, want: /write ADDRESS\/PREFIX/ },
    { change: { serviceCidr: ['10.96.0.1/16'] }, want: /bits behind the prefix/ },
    { change: { ...dual, clusterCidr: ['10.244.0.0/16'] }, want: /not of the families of --cluster-cidr/ },
    { change: { serviceCidr: ['10.96.0.0/16', '10.97.0.0/16'] }, want: /more than one of a family/ },
    {
      change: { ...dual, serviceCidr: ['10.96.0.0/16', 'fd00:10:96::/64'] },
      want: /too large; a \/108 at most/,
    },
    { change: { ...dual, nodeCidrMaskSize: 24 }, want: /say --node-cidr-mask-size-ipv4 and/ },
    { change: { ...dual, nodeCidrMaskSizeIpv6: 48 }, want: /too small; each node gets a \/48/ },
    { change: { ...dual, nodeCidrMaskSizeIpv6: 80 }, want: /into too many; at most 72/ },
    { change: { ...dual, advertiseAddress: 'fd00::1' }, want: /not IPv4, as the first of --service-cidr/ },
    { change: { ...dual, clusterDns: ['fd00:10:96::1'] }, want: /the API server's own Service/ },
    {
      change: { ...dual, serviceCidr: dual.serviceCidr.toReversed(), advertiseAddress: 'fe80::1' },
      want: /a link-local address/,
    },
    { change: { node: ['a=192.0.2.11,192.0.2.12'] }, want: /more than one of a family/ },
    {
      change: { serviceCidr: ['10.244.128.0/17'], clusterDns: ['10.244.128.10'] },
      want: /overlaps --cluster-cidr/,
    },
    {
      change: { clusterSigningDuration: '0s' },
      want: /^--cluster-signing-duration 0s: must be more than 0$/,
    },
    { change: { controllers: ['*', '-jobs'] }, want: /^--controllers: "-jobs" is not in the list of known/ },
    { change: { controllers: ['route'] }, want: /^--controllers: podwright has no route$/ },
    {
      change: { horizontalPodAutoscalerSyncPeriod: '1ms' },
      want: /^--horizontal-pod-autoscaler-sync-period 1ms: must be 100ms at least$/,
    },
    {
      change: { horizontalPodAutoscalerTolerance: 'much' },
      want: /^--horizontal-pod-autoscaler-tolerance much: not a number/,
    },
    { change: { nodeEvictionRate: '-1' }, want: /^--node-eviction-rate -1: not a number of 0 or more$/ },
    { change: { unhealthyZoneThreshold: '2' }, want: /^--unhealthy-zone-threshold 2: .* from 0 to 1$/ },
    { change: { localStorageClass: 'A_b' }, want: /^--local-storage-class A_b: a lowercase RFC 1123/ },
    { change: { clusterSigningDuration: 'long' }, want: /^--cluster-signing-duration long: not a duration/ },
    { change: { clusterCidr: ['10.96.0.0/12'] }, want: /overlaps/ },
    { change: { clusterCidr: ['10.244.0.0/25'] }, want: /too small/ },
    { change: { clusterDns: ['10.97.0.10'] }, want: /not in --service-cidr/ },
    { change: { loadBalancerCidr: ['203.0.113.1/24'] }, want: /^--load-balancer-cidr .* bits behind/ },
    { change: { loadBalancerCidr: ['192.0.0.0/8'] }, want: /^--load-balancer-cidr 192.0.0.0\/8: too large/ },
    { change: { loadBalancerCidr: ['10.96.1.0/24'] }, want: /overlaps --service-cidr 10.96.0.0\/16$/ },
    { change: { loadBalancerCidr: ['10.244.1.0/24'] }, want: /overlaps --cluster-cidr 10.244.0.0\/16$/ },
    { change: { loadBalancerCidr: ['fd00::/112'] }, want: /the cluster has no IPv6 addresses$/ },
    { change: { clusterDns: ['10.96.0.1'] }, want: /the API server's own Service/ },
    { change: { clusterDns: ['x'] }, want: /not an IP address/ },
    { change: { adminServer: 'http://x' }, want: /not an https URL/ },
    { change: virtual('x'), want: /^--virtual-address x: not an IP address$/ },
    { change: virtual('10.96.0.9'), want: /within --service-cidr; take an address of the servers' link$/ },
    { change: virtual(server.advertiseAddress), want: /this server's own$/ },
    { change: virtual('192.0.2.8', '192.0.2.9'), want: /^--virtual-address: give one address$/ },
    { change: virtual('fd00::9'), want: /not of the family of --advertise-address/ },
    { change: { virtualAddress: ['192.0.2.9'] }, want: /give --etcd-servers or --etcd-listen$/ },
  ])('of $change', ({ change, want }) => {
    expect(serverOptionProblems({ ...server, ...change })).toEqual([expect.stringMatching(want)]);
  });
});

describe('agentOptionProblems()', () => {
  it('has none for what is right, with a name or without', () => {
    const { nodeName: _, ...unnamed } = agent;
    expect([agentOptionProblems(agent), agentOptionProblems(unnamed)]).toEqual([[], []]);
    expect(agentOptionProblems({ ...agent, ...dual, nodeIp: ['192.0.2.11', 'fd00::b'] })).toEqual([]);
  });

  it.each<{ readonly change: Partial<AgentCommandOptions>; readonly want: RegExp }>([
    { change: { nodeName: 'Node_1' }, want: /^--node-name "Node_1": not a name/ },
    { change: { nodeName: '' }, want: /not a name/ },
    { change: { nodeName: '..' }, want: /not a name/ },
    { change: { nodeName: `${'a'.repeat(254)}` }, want: /not a name/ },
    { change: { nodeIp: ['10.0.0'] }, want: /not an IP address/ },
    { change: { nodeIp: ['::ffff:192.0.2.11'] }, want: /write it as IPv4/ },
    {
      change: { clusterCidr: dual.clusterCidr, serviceCidr: dual.serviceCidr },
      want: /no IPv6 address, which pods of/,
    },
    { change: { nodeIp: ['192.0.2.11', '192.0.2.12'] }, want: /more than one of a family/ },
    { change: { linkCidr: ['10.0.0.0/8'] }, want: /--node-ip 192.0.2.11 is not in it/ },
    { change: { nodeIp: ['10.244.3.1'] }, want: /lies in --cluster-cidr/ },
    { change: { nodeIp: ['10.96.3.1'] }, want: /lies in --service-cidr/ },
    { change: { clusterDomain: 'cluster local' }, want: /--cluster-domain/ },
    { change: { linkCidr: ['192.0.2.5/24'] }, want: /--link-cidr/ },
    {
      change: { fastPath: 'services', proxyMode: 'userspace' },
      want: /^--fast-path services: with --proxy-mode userspace/,
    },
    { change: { insecureRegistry: ['http://x'] }, want: /write HOST or HOST:PORT/ },
    { change: { containerLogMaxSize: '10 MB' }, want: /^--container-log-max-size 10 MB: not a number/ },
    { change: { containerLogMaxSize: '0' }, want: /not a number of bytes/ },
    { change: { containerLogMaxSize: '-1Mi' }, want: /not a number of bytes/ },
    { change: { clientCaFile: '/nowhere/ca.crt' }, want: /^--client-ca-file .*: there is no such file/ },
  ])('of $change', ({ change, want }) => {
    expect(agentOptionProblems({ ...agent, ...change })).toEqual([expect.stringMatching(want)]);
  });
});
