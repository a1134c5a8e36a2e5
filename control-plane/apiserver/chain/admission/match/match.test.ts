import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NamedRuleWithOperations } from '#api/generated/objects.ts';
import { createKindCatalogue } from '#api/schema/kind-catalogue.ts';
import { kinds, type Kind } from '#api/schema/kinds.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { contextWith, store } from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import type { AdmissionAttributes } from '#control-plane/apiserver/chain/admission/admission.ts';
import type { Operation } from '#control-plane/apiserver/chain/admission/operation.ts';
import { candidates, isSelected } from './candidates.ts';
import { matchConstraintsOf } from './match-constraints.ts';
import { MatchIndex } from './match-index.ts';
import { keepNamespaceLabels, noNamespaceLabels, type NamespaceLabels } from './namespace-labels.ts';
import { matchesRule } from './request-rule.ts';
import { shownAs } from './shown-as.ts';

const pods = builtIn('', 'v1', 'pods');
const namespaces = builtIn('', 'v1', 'namespaces');
const configMaps = builtIn('', 'v1', 'configmaps');
const scalers1 = builtIn('autoscaling', 'v1', 'horizontalpodautoscalers');
const scalers2 = builtIn('autoscaling', 'v2', 'horizontalpodautoscalers');
const events = builtIn('', 'v1', 'events');
const events1 = builtIn('events.k8s.io', 'v1', 'events');
const catalogue = createKindCatalogue();

