/** What a plan cannot know before the pod has its node: placeholders, each of them said in the plan's header. */
import { join } from 'node:path';

import type { Service } from '#api/generated/objects.ts';
import type { ImageConfig } from '#api/oci/config.ts';
import type { DnsSettings } from '#agent/kubelet/render/host-files.ts';
import type { KubeletDirectories } from '#agent/kubelet/pod-paths.ts';
import type { NodeFacts } from '#agent/kubelet/node-facts.ts';
import type { RuntimePaths } from '#agent/runtime/plan/plan-sandbox.ts';
import { agentPaths, dataDirDefault } from '#bin/paths.ts';

const gib = 1_073_741_824;
const paths = agentPaths(dataDirDefault, '/run/podwright');

export const runtimePaths: RuntimePaths = { runDirectory: paths.run, dataDirectory: paths.data };

/** As bin/agent.ts lays them out. */
export const directories: KubeletDirectories = {
  pods: join(paths.data, 'pods'),
  podsMemory: join(paths.run, 'volumes'),
  kubelet: paths.kubelet,
  volumes: paths.volumes,
  logs: paths.logs,
};

export const cgroupRoot = '/sys/fs/cgroup/podwright';
export const podCidr = '10.244.0.0/24';
export const leaseDirectory: string = join(paths.run, 'leases');

export const node: NodeFacts = {
  name: 'node-1',
  ips: ['192.0.2.1'],
  allocatable: { cpuMilli: 4000, memoryBytes: 8 * gib, storageBytes: 100 * gib },
  memoryBytes: 8 * gib,
  podsMax: 110,
  podPidsMax: undefined,
  isSelinuxEnabled: false,
  userNamespaceProblem: undefined,
  hostsFile: '# /etc/hosts of the node\n',
};

export const dns: DnsSettings = {
  clusterDns: ['10.96.0.10'],
  clusterDomain: 'cluster.local',
  hostResolvConf: 'nameserver 192.0.2.53\n',
};

/** The one Service that every cluster has: its address is in each container's environment. */
export const apiServerService: Service = {
  metadata: { name: 'kubernetes', namespace: 'default' },
  spec: { clusterIP: '10.96.0.1', ports: [{ name: 'https', port: 443, protocol: 'TCP' }] },
};

/** The uid of the nth pod of a plan, from 1. */
export function assumedUid(count: number): string {
  return `00000000-0000-0000-0000-${String(count).padStart(12, '0')}`;
}

/** An image that nobody has looked at; `user` is what its config would have to say. */
export function assumedImage(user: string): {
  readonly config: ImageConfig;
  readonly lower: readonly string[];
} {
  return {
    config: {
      platform: { os: 'linux', architecture: '', variant: undefined },
      createdAt: undefined,
      diffIds: [],
      user,
      env: [],
      entrypoint: ['/IMAGE-ENTRYPOINT'],
      cmd: ['IMAGE-CMD'],
      workingDir: '',
      exposedPorts: [],
      volumes: [],
      labels: {},
      stopSignal: undefined,
    },
    lower: [join(paths.data, 'layers', 'IMAGE-LAYERS')],
  };
}

/** The header's lines about the node. */
export const nodeAssumptions: readonly string[] = [
  `node ${node.name} at ${node.ips.join(', ')} with 4 CPUs, 8 GiB and nothing else on it, its pods in ${podCidr}`,
  `cluster DNS ${dns.clusterDns.join(', ')}, domain ${dns.clusterDomain}, API server Service 10.96.0.1`,
  `data in ${paths.data}, state in ${paths.run}, cgroups in ${cgroupRoot} with every controller`,
];
