import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createRandom } from '#base/random.fixture.ts';
import { kinds, findKindByName, type Kind } from '#api/schema/kinds.ts';
import { keepsMetadata, resetRuleOf } from '#api/kinds/reset.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import { prepareUpdate } from '#api/strategy/strategy.ts';
import { decodeObject } from '#api/wire/decode.ts';
import { at, isObject, structJson, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { compareObjects, taken } from './compare.ts';
import { configFault } from './check-config.ts';
import { configSet } from './config-set.ts';
import { atomOf } from './atom.ts';
import { difference, hasPath, setOfPaths, withoutBelow } from './field-set.ts';
import { termsOf } from './kind-terms.ts';
import { manageApply, manageUpdate, withoutOwners } from './manage.ts';
import { mergeInto, wholesIn } from './merge-into.ts';
import { fieldElement } from './path-element.ts';
import { textOfSet } from './set-text.ts';

const fixtures: { readonly objects: Readonly<Record<string, { readonly json: JsonObject }>> } = JSON.parse(
  readFileSync(new URL('../../fixtures/protobuf-0.36.4.json', import.meta.url), 'utf8'),
);
const objects = Object.entries(fixtures.objects).flatMap(([name, { json }]) => {
  const kind = findKindByName(String(json['apiVersion']), String(json['kind']));
  return kind === undefined ? [] : [[name, kind, decodeObject(kind, json).object] as const];
});
const writer = { manager: 'm', subresource: '', nowMs: 0 };
const paths = (texts: readonly string[]): readonly (readonly string[])[] =>
  texts.map((text) => text.split('.').map(fieldElement));
const ownerless = setOfPaths(
  paths(
    ['apiVersion', 'kind', 'metadata'].concat(
      [
        'name',
        'namespace',
        'creationTimestamp',
        'selfLink',
        'uid',
        'generation',
        'managedFields',
        'resourceVersion',
      ].map((name) => `metadata.${name}`),
    ),
  ),
);

const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const random = createRandom(seed);

/** The value with some of its members gone. */
function thinned(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter(() => random() < 0.8).map(thinned);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(() => random() < 0.8)
      .map(([key, member]) => [key, thinned(member)]),
  );
}

describe.each(objects)('owners of %s', (_name, kind, object) => {
  const terms = termsOf(kind, '', () => undefined);
  const typed = { ...object, apiVersion: terms.apiVersion, kind: kind.kind };

  it('of a new object are those of a comparison with the empty one', () => {
    console.log(`PODWRIGHT_FUZZ_SEED=${seed}`);
    for (let run = 0; run < 20; run++) {
      const next = withoutOwners(run === 0 ? typed : { ...(thinned(typed) as JsonObject), kind: kind.kind });
      const made = manageUpdate(terms, { live: undefined, next }, writer);
      const compared = taken(compareObjects(atomOf(kind), terms.empty, next));
      const want = difference(terms.withoutReset(compared), ownerless);
      const [entry] = (at(made, 'metadata.managedFields') ?? []) as readonly JsonObject[];
      expect(structJson(entry?.['fieldsV1'] ?? {})).toBe(structJson(want));
      if (entry !== undefined) expect(textOfSet(entry['fieldsV1'] as never)).toBe(structJson(want));
    }
  });

  it('know the object by its type, and find nothing to change in itself', () => {
    expect(configFault(atomOf(kind), typed)).toBeUndefined();
    const config = withoutOwners(typed);
    const live = manageUpdate(terms, { live: undefined, next: config }, writer);
    expect(mergeInto(kind, config, config).object).toEqual(config);
    const applied = manageApply(terms, { live, config, isForced: false }, { ...writer, manager: 'other' });
    expect(applied.object).toBeUndefined();
    const empty = { apiVersion: terms.apiVersion, kind: kind.kind, metadata: { name: 'x' } };
    const gone = manageApply(terms, { live: config, config: empty, isForced: true }, writer);
    expect(configSet(atomOf(kind), gone.object ?? config)).toBeDefined();
    expect(Array.isArray(wholesIn(kind, config))).toBe(true);
  });
});

