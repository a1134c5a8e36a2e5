import type { AccessAnswer, AccessQuestion, Ask } from '#api/cel/library/authorizer.ts';
import { parseFieldSelector } from '#api/meta/field-selector.ts';
import { parseLabelSelector } from '#api/meta/selector.ts';
import { isPodwrightError } from '#base/errors.ts';
import type { Attributes, Authorizer, Decision } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';

/** An answer that is waited for: it goes through the expression that asked, which is evaluated again when it is there. */
class Pending {
  readonly settled: Promise<void>;

  constructor(settled: Promise<void>) {
    this.settled = settled;
  }
}

/** Answers that one request waits for; each expression can pay for two. */
const waitsMax = 200;

/** What expressions ask the authorizer about one request: each question once. */
export class AccessCache {
  readonly #authorizer: Authorizer;
  readonly #user: User;
  readonly #known = new Map<string, AccessAnswer>();

  constructor(authorizer: Authorizer, user: User) {
    this.#authorizer = authorizer;
    this.#user = user;
  }

  readonly ask: Ask = (question) => {
    const key = JSON.stringify(question);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const decision = this.#authorizer.decide(attributesOf(question, this.#user));
    if (!(decision instanceof Promise)) return this.#keep(key, decision);
    throw new Pending(decision.then((answer) => void this.#keep(key, answer)));
  };

  #keep(key: string, { decision, reason, error }: Decision): AccessAnswer {
    const answer = { isAllowed: decision === 'allow', reason, error };
    this.#known.set(key, answer);
    return answer;
  }
}

/** Evaluates, again whenever an answer was waited for. */
export async function settle<T>(evaluate: () => T): Promise<T> {
  for (let waits = 0; ; waits++) {
    try {
      return evaluate();
    } catch (error) {
      if (!(error instanceof Pending) || waits >= waitsMax) throw error;
      await error.settled;
    }
  }
}

function attributesOf(question: AccessQuestion, asks: User): Attributes {
  const { verb, serviceAccount } = question;
  const user = serviceAccount === undefined ? asks : accountOf(serviceAccount);
  if (question.kind === 'path') return { kind: 'path', user, verb, path: question.path };
  const { group, resource, subresource, namespace, name, labelSelector, fieldSelector } = question;
  return {
    ...{ kind: 'resource', user, verb, group, version: '*', resource, subresource, namespace, name },
    labelSelector: readable(labelSelector, parseLabelSelector),
    fieldSelector: readable(fieldSelector, parseFieldSelector),
  };
}

/** A selector that cannot be read limits nothing, as upstream has it. */
function readable<T>(text: string | undefined, parse: (text: string) => T): T | undefined {
  if (text === undefined) return undefined;
  try {
    return parse(text);
  } catch (error) {
    if (isPodwrightError(error)) return undefined;
    throw error;
  }
}

function accountOf({ namespace, name }: { readonly namespace: string; readonly name: string }): User {
  const accounts = 'system:serviceaccounts';
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    groups: [accounts, `${accounts}:${namespace}`, 'system:authenticated'],
  };
}
