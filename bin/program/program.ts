/** How the two long-running programs are run: Node's options, and what they find in their environment. */
import { join } from 'node:path';

import { repositoryRoot } from '#bin/paths.ts';

/** Those that units are made of. */
export type UnitRole = 'server' | 'agent';
export type Role = UnitRole | 'fake-nodes' | 'cloud-controller';

/**
 * An agent shares its host's memory with what it runs: V8 keeps its young generation to 24 MB, which a burst of pods else lets
 * grow to 60 for good, and the C library keeps two arenas rather than eight for each processor (mallopt(3), M_ARENA_MAX).
 * (--optimize-for-size saves 20 MB more, and a burst takes up to twice as long.) A server has the API's load, and keeps V8's
 * defaults; what it holds of large objects is mapped by itself (M_MMAP_THRESHOLD), and so goes back to the kernel when it is freed. The entry script says the same for an agent that is started by hand.
 */
const nodeOptions: Readonly<Record<Role, readonly string[]>> = {
  server: [],
  agent: ['--max-semi-space-size=8'],
  'fake-nodes': [],
  'cloud-controller': [],
};
const environments: Readonly<Record<Role, Readonly<Record<string, string>>>> = {
  server: { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '524288' },
  agent: { MALLOC_ARENA_MAX: '2' },
  'fake-nodes': { MALLOC_ARENA_MAX: '2' },
  'cloud-controller': { MALLOC_ARENA_MAX: '2' },
};

/** The command up to the role's own arguments: Node, its options (`inherited` before the role's own), the program, the role. */
export function programCommand(role: Role, inherited: readonly string[]): readonly string[] {
  const program = join(repositoryRoot, 'bin', 'podwright.ts');
  return [process.execPath, ...inherited, ...nodeOptions[role], program, role];
}

/** Each once. */
export function nodeOptionSets(): readonly (readonly string[])[] {
  return [...new Map(Object.values(nodeOptions).map((options) => [options.join(' '), options])).values()];
}

/** What is set in the role's environment besides that of whoever starts it. */
export function programEnvironment(role: Role): Readonly<Record<string, string>> {
  return environments[role];
}