const all: NamedRuleWithOperations = {
  ...{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'], scope: '*' },
};

function asked(kind: Kind, more: Partial<AdmissionAttributes> = {}): AdmissionAttributes {
  return {
    ...{ operation: 'create', verb: 'create', kind, subresource: '', name: 'x', dryRun: false },
    ...{ namespace: kind.namespaced ? 'n' : '', user: { name: 'alice', groups: [] } },
    ...more,
  };
}

describe('matchesRule()', () => {
  it.each<[string, Partial<NamedRuleWithOperations>, Kind, string, Operation, boolean]>([
    ['all', {}, pods, '', 'create', true],
    ['all, a subresource', {}, pods, 'status', 'update', true],
    ['* is no subresource', { resources: ['*'] }, pods, 'status', 'update', false],
    ['* is any resource', { resources: ['*'] }, pods, '', 'update', true],
    ['*/status', { resources: ['*/status'] }, pods, 'status', 'update', true],
    ['*/status is not the object', { resources: ['*/status'] }, pods, '', 'update', false],
    ['pods/* is the object, too', { resources: ['pods/*'] }, pods, '', 'create', true],
    ['pods/* is a subresource', { resources: ['pods/*'] }, pods, 'exec', 'connect', true],
    ['pods is no subresource', { resources: ['pods'] }, pods, 'exec', 'connect', false],
    ['another resource', { resources: ['secrets', 'pods/log'] }, pods, '', 'create', false],
    ['an operation', { operations: ['UPDATE', 'DELETE'] }, pods, '', 'delete', true],
    ['another operation', { operations: ['UPDATE', 'DELETE'] }, pods, '', 'create', false],
    ['another group', { apiGroups: ['apps'] }, pods, '', 'create', false],
    ['the core group', { apiGroups: [''] }, pods, '', 'create', true],
    ['another version', { apiVersions: ['v2'] }, pods, '', 'create', false],
    ['namespaced', { scope: 'Namespaced' }, pods, '', 'create', true],
    ['not of the cluster', { scope: 'Cluster' }, pods, '', 'create', false],
    ['a Namespace is of the cluster', { scope: 'Cluster' }, namespaces, '', 'create', true],
    ['a Namespace is not namespaced', { scope: 'Namespaced' }, namespaces, '', 'create', false],
    ['nothing said', { resources: [] }, pods, '', 'create', false],
  ])('%s', (_name, rule, kind, subresource, operation, want) => {
    expect(matchesRule({ ...all, ...rule }, { operation, kind, subresource })).toBe(want);
  });
});

describe('MatchIndex', () => {
  const found = (
    match: Parameters<typeof matchConstraintsOf>[0],
    kind: Kind,
    more: Partial<AdmissionAttributes> = {},
  ): string | undefined => {
    const index = new MatchIndex([{ item: 'h', constraints: matchConstraintsOf(match) }]);
    const [one] = index.find(catalogue, asked(kind, more));
    return one === undefined ? undefined : `${one.as.group}/${one.as.version}`;
  };
  const rule = (group: string, version: string, resource: string): NamedRuleWithOperations => ({
    ...{ ...all, apiGroups: [group], apiVersions: [version], resources: [resource] },
  });

  it('finds an equivalent kind, and not where it is exact', () => {
    const rules = [rule('autoscaling', 'v2', 'horizontalpodautoscalers')];
    expect(found({ rules }, scalers1)).toBe('autoscaling/v2');
    expect(found({ rules }, scalers2)).toBe('autoscaling/v2');
    expect(found({ rules, matchPolicy: 'Exact' }, scalers1)).toBeUndefined();
    expect(found({ rules }, scalers1, { subresource: 'status' })).toBeUndefined();
  });

  it('events of two groups are the same', () => {
    expect(found({ rules: [rule('', 'v1', 'events')] }, events1)).toBe('/v1');
    expect(found({ rules: [rule('events.k8s.io', '*', '*')] }, events)).toBe('events.k8s.io/v1');
  });

  it('a rule about the request as it is goes first', () => {
    const rules = [
      rule('autoscaling', 'v2', 'horizontalpodautoscalers'),
      rule('autoscaling', 'v1', 'horizontalpodautoscalers'),
    ];
    expect(found({ rules }, scalers1)).toBe('autoscaling/v1');
  });

  it('is about no configuration of admission', () => {
    const configurations = builtIn('admissionregistration.k8s.io', 'v1', 'validatingwebhookconfigurations');
    expect(found({ rules: [all] }, configurations)).toBeUndefined();
  });

  it('names and exclusions', () => {
    const named = { ...all, resourceNames: ['a', 'b'] };
    expect(found({ resourceRules: [named] }, pods, { name: 'a' })).toBe('/v1');
    expect(found({ resourceRules: [named] }, pods, { name: 'c' })).toBeUndefined();
    expect(
      found({ resourceRules: [all], excludeResourceRules: [named] }, pods, { name: 'a' }),
    ).toBeUndefined();
    expect(found({ resourceRules: [all], excludeResourceRules: [named] }, pods, { name: 'c' })).toBe('/v1');
    const others = { ...all, resources: ['secrets'] };
    expect(found({ resourceRules: [all], excludeResourceRules: [others] }, pods)).toBe('/v1');
    expect(found({ resourceRules: [all], excludeResourceRules: [all] }, pods)).toBeUndefined();
  });

  it('no rules: nothing, or all where that is meant', () => {
    const of = (matchesAll: boolean): MatchIndex<string> =>
      new MatchIndex([{ item: 'h', constraints: matchConstraintsOf({}, { matchesAll }) }]);
    expect(of(false).find(catalogue, asked(pods))).toEqual([]);
    expect(of(true).find(catalogue, asked(pods))).toMatchObject([{ item: 'h', as: pods }]);
  });

  it('keeps the order, and answers with the same list while the same kinds are served', () => {
    const index = new MatchIndex(
      ['b', 'a'].map((item) => ({ item, constraints: matchConstraintsOf({ rules: [all] }) })),
    );
    const first = index.find(catalogue, asked(pods));
    expect(first.map(({ item }) => item)).toEqual(['b', 'a']);
    expect(index.find(catalogue, asked(pods, { name: 'y' }))).toBe(first);
    const own = createKindCatalogue();
    expect(index.find(own, asked(scalers2)).length).toBe(2);
    own.change({ removed: [scalers2] });
    expect(index.find(own, asked(scalers1)).length).toBe(2);
  });

  it('answers as every rule asked by itself', () => {
    const texts = ['*', '', 'apps', 'v1', 'autoscaling', 'v2'];
    const ruleOf = fc.record({
      operations: fc.subarray(['*', 'CREATE', 'UPDATE', 'DELETE', 'CONNECT']),
      apiGroups: fc.subarray(texts),
      apiVersions: fc.subarray(texts),
      resources: fc.subarray(['*', '*/*', 'pods', 'pods/*', '*/status', 'horizontalpodautoscalers']),
      scope: fc.constantFrom('*' as const, 'Cluster' as const, 'Namespaced' as const),
    });
    fc.assert(
      fc.property(
        fc.array(ruleOf, { maxLength: 4 }),
        fc.constantFrom(...kinds),
        fc.constantFrom('', 'status', 'scale'),
        fc.constantFrom<Operation>('create', 'update', 'delete', 'connect'),
        (rules, kind, subresource, operation) => {
          const index = new MatchIndex([
            { item: 'h', constraints: matchConstraintsOf({ rules, matchPolicy: 'Exact' }) },
          ]);
          const want =
            kind.group !== 'admissionregistration.k8s.io' &&
            rules.some((each) => matchesRule(each, { kind, subresource, operation }));
          const got = index.find(catalogue, asked(kind, { subresource, operation }));
          expect(got.length).toBe(want ? 1 : 0);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('selection', () => {
  const labels: NamespaceLabels = {
    labelsOf: (name) => ({ n: { env: 'prod' }, dev: { env: 'dev' } })[name],
  };
  const index = new MatchIndex([
    {
      item: 'h',
      constraints: matchConstraintsOf({
        rules: [all],
        namespaceSelector: { matchLabels: { env: 'prod' } },
        objectSelector: { matchLabels: { a: 'b' } },
      }),
    },
  ]);
  const of = (attributes: AdmissionAttributes): number =>
    candidates(index, attributes, { kinds: catalogue, namespaces: labels }).length;

  it('by the namespace, before any object is known', () => {
    expect(of(asked(configMaps))).toBe(1);
    expect(of(asked(configMaps, { namespace: 'dev' }))).toBe(0);
    expect(of(asked(configMaps, { namespace: 'unknown' }))).toBe(1);
    expect(of(asked(builtIn('', 'v1', 'nodes')))).toBe(1);
  });

  it('a Namespace is selected by its own labels, those that it is to have', async () => {
    const context = await contextWith([]);
    expect(of(asked(namespaces, { name: 'dev' }))).toBe(1);
    expect(of(asked(namespaces, { name: 'dev', operation: 'delete' }))).toBe(0);
    const [candidate] = index.find(catalogue, asked(namespaces));
    const isIn = (env: string): Promise<boolean> | undefined =>
      candidate &&
      isSelected(
        candidate,
        {
          attributes: asked(namespaces, { name: 'dev', operation: 'update' }),
          object: { metadata: { name: 'dev', labels: { env, a: 'b' } } },
        },
        { ...context, namespaces: labels },
      );
    expect(await isIn('prod')).toBe(true);
    expect(await isIn('dev')).toBe(false);
  });

  it('by labels of the object before or after', async () => {
    const context = { ...(await contextWith([])), namespaces: labels };
    const [candidate] = index.find(catalogue, asked(configMaps));
    const selected = async (object?: object, old?: object): Promise<unknown> =>
      candidate &&
      (await isSelected(candidate, { attributes: asked(configMaps), ...{ object, old } } as never, context));
    const labelled = { metadata: { labels: { a: 'b' } } };
    expect(await selected(labelled)).toBe(true);
    expect(await selected({ metadata: {} }, labelled)).toBe(true);
    expect(await selected({ metadata: { labels: { a: 'c' } } }, { metadata: {} })).toBe(false);
    expect(await selected({ command: ['ls'] })).toBe(false);
  });

  it('a namespace that is not known is looked up; one that is not there is told', async () => {
    const context = await contextWith([]);
    const [candidate] = index.find(catalogue, asked(configMaps));
    const ask = (namespace: string): Promise<boolean> | undefined =>
      candidate &&
      isSelected(
        candidate,
        { attributes: asked(configMaps, { namespace }), object: { metadata: { labels: { a: 'b' } } } },
        { ...context, namespaces: noNamespaceLabels },
      );
    expect(await ask('n')).toBe(false);
    await expect(ask('gone')).rejects.toMatchObject({ message: 'namespaces "gone" not found' });
  });

  it('labels of namespaces are followed', async () => {
    const context = await contextWith([]);
    using kept = await keepNamespaceLabels(context);

    expect(kept.namespaces.labelsOf('n')).toEqual({});
    await store(context, 'v1/namespaces', { metadata: { name: 'm', labels: { env: 'x' } } });
    expect(kept.namespaces.labelsOf('m')).toEqual({ env: 'x' });
    expect(kept.namespaces.labelsOf('constructor')).toBeUndefined();
  });
});

describe('shownAs()', () => {
  it('one version as another, and back', () => {
    const object = {
      ...{ kind: 'HorizontalPodAutoscaler', apiVersion: 'autoscaling/v1', metadata: { name: 'h' } },
      spec: { maxReplicas: 3, targetCPUUtilizationPercentage: 80 },
      status: {},
    };
    const shown = shownAs(object, scalers1, scalers2);
    expect(shown).toMatchObject({
      apiVersion: 'autoscaling/v2',
      spec: { metrics: [{ resource: { target: { averageUtilization: 80 } } }] },
    });
    expect(shownAs(shown, scalers2, scalers1)).toEqual(object);
    expect(shownAs(object, scalers1, scalers1)).toBe(object);
  });
});
