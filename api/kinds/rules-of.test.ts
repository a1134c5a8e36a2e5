import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { admitCreate } from '#api/pod/admission.ts';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { isFinished, planDeletion } from '#api/strategy/deletion.ts';
import { aggregatedDiscovery, apiResourceList } from '#api/schema/discovery.ts';
import { matchesFields, parseFieldSelector } from '#api/meta/field-selector.ts';
import { effectWarnings } from './kind-effects.ts';
import { kinds, optionalKinds, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { servedVersions } from '#api/schema/served-version.ts';
import { builtInTypes } from '#api/schema/built-in-types.ts';
import { scaleOf } from '#api/strategy/scale.ts';
import { prepareCreate, prepareUpdate } from '#api/strategy/strategy.ts';
import { tableColumns, tableRow } from '#api/table/table.ts';
import { validateCreate, validateUpdate } from '#api/validation/validation.ts';
import type { KindRules } from './rules.ts';
import { kindKey, particularKinds, rulesOf } from './rules-of.ts';

const served = [...new Set(kinds.map(kindKey))];
/** The members of KindRules, in their order. */
const members = [
  ...(
    readFileSync(new URL('rules.ts', import.meta.url), 'utf8').split('export interface KindRules')[1] ?? ''
  ).matchAll(/^ {2}readonly (\w+)\?:/gm),
].map(([, name = '']) => name);

describe('particularKinds', () => {
  it('are kinds that are served, or what their subresources answer with', () => {
    const answers = kinds.flatMap(({ subresources }) => subresources.map(kindKey));
    const known = new Set([...served, ...answers, ...optionalKinds.map(kindKey)]);
    expect([...particularKinds.keys()].filter((key) => !known.has(key))).toEqual([]);
  });

  it('have the rules that are written down', async () => {
    const rows = served.map((key) => {
      const rules: object = particularKinds.get(key) ?? {};
      const own = members.filter((member) => Object.hasOwn(rules, member));
      return `${key.startsWith('/') ? `core${key}` : key}: ${own.join(' ') || '(none)'}\n`;
    });
    await expect(rows.join('')).toMatchFileSnapshot('golden/rules.txt');
  });

  it('have no rule that KindRules does not know, and it none that nobody has', () => {
    const used = [...particularKinds.values()].flatMap((rules) => Object.keys(rules));
    expect([...new Set(used)].toSorted()).toEqual(members.toSorted());
  });

  it('say what becomes of their objects: every kind that is served', () => {
    expect(served.filter((key) => particularKinds.get(key)?.effect === undefined)).toEqual([]);
  });
});

describe('DELETE, of every kind', () => {
  const which = (has: (rules: KindRules) => boolean): readonly string[] =>
    served.filter((key) => has(particularKinds.get(key) ?? {})).toSorted();

  it('lets dependents be, when nothing is said, of two kinds; of events it knows none', () => {
    expect(which(({ propagation }) => propagation?.unsaid === 'Orphan')).toEqual([
      '/ReplicationController',
      'batch/Job',
    ]);
    expect(which(({ propagation }) => propagation?.unsaid === 'none')).toEqual([
      '/Event',
      'events.k8s.io/Event',
    ]);
  });

  it('answers with what is gone for those whose stores say so, with a Status for the others', () => {
    expect(which(({ answersDeleteWithObject }) => answersDeleteWithObject === true)).toEqual([
      '/PersistentVolume',
      '/PersistentVolumeClaim',
      '/Pod',
      '/PodTemplate',
      '/ResourceQuota',
      '/Service',
      '/ServiceAccount',
      'resource.k8s.io/DeviceClass',
      'resource.k8s.io/ResourceClaim',
      'resource.k8s.io/ResourceClaimTemplate',
      'resource.k8s.io/ResourceSlice',
      'storage.k8s.io/CSIDriver',
      'storage.k8s.io/CSINode',
      'storage.k8s.io/StorageClass',
      'storage.k8s.io/VolumeAttachment',
      'storage.k8s.io/VolumeAttributesClass',
    ]);
  });
});

const parts = [undefined, 'status', 'finalize', 'approval', 'resize', 'ephemeralcontainers'];

/** All that is done to an object of a kind, in words that do not name the kind. */
function treatmentOf(kind: Kind): unknown {
  const defaulted = applyDefaults(kind, everything);
  const admitted = admitCreate(kind, defaulted, { tokenVolumeSuffix: 'abcde', storageProtection: true });
  const context = { now: 0, uid: 'u', namespace: 'kube-node-lease', nameSuffix: 'abcde' };
  const created = prepareCreate(kind, admitted, context);
  const changed = { ...created, spec: { replicas: 2 }, data: 'changed', status: { phase: 'changed' } };
  const updated = parts.map((part) => prepareUpdate(kind, created, changed, part));
  const going = planDeletion(kind, created, { gracePeriodSeconds: 7 }, 0);
  const free = { ...going, metadata: { ...Object(going['metadata']), finalizers: [] } };
  return {
    rules: rulesOf(kind),
    created,
    updated,
    complaints: [
      validateCreate(kind, created),
      ...updated.map((next, index) => validateUpdate(kind, created, next, parts[index])),
    ],
    going,
    isFinished: [isFinished(kind, going), isFinished(kind, free)],
    sooner: planDeletion(kind, going, { gracePeriodSeconds: 0 }, 1000),
    table: [tableColumns(kind), tableRow(kind, created, 0)],
    fields: ['spec.nodeName', 'type', 'spec.clusterIP', 'involvedObject.kind', 'metadata.name'].map((field) =>
      answered(() => matchesFields(kind, parseFieldSelector(`${field}=x`), created)),
    ),
    warnings: effectWarnings(kind, everything),
    scale: scaleOf(kind, { ...created, spec: { selector: { matchLabels: { a: 'b' } } } }),
  };
}

function answered(ask: () => unknown): string {
  try {
    return String(ask());
  } catch (error) {
    return String(error);
  }
}

/** What the rules of some kind would take for its own. */
const everything: JsonObject = {
  apiVersion: 'example.com/v1',
  metadata: { name: 'X_1:2', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
  type: 'bootstrap.kubernetes.io/token',
  stringData: { a: 'b' },
  value: 2_000_000_000,
  involvedObject: { kind: 'Pod' },
  spec: {
    type: 'LoadBalancer',
    ports: [{ port: 80 }],
    nodeName: 'node',
    containers: [{}],
    ephemeralContainers: [{ name: 'e' }],
    terminationGracePeriodSeconds: -1,
    finalizers: ['kubernetes'],
    taints: [{ key: '/' }],
    template: { spec: { containers: [{ terminationGracePeriodSeconds: -1 }] } },
    selector: { a: 'b' },
    accessModes: [],
  },
  status: { phase: 'Running' },
};

function custom(kind: string, namespaced: boolean): Kind {
  const names = { kind, resource: `${kind.toLowerCase()}s`, singular: kind.toLowerCase() };
  const status = {
    name: 'status',
    schema: builtInTypes,
    typeName: '',
    kind,
    group: 'example.com',
    version: 'v1',
    verbs: ['get', 'update', 'patch'],
  };
  const verbs = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];
  const gv = { group: 'example.com', version: 'v1' };
  return {
    ...gv,
    ...names,
    shortNames: [],
    categories: [],
    namespaced,
    verbs,
    schema: builtInTypes,
    typeName: '',
    subresources: [status],
  };
}

describe('a custom kind', () => {
  const names = [...new Set([...particularKinds.keys()].map((key) => key.split('/')[1] ?? ''))];
  it.each(names.flatMap((name) => [true, false].map((namespaced) => ({ name, namespaced }))))(
    'that is called $name (namespaced: $namespaced) is treated as any',
    ({ name, namespaced }) => {
      const text = (kind: Kind): string => {
        const { kind: own, resource } = kind;
        return JSON.stringify(treatmentOf(kind))
          .replaceAll(`example.com/v1 ${own}`, 'KIND')
          .replaceAll(resource, 'PLURAL');
      };
      expect(text(custom(name, namespaced))).toBe(text(custom('Widget', namespaced)));
      expect(rulesOf(custom(name, namespaced))).toEqual({});
    },
  );

  it.each(names)('that is called %s is discovered as any', (name) => {
    const shown = (kind: Kind): string =>
      JSON.stringify([
        aggregatedDiscovery('groups', 'v2', servedVersions([kind])),
        servedVersions([kind]).map(apiResourceList),
      ])
        .replaceAll(kind.resource, 'PLURAL')
        .replaceAll(`"${kind.singular}"`, 'SINGULAR')
        .replaceAll(`"${kind.kind}"`, '"KIND"')
        .replaceAll(/"storageVersionHash":"[^"]*"/g, 'HASH');
    expect(shown(custom(name, true))).toBe(shown(custom('Widget', true)));
  });
});
