import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectsOf } from '#api/wire/json.ts';
import { contextWith } from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { danglingCondition } from './dangling.ts';
import { ensureFlowControl, followFlowControl, keepFlowControl } from './keep-flow-control.ts';
import { SharedSeats } from './shared-seats.ts';

const group = 'flowcontrol.apiserver.k8s.io';
const schemas = builtIn(group, 'v1', 'flowschemas');
const levels = builtIn(group, 'v1', 'prioritylevelconfigurations');
const annotation = 'apf.kubernetes.io/autoupdate-spec';

async function change(
  context: ServerContext,
  [kind, name]: readonly [typeof schemas, string],
  make: (object: JsonObject) => JsonObject | undefined,
): Promise<void> {
  await context.registry.change(kind, { namespace: '', name }, (current) => {
    const object = make(current?.object ?? {});
    return object === undefined
      ? { write: 'remove', object: current?.object ?? {} }
      : { write: 'put', object };
  });
}

const setPrecedence =
  (matchingPrecedence: number, annotations: object) =>
  (object: JsonObject): JsonObject => ({
    ...object,
    metadata: { ...(object['metadata'] as JsonObject), annotations },
    spec: { ...(object['spec'] as JsonObject), matchingPrecedence },
  });

describe('ensureFlowControl()', () => {
  const read = async (context: ServerContext, kind: typeof schemas, name: string): Promise<unknown> =>
    (await context.registry.read(kind, '', name))?.object;

  // What the annotation says, whether it was changed, what becomes of the precedence, and what the annotation says then.
  it.each([
    ['one that says it is the server’s', 'true', 3, 9000, 'true'],
    ['one that says so in other words', 'T', 3, 9000, 'T'],
    ['one that says it is not', 'false', 3, 77, 'false'],
    ['one that says that in other words', '0', 1, 77, '0'],
    ['one that says nothing and was changed', undefined, 2, 77, 'false'],
    ['one that says nothing and was not', undefined, 1, 9000, 'true'],
    ['one that says something else and was changed', 'yes', 2, 77, 'false'],
    ['one that says something else and was not', 'x', 1, 9000, 'true'],
  ])(
    'puts a suggested object right where it is the server’s, and says so: %s',
    async (_name, said, generation, want, says) => {
      const context = await contextWith([]);
      await ensureFlowControl(context);
      await change(context, [schemas, 'service-accounts'], (object) => {
        const changed = setPrecedence(77, said === undefined ? {} : { [annotation]: said })(object);
        return { ...changed, metadata: { ...(changed['metadata'] as JsonObject), generation } };
      });
      await ensureFlowControl(context);
      expect(await read(context, schemas, 'service-accounts')).toMatchObject({
        metadata: { annotations: { [annotation]: says } },
        spec: { matchingPrecedence: want },
      });
    },
  );

  it('puts what must be right, whatever it says, and brings back what was deleted', async () => {
    const context = await contextWith([]);
    await ensureFlowControl(context);
    await change(context, [schemas, 'catch-all'], setPrecedence(9, { [annotation]: 'false' }));
    await change(context, [schemas, 'exempt'], () => undefined);
    await change(context, [levels, 'node-high'], () => undefined);
    await ensureFlowControl(context);
    expect(await read(context, schemas, 'catch-all')).toMatchObject({
      metadata: { annotations: { [annotation]: 'true' } },
      spec: { matchingPrecedence: 10_000 },
    });
    expect(await read(context, schemas, 'exempt')).toBeDefined();
    expect(await read(context, levels, 'node-high')).toBeDefined();
  });

  it('leaves what users say of the exempt level', async () => {
    const context = await contextWith([]);
    await ensureFlowControl(context);
    const exempt = { nominalConcurrencyShares: 7, lendablePercent: 50 };
    await change(context, [levels, 'exempt'], (object) => ({ ...object, spec: { type: 'Exempt', exempt } }));
    await ensureFlowControl(context);
    expect(at(await read(context, levels, 'exempt'), 'spec.exempt')).toEqual(exempt);
  });

  it('removes what is the server’s and that it does not know, and no other', async () => {
    const context = await contextWith([]);
    for (const [name, said] of [
      ['old', 'true'],
      ['older', '1'],
      ['mine', 'false'],
      ['plain', undefined],
    ] as const) {
      const annotations = said === undefined ? {} : { [annotation]: said };
      await context.registry.create(schemas, { metadata: { name, annotations }, spec: {} });
    }
    await ensureFlowControl(context);
    for (const name of ['old', 'older']) expect(await read(context, schemas, name)).toBeUndefined();
    for (const name of ['mine', 'plain']) expect(await read(context, schemas, name)).toBeDefined();
  });

  it('writes nothing when all is as it is to be', async () => {
    const context = await contextWith([]);
    await ensureFlowControl(context);
    const { revision } = context.registry.store;
    await ensureFlowControl(context);
    expect(context.registry.store.revision).toBe(revision);
  });
});

it('what is made, and what is said of it, is owned as in a 1.36', async () => {
  const context = await contextWith([]);
  const { stored, following } = await followFlowControl(
    { registry: context.registry, clock: context.clock, logger: context.logger },
    new SharedSeats(100, context.clock),
  );
  using _following = following;

  using _kept = await keepFlowControl(context, stored);

  const probes = (await context.registry.read(schemas, '', 'probes'))?.object ?? {};
  const owners = objectsOf(at(probes, 'metadata.managedFields'));
  const base = { apiVersion: 'flowcontrol.apiserver.k8s.io/v1', fieldsType: 'FieldsV1' };
  const condition = Object.fromEntries(
    ['lastTransitionTime', 'message', 'reason', 'status', 'type'].map((field) => [`f:${field}`, {}]),
  );
  const fieldsV1 = {
    'f:status': { 'f:conditions': { 'k:{"type":"Dangling"}': { '.': {}, ...condition } } },
  };
  expect(owners).toMatchObject([
    {
      ...base,
      manager: 'api-priority-and-fairness-config-consumer-v1',
      operation: 'Apply',
      subresource: 'status',
      fieldsV1,
    },
    { ...base, manager: 'api-priority-and-fairness-config-producer-v1', operation: 'Update' },
  ]);
});

describe('danglingCondition()', () => {
  const spec = { priorityLevelConfiguration: { name: 'l' } };
  const found = {
    type: 'Dangling',
    status: 'False',
    reason: 'Found',
    message: 'This FlowSchema references the PriorityLevelConfiguration object named "l" and it exists',
    lastTransitionTime: 'before',
  };
  const told = (conditions: readonly object[], isThere: boolean) =>
    danglingCondition({ spec, status: { conditions } }, { hasLevel: () => isThere, now: 'now' });

  it('says nothing that is said', () => expect(told([found], true)).toBeUndefined());
  it('says when that changes', () =>
    expect(told([found], false)).toMatchObject({
      status: 'True',
      reason: 'NotFound',
      lastTransitionTime: 'now',
    }));
  it('keeps the time of what only reads differently', () =>
    expect(told([{ ...found, message: '' }], true)).toEqual(found));
});
