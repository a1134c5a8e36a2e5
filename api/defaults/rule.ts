import { cloneJson, isObject, type Draft } from '#api/wire/json.ts';

/**
 * One default: the path of the field (`spec.ports[].protocol`; `[]` walks a list, `{}` the values of a map) and its value, or what
 * computes it from the object that holds the field and from the root. A field is defaulted when it is absent or '', and with `zero`
 * also when it is 0 (fields that Go writes even when unset). The holder itself must exist; a default never creates parents.
 */
export type DefaultRule = readonly [path: string, value: DefaultValue, zero?: 'zero'];

type DefaultValue =
  | string
  | number
  | boolean
  | readonly unknown[]
  | { readonly [key: string]: unknown }
  | Compute;

/** Undefined leaves the field absent. */
type Compute = (holder: Draft, root: Draft) => unknown;

/** Applies the rules in order; `root` is a draft that the caller made. */
export function applyRules(root: Draft, rules: readonly DefaultRule[]): void {
  for (const [path, value, zero] of rules) {
    const steps = stepsOf(path);
    const field = steps.at(-1) ?? '';
    for (const holder of holdersOf(root, steps.slice(0, -1))) {
      const current = holder[field];
      const isUnset = current === undefined || current === null || current === '';
      if (!isUnset && !(zero === 'zero' && current === 0)) continue;
      const made = typeof value === 'function' ? value(holder, root) : cloneJson(value);
      if (made !== undefined) holder[field] = made;
    }
  }
}

/** The objects at a path such as `spec.containers[]`. */
export function holdersAt(root: Draft, path: string): readonly Draft[] {
  return holdersOf(root, stepsOf(path));
}

const stepCache = new Map<string, readonly string[]>();

function stepsOf(path: string): readonly string[] {
  const known = stepCache.get(path);
  if (known !== undefined) return known;
  const steps = path.split('.');
  stepCache.set(path, steps);
  return steps;
}

function holdersOf(root: Draft, steps: readonly string[]): readonly Draft[] {
  let holders: readonly Draft[] = [root];
  for (const step of steps) holders = holders.flatMap((holder) => childrenOf(holder, step));
  return holders;
}

function childrenOf(holder: Draft, step: string): readonly Draft[] {
  const isList = step.endsWith('[]');
  const value = holder[isList || step.endsWith('{}') ? step.slice(0, -2) : step];
  if (isList) return Array.isArray(value) ? value.filter(isDraft) : [];
  if (step.endsWith('{}')) return isObject(value) ? Object.values(value).filter(isDraft) : [];
  return isDraft(value) ? [value] : [];
}

function isDraft(value: unknown): value is Draft {
  return isObject(value);
}
