/** What of a pod's claims its containers have, as their status and the clients of pod-resources are told. Pure. */
import { requestsOfContainer } from '#api/device/extended-resources.ts';
import { claimEntriesOf, extendedEntry, namedClaim } from '#api/device/pod-claims.ts';
import type { Container, ContainerStatus, Pod, ResourceHealth } from '#api/generated/objects.ts';
import type { DynamicResource } from '#proto/podresources/api.ts';
import type { Outgoing } from '#proto/contract.ts';
import type { ClaimRecord } from './claim-record.ts';
import type { DriverDevice } from './dra-plugin.ts';
import { isOf } from './pod-claims.ts';

type AllocatedHealth = NonNullable<ContainerStatus['allocatedResourcesStatus']>;

interface Prepared extends DriverDevice {
  readonly driver: string;
}

function devicesIn({ drivers }: ClaimRecord): readonly Prepared[] {
  return Object.entries(drivers).flatMap(([driver, devices]) =>
    (devices ?? []).map((device) => ({ ...device, driver })),
  );
}

/** `records`: those of the pod. */
function recordOf(pod: Pod, entryName: string, records: readonly ClaimRecord[]): ClaimRecord | undefined {
  const entry = claimEntriesOf(pod).find(({ name }) => name === entryName);
  const named = entry === undefined ? undefined : namedClaim(pod, entry);
  if (named?.kind !== 'named') return undefined;
  return records.find(({ name, namespace }) => name === named.name && namespace === pod.metadata?.namespace);
}

/** By name of the container, as the kubelet has it: `claim:NAME/REQUEST`, each device once. */
export function claimHealthsOf(
  pod: Pod,
  records: readonly ClaimRecord[],
  healthOf: (device: Prepared) => Pick<ResourceHealth, 'health' | 'message'>,
): ReadonlyMap<string, AllocatedHealth> {
  const healths = new Map<string, AllocatedHealth>();
  for (const { name: container, resources } of pod.spec?.containers ?? []) {
    const own = (resources?.claims ?? []).flatMap(({ name, request = '' }) => {
      const record = recordOf(pod, name, records);
      const devices = record === undefined ? [] : devicesIn(record);
      const ofRequest = devices.filter(
        ({ requests }) => request === '' || requests.length === 0 || requests.some(isOf(request)),
      );
      const byId = new Map(ofRequest.map((device) => [idOf(device), device]));
      const told = [...byId].map(([resourceID, device]) => ({ resourceID, ...healthOf(device) }));
      const label = `claim:${name}${request === '' ? '' : `/${request}`}`;
      return told.length === 0 ? [] : [{ name: label, resources: told }];
    });
    if (own.length > 0) healths.set(container, own);
  }
  return healths;
}

/** The first CDI device stands for one; without, its place (kubelet's buildResourceHealth). */
function idOf({ driver, pool, device, cdiIds }: Prepared): string {
  return cdiIds[0] ?? `${driver}/${pool}/${device}`;
}

/** Claims of a container, whole: which of their requests it names is not said (podresources/v1). */
export function dynamicResourcesOf(
  pod: Pod,
  { name: container, resources }: Container,
  records: readonly ClaimRecord[],
): readonly Outgoing<DynamicResource>[] {
  const extended = requestsOfContainer(pod, container).length > 0 ? [extendedEntry] : [];
  const names = [...new Set((resources?.claims ?? []).map(({ name }) => name)), ...extended];
  return names.flatMap((name) => {
    const record = recordOf(pod, name, records);
    if (record === undefined) return [];
    return {
      claim_name: record.name,
      claim_namespace: record.namespace,
      claim_resources: devicesIn(record).map(({ driver, pool, device, cdiIds, shareId }) => ({
        cdi_devices: cdiIds.map((id) => ({ name: id })),
        ...{ driver_name: driver, pool_name: pool, device_name: device },
        ...(shareId === undefined ? {} : { share_id: shareId }),
      })),
    };
  });
}
