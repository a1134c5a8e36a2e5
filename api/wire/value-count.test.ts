import { describe, expect, test } from 'vitest';
import { decodeBody, decodeBodyOf } from './body.ts';
import { decodeRequest } from './decode-request.ts';
import { containerCountMax } from './decode.ts';
import { faultCountMax } from '#api/errors/field-error.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import { applyJsonPatch } from '#api/patch/json-patch.ts';
import { applyMergePatch } from '#api/patch/merge-patch.ts';
import { applyStrategicPatch } from '#api/patch/strategic-patch.ts';
import { badRequest, causeCountMax, conflict, invalid, notFound, statusOf } from '#api/errors/status.ts';
import { validateCreate } from '#api/validation/validation.ts';
import { checkValueCount, valueCountMax } from './value-count.ts';

function kindNamed(apiVersion: string, name: string) {
  const kind = findKindByName(apiVersion, name);
  if (kind === undefined) throw new Error(`no kind ${name}`);
  return kind;
}

const tooLarge = 'Request entity too large: limit is 100000 values';

/** A length-delimited field of a protobuf message. */
function field(number: number, ...parts: readonly (Uint8Array | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)));
  const length: number[] = [];
  for (let left = body.length; ; left >>>= 7) {
    length.push(left > 127 ? (left & 127) | 128 : left);
    if (left <= 127) break;
  }
  return Buffer.concat([Buffer.of(number * 8 + 2, ...length), body]);
}

function protobufRole(rules: number): Buffer {
  const typeMeta = field(
    1,
    field(1, Buffer.from('rbac.authorization.k8s.io/v1')),
    field(2, Buffer.from('Role')),
  );
  const raw = Buffer.concat(Array.from({ length: rules }, () => Buffer.of(0x12, 0)));
  return Buffer.concat([Buffer.from('k8s\0'), typeMeta, field(2, raw)]);
}

