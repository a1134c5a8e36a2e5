import { isObject } from '#api/wire/json.ts';
import type { JsonPath, Operand, PathStep } from './json-path.ts';

/** Values that one path may lead to, and steps that it may take to them: more is left out. */
export const foundCountMax = 10_000;
const stepCountMax = 200_000;

interface Search {
  readonly root: unknown;
  steps: number;
}

/** What the path leads to, in order; where there is nothing, nothing is missing. */
export function findByPath(path: JsonPath, root: unknown): readonly unknown[] {
  return follow(path, root, { root, steps: 0 });
}

function follow(path: JsonPath, from: unknown, search: Search): readonly unknown[] {
  let values: readonly unknown[] = [from];
  for (const step of path) {
    const next: unknown[] = [];
    for (const value of values) {
      for (const found of take(step, value, search)) {
        if (++search.steps > stepCountMax || next.length >= foundCountMax) return [];
        next.push(found);
      }
    }
    values = next;
  }
  return values;
}

function take(step: PathStep, value: unknown, search: Search): Iterable<unknown> {
  switch (step.kind) {
    case 'field':
      return isObject(value) && Object.hasOwn(value, step.name) ? [value[step.name]] : [];
    case 'wildcard':
      return membersOf(value);
    case 'recursive':
      return below(value, search);
    case 'union':
      return step.steps.flatMap((each) => [...take(each, value, search)]);
    case 'index':
      return Array.isArray(value) ? itemAt(value, step.index) : [];
    case 'slice':
      return Array.isArray(value) ? sliceOf(value, step) : [];
    case 'filter':
      return Array.isArray(value) ? value.filter((item) => passes(step, item, search)) : [];
    default:
      return step satisfies never;
  }
}

function membersOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return isObject(value) ? Object.values(value) : [];
}

/** The value, and all that is in it. */
function below(value: unknown, search: Search): readonly unknown[] {
  const found = [value];
  for (let index = 0; index < found.length; index++) {
    if (++search.steps > stepCountMax) return [];
    for (const member of membersOf(found[index])) {
      if (typeof member === 'object' && member !== null) found.push(member);
    }
  }
  return found;
}

function itemAt(list: readonly unknown[], index: number): readonly unknown[] {
  const item = list.at(index);
  return item === undefined ? [] : [item];
}

function sliceOf(
  list: readonly unknown[],
  { start, end, step }: Extract<PathStep, { kind: 'slice' }>,
): readonly unknown[] {
  return list.slice(start ?? 0, end ?? list.length).filter((_, index) => index % step === 0);
}

function passes(
  { left, operator, right }: Extract<PathStep, { kind: 'filter' }>,
  item: unknown,
  search: Search,
): boolean {
  const [a] = operandOf(left, item, search);
  if (operator === 'exists') return a !== undefined;
  const [b] = operandOf(right, item, search);
  if (a === undefined || b === undefined) return false;
  if (operator === '==') return a === b;
  if (operator === '!=') return a !== b;
  const isComparable = typeof a === typeof b && (typeof a === 'number' || typeof a === 'string');
  if (!isComparable) return false;
  const [x, y] = [a as number, b as number];
  switch (operator) {
    case '<':
      return x < y;
    case '<=':
      return x <= y;
    case '>':
      return x > y;
    default:
      return x >= y;
  }
}

function operandOf(operand: Operand, item: unknown, search: Search): readonly unknown[] {
  if (operand.kind === 'value') return [operand.value];
  return follow(operand.path, operand.fromRoot ? search.root : item, search);
}
