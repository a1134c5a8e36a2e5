import { kernelResources, wantedControllers } from '#agent/runtime/cgroup-resources.ts';
import type { CgroupResources } from '#agent/runtime/runtime.ts';
import { planCgroupWrites } from '#native/cgroup/resources.ts';

export interface PlannedCgroup {
  readonly path: string; // relative to the node's
  readonly resources: CgroupResources;
}

/** Every mkdir and write that makes these cgroups, in order, on a node where none of their parents is there yet. Pure. */
export function planCgroups(cgroups: readonly PlannedCgroup[]): readonly string[] {
  const enable = wantedControllers.map((name) => `+${name}`).join(' ');
  const [made, enabled] = [new Set<string>(), new Set<string>()];
  const lines: string[] = [];
  for (const { path, resources } of cgroups) {
    const parts = path.split('/');
    for (const [depth] of parts.entries()) {
      const own = parts.slice(0, depth + 1).join('/');
      if (made.has(own)) continue;
      const parent = parts.slice(0, depth).join('/');
      // Before its first child is made: the child then has the controllers' files from the start.
      if (!enabled.has(parent))
        lines.push(`write ${parent}${depth === 0 ? '' : '/'}cgroup.subtree_control "${enable}"`);
      enabled.add(parent);
      made.add(own);
      lines.push(`mkdir ${own}`);
    }
    for (const { file, value } of planCgroupWrites(kernelResources(resources))) {
      lines.push(`write ${path}/${file} "${value}"`);
    }
  }
  return lines;
}
