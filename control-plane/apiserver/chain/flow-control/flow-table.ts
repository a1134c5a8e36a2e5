import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import { isRequestOf, isSubject, type RequestRules, type SchemaRules } from './flow-schema.ts';
import type { Flow } from './queue/ticket.ts';

/** Users whose schemas are kept, and flows of one schema. */
const usersMax = 4_096;
const flowsMax = 4_096;

/** A FlowSchema in use, with what its level is to whoever made the table. */
export class Schema<L> {
  readonly rules: SchemaRules;
  readonly level: L;
  readonly #flows = new Map<string, Flow>();

  constructor(rules: SchemaRules, level: L) {
    this.rules = rules;
    this.level = level;
  }

  /** The flow of a request: the same for the same distinguisher. */
  flowOf(attributes: Attributes): Flow {
    const distinguisher = distinguisherOf(this.rules.distinguisher, attributes);
    let flow = this.#flows.get(distinguisher);
    if (flow === undefined) {
      if (this.#flows.size >= flowsMax) this.#flows.clear();
      const { name } = this.rules;
      flow = { key: `${name}\0${distinguisher}`, schema: name, distinguisher };
      this.#flows.set(distinguisher, flow);
    }
    return flow;
  }
}

function distinguisherOf(method: SchemaRules['distinguisher'], attributes: Attributes): string {
  if (method === 'ByUser') return attributes.user.name;
  return method === 'ByNamespace' && attributes.kind === 'resource' ? attributes.namespace : '';
}

/** Requests of a user that belong to a schema. */
interface Candidate<L> {
  readonly schema: Schema<L>;
  readonly requests: RequestRules;
}

/** The order in which schemas are asked: precedence, then name. */
export function inOrder(schemas: readonly SchemaRules[]): readonly SchemaRules[] {
  return schemas.toSorted((a, b) => a.precedence - b.precedence || (a.name < b.name ? -1 : 1));
}

/**
 * Which FlowSchema a request belongs to, as they are now. Which of them may be a user's is found out once, so that a request is compared with
 * few: of a kubelet's with four.
 */
export class FlowTable<L> {
  readonly schemas: readonly Schema<L>[];
  readonly #last: Schema<L>;
  readonly #byUser = new WeakMap<User, readonly Candidate<L>[]>();
  /** Of users that are made anew for each request. */
  readonly #byText = new Map<string, readonly Candidate<L>[]>();

  /** @param schemas in order; `last` has what belongs to none */
  constructor(schemas: readonly Schema<L>[], last: Schema<L>) {
    this.schemas = schemas;
    this.#last = last;
  }

  classify(attributes: Attributes): Schema<L> {
    for (const { schema, requests } of this.#candidatesOf(attributes.user))
      if (isRequestOf(requests, attributes)) return schema;
    return this.#last;
  }

  #candidatesOf(user: User): readonly Candidate<L>[] {
    const known = this.#byUser.get(user);
    if (known !== undefined) return known;
    const text = JSON.stringify([user.name, user.groups]);
    let candidates = this.#byText.get(text);
    if (candidates === undefined) {
      candidates = this.schemas.flatMap((schema) =>
        schema.rules.rules.flatMap(({ subjects, requests }) =>
          isSubject(subjects, user) ? [{ schema, requests }] : [],
        ),
      );
      if (this.#byText.size >= usersMax) this.#byText.clear();
      this.#byText.set(text, candidates);
    }
    this.#byUser.set(user, candidates);
    return candidates;
  }
}
