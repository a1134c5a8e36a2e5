import { kernelResources, wantedControllers } from '#agent/runtime/cgroup-resources.ts';
import type { CgroupResources } from '#agent/runtime/runtime.ts';
import { planCgroupWrites } from '#native/cgroup/resources.ts';
import { cgroupRoot } from './assumed-node.ts';

/** Every mkdir and write that makes a cgroup below the node's, where none of its parents is there yet. Pure. */
export function planCgroup(path: string, resources: CgroupResources): readonly string[] {
  const parts = path.split('/');
  const enable = wantedControllers.map((name) => `+${name}`).join(' ');
  const down = parts.flatMap((_part, depth) => {
    const parent = [cgroupRoot, ...parts.slice(0, depth)].join('/');
    const own = [cgroupRoot, ...parts.slice(0, depth + 1)].join('/');
    return [
      `write ${parent}/cgroup.subtree_control ${enable}, those not enabled`,
      `mkdir ${own}, if missing`,
    ];
  });
  const writes = planCgroupWrites(kernelResources(resources));
  return [...down, ...writes.map(({ file, value }) => `write ${cgroupRoot}/${path}/${file} ${value}`)];
}