describe('bodies of many values are refused before they cost anything', () => {
  const many = valueCountMax + 1;
  test.each([
    { name: 'a list', body: `[${'0,'.repeat(many)}0]`, type: 'application/json' },
    { name: 'a list of empty rules', body: `{"rules":[${'{},'.repeat(many)}{}]}`, type: 'application/json' },
    {
      name: 'a map',
      body: `{${Array.from({ length: many }, (_, i) => `"${i}":1`).join(',')}}`,
      type: 'application/json',
    },
    { name: 'a YAML list', body: `[${'0,'.repeat(2 * many)}0]`, type: 'application/yaml' },
    { name: 'YAML lines', body: '- 0\n'.repeat(2 * many), type: 'application/yaml' },
    { name: 'protobuf', body: protobufRole(many), type: 'application/vnd.kubernetes.protobuf' },
  ])('$name', ({ body, type }) => {
    expect(() => decodeBody(Buffer.from(body), type)).toThrow(tooLarge);
  });

  test('aliases of YAML that blow up', () => {
    const lines = ['a: &a [x,x,x,x,x,x,x,x,x]'];
    for (const [index, name] of [...'bcdefgh'].entries())
      lines.push(`${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[index]}`).join(',')}]`);
    expect(() => decodeBody(Buffer.from(lines.join('\n')), 'application/yaml')).toThrow(/excessive aliasing/);
  });

  test('nesting in JSON and in what patches make', () => {
    expect(() => decodeBody(Buffer.from('['.repeat(1_000_000)), undefined)).toThrow(/max depth/);
    const copies = Array.from({ length: 18 }, () => ({
      op: 'copy',
      from: '/a',
      path: `/a${'/a'.repeat(1)}`,
    }));
    const grow = (): unknown => {
      const made = applyJsonPatch({ a: { b: 1 } }, copies);
      checkValueCount(made);
      return made;
    };
    expect(grow).not.toThrow(RangeError);
    let deep: unknown = 1;
    for (let i = 0; i < 1200; i++) deep = { a: deep };
    expect(() => checkValueCount(deep)).toThrow(/max depth/);
  });

  test('members given twice are told of a hundred times', () => {
    const body = decodeBody(Buffer.from(`{"a":0${',"a":0'.repeat(5000)}}`), undefined);
    expect(body.duplicateFields).toHaveLength(100);
  });
});

describe('faults', () => {
  const configMap = kindNamed('v1', 'ConfigMap');

  test('an answer names a hundred, and how many more there are', () => {
    const data = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`!${index}`, '']));
    const faults = validateCreate(configMap, { metadata: { name: 'x', namespace: 'default' }, data });
    expect(faults).toHaveLength(500);
    const { status } = statusOf(invalid(configMap, 'x', faults));
    expect(status.details?.causes).toHaveLength(causeCountMax);
    expect(status.message).toMatch(/, and 400 more\]$/);
    expect(JSON.stringify(status).length).toBeLessThan(100_000);
  });

  test('validation stops at a thousand', () => {
    const role = kindNamed('rbac.authorization.k8s.io/v1', 'Role');
    const rules = Array.from({ length: 90_000 }, () => ({}));
    const faults = validateCreate(role, { metadata: { name: 'x', namespace: 'default' }, rules });
    expect(faults).toHaveLength(faultCountMax);
    expect(statusOf(invalid(role, 'x', faults)).status.message).toMatch(/, and more than 900 more\]$/);
  });

  test('texts of one are clipped', () => {
    const long = '!'.repeat(1_000_000);
    const faults = validateCreate(configMap, {
      metadata: { name: long, namespace: 'default' },
      data: { [long]: '' },
    });
    expect(faults.length).toBeGreaterThan(1);
    expect(JSON.stringify(statusOf(invalid(configMap, 'x', faults)).status).length).toBeLessThan(100_000);
  });

  test('so are names and words of a request, whatever is said of them', () => {
    const long = 'a.'.repeat(1_000_000);
    const faults = validateCreate(configMap, { metadata: { name: long, namespace: 'default' } });
    const errors = [
      invalid(configMap, long, faults),
      notFound(configMap, long),
      conflict(configMap, 'x', `Precondition failed: UID in precondition: ${long}`),
      badRequest(long),
    ];
    for (const error of errors) expect(JSON.stringify(statusOf(error).status).length).toBeLessThan(100_000);
  });

  test('a pod of too many containers is refused before it is defaulted', () => {
    const containers = Array.from({ length: containerCountMax + 1 }, (_, i) => ({
      name: `c${i}`,
      image: 'i',
    }));
    const pod = kindNamed('v1', 'Pod');
    const text = JSON.stringify({ metadata: { name: 'x' }, spec: { containers } });
    const body = decodeBodyOf('Pod', Buffer.from(text), undefined);
    expect(() => decodeRequest(pod, body, 'Warn')).toThrow(
      'Pod "x" is invalid: spec.containers: Too many: 1001: must have at most 1000 items',
    );
  });
});

describe('patches of long lists', () => {
  // Each of these took minutes when every item of a patch was looked for in the whole list.
  const count = 20_000;
  const env = Array.from({ length: count }, (_, i) => ({ name: `e${i}`, value: 'a' }));
  const pod = { spec: { containers: [{ name: 'c', image: 'i', env }], tolerations: [] } };
  const kind = kindNamed('v1', 'Pod');

  test('merged by key, ordered, and deleted from', () => {
    const patched = applyStrategicPatch(kind, pod, {
      metadata: { finalizers: env.map(({ name }) => name) },
      spec: {
        '$setElementOrder/containers': [{ name: 'c' }],
        containers: [
          {
            name: 'c',
            '$setElementOrder/env': env.toReversed().map(({ name }) => ({ name })),
            env: env
              .map(({ name }, i) => (i % 2 === 0 ? { name, $patch: 'delete' } : { name, value: 'b' }))
              .toReversed(),
          },
        ],
      },
    });
    const [container] = (patched['spec'] as typeof pod.spec).containers;
    expect(container?.env).toHaveLength(count / 2);
    expect(container?.env[0]).toEqual({ name: `e${count - 1}`, value: 'b' });
  });

  test('sets of scalars', () => {
    const finalizers = env.map(({ name }) => name);
    const patched = applyStrategicPatch(
      kind,
      { metadata: { finalizers } },
      {
        metadata: { finalizers, '$deleteFromPrimitiveList/finalizers': finalizers.slice(1) },
      },
    );
    expect(patched).toEqual({ metadata: { finalizers: ['e0'] } });
  });

  test('a merge patch as deep as it may be', () => {
    let deep: Record<string, unknown> = { x: Array.from({ length: 50_000 }, () => 0) };
    let patch: Record<string, unknown> = { y: 1 };
    for (let i = 0; i < 900; i++) [deep, patch] = [{ a: deep }, { a: patch }];
    expect(() => applyMergePatch(deep, patch)).not.toThrow();
  });
});
