import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import {
  podNamed,
  startTestServer,
  type Answer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';

const group = '/apis/admissionregistration.k8s.io/v1';
const maps = '/api/v1/namespaces/n/configmaps';
const merge = { 'content-type': 'application/merge-patch+json' };
const rules = (resources: readonly string[], operations = ['CREATE', 'UPDATE']): JsonObject => ({
  resourceRules: [{ apiGroups: ['*'], apiVersions: ['*'], operations, resources }],
});

let test: TestServer;
const made: string[] = [];

beforeAll(async () => {
  test = await startTestServer();
  await test.make('/api/v1/namespaces', { metadata: { name: 'n' } });
  await test.make('/api/v1/namespaces/n/serviceaccounts', { metadata: { name: 'default' } });
});
afterAll(() => test[Symbol.asyncDispose]());
afterEach(async () => {
  for (const path of made.splice(0).toReversed()) await test.call('DELETE', path);
});

async function make(resource: string, name: string, spec: JsonObject): Promise<void> {
  await test.make(`${group}/${resource}`, { metadata: { name }, spec });
  made.push(`${group}/${resource}/${name}`);
}

async function validating(spec: JsonObject, binding: JsonObject = {}): Promise<void> {
  await make('validatingadmissionpolicies', 'p', { matchConstraints: rules(['configmaps']), ...spec });
  const actions = { policyName: 'p', validationActions: ['Deny'] };
  await make('validatingadmissionpolicybindings', 'b', { ...actions, ...binding });
}

async function mutating(mutation: JsonObject, constraints = rules(['pods', 'configmaps'])): Promise<void> {
  const mutations = [mutation];
  await make('mutatingadmissionpolicies', 'm', {
    ...{ matchConstraints: constraints, mutations, reinvocationPolicy: 'Never' },
  });
  await make('mutatingadmissionpolicybindings', 'b', { policyName: 'm' });
}

const apply = (expression: string): JsonObject => ({
  patchType: 'ApplyConfiguration',
  applyConfiguration: { expression },
});
const patch = (expression: string): JsonObject => ({ patchType: 'JSONPatch', jsonPatch: { expression } });

const tryMap = (data: JsonObject = {}, name = 'c'): Promise<Answer> =>
  test.call('POST', `${maps}?dryRun=All`, { body: { metadata: { name }, data } });

const messageOf = (answer: Answer): string => (answer.status < 300 ? '' : String(answer.json['message']));
const because = (text: string, kind = 'configmaps'): string =>
  `${kind} "c" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: ${text}`;

describe('ValidatingAdmissionPolicy', () => {
  it('cannot lock out who mends it', async () => {
    await validating({ matchConstraints: rules(['*/*'], ['*']), validations: [{ expression: 'false' }] });
    expect((await tryMap()).status).toBe(422);
    const body = { spec: { validations: [{ expression: 'true' }] } };
    const mended = await test.call('PATCH', `${group}/validatingadmissionpolicies/p`, {
      body: JSON.stringify(body),
      headers: merge,
    });
    expect(mended.status).toBe(200);
    expect((await tryMap()).status).toBe(201);
  });

  it('judges by parameters of a custom kind, each that a selector selects', async () => {
    const schema = {
      openAPIV3Schema: {
        type: 'object',
        properties: { spec: { type: 'object', properties: { max: { type: 'integer' } } } },
      },
    };
    const crd = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    await test.make(crd, {
      metadata: { name: 'limits.rules.example.com' },
      spec: {
        ...{ group: 'rules.example.com', scope: 'Namespaced', names: { plural: 'limits', kind: 'Limit' } },
        versions: [{ name: 'v1', served: true, storage: true, schema }],
      },
    });
    made.push(`${crd}/limits.rules.example.com`);
    const limits = '/apis/rules.example.com/v1/namespaces/n/limits';
    await expect.poll(async () => (await test.call('GET', limits)).status).toBe(200);
    for (const [name, max] of [
      ['a', 3],
      ['b', 1],
    ] as const)
      await test.make(limits, {
        ...{ apiVersion: 'rules.example.com/v1', kind: 'Limit', spec: { max } },
        metadata: { name, labels: { use: 'yes' } },
      });
    await validating(
      {
        paramKind: { apiVersion: 'rules.example.com/v1', kind: 'Limit' },
        validations: [
          {
            expression: 'object.data.size() <= params.spec.max',
            messageExpression: 'params.metadata.name + " says " + string(params.spec.max)',
          },
        ],
      },
      { paramRef: { selector: { matchLabels: { use: 'yes' } }, parameterNotFoundAction: 'Deny' } },
    );
    expect(messageOf(await tryMap({ a: '1' }))).toBe('');
    expect(messageOf(await tryMap({ a: '1', b: '2' }))).toBe(because('b says 1'));
  });

  it('is counted and measured', async () => {
    const matchConditions = [{ name: 'n', expression: 'object.metadata.name != "left-out"' }];
    await validating({ matchConditions, validations: [{ expression: 'object.data.size() == 0' }] });
    for (const [data, name] of [[{ a: '1' }], [{}], [{}, 'left-out']] as const) await tryMap(data, name);
    const { text } = await test.call('GET', '/metrics');
    const of = (action: string): string =>
      `{enforcement_action="${action}",error_type="no_error",policy="p",policy_binding="b"}`;
    for (const line of [
      `apiserver_validating_admission_policy_check_total${of('deny')}`,
      `apiserver_validating_admission_policy_check_duration_seconds_count${of('deny')}`,
      `apiserver_validating_admission_policy_check_duration_seconds_count${of('allow')}`,
      'apiserver_admission_match_condition_evaluation_seconds_count{kind="policy",name="p",operation="CREATE",type="validate"}',
      'apiserver_admission_match_condition_exclusions_total{kind="policy",name="p",operation="CREATE",type="validate"}',
    ])
      expect(text).toContain(line);
  });

  it('asks the authorizer, for who asks and for service accounts', async () => {
    const can = 'authorizer.group("").resource("configmaps").namespace("n").check("delete").allowed()';
    const account = can.replace('authorizer.', 'authorizer.serviceAccount("n", "default").');
    await validating({
      validations: [
        { expression: can },
        { expression: `!${account}` },
        { expression: 'authorizer.requestResource.check("create").allowed()' },
      ],
    });
    expect(messageOf(await tryMap())).toBe('');
  });

  it('evaluates variables once, those that are needed, and tells which one fails', async () => {
    await validating({
      variables: [
        { name: 'n', expression: 'object.data.size()' },
        { name: 'twice', expression: 'variables.n * 2' },
        { name: 'bad', expression: 'object.data["none"]' },
      ],
      validations: [
        { expression: 'variables.twice == variables.n + variables.n' },
        { expression: 'object.data.size() < 2 || variables.bad == ""' },
      ],
    });
    expect(messageOf(await tryMap({ a: '1' }))).toBe('');
    expect(messageOf(await tryMap({ a: '1', b: '2' }))).toBe(
      because(
        `expression 'object.data.size() < 2 || variables.bad == ""' resulted in error: composited variable "bad" fails to evaluate: no such key: none`,
      ),
    );
  });

  it('ends an expression that costs too much', async () => {
    const expression =
      'object.data.all(k, object.data.all(l, object.data.all(m, object.data.all(n, k != ""))))';
    await validating({ validations: [{ expression }] });
    const data = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`k${index}`, '1']));
    const before = process.cpuUsage();
    expect(messageOf(await tryMap(data))).toBe(
      because(
        `expression '${expression}' resulted in error: operation cancelled: actual cost limit exceeded`,
      ),
    );
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(5_000);
  });

  it('sees the namespace and the old object', async () => {
    await validating({
      matchConstraints: rules(['configmaps'], ['UPDATE', 'DELETE']),
      validations: [
        { expression: 'namespaceObject.metadata.name == "n"' },
        {
          expression: 'object == null || object.data.a == oldObject.data.a',
          message: 'a stays',
        },
      ],
    });
    await test.make(maps, { metadata: { name: 'c' }, data: { a: '1' } });
    const change = (data: JsonObject): Promise<Answer> =>
      test.call('PATCH', `${maps}/c`, { body: JSON.stringify({ data }), headers: merge });
    expect(messageOf(await change({ b: '1' }))).toBe('');
    expect(messageOf(await change({ a: '2' }))).toBe(because('a stays'));
    expect((await test.call('DELETE', `${maps}/c`)).status).toBe(200);
  });
});