describe('owners of a new pod', () => {
  it('are by its own ports, whatever pods came before, and however many', () => {
    const kind = findKindByName('v1', 'Pod');
    if (kind === undefined) throw new TypeError('there are pods');
    const terms = termsOf(kind, '', () => undefined);
    for (let run = 0; run < 1100; run++) {
      const port = (): JsonObject => ({ containerPort: 1 + Math.floor(random() * 400), protocol: 'TCP' });
      const ports = Array.from({ length: 1 + (run % 4) }, port);
      const spec = { containers: [{ name: 'c', ports, ...(run % 3 === 0 ? { image: 'i' } : {}) }] };
      const next = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'p', labels: { [`l${run % 5}`]: '' } },
        spec,
      };
      const made = manageUpdate(terms, { live: undefined, next }, writer);
      const want = difference(taken(compareObjects(atomOf(kind), terms.empty, next)), ownerless);
      const [entry] = (at(made, 'metadata.managedFields') ?? []) as readonly JsonObject[];
      expect(structJson(entry?.['fieldsV1'])).toBe(structJson(want));
    }
  });
});

/** Parts of objects that a write of them may say something of. */
const parts: readonly (readonly [path: string, value: unknown])[] = [
  ['metadata.labels', { changed: 'x' }],
  ['metadata.ownerReferences', [{ apiVersion: 'v1', kind: 'K', name: 'n', uid: 'u' }]],
  ['spec', { changed: 'x' }],
  ['status', { changed: 'x', conditions: [{ type: 'X', status: 'True' }] }],
];

describe('what a write leaves as it was', () => {
  const written = kinds.flatMap((kind) =>
    ['', ...kind.subresources.map(({ name }) => name)]
      .filter((part) => part === '' || part === 'status' || rulesOf(kind).parts?.[part] !== undefined)
      .filter(() => kind.verbs.includes('update'))
      .map((part) => [`${kind.group}/${kind.kind}`, part, kind] as const),
  );

  it.each(written)('of %s, part %j, is nobody’s for having said it', (_name, part, kind) => {
    const old: JsonObject = { metadata: { name: 'x', uid: 'u' }, spec: {}, status: {} };
    for (const [path, value] of parts) {
      const next = withPath(old, path, value);
      const prepared = prepareUpdate(kind, old, next, part === '' ? undefined : part);
      const isKept = structJson(at(prepared, path) ?? null) === structJson(at(old, path) ?? null);
      const rule = resetRuleOf(kind, part);
      const set = setOfPaths(paths([path]));
      const isReset =
        'fields' in rule
          ? !hasPath(withoutBelow(set, setOfPaths(paths(rule.fields))), paths([path])[0] ?? [])
          : true;
      // What is written may have a reset field within; what is not, and is not reset, would be owned without having been said.
      if (isKept && !isOwnWord(kind, part, path)) expect({ path, isReset }).toEqual({ path, isReset: true });
    }
  });

  it('keeps the metadata of custom kinds, and of some of Kubernetes, from a status', () => {
    const custom = { ...(findKindByName('apps/v1', 'Deployment') as Kind), group: 'example.com' };
    expect(keepsMetadata(custom, 'status')).toBe(true);
    const names = kinds.filter((kind) => keepsMetadata(kind, 'status')).map(({ kind }) => kind);
    expect(names.toSorted()).toEqual([
      'APIService',
      'CustomResourceDefinition',
      'FlowSchema',
      'PriorityLevelConfiguration',
      'ResourceClaim',
      'ValidatingAdmissionPolicy',
      'VolumeAttachment',
    ]);
    const old = { metadata: { name: 'x', labels: { a: 'b' } }, status: {} };
    const next = { metadata: { name: 'x', managedFields: [{}] }, status: { x: 'y' } };
    expect(prepareUpdate(custom, old, next, 'status')).toEqual({
      metadata: { name: 'x', labels: { a: 'b' }, managedFields: [{}] },
      status: { x: 'y' },
    });
  });
});

/** The spec is the kind's own to change: rules of single kinds keep parts of it. */
function isOwnWord(kind: Kind, part: string, path: string): boolean {
  return part === '' && path === 'spec' && rulesOf(kind).prepareUpdate !== undefined;
}
