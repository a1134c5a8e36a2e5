/** What a node may do with the volumes that it makes, and with no others (decision 0090). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { persistentVolumes } from '#api/schema/kind-ref.ts';
import type { PersistentVolume } from '#api/generated/objects.ts';
import { localProvisioner, localVolumeFinalizer, volumeNodeLabel } from '#api/volume/local-volumes.ts';
import { createApiClient } from '#client/api-client.ts';
import type { ApiClient } from '#client/client.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const path = '/api/v1/persistentvolumes';

describe('a node and volumes', () => {
  let test: TestServer;
  const node = (name: string): ApiClient =>
    createApiClient({
      transport: test.server.transport({ name: `system:node:${name}`, groups: ['system:nodes'] }),
      userAgent: 'test',
    });
  const make = (name: string, label: string, provisioner = localProvisioner): Promise<unknown> =>
    test.make(path, {
      metadata: {
        name,
        labels: { [volumeNodeLabel]: label },
        annotations: { 'pv.kubernetes.io/provisioned-by': provisioner },
        finalizers: [localVolumeFinalizer, 'example.com/other'],
      },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        local: { path: '/x' },
        nodeAffinity: {
          required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'k', operator: 'Exists' }] }] },
        },
      },
    });
  beforeAll(async () => {
    test = await startTestServer();
    await make('own', 'a');
    await make('going', 'a');
    await make('other', 'b');
    await make('labelled', 'a', 'example.com/p');
    await test.call('DELETE', `${path}/going`);
  });
  afterAll(() => test[Symbol.asyncDispose]());

  const list = async (selector: string | undefined): Promise<readonly unknown[]> =>
    (await node('a').list(persistentVolumes, { labelSelector: selector })).items.map(
      ({ metadata }) => metadata?.name,
    );
  it.each([
    undefined,
    `${volumeNodeLabel}=b`,
    volumeNodeLabel,
    `${volumeNodeLabel}!=b`,
    `${volumeNodeLabel} in (a,b)`,
  ])('does not list by %s', async (selector) => {
    await expect(list(selector)).rejects.toThrow('cannot list resource "persistentvolumes"');
  });
  it('lists those of its label', async () => {
    expect(await list(`${volumeNodeLabel}=a`)).toEqual(['going', 'labelled', 'own']);
  });

  const refused: readonly (readonly [
    string,
    string,
    (volume: PersistentVolume) => PersistentVolume,
    RegExp,
  ])[] = [
    ['that stays', 'own', letGo, /that is being deleted/],
    ['of another node', 'other', letGo, /no relationship found|cannot/],
    ['of another provisioner', 'labelled', letGo, /no relationship found|cannot/],
    [
      'by its path',
      'going',
      (volume) => ({ ...letGo(volume), spec: { ...volume.spec, local: { path: '/etc' } } }),
      /may only take podwright.io\/local-volume off/,
    ],
    [
      'by its labels',
      'going',
      (volume) => ({ ...letGo(volume), metadata: { ...letGo(volume).metadata, labels: {} } }),
      /may only take podwright.io\/local-volume off/,
    ],
    [
      'by finalizers of others',
      'going',
      (volume) => ({ ...volume, metadata: { ...volume.metadata, finalizers: [] } }),
      /may only take podwright.io\/local-volume off/,
    ],
  ];
  it.each(refused)('does not change one %s', async (_what, name, change, want) => {
    const { json } = await test.call('GET', `${path}/${name}`);
    await expect(node('a').update(persistentVolumes, change(json as PersistentVolume))).rejects.toThrow(want);
  });

  it('makes and deletes none', async () => {
    await expect(node('a').delete(persistentVolumes, { name: 'own' })).rejects.toThrow('cannot delete');
    await expect(node('a').create(persistentVolumes, { metadata: { name: 'n' } })).rejects.toThrow(
      'cannot create',
    );
  });

  it('takes its finalizer off one that goes', async () => {
    const going = await node('a').get(persistentVolumes, { name: 'going' });
    await node('a').update(persistentVolumes, letGo(going));
    const { json } = await test.call('GET', `${path}/going`);
    expect((json as PersistentVolume).metadata?.finalizers).toEqual([
      'example.com/other',
      'kubernetes.io/pv-protection',
    ]);
  });
});

function letGo(volume: PersistentVolume): PersistentVolume {
  const finalizers = volume.metadata?.finalizers?.filter((one) => one !== localVolumeFinalizer);
  return { ...volume, metadata: { ...volume.metadata, finalizers } };
}
