import { badRequest } from '#api/errors/status.ts';
import type { LabelSelector } from '#api/generated/objects.ts';

/** How a label is compared; Gt and Lt only in text and for nodes. */
export type LabelOperator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';

/** One condition on one label. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  readonly values: readonly string[];
}

/** All requirements must hold; none selects everything. `nothing` selects nothing at all. */
export interface LabelMatcher {
  readonly requirements: readonly LabelRequirement[];
  readonly nothing?: boolean;
}

/** `a=b,c in (d,e),!f,g>1`. @throws {E_API} 400 when it does not parse. */
export function parseLabelSelector(text: string): LabelMatcher {
  const tokens = tokenize(text);
  const requirements: LabelRequirement[] = [];
  let position = 0;
  while (position < tokens.length) {
    const [requirement, next] = parseRequirement(tokens, position);
    requirements.push(requirement);
    position = next;
    if (position === tokens.length) break;
    const separator = tokens[position];
    if (separator !== ',') throw parseError(separator, "',' or 'end of string'");
    position += 1;
    if (position === tokens.length) throw parseError('', "identifier after ','");
  }
  return { requirements };
}

/** A LabelSelector of an object: an absent one selects nothing, an empty one everything. */
export function labelSelectorFromObject(selector: LabelSelector | undefined): LabelMatcher {
  if (selector === undefined) return { requirements: [], nothing: true };
  const requirements: LabelRequirement[] = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => ({
    key,
    operator: 'In',
    values: [value],
  }));
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    if (!isObjectOperator(operator)) return { requirements: [], nothing: true };
    requirements.push({ key, operator, values: values ?? [] });
  }
  return { requirements };
}

/** A plain map of labels, as Services and ReplicationControllers select: empty or absent selects nothing. */
export function labelSelectorFromMap(labels: Readonly<Record<string, string>> | undefined): LabelMatcher {
  const matchLabels = labels ?? {};
  return Object.keys(matchLabels).length === 0
    ? { requirements: [], nothing: true }
    : labelSelectorFromObject({ matchLabels });
}

/** Whether the labels satisfy the selector. */
export function matchesLabels(
  selector: LabelMatcher,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  if (selector.nothing === true) return false;
  return selector.requirements.every((requirement) => matchesRequirement(requirement, labels ?? {}));
}

/** The text of a selector, as Scale status and lists take it: `a=b,c in (d,e)`. */
export function formatLabelSelector(selector: LabelMatcher): string {
  return selector.requirements
    .toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(formatRequirement)
    .join(',');
}

function isObjectOperator(operator: string): operator is LabelOperator {
  return operator === 'In' || operator === 'NotIn' || operator === 'Exists' || operator === 'DoesNotExist';
}

function matchesRequirement(
  requirement: LabelRequirement,
  labels: Readonly<Record<string, string>>,
): boolean {
  const { key, operator, values } = requirement;
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
    case 'Lt': {
      if (value === undefined || !/^[+-]?\d+$/.test(value)) return false;
      const bound = Number(values[0]);
      return operator === 'Gt' ? Number(value) > bound : Number(value) < bound;
    }
    default:
      return operator satisfies never;
  }
}

function formatRequirement({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case 'In':
      return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.toSorted().join(',')})`;
    case 'NotIn':
      return `${key} notin (${values.toSorted().join(',')})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
    case 'Gt':
      return `${key}>${values[0]}`;
    case 'Lt':
      return `${key}<${values[0]}`;
    default:
      return operator satisfies never;
  }
}

const special = new Set([',', '(', ')', '=', '==', '!=', '!', '>', '<']);

function tokenize(text: string): readonly string[] {
  return atMost(text.match(/==|!=|[=!,()<>]|[^\s=!,()<>]+/g) ?? [], selectorWordCountMax);
}

/** Words and signs of a label selector: each may be asked of every object and every change. */
export const selectorWordCountMax = 20_000;

