import type {
  DeviceClass,
  Node,
  Pod,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import type { NodePool } from './pools.ts';
import type { TakenDevices } from './taken-devices.ts';

/** What a decision may ask about devices and claims of them. */
export interface DeviceLookUp {
  /** By `namespace/name`, with what it was given just now and does not say yet. */
  readonly claim: (key: string) => ResourceClaim | undefined;
  readonly deviceClass: (name: string) => DeviceClass | undefined;
  /** The class that stands for an extended resource. */
  readonly classOf: (resource: string) => DeviceClass | undefined;
  /** The claim that was made for the pod's extended resources. */
  readonly extendedClaim: (pod: Pod) => ResourceClaim | undefined;
  readonly poolsFor: (node: Node) => readonly NodePool[];
  readonly taken: TakenDevices;
}
