import { storageClasses } from '#api/schema/kind-ref.ts';
import type { StorageClass } from '#api/generated/objects.ts';
import { defaultClassOf } from '#api/volume/claim.ts';
import { localProvisioner } from '#api/volume/local-volumes.ts';
import { isAlreadyExists } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { listAll } from '#client/list-all.ts';

/** The class whose volumes nodes make where pods go. Pure. */
export function renderLocalClass(name: string, isDefault: boolean): StorageClass {
  return {
    metadata: {
      name,
      ...(isDefault ? { annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } } : {}),
    },
    provisioner: localProvisioner,
    reclaimPolicy: 'Delete',
    volumeBindingMode: 'WaitForFirstConsumer',
    allowVolumeExpansion: true,
  };
}

/**
 * Makes the class unless it is there, as the default one unless another is. One that is there stays as somebody made it: without the
 * annotation it is not the default, whenever the server starts.
 */
export async function ensureLocalClass(client: ApiClient, name: string): Promise<void> {
  const { items } = await listAll(client, storageClasses, {});
  if (items.some(({ metadata }) => metadata?.name === name)) return;
  try {
    await client.create(storageClasses, renderLocalClass(name, defaultClassOf(items) === undefined));
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}
