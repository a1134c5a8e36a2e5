/** What a node says on the API of the drivers that it has: its CSINode, labels of topology and ids (kubernetes pkg/volume/csi/nodeinfomanager). */
import { PodwrightError } from '#base/errors.ts';
import { csiNodes, nodes } from '#api/schema/kind-ref.ts';
import type { CSINode, CSINodeDriver, Node } from '#api/generated/objects.ts';
import { equalJson, isObject } from '#api/wire/json.ts';
import { isAlreadyExists, isConflict, isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import type { NodeGetInfoResponse } from '#proto/csi/csi.ts';

const idsAnnotation = 'csi.volume.kubernetes.io/nodeid';
const attemptsMax = 10;

/** A driver as CSINode has it. Pure. */
export function renderDriver(name: string, info: NodeGetInfoResponse): CSINodeDriver {
  const count = info.max_volumes_per_node;
  return {
    name,
    nodeID: info.node_id,
    topologyKeys: Object.keys(info.accessible_topology?.segments ?? {}).toSorted(),
    // Nothing, or less, is no limit (CSI NodeGetInfoResponse).
    ...(count > 0 ? { allocatable: { count: Math.min(count, 0x7fff_ffff) } } : {}),
  };
}

/** Of one without any the server says null. */
function driversOf({ spec }: CSINode): readonly CSINodeDriver[] {
  return spec.drivers ?? [];
}

/** With one driver more, other, or fewer. Pure. */
export function withDriver(node: CSINode, name: string, driver: CSINodeDriver | undefined): CSINode {
  const others = driversOf(node).filter((one) => one.name !== name);
  return { ...node, spec: { drivers: driver === undefined ? others : [...others, driver] } };
}

/** What changes on the Node: the driver's id for it, and where volumes of the driver can be. Pure. @throws {E_CONFLICT} as upstream */
export function nodeChanges(
  { metadata }: Node,
  name: string,
  info: NodeGetInfoResponse | undefined,
): {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string | null>>;
} {
  const labels: Record<string, string> = {};
  for (const [key, value] of Object.entries(info?.accessible_topology?.segments ?? {})) {
    const there = metadata?.labels?.[key];
    if (there !== undefined && there !== value)
      throw new PodwrightError(
        'E_CONFLICT',
        `detected topology value collision: driver reported "${key}":"${value}" but existing label is "${key}":"${there}"`,
      );
    if (there === undefined) labels[key] = value;
  }
  const { [name]: _before, ...others } = idsOf(metadata?.annotations?.[idsAnnotation]);
  const ids = info === undefined ? others : { ...others, [name]: info.node_id };
  const text = Object.keys(ids).length === 0 ? null : JSON.stringify(ids);
  const isSame = text === (metadata?.annotations?.[idsAnnotation] ?? null);
  return { labels, annotations: isSame ? {} : { [idsAnnotation]: text } };
}

function idsOf(text: string | undefined): Readonly<Record<string, unknown>> {
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {}; // Somebody else's: written anew.
  }
}

export interface CsiNodeWriter {
  /** The CSINode is there, with or without drivers: the scheduler asks it for limits. */
  ensure(): Promise<void>;
  present(name: string, info: NodeGetInfoResponse): Promise<void>;
  absent(name: string): Promise<void>;
}

export function createCsiNodeWriter({
  client,
  nodeName,
}: {
  readonly client: ApiClient;
  readonly nodeName: string;
}): CsiNodeWriter {
  const change = async (name: string | undefined, driver: CSINodeDriver | undefined): Promise<void> => {
    for (let attempt = 1; ; attempt++) {
      try {
        const present = await find();
        const base = present ?? (await blank());
        const wanted = name === undefined ? base : withDriver(base, name, driver);
        if (present === undefined) await client.create(csiNodes, wanted);
        else if (!equalJson(driversOf(present), driversOf(wanted)))
          await client.update(csiNodes, await replaced(present, wanted));
        return;
      } catch (error) {
        if (attempt >= attemptsMax || !(isConflict(error) || isAlreadyExists(error))) throw error;
      }
    }
  };
  /** What a driver said of itself may not change in place: it goes first. */
  const replaced = async (present: CSINode, wanted: CSINode): Promise<CSINode> => {
    const isFixed = driversOf(present).every((before) => {
      const after = driversOf(wanted).find(({ name }) => name === before.name);
      const fixed = (one: CSINodeDriver): unknown => [one.nodeID, one.topologyKeys];
      return after === undefined || equalJson(fixed(before), fixed(after));
    });
    if (isFixed) return wanted;
    const kept = driversOf(present).filter((before) =>
      driversOf(wanted).some((after) => equalJson(before, after)),
    );
    const without = await client.update(csiNodes, { ...present, spec: { drivers: kept } });
    return { ...wanted, metadata: without.metadata };
  };
  const find = async (): Promise<CSINode | undefined> => {
    try {
      return await client.get(csiNodes, { name: nodeName });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  };
  const blank = async (): Promise<CSINode> => {
    const { metadata } = await client.get(nodes, { name: nodeName });
    const owner = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: metadata?.uid ?? '' };
    return { metadata: { name: nodeName, ownerReferences: [owner] }, spec: { drivers: [] } };
  };
  const mark = async (name: string, info: NodeGetInfoResponse | undefined): Promise<void> => {
    const node = await client.get(nodes, { name: nodeName });
    const { labels, annotations } = nodeChanges(node, name, info);
    if (Object.keys(labels).length + Object.keys(annotations).length === 0) return;
    const metadata = { uid: node.metadata?.uid, labels, annotations };
    await client.patch(nodes, { name: nodeName }, { kind: 'merge', body: { metadata } });
  };
  return {
    ensure: () => change(undefined, undefined),
    present: async (name, info) => {
      await mark(name, info);
      await change(name, renderDriver(name, info));
    },
    absent: async (name) => {
      await change(name, undefined);
      await mark(name, undefined);
    },
  };
}