/** The parts of a selector, if they are not too many. @throws {E_API} 400 */
export function atMost(parts: readonly string[], countMax: number): readonly string[] {
  if (parts.length <= countMax) return parts;
  throw badRequest(`unable to parse selector: ${parts.length} words, at most ${countMax}`);
}

function parseRequirement(tokens: readonly string[], start: number): [LabelRequirement, number] {
  let position = start;
  const isAbsent = tokens[position] === '!';
  if (isAbsent) position += 1;
  const key = tokens[position] ?? '';
  if (key === '' || special.has(key))
    throw parseError(key, isAbsent ? 'identifier' : "!, identifier, or 'end of string'");
  checkLabelKey(key);
  position += 1;
  if (isAbsent) return [{ key, operator: 'DoesNotExist', values: [] }, position];
  const operator = tokens[position];
  if (operator === undefined || operator === ',') return [{ key, operator: 'Exists', values: [] }, position];
  position += 1;
  switch (operator) {
    case 'in':
    case 'notin': {
      const [values, next] = parseSet(tokens, position);
      return [{ key, operator: operator === 'in' ? 'In' : 'NotIn', values }, next];
    }
    case '=':
    case '==':
    case '!=':
    case '>':
    case '<': {
      const [value, next] = parseValue(tokens, position);
      if ((operator === '>' || operator === '<') && !/^[+-]?\d+$/.test(value)) {
        throw badRequest(
          `unable to parse requirement: values[0][${key}]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
        );
      }
      return [{ key, operator: comparisons[operator], values: [value] }, next];
    }
    default:
      throw badRequest(
        `unable to parse requirement: found '${operator}', expected: in, notin, =, ==, !=, gt, lt`,
      );
  }
}

const comparisons = { '=': 'In', '==': 'In', '!=': 'NotIn', '>': 'Gt', '<': 'Lt' } as const;

function parseValue(tokens: readonly string[], position: number): [string, number] {
  const token = tokens[position];
  if (token === undefined || token === ',') return ['', position]; // `a=` selects the empty value.
  if (special.has(token)) throw parseError(token, 'identifier');
  checkLabelValue(token);
  return [token, position + 1];
}

function parseSet(tokens: readonly string[], start: number): [readonly string[], number] {
  if (tokens[start] !== '(') throw parseError(tokens[start] ?? '', "'('");
  const values: string[] = [];
  let position = start + 1;
  let needsValue = true;
  for (; position < tokens.length; position++) {
    const token = tokens[position] ?? '';
    if (token === ')' || token === ',') {
      if (needsValue) values.push('');
      needsValue = token === ',';
      if (token === ')') return [values, position + 1];
    } else if (special.has(token) || !needsValue) throw parseError(token, "',', or ')'");
    else {
      checkLabelValue(token);
      values.push(token);
      needsValue = false;
    }
  }
  throw parseError('', "',', or ')'");
}

function checkLabelKey(key: string): void {
  const [prefix, name] = key.includes('/')
    ? [key.slice(0, key.lastIndexOf('/')), key.slice(key.lastIndexOf('/') + 1)]
    : [undefined, key];
  const isName = name.length <= 63 && /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/.test(name);
  const isPrefix =
    prefix === undefined ||
    (prefix.length <= 253 &&
      /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(prefix));
  if (isName && isPrefix) return;
  throw badRequest(
    `unable to parse requirement: <nil>: Invalid value: ${JSON.stringify(key)}: a label key must be a qualified name`,
  );
}

function checkLabelValue(value: string): void {
  if (value.length <= 63 && /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/.test(value)) return;
  throw badRequest(
    `unable to parse requirement: values[0]: Invalid value: ${JSON.stringify(value)}: a label value must be at most 63 alphanumeric characters, '-', '_' or '.'`,
  );
}

function parseError(found: string | undefined, expected: string): Error {
  return badRequest(`unable to parse requirement: found '${found ?? ''}', expected: ${expected}`);
}
