import { dnsLabel, dnsSubdomain } from '#api/validation/format.ts';
import { functionsOf, type CelFunction, type Row } from '#api/cel/eval/function.ts';
import { Fault, Opaque, sizeOf, type Value } from '#api/cel/eval/values.ts';

/** What an expression asks of who may do what: for who made the request, or for a service account. */
export type AccessQuestion = (
  | { readonly kind: 'path'; readonly path: string }
  | {
      readonly kind: 'resource';
      readonly group: string;
      readonly resource: string;
      readonly subresource: string;
      readonly namespace: string;
      readonly name: string;
      readonly fieldSelector?: string;
      readonly labelSelector?: string;
    }
) & {
  readonly verb: string;
  readonly serviceAccount?: { readonly namespace: string; readonly name: string };
};

export interface AccessAnswer {
  readonly isAllowed: boolean;
  readonly reason: string;
  /** What kept it from being known. */
  readonly error?: string | undefined;
}

/** Answers at once; what it throws where it cannot goes through the expression to who runs it. */
export type Ask = (question: AccessQuestion) => AccessAnswer;

const prefix = 'kubernetes.authorization';

/** A question as far as it is put together, and whom to ask. */
class Check extends Opaque {
  readonly typeName: string;
  readonly ask: Ask;
  readonly question: Partial<AccessQuestion>;

  constructor(name: string, ask: Ask, question: Partial<AccessQuestion> = {}) {
    super();
    this.typeName = `${prefix}.${name}`;
    this.ask = ask;
    this.question = question;
  }

  equals(other: Opaque): boolean {
    return other instanceof Check && JSON.stringify(other.question) === JSON.stringify(this.question);
  }
}

class DecisionValue extends Opaque {
  readonly typeName = `${prefix}.Decision`;
  readonly answer: AccessAnswer;

  constructor(answer: AccessAnswer) {
    super();
    this.answer = answer;
  }

  equals(other: Opaque): boolean {
    return other instanceof DecisionValue && JSON.stringify(other.answer) === JSON.stringify(this.answer);
  }
}

/** The value of the variable `authorizer`. */
export function authorizerValue(ask: Ask): Value {
  return new Check('Authorizer', ask);
}

/** The value of `authorizer.requestResource`: a check of what the request is about. */
export function resourceCheckValue(
  ask: Ask,
  about: Pick<
    Extract<AccessQuestion, { readonly kind: 'resource' }>,
    'group' | 'resource' | 'subresource' | 'namespace' | 'name'
  >,
): Value {
  return new Check('ResourceCheck', ask, { kind: 'resource', ...about });
}

function extended(name: string, check: Value, more: Partial<AccessQuestion>): Value {
  if (!(check instanceof Check)) return new Fault('no such overload');
  return new Check(name, check.ask, { ...check.question, ...more } as Partial<AccessQuestion>);
}

function filled(what: string, text: Value, then: (text: string) => Value): Value {
  const given = String(text);
  return given.trim() === '' ? new Fault(`${what} must not be empty`) : then(given);
}

function answered(check: Value, verb: Value): Value {
  if (!(check instanceof Check)) return new Fault('no such overload');
  // It was put together by functions that fill in all of it.
  return new DecisionValue(check.ask({ ...check.question, verb: String(verb) } as AccessQuestion));
}

function read(decision: Value, what: (answer: AccessAnswer) => Value): Value {
  return decision instanceof DecisionValue ? what(decision.answer) : new Fault('no such overload');
}

const [authorizer, path, group, resource, decision] = [
  'Authorizer',
  'PathCheck',
  'GroupCheck',
  'ResourceCheck',
  'Decision',
].map((name) => `${prefix}.${name}`);

/** Two of them are all that one expression can pay for. */
const checkCost = (): number => 350_000;

/** Kubernetes' own (apiserver/pkg/cel/library/authz.go). */
const rows: Readonly<Record<string, Row>> = {
  [`${authorizer}.path(string): ${path}`]: (check, text) =>
    filled('path', text, (given) => extended('PathCheck', check, { kind: 'path', path: given })),
  [`${authorizer}.group(string): ${group}`]: (check, name) =>
    extended('GroupCheck', check, {
      ...{ kind: 'resource', group: String(name), resource: '', subresource: '', namespace: '', name: '' },
    }),
  [`${authorizer}.serviceAccount(string, string): ${authorizer}`]: (check, namespace, name) => {
    if (dnsLabel(String(namespace)).length > 0) return new Fault('Invalid service account namespace');
    if (dnsSubdomain(String(name)).length > 0) return new Fault('Invalid service account name');
    return extended('Authorizer', check, {
      serviceAccount: { namespace: String(namespace), name: String(name) },
    });
  },
  [`${group}.resource(string): ${resource}`]: (check, text) =>
    filled('resource', text, (given) => extended('ResourceCheck', check, { resource: given })),
  [`${resource}.subresource(string): ${resource}`]: (check, text) =>
    extended('ResourceCheck', check, { subresource: String(text) }),
  [`${resource}.namespace(string): ${resource}`]: (check, text) =>
    extended('ResourceCheck', check, { namespace: String(text) }),
  [`${resource}.name(string): ${resource}`]: (check, text) =>
    extended('ResourceCheck', check, { name: String(text) }),
  [`${path}.check(string): ${decision}`]: [answered, checkCost],
  [`${resource}.check(string): ${decision}`]: [answered, checkCost],
  [`${decision}.allowed(): bool`]: (value) => read(value, ({ isAllowed }) => isAllowed),
  [`${decision}.reason(): string`]: (value) => read(value, ({ reason }) => reason),
  [`${decision}.errored(): bool`]: (value) => read(value, ({ error }) => error !== undefined),
  [`${decision}.error(): string`]: (value) => read(value, ({ error }) => error ?? ''),
};

export const access: readonly CelFunction[] = functionsOf(rows);

/** Each requirement of a selector takes a list and a struct. */
function selectorCost([, selector]: readonly Value[]): number {
  const length = sizeOf(selector) ?? 1;
  return 10 + Math.ceil(length * 0.1) + Math.ceil(length * 0.5) * 50;
}

export const accessSelectors: readonly CelFunction[] = functionsOf({
  [`${resource}.fieldSelector(string): ${resource}`]: [
    (check, text) => extended('ResourceCheck', check, { fieldSelector: String(text) }),
    selectorCost,
  ],
  [`${resource}.labelSelector(string): ${resource}`]: [
    (check, text) => extended('ResourceCheck', check, { labelSelector: String(text) }),
    selectorCost,
  ],
});