describe('MutatingAdmissionPolicy', () => {
  const containersOf = (answer: Answer): readonly JsonObject[] =>
    answer.json['spec']?.['containers'] as unknown as readonly JsonObject[];
  const tryPod = (): Promise<Answer> =>
    test.call('POST', '/api/v1/namespaces/n/pods?dryRun=All', { body: podNamed('c') });

  it('is measured', async () => {
    await mutating(apply('Object{metadata: Object.metadata{labels: {"a": "b"}}}'));
    await tryMap();
    expect((await test.call('GET', '/metrics')).text).toContain(
      'apiserver_mutating_admission_policy_check_duration_seconds_count{error_type="no_error",policy="m",policy_binding="b"}',
    );
  });

  it('merges lists by their keys', async () => {
    const expression = `Object{spec: Object.spec{
      containers: object.spec.containers.map(c, Object.spec.containers{
        name: c.name, env: [Object.spec.containers.env{name: "A", value: "1"}]
      }) + [Object.spec.containers{name: "side", image: "s"}]
    }}`;
    await mutating(apply(expression));
    const answer = await tryPod();
    expect(messageOf(answer)).toBe('');
    expect(containersOf(answer)).toMatchObject([
      { name: 'c', image: 'i', env: [{ name: 'A', value: '1' }] },
      { name: 'side', image: 's' },
    ]);
  });

  it.each([
    [
      'Object{spec: Object.spec{containers: [Object.spec.containers{name: "c", args: ["x"]}]}}',
      'error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.containers[0].args',
    ],
    [
      'Object{spec: Object.specx{nodeName: "a"}}',
      'type mismatch: unexpected type name "Object.specx", expected "Object.spec", which matches field name path from root Object type',
    ],
    [
      'Object{spec: Object.spec{nodeNamex: "a"}}',
      'error applying patch: failed to convert patch object to typed object: .spec.nodeNamex: field not declared in schema',
    ],
  ])('refuses %s', async (expression, message) => {
    await mutating(apply(expression));
    expect(messageOf(await tryPod())).toBe(`policy 'm' with binding 'b' denied request: ${message}`);
  });

  it('patches, with optional values and escaped keys', async () => {
    await mutating(
      patch(
        '[JSONPatch{op: "add", path: "/metadata/annotations", value: {}}, JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey("a.b/c"), value: "x"}] + (has(object.data) ? [JSONPatch{op: "remove", path: "/data"}] : [])',
      ),
    );
    const { json } = await tryMap({ a: '1' });
    expect(json['metadata']?.['annotations']).toEqual({ 'a.b/c': 'x' });
    expect(json['data']).toBeUndefined();
  });
});
