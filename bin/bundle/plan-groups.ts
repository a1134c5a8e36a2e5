/** The modules that each module imports statically: none that it loads by `import()` or starts as a thread. */
export type ImportsOf = ReadonlyMap<string, readonly string[]>;

/**
 * In which file of the bundle a module goes with others: those that the same programs load. Modules that no program loads have
 * none. A module's imports are loaded by all the programs that load it, so files never import one another in a circle, and no
 * program loads a module that it would not load from the sources. Pure.
 *
 * @param programs the modules that each program enters, by its name
 */
export function planGroups(
  imports: ImportsOf,
  programs: Readonly<Record<string, readonly string[]>>,
): ReadonlyMap<string, string> {
  const groups = new Map<string, string>();
  for (const [program, entries] of Object.entries(programs)) {
    for (const module of reachedFrom(entries, imports)) {
      const others = groups.get(module);
      groups.set(module, others === undefined ? program : `${others}-${program}`);
    }
  }
  return groups;
}

function reachedFrom(entries: readonly string[], imports: ImportsOf): ReadonlySet<string> {
  const reached = new Set<string>();
  const waiting = entries.filter((module) => imports.has(module));
  for (let module = waiting.pop(); module !== undefined; module = waiting.pop()) {
    if (reached.has(module)) continue;
    reached.add(module);
    waiting.push(...(imports.get(module) ?? []).filter((next) => imports.has(next)));
  }
  return reached;
}
