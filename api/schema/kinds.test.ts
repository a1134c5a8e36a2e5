import { describe, expect, it } from 'vitest';
import { mergeFacts, protoFacts } from '#api/facts/facts.ts';
import {
  findKind,
  findKindByName,
  findSubresource,
  formatGroupVersion,
  kindOfSubresource,
  kinds,
  parseGroupVersion,
  type Kind,
} from './kinds.ts';
import { builtInTypes } from './built-in-types.ts';

describe('kinds', () => {
  it.each(kinds.map((kind) => [`${formatGroupVersion(kind)} ${kind.kind}`, kind] as const))(
    'are found by resource and by name, and have a schema: %s',
    (_name, kind) => {
      expect(findKind(kind.group, kind.version, kind.resource)).toBe(kind);
      expect(findKindByName(formatGroupVersion(kind), kind.kind)).toBe(kind);
      expect(kind.schema.find(kind.typeName)?.fields).toBeDefined();
    },
  );

  it('do not share a name within a group version', () => {
    const names = kinds.map((kind) => `${formatGroupVersion(kind)}/${kind.kind}`);
    expect(new Set(names).size).toBe(names.length);
  });

  it('are unknown under any other name', () => {
    expect(findKind('', 'v1', 'nope')).toBeUndefined();
    expect(findKindByName('v2', 'Pod')).toBeUndefined();
    expect(builtInTypes.find('constructor')).toBeUndefined();
  });
});

describe('kindOfSubresource()', () => {
  const deployments = findKind('apps', 'v1', 'deployments') as Kind;
  const pods = findKind('', 'v1', 'pods') as Kind;
  it.each([
    [deployments, 'scale', 'autoscaling.v1.Scale'],
    [deployments, 'status', 'apps.v1.Deployment'],
    [pods, 'binding', 'core.v1.Binding'],
    [pods, 'eviction', 'policy.v1.Eviction'],
  ])('%#: is the kind of the body', (kind, name, typeName) => {
    const sub = findSubresource(kind, name);
    expect(sub && kindOfSubresource(kind, sub).typeName).toBe(typeName);
  });
});

describe('parseGroupVersion()', () => {
  it.each(['v1', 'apps/v1', 'rbac.authorization.k8s.io/v1'])('and back: %s', (text) => {
    expect(formatGroupVersion(parseGroupVersion(text))).toBe(text);
  });
});

describe('the facts', () => {
  it('of merging speak of types and fields that the schema has', () => {
    for (const [type, fields] of Object.entries(mergeFacts().types)) {
      const known = builtInTypes.find(type);
      if (known === undefined) continue;
      for (const field of Object.keys(fields))
        if (field !== '') expect([...(known.fields?.keys() ?? [])], type).toContain(field);
    }
  });

  it('of protobuf name only messages that they hold', () => {
    const { messages } = protoFacts();
    const scalars = new Set(['string', 'bytes', 'bool', 'int32', 'int64']);
    for (const [name, fields] of Object.entries(messages)) {
      for (const [, expression] of Object.values(fields)) {
        const item = expression.replace(/^(\[\]|map:)/, '');
        expect(scalars.has(item) || messages[item] !== undefined, `${name}: ${expression}`).toBe(true);
      }
    }
  });
});
