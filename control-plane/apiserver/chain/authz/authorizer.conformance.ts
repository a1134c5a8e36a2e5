import { describe, expect, it } from 'vitest';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import type { Attributes, Authorizer, Rules } from './authorizer.ts';

/** Who asks: whoever an authorizer makes a difference of is here. */
const users: readonly User[] = [
  { name: 'system:anonymous', groups: ['system:unauthenticated'] },
  { name: 'alice', groups: ['system:authenticated'] },
  { name: 'system:node:a', groups: ['system:nodes', 'system:authenticated'] },
  { name: '', groups: [] },
  { name: 'root', groups: ['system:masters'] },
];
const pods = { kind: 'resource', group: '', resource: 'pods', subresource: '', namespace: 'n', name: '' };
const questions = [
  { ...pods, verb: 'list' },
  { ...pods, verb: 'list', fieldSelector: [{ field: 'spec.nodeName', equal: true, value: 'a' }] },
  { ...pods, verb: 'delete', name: 'p' },
  { ...pods, verb: 'create', subresource: 'exec', name: 'p' },
  { ...pods, verb: 'impersonate', resource: 'users', namespace: '', name: 'bob' },
  { ...pods, verb: 'no such verb', group: 'example.com', resource: '' },
  { kind: 'path', verb: 'get', path: '/healthz' },
  { kind: 'path', verb: 'get', path: '/metrics' },
  { kind: 'path', verb: 'post', path: '/healthz' },
].map((question) => Object.freeze(question) as Omit<Attributes, 'user'>);

const rows = users.flatMap((user) =>
  questions.map((question) => ({
    user: user.name,
    question: JSON.stringify(question),
    attributes: Object.freeze({ ...question, user: Object.freeze(user) }) as Attributes,
  })),
);

/** What every authorizer does, whatever it allows. */
export function conformAuthorizer(make: () => Authorizer): void {
  describe(`${make().name} as an authorizer`, () => {
    it('has an opinion on something that is asked here', async () => {
      const answers = await Promise.all(rows.map(async ({ attributes }) => make().decide(attributes)));
      expect(answers.filter(({ decision }) => decision !== 'noOpinion')).not.toEqual([]);
    });

    it.each(rows)('has the same opinion on "$user" twice, of $question', async ({ attributes }) => {
      const authorizer = make();
      const first = await authorizer.decide(attributes);
      expect(['allow', 'deny', 'noOpinion']).toContain(first.decision);
      expect(await authorizer.decide(attributes)).toEqual(first);
    });

    it.each(rows)('lists what it allows "$user", of $question', async ({ attributes }) => {
      const authorizer = make();
      const { decision } = await authorizer.decide(attributes);
      const namespace = attributes.kind === 'resource' ? attributes.namespace : '';
      const rules = await authorizer.rulesOf(attributes.user, namespace);
      if (rules.incomplete) return;
      expect(covers(rules, attributes)).toBe(decision === 'allow');
    });
  });
}

function covers({ resourceRules, nonResourceRules }: Rules, attributes: Attributes): boolean {
  const has = (values: readonly string[], value: string): boolean =>
    values.includes('*') || values.includes(value);
  if (attributes.kind === 'path') {
    const { verb, path } = attributes;
    return nonResourceRules.some((rule) => has(rule.verbs, verb) && has(rule.nonResourceURLs, path));
  }
  const { verb, group, resource, subresource, name } = attributes;
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  return resourceRules.some(
    ({ verbs, apiGroups, resources, resourceNames = [] }) =>
      has(verbs, verb) &&
      has(apiGroups, group) &&
      has(resources, what) &&
      (resourceNames.length === 0 || resourceNames.includes(name)),
  );
}
