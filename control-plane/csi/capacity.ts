import { createHash } from 'node:crypto';
import { csiDrivers, csiNodes, csiStorageCapacities, nodes, storageClasses } from '#api/schema/kind-ref.ts';
import type { CSIStorageCapacity, StorageClass } from '#api/generated/objects.ts';
import { equalJson } from '#api/wire/json.ts';
import { isAlreadyExists, isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { CsiContext } from './csi-context.ts';
import { binarySize, renderTopology } from './plan-volume.ts';

const managedLabel = 'csi.storage.k8s.io/managed-by';
const driverLabel = 'csi.storage.k8s.io/drivername';
/** As sidecars have it: --capacity-poll-interval. */
const pollMs = 60_000;

const all = (): readonly string[] => ['all'];

/** Says for each class and place of the driver what is left (external-provisioner --enable-capacity). `namespace`: where it says so. */
export function runCapacity(context: CsiContext, namespace: string): Controller {
  const { informers, clock, logger, driver } = context;
  const classes = informers.for(storageClasses);
  const own = informers.for(csiStorageCapacities, {
    namespace,
    labelSelector: `${driverLabel}=${driver.name}`,
  });
  return runController({
    name: 'csi-capacity',
    ...{ clock, logger },
    concurrencyMax: 1,
    sources: [
      source(classes, all),
      source(informers.for(csiNodes), all),
      source(informers.for(csiDrivers), all),
      source(own, all),
    ],
    reconcile: async (_key, signal) => {
      const isAsked = informers.for(csiDrivers).get(driver.name)?.spec.storageCapacity === true;
      const wanted = isAsked ? await wantedCapacities(context, classes.list(), { namespace, signal }) : [];
      const present = new Map(own.list().map((one) => [one.metadata?.name ?? '', one]));
      for (const one of wanted) {
        await put(context, one, present.get(one.metadata?.name ?? ''));
        present.delete(one.metadata?.name ?? '');
      }
      for (const name of present.keys()) await remove(context, namespace, name);
      return { kind: 'again', afterMs: pollMs };
    },
  });
}

async function wantedCapacities(
  { driver, informers }: CsiContext,
  classes: readonly StorageClass[],
  { namespace, signal }: { readonly namespace: string; readonly signal: AbortSignal },
): Promise<readonly CSIStorageCapacity[]> {
  if (!driver.capabilities.has('GET_CAPACITY')) return [];
  const listed = informers.for(csiNodes).list();
  const wanted: CSIStorageCapacity[] = [];
  for (const storageClass of classes.filter(({ provisioner }) => provisioner === driver.name)) {
    const { requisite = [] } = renderTopology({
      ...{ driver: driver.name, storageClass, selected: undefined, nodes: informers.for(nodes).list() },
      csiNodes: new Map(listed.map((node) => [node.metadata?.name ?? '', node])),
    });
    const parameters = Object.fromEntries(
      Object.entries(storageClass.parameters ?? {}).filter(([key]) => !key.startsWith('csi.storage.k8s.io/')),
    );
    for (const { segments = {} } of driver.hasTopology ? requisite : [{ segments: {} }]) {
      const answer = await driver.call(
        'GetCapacity',
        { parameters, accessible_topology: { segments } },
        signal,
      );
      const name = storageClass.metadata?.name ?? '';
      const { value: largest } = answer.maximum_volume_size ?? {};
      wanted.push({
        metadata: {
          name: `csisc-${createHash('sha256')
            .update(JSON.stringify([driver.name, name, segments]))
            .digest('hex')
            .slice(0, 20)}`,
          namespace,
          labels: { [driverLabel]: driver.name, [managedLabel]: 'podwright' },
        },
        storageClassName: name,
        nodeTopology: { matchLabels: segments as Readonly<Record<string, string>> },
        capacity: binarySize(answer.available_capacity),
        ...(largest === undefined || largest === 0 ? {} : { maximumVolumeSize: binarySize(largest) }),
      });
    }
  }
  return wanted;
}

async function put(
  { client }: CsiContext,
  wanted: CSIStorageCapacity,
  present: CSIStorageCapacity | undefined,
): Promise<void> {
  if (present === undefined) {
    try {
      await client.create(csiStorageCapacities, wanted);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    return;
  }
  const says = ({ capacity, maximumVolumeSize }: CSIStorageCapacity): unknown => [
    capacity,
    maximumVolumeSize,
  ];
  if (equalJson(says(wanted), says(present))) return;
  await client.update(csiStorageCapacities, { ...present, ...wanted, metadata: present.metadata });
}

async function remove({ client }: CsiContext, namespace: string, name: string): Promise<void> {
  try {
    await client.delete(csiStorageCapacities, { namespace, name });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
