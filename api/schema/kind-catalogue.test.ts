import { describe, expect, it } from 'vitest';
import { isPodwrightError } from '#base/errors.ts';
import { formatGroupVersion, groupVersions, kinds, type Kind } from './kinds.ts';
import { createKindCatalogue, type KindCatalogue, type KindChange } from './kind-catalogue.ts';
import { builtInVersions } from './served-version.ts';
import { widgets } from './widget.fixture.ts';

function kindOf(apiVersion: string, name: string): Kind {
  const [group = '', version = ''] = apiVersion.split('/');
  return {
    ...widgets,
    group,
    version,
    kind: name,
    singular: name.toLowerCase(),
    resource: `${name.toLowerCase()}s`,
  };
}

/** What follows the built-in group versions, and the kinds of each. */
function extraOf(catalogue: KindCatalogue): readonly string[] {
  const own = catalogue.versions.slice(builtInVersions.length);
  return own.map(
    (served) => `${formatGroupVersion(served)} ${served.kinds.map(({ kind }) => kind).join(' ')}`,
  );
}

describe('createKindCatalogue()', () => {
  it('begins with the kinds of Kubernetes, in discovery order', () => {
    const catalogue = createKindCatalogue();
    expect(catalogue.versions.map(formatGroupVersion)).toEqual(groupVersions.map(formatGroupVersion));
    for (const kind of kinds) {
      expect(catalogue.find(kind.group, kind.version, kind.resource)).toBe(kind);
      expect(catalogue.findByName(formatGroupVersion(kind), kind.kind)).toBe(kind);
      expect(catalogue.findVersion(kind.group, kind.version)?.kinds).toContain(kind);
    }
  });

  it.each([
    ['', 'v1', 'widgets'],
    ['', 'v2', 'pods'],
    ['constructor', 'v1', 'pods'],
    ['apps', 'constructor', 'deployments'],
    ['apps', 'v1', 'constructor'],
  ])('finds nothing under %j %j %j', (group, version, resource) => {
    expect(createKindCatalogue().find(group, version, resource)).toBeUndefined();
  });

  it('finds what came, and no longer what went', () => {
    const catalogue = createKindCatalogue();
    catalogue.change({ added: [widgets] });
    expect(catalogue.find('example.com', 'v1', 'widgets')).toBe(widgets);
    expect(catalogue.findByName('example.com/v1', 'Widget')).toBe(widgets);
    expect(catalogue.has(widgets)).toBe(true);
    catalogue.change({ removed: [widgets] });
    expect(catalogue.find('example.com', 'v1', 'widgets')).toBeUndefined();
    expect(catalogue.findVersion('example.com', 'v1')).toBeUndefined();
    expect(catalogue.has(widgets)).toBe(false);
    expect(catalogue.versions).toEqual(builtInVersions);
  });

  it('puts a kind in the place of another', () => {
    const catalogue = createKindCatalogue();
    catalogue.change({ added: [widgets] });
    const next = { ...widgets, shortNames: ['w'] };
    catalogue.change({ removed: [widgets], added: [next] });
    expect(catalogue.find('example.com', 'v1', 'widgets')).toBe(next);
    expect([catalogue.has(widgets), catalogue.has(next)]).toEqual([false, true]);
  });

  it('orders what came after what was there: groups by the alphabet, versions by preference', () => {
    const catalogue = createKindCatalogue();
    for (const apiVersion of ['b.example/v1', 'a.example/v1beta1', 'a.example/v2', 'a.example/v1'])
      catalogue.change({ added: [kindOf(apiVersion, 'Thing')] });
    catalogue.change({ added: [kindOf('a.example/v1', 'Other')] });
    expect(extraOf(catalogue)).toEqual([
      'a.example/v2 Thing',
      'a.example/v1 Thing Other',
      'a.example/v1beta1 Thing',
      'b.example/v1 Thing',
    ]);
  });

  it('keeps a group of Kubernetes together, with what comes to it last', () => {
    const catalogue = createKindCatalogue();
    catalogue.change({ added: [kindOf('autoscaling/v3', 'Thing')] });
    const own = catalogue.versions.filter(({ group }) => group === 'autoscaling');
    expect(own.map(({ version }) => version)).toEqual(['v2', 'v1', 'v3']);
    const at = catalogue.versions.indexOf(own[0] ?? expect.unreachable());
    expect(catalogue.versions.slice(at, at + 3)).toEqual(own);
  });

  it('has another list after a change, of the same values where nothing happened', () => {
    const catalogue = createKindCatalogue();
    const before = catalogue.versions;
    catalogue.change({ removed: [widgets] }); // It was not there.
    catalogue.change({});
    expect(catalogue.versions).toBe(before);
    catalogue.change({ added: [widgets] });
    expect(catalogue.versions).not.toBe(before);
    expect(catalogue.versions.slice(0, -1).every((served, index) => served === before[index])).toBe(true);
  });

  it('shares nothing that changes with another', () => {
    const [one, other] = [createKindCatalogue(), createKindCatalogue()];
    one.change({ added: [widgets] });
    expect(other.find('example.com', 'v1', 'widgets')).toBeUndefined();
    expect(builtInVersions).toHaveLength(groupVersions.length);
  });

  it.each([
    { name: 'plural', taken: { ...widgets, kind: 'Gadget' } },
    { name: 'name', taken: { ...widgets, resource: 'gadgets' } },
  ])('refuses a $name that is taken, and stays as it was', ({ taken }) => {
    const catalogue = createKindCatalogue();
    catalogue.change({ added: [widgets] });
    const before = catalogue.versions;
    expect(() => catalogue.change({ added: [kindOf('a.example/v1', 'Thing'), taken] })).toThrow(
      expect.toSatisfy((error: unknown) => isPodwrightError(error, 'E_EXISTS')),
    );
    expect(catalogue.versions).toBe(before);
    expect(catalogue.has(widgets)).toBe(true);
  });

  it('tells of each change, once it is made, until it need not', () => {
    const catalogue = createKindCatalogue();
    const told: (KindChange & { readonly has: boolean })[] = [];
    const handler = catalogue.onChange((change) => told.push({ ...change, has: catalogue.has(widgets) }));
    const other = kindOf('a.example/v1', 'Thing');
    catalogue.change({ added: [widgets] });
    catalogue.change({ removed: [widgets, other] });
    catalogue.change({ removed: [other] });
    handler[Symbol.dispose]();
    catalogue.change({ added: [other] });
    expect(told).toEqual([
      { removed: [], added: [widgets], has: true },
      { removed: [widgets], added: [], has: false },
    ]);
  });
});
