/** What all pods together may have, those of a class among the others, and the system beside them (enforceNodeAllocatable). */
import type { Pod } from '#api/generated/objects.ts';
import { podRequestNumbers } from '#api/pod/requests.ts';
import { isTerminal } from '#api/pod/state.ts';
import { PodwrightError } from '#base/errors.ts';
import type { Cgroups } from '#native/cgroup/cgroup.ts';
import type { MachineFacts } from '#agent/node/machine.ts';
import { kernelResources, wantedControllers } from '#agent/runtime/cgroup-resources.ts';
import type { CgroupResources } from '#agent/runtime/runtime.ts';
import type { KubeletSettings, Reserved } from '#agent/kubelet/config/settings.ts';
import { cpuWeight, qosClassOf } from '#agent/kubelet/render/resources.ts';

export interface LimitedCgroup {
  readonly path: string;
  readonly resources: CgroupResources;
}

/** Limits of the system's parts are of cgroups of the host, which somebody else makes. */
export interface NodeCgroupPlan {
  readonly own: readonly LimitedCgroup[];
  readonly host: readonly LimitedCgroup[];
}

type Machine = Pick<MachineFacts, 'cpuCount' | 'memoryBytes' | 'pidsMax' | 'hugePages'>;

/** Pure. */
export function planNodeCgroups(
  machine: Machine,
  { nodeCgroups, reserved, kubeReserved, systemReserved }: KubeletSettings,
): NodeCgroupPlan {
  const { enforced } = nodeCgroups;
  const part = (
    who: 'kube' | 'system',
    amounts: Reserved,
    path: string | undefined,
  ): readonly LimitedCgroup[] => {
    if (path === undefined) return [];
    if (enforced.has(`${who}-reserved`)) return [{ path: inTree(path), resources: limitsOf(amounts) }];
    // What can be taken from it again when others want it: processor time.
    if (!enforced.has(`${who}-reserved-compressible`) || amounts.cpuMilli === 0) return [];
    return [{ path: inTree(path), resources: { cpuWeight: cpuWeight(amounts.cpuMilli) } }];
  };
  return {
    own: enforced.has('pods') ? [{ path: 'kubepods', resources: leftOf(machine, reserved) }] : [],
    host: [
      ...part('system', systemReserved, nodeCgroups.systemReserved),
      ...part('kube', kubeReserved, nodeCgroups.kubeReserved),
    ],
  };
}

function inTree(path: string): string {
  return path.split('/').filter(Boolean).join('/');
}

/** Without what evictions keep: pods may go as far, and go then one by one. */
function leftOf(
  { cpuCount, memoryBytes, pidsMax, hugePages = new Map() }: Machine,
  reserved: Reserved,
): CgroupResources {
  const pages = [...hugePages].map(([name, bytes]) => [fileOf(name), bytes] as const);
  return {
    cpuWeight: cpuWeight(Math.max(0, cpuCount * 1000 - reserved.cpuMilli)),
    memoryMaxBytes: Math.max(0, memoryBytes - reserved.memoryBytes),
    ...(reserved.pids === 0 ? {} : { pidsMax: Math.max(1, pidsMax - reserved.pids) }),
    ...(pages.length === 0 ? {} : { hugePages: Object.fromEntries(pages) }),
  };
}

/** hugetlb.2MB.max is of resource hugepages-2Mi. */
function fileOf(resource: string): string {
  return `${resource.slice('hugepages-'.length).replace('i', '')}B`;
}

function limitsOf({ cpuMilli, memoryBytes, pids }: Reserved): CgroupResources {
  return {
    ...(cpuMilli === 0 ? {} : { cpuWeight: cpuWeight(cpuMilli) }),
    ...(memoryBytes === 0 ? {} : { memoryMaxBytes: memoryBytes }),
    ...(pids === 0 ? {} : { pidsMax: pids }),
  };
}

/** Burstable pods weigh what they ask for together; those that ask for nothing weigh nothing beside others. Pure. */
export function planClasses(pods: readonly Pod[]): readonly LimitedCgroup[] {
  const asked = pods
    .filter((pod) => !isTerminal(pod) && qosClassOf(pod) === 'Burstable')
    .reduce((sum, pod) => sum + (podRequestNumbers(pod).get('cpu') ?? 0), 0);
  return [
    { path: 'kubepods/burstable', resources: { cpuWeight: cpuWeight(asked) } },
    { path: 'kubepods/besteffort', resources: { cpuWeight: cpuWeight(0) } },
  ];
}

/** The trees: below the node's own cgroup, and all of the host. */
export interface CgroupTrees {
  readonly own: Cgroups;
  readonly host: () => Cgroups;
}

/** @throws {E_NOT_FOUND} for a cgroup of the system that is not there */
export async function applyNodeCgroups({ own, host }: NodeCgroupPlan, trees: CgroupTrees): Promise<void> {
  for (const { path, resources } of own) await limit(trees.own, path, resources);
  for (const { path, resources } of host) {
    const tree = trees.host();
    if ((await tree.stats(path)) === undefined)
      throw new PodwrightError(
        'E_NOT_FOUND',
        `limit cgroup /${path}: it is not there; whoever runs the system makes it`,
      );
    await tree.apply(path, kernelResources(resources));
  }
}

async function limit(tree: Cgroups, path: string, resources: CgroupResources): Promise<void> {
  // The same everywhere, so that what is below finds it handed down.
  const controllers = [...wantedControllers, 'hugetlb' as const];
  await tree.ensure(path, controllers);
  await tree.apply(path, kernelResources(resources));
}

/** Writes the weights of the classes when they are others than before. */
export function createClassWeights(tree: Cgroups): (pods: readonly Pod[]) => Promise<void> {
  const written = new Map<string, number | undefined>();
  return async (pods) => {
    for (const { path, resources } of planClasses(pods)) {
      if (written.get(path) === resources.cpuWeight) continue;
      await limit(tree, path, resources);
      written.set(path, resources.cpuWeight);
    }
  };
}
