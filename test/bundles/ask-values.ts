/** What a schema says of each of its parts, asked of a server: a value that fits is kept, one that does not is refused by the name of its field. */
import { isDeepStrictEqual } from 'node:util';

import { isObject } from '#api/wire/json.ts';
import type { Tally } from '#test/clients/tally.ts';
import type { Answer, Ask } from './bare-server.ts';
import type { CustomKind } from './read-bundles.ts';
import { rulePlaces } from './rule-places.ts';
import { fieldText, pathOf, sampleObject, titleOf } from './sample-object.ts';
import { partOf, pathsOf, wrongValue } from './sample-value.ts';

/** How deep parts are asked for, counted from the object; podSpecs have some at 15. */
const depthMax = 20;
/** Of one kind, each so-manieth: those of podSpecs and of receivers of alerts go into the thousands. */
const partsMax = 300;

export interface ValueCounts {
  /** Parts of which a value was sent that fits, and what became of it. */
  readonly kept: number;
  /** Refused by rules or alternatives of the schema, which the values are not made for. */
  readonly refusedByRules: number;
  /** Parts of which a wrong value was refused. */
  readonly refused: number;
}

export async function askValues(ask: Ask, kind: CustomKind, tally: Tally): Promise<ValueCounts> {
  const others = new Set(['apiVersion', 'kind', 'metadata', ...(kind.hasStatus ? ['status'] : [])]);
  const all = pathsOf(kind.schema, depthMax).filter(([first = '']) => !others.has(first));
  const each = Math.ceil(all.length / partsMax);
  const messages = rulePlaces(kind.schema).map(({ message }) => message);
  const counts = { kept: 0, refusedByRules: 0, refused: 0 };
  const fail = (path: readonly string[], why: string): void =>
    tally.add(titleOf(kind), fieldText(path), { kind: 'failed', why });
  const pass = (path: readonly string[]): void =>
    tally.add(titleOf(kind), fieldText(path), { kind: 'passed' });
  for (const path of all.filter((_path, index) => index % each === 0)) {
    const right = sampleObject(kind, 'values', { path });
    const answer = await ask('POST', `${pathOf(kind)}?dryRun=All&fieldValidation=Strict`, right);
    if (answer.status === 201 && holds(JSON.parse(answer.text), right)) {
      counts.kept++;
      pass(path);
    } else if (isByRules(answer, messages)) counts.refusedByRules++;
    else fail(path, `${JSON.stringify(right)}: answered ${answer.status} ${answer.text}`);

    const wrong = wrongValue(partOf(kind.schema, path));
    if (wrong === undefined) continue;
    const refusal = await ask(
      'POST',
      `${pathOf(kind)}?dryRun=All`,
      sampleObject(kind, 'values', { path, leaf: wrong }),
    );
    if (refusal.status === 422 && refusal.text.includes(fieldText(path))) {
      counts.refused++;
      pass(path);
    } else fail(path, `${JSON.stringify(wrong.value)}: answered ${refusal.status} ${refusal.text}`);
  }
  return counts;
}

/** Whether a value has all that another has; it may have more, as defaults are filled in. */
function holds(value: unknown, part: unknown): boolean {
  if (Array.isArray(value) && Array.isArray(part))
    return value.length === part.length && part.every((each, index) => holds(value[index], each));
  if (isObject(value) && isObject(part))
    return Object.entries(part).every(([name, each]) => holds(value[name], each));
  return isDeepStrictEqual(value, part);
}

/** Rules of CEL, and alternatives (`oneOf`, `anyOf`, `not`), of which samples know the first alone. */
function isByRules({ status, text }: Answer, messages: readonly string[]): boolean {
  if (status !== 422) return false;
  const { message = '' } = JSON.parse(text) as { readonly message?: string };
  return (
    messages.some((each) => message.includes(each)) ||
    /must validate (one and only one|at least one|all the) schema/.test(message)
  );
}
