import type { StructuralSchema } from './structural-schema.ts';
import { reportNowhere, type Check, type Walk } from './walk.ts';

/** How an alternative fared. */
interface Tried {
  readonly check: Check;
  readonly isValid: boolean;
  readonly matches: number;
}

/** The check of allOf, anyOf, oneOf and not; undefined where there is none. Texts are kube-openapi's, which name no field. */
export function junctorCheck(
  { checks }: StructuralSchema,
  checkOf: (schema: StructuralSchema) => Check,
): Check | undefined {
  if (checks === undefined) return undefined;
  const list = [
    checks.anyOf === undefined ? undefined : anyOfCheck(checks.anyOf.map(checkOf)),
    checks.oneOf === undefined ? undefined : oneOfCheck(checks.oneOf.map(checkOf)),
    checks.allOf === undefined ? undefined : allOfCheck(checks.allOf.map(checkOf)),
    checks.not === undefined ? undefined : notCheck(checkOf(checks.not)),
  ].filter((check) => check !== undefined);
  if (list.length === 0) return undefined;
  return (walk, value, old) => {
    let matches = 1;
    for (const check of list) matches += check(walk, value, old);
    return matches;
  };
}

function anyOfCheck(alternatives: readonly Check[]): Check {
  return (walk, value, old) => {
    let best: Tried | undefined;
    for (const check of alternatives) {
      const tried = tryCheck(check, walk, value, old);
      if (tried.isValid) return tried.matches;
      best = better(best, tried);
    }
    complain(walk, 'must validate at least one schema (anyOf)');
    return best === undefined ? 0 : tell(best, walk, value, old);
  };
}

function oneOfCheck(alternatives: readonly Check[]): Check {
  return (walk, value, old) => {
    let best: Tried | undefined;
    let first: Tried | undefined;
    let count = 0;
    for (const check of alternatives) {
      const tried = tryCheck(check, walk, value, old);
      if (!tried.isValid) best = better(best, tried);
      else {
        count++;
        first ??= tried;
      }
    }
    if (count === 1) return first?.matches ?? 0;
    const found = count === 0 ? 'Found none valid' : `Found ${count} valid alternatives`;
    complain(walk, `must validate one and only one schema (oneOf). ${found}`);
    return count === 0 && best !== undefined ? tell(best, walk, value, old) : 0;
  };
}

function allOfCheck(parts: readonly Check[]): Check {
  return (walk, value, old) => {
    let valid = 0;
    let matches = 0;
    for (const check of parts) {
      const { failures } = walk;
      matches += check(walk, value, old);
      if (walk.failures === failures) valid++;
    }
    if (valid < parts.length) {
      complain(walk, `must validate all the schemas (allOf)${valid === 0 ? '. None validated' : ''}`);
    }
    return matches;
  };
}

function notCheck(check: Check): Check {
  return (walk, value, old) => {
    if (tryCheck(check, walk, value, old).isValid) complain(walk, 'must not validate the schema (not)');
    return 0;
  };
}

/** What it finds is not told yet: most alternatives are meant to fail. */
function tryCheck(check: Check, walk: Walk, value: unknown, old: unknown): Tried {
  const { failures, isTrying } = walk;
  walk.isTrying = true;
  const matches = check(walk, value, old);
  walk.isTrying = isTrying;
  const isValid = walk.failures === failures;
  walk.failures = failures;
  return { check, isValid, matches };
}

/** Of alternatives that fail, the first of those with most that is right. */
function better(best: Tried | undefined, tried: Tried): Tried {
  return best === undefined || tried.matches > best.matches ? tried : best;
}

/** The alternative once more, for what it has to say. */
function tell({ check, matches }: Tried, walk: Walk, value: unknown, old: unknown): number {
  if (!walk.isTrying) check(walk, value, old);
  return matches;
}

function complain(walk: Walk, detail: string): void {
  reportNowhere(walk, (place) => `${JSON.stringify(place)} ${detail}`);
}
