import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { effectWarnings, kindEffects, partEffects, renderKindEffects } from './kind-effects.ts';
import { findKindByName, kinds as always, optionalKinds } from '#api/schema/kinds.ts';

const kinds = [...always, ...optionalKinds];
const served = [...new Set(kinds.map(({ group, kind }) => `${group}/${kind}`))];
const root = fileURLToPath(new URL('../..', import.meta.url));

describe('kindEffects', () => {
  it('says of every served kind what becomes of it, and of no other', () => {
    expect(Object.keys(kindEffects).toSorted()).toEqual(served.toSorted());
    expect(Object.keys(partEffects).filter((key) => kindEffects[key]?.kind !== 'acted')).toEqual([]);
  });

  it('names files that are there', () => {
    const files = Object.values(kindEffects).flatMap((effect) =>
      effect.kind === 'acted' ? [effect.by] : [],
    );
    expect(files.filter((file) => !existsSync(`${root}${file}`))).toEqual([]);
  });

  it('names files that know the kind', () => {
    const strange = kinds.filter(({ group, kind, resource }) => {
      const effect = kindEffects[`${group}/${kind}`];
      if (effect?.kind !== 'acted') return false;
      const text = readFileSync(`${root}${effect.by}`, 'utf8').toLowerCase();
      return !text.includes(kind.toLowerCase()) && !text.includes(resource);
    });
    expect(strange.map(({ kind }) => kind)).toEqual([]);
  });

  it('is what docs/kinds.md says', async () => {
    await expect(renderKindEffects()).toMatchFileSnapshot('../../docs/kinds.md');
  });
});

describe('effectWarnings()', () => {
  const of = (apiVersion: string, kind: string, object: object = {}): readonly string[] =>
    effectWarnings(findKindByName(apiVersion, kind) ?? expect.unreachable(), { ...object });

  it.each(kinds.map((kind) => ({ kind, name: `${kind.group}/${kind.version} ${kind.kind}` })))(
    'warns of $name only if nothing acts on it',
    ({ kind }) => {
      const isUnacted = kindEffects[`${kind.group}/${kind.kind}`]?.kind === 'unacted';
      expect(effectWarnings(kind, {}).length).toBe(isUnacted ? 1 : 0);
    },
  );

  it.each([['v1', 'PersistentVolume', { spec: { iscsi: {} } }, /no node mounts it/]])(
    'knows parts of %s %s',
    (apiVersion, kind, object, want) => {
      expect(of(apiVersion, kind, object)).toEqual([expect.stringMatching(want)]);
    },
  );

  it.each([
    ['v1', 'Namespace', { metadata: { labels: { a: 'b' } } }],
    ['v1', 'Secret', { type: 'Opaque' }],
    ['v1', 'Secret', { type: 'kubernetes.io/service-account-token' }],
    ['apps/v1', 'StatefulSet', { spec: { volumeClaimTemplates: [{}] } }],
    ['v1', 'PersistentVolume', { spec: { nfs: {} } }],
  ])('is silent of other %s %s', (apiVersion, kind, object) => {
    expect(of(apiVersion, kind, object)).toEqual([]);
  });
});
