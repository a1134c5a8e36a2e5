/** Whether the rules of a kind's schema hold: what each refuses is refused with its message, and what it allows is not. */
import type { JsonObject } from '#api/meta/object.ts';
import type { Tally } from '#test/clients/tally.ts';
import type { Answer, Ask } from './bare-server.ts';
import type { CustomKind } from './read-bundles.ts';
import { ruleCases } from './rule-cases.ts';
import { rulePlaces, type RulePlace } from './rule-places.ts';
import { fieldText, pathOf, sampleObject, titleOf } from './sample-object.ts';

export interface RuleCounts {
  /** Rules of the schema, each as often as it stands there. */
  readonly all: number;
  /** Those that refused with their message, and let pass what they allow. */
  readonly held: number;
  /** Those that the schema leaves nothing to refuse. */
  readonly unasked: number;
}

export async function askRules(ask: Ask, kind: CustomKind, tally: Tally): Promise<RuleCounts> {
  const places = rulePlaces(kind.schema);
  let held = 0;
  let unasked = 0;
  for (const place of places) {
    const problem = await ruleProblem(ask, kind, place);
    if (problem === undefined && ruleCases.get(place.message)?.instead !== undefined) unasked++;
    else if (problem === undefined) held++;
    const name = `${fieldText(place.path)}: ${place.message}`;
    tally.add(
      titleOf(kind),
      name,
      problem === undefined ? { kind: 'passed' } : { kind: 'failed', why: problem },
    );
  }
  return { all: places.length, held, unasked };
}

async function ruleProblem(
  ask: Ask,
  kind: CustomKind,
  { path, message }: RulePlace,
): Promise<string | undefined> {
  const known = ruleCases.get(message);
  if (known === undefined) return 'no values are known that it refuses (test/bundles/gateway-rules.ts)';
  const objectWith = (value: unknown): JsonObject => sampleObject(kind, 'rules', { path, leaf: { value } });
  const tryValue = async (value: unknown): Promise<Answer> =>
    path[0] === 'status' || known.before !== undefined
      ? askUpdate(ask, kind, path, {
          before: known.before === undefined ? sampleObject(kind, 'rules') : objectWith(known.before),
          after: objectWith(value),
        })
      : ask('POST', `${pathOf(kind)}?dryRun=All`, objectWith(value));
  const refused = await tryValue(known.refused);
  // A value that is one word is in the message, and a whole object or list is not.
  const shown = typeof known.refused === 'object' ? '' : `${JSON.stringify(known.refused)}: `;
  const words = `${fieldText(path)}: Invalid value: ${shown}${message}`;
  if (refused.status !== 422 || !saysOf(refused).includes(known.instead ?? words))
    return `${JSON.stringify(known.refused)}: answered ${refused.status} ${saysOf(refused)}`;
  const allowed = await tryValue(known.allowed);
  return allowed.status >= 500 || saysOf(allowed).includes(words)
    ? `${JSON.stringify(known.allowed)}: answered ${allowed.status} ${saysOf(allowed)}`
    : undefined;
}

/** Of rules that see what was before, and of those of a status, which comes only by an update. */
async function askUpdate(
  ask: Ask,
  kind: CustomKind,
  path: readonly string[],
  { before, after }: { readonly before: JsonObject; readonly after: JsonObject },
): Promise<Answer> {
  const made = await ask('POST', pathOf(kind), before);
  if (made.status !== 201) return made;
  const { metadata } = JSON.parse(made.text) as { readonly metadata: object };
  const subresource = path[0] === 'status' && kind.hasStatus ? '/status' : '';
  const answer = await ask('PUT', `${pathOf(kind)}/rules${subresource}?dryRun=All`, {
    ...after,
    metadata,
  });
  await ask('DELETE', `${pathOf(kind)}/rules`);
  return answer;
}

/** The words of a Status; all of an answer that is none. */
function saysOf({ status, text }: Answer): string {
  return status < 400 ? '' : ((JSON.parse(text) as { readonly message?: string }).message ?? text);
}
