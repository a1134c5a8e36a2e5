import { expect, it } from 'vitest';
import type {
  AdmissionAttributes,
  AdmissionPlugin,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import {
  ask,
  contextWith,
  store,
  type Ask,
  nothingStored,
} from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import { namespaceAutoProvision } from './namespace-auto-provision.ts';
import { namespaceExists } from './namespace-exists.ts';
import { namespaceLifecycle } from './namespace-lifecycle.ts';
import { namespaces } from './namespaces.ts';

const configMaps = builtIn('', 'v1', 'configmaps');
const pods = builtIn('', 'v1', 'pods');
const object = { metadata: { name: 'x' } };
const missing = { code: 404, message: 'namespaces "n" not found' };
const leaving = (resource: string) => ({
  code: 403,
  message: `${resource} "x" is forbidden: unable to create new content in namespace n because it is being terminated`,
});
const immortal = { kind: namespaces, operation: 'delete' } as const;

it.each<{
  readonly name: string;
  readonly plugin: AdmissionPlugin;
  readonly is: 'there' | 'missing' | 'leaving';
  readonly asked: Ask;
  readonly refused?: { readonly code: number; readonly message: string };
}>([
  { name: 'an object', plugin: namespaceLifecycle, is: 'there', asked: { kind: configMaps, object } },
  {
    name: 'an object',
    plugin: namespaceLifecycle,
    is: 'missing',
    asked: { kind: configMaps, object },
    refused: missing,
  },
  {
    name: 'an object',
    plugin: namespaceLifecycle,
    is: 'leaving',
    asked: { kind: configMaps, object },
    refused: leaving('configmaps'),
  },
  {
    name: 'an update',
    plugin: namespaceLifecycle,
    is: 'leaving',
    asked: { kind: configMaps, object, old: object },
  },
  ...['binding', 'eviction'].map((subresource) => ({
    name: `a pod's ${subresource}`,
    plugin: namespaceLifecycle,
    is: 'leaving' as const,
    asked: { kind: pods, subresource, object },
    refused: leaving('pods'),
  })),
  {
    name: 'a question what may be done',
    plugin: namespaceLifecycle,
    is: 'missing',
    asked: { kind: builtIn('authorization.k8s.io', 'v1', 'localsubjectaccessreviews'), object },
  },
  ...['default', 'kube-system', 'kube-public'].map((name) => ({
    name: `the end of namespace ${name}`,
    plugin: namespaceLifecycle,
    is: 'there' as const,
    asked: { ...immortal, old: { metadata: { name } } },
    refused: {
      code: 403,
      message: `namespaces ${JSON.stringify(name)} is forbidden: this namespace may not be deleted`,
    },
  })),
  {
    name: 'the end of another',
    plugin: namespaceLifecycle,
    is: 'there',
    asked: { ...immortal, old: { metadata: { name: 'kube-node-lease' } } },
  },
  ...(['create', 'update', 'delete'] as const).flatMap((operation) =>
    (['there', 'missing'] as const).map((is) => ({
      name: `a ${operation}`,
      plugin: namespaceExists,
      is,
      asked: { kind: configMaps, operation, object, old: object },
      ...(is === 'missing' ? { refused: missing } : {}),
    })),
  ),
  { name: 'a namespace', plugin: namespaceExists, is: 'missing', asked: { kind: namespaces, object } },
])('$plugin.name, namespace $is: $name', async ({ plugin, is, asked, refused }) => {
  const context = await contextWith([]);
  await context.registry.change(namespaces, { namespace: '', name: 'n' }, () => ({
    write: 'remove',
    object: {},
  }));
  const deletionTimestamp = '2026-01-01T00:00:00Z';
  if (is !== 'missing') {
    const metadata = { name: 'n', ...(is === 'leaving' ? { deletionTimestamp } : {}) };
    await store(context, 'v1/namespaces', { metadata });
  }
  expect(await ask(context, plugin, asked)).toEqual(refused ?? { object: asked.object });
});

it('NamespaceAutoProvision makes the namespace of a new object, and no other', async () => {
  const context = await contextWith([]);
  const attributes: AdmissionAttributes = {
    ...{ operation: 'create', verb: 'create', kind: configMaps, subresource: '', namespace: 'new' },
    ...{ name: 'x', user: { name: 'alice', groups: [] }, dryRun: false },
  };
  expect(namespaceAutoProvision.handles({ ...attributes, dryRun: true }, nothingStored)).toBe('no');
  expect(namespaceAutoProvision.handles({ ...attributes, operation: 'update' }, nothingStored)).toBe('no');
  for (let times = 0; times < 2; times++)
    expect(await namespaceAutoProvision.admit?.(context, { attributes, object })).toBeUndefined();
  const all = await context.registry.readAll(namespaces, '');
  expect(all.map(({ metadata }) => (metadata as { name: string }).name)).toEqual(['n', 'new']);
  expect(all[1]).toMatchObject({
    metadata: { labels: { 'kubernetes.io/metadata.name': 'new' } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  });
  const odd = { ...attributes, namespace: 'A_B' };
  await expect(namespaceAutoProvision.admit?.(context, { attributes: odd, object })).rejects.toThrow(
    'configmaps "x" is forbidden: Namespace "A_B" is invalid: metadata.name: Invalid value: "A_B"',
  );
});
