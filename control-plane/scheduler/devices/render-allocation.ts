import type {
  AllocationResult,
  DeviceAllocationConfiguration,
  DeviceRequestAllocationResult,
  NodeSelector,
  NodeSelectorRequirement,
  NodeSelectorTerm,
} from '#api/generated/objects.ts';
import { formatQuantity, tryParseQuantity } from '#api/meta/quantity.ts';
import { formatTime } from '#api/meta/time.ts';
import { equalJson } from '#api/wire/json.ts';
import type { ClaimPicks, Pick } from './allocate.ts';

export interface RenderContext {
  readonly nodeName: string;
  readonly nowMs: number;
  /** A UUID for each share of a device. */
  readonly newId: () => string;
}

/** What the status of a claim says of what it was given. Pure but for `newId`. */
export function renderAllocation({ claim, picks }: ClaimPicks, context: RenderContext): AllocationResult {
  const results = picks.map((pick) => resultOf(pick, context));
  const config = configOf({ claim, picks });
  const nodeSelector = nodesOf(picks, context.nodeName);
  return {
    devices: { results, ...(config.length === 0 ? {} : { config }) },
    ...(nodeSelector === undefined ? {} : { nodeSelector }),
    allocationTimestamp: formatTime(context.nowMs),
  };
}

function resultOf({ wanted, of, share }: Pick, { newId }: RenderContext): DeviceRequestAllocationResult {
  const { device, pool } = of;
  const { bindingConditions = [], bindingFailureConditions = [] } = device;
  return {
    request: wanted.name,
    driver: pool.driver,
    pool: pool.name,
    device: device.name,
    ...(wanted.isAdmin ? { adminAccess: true } : {}),
    ...(wanted.tolerations === undefined ? {} : { tolerations: wanted.tolerations }),
    ...(bindingConditions.length === 0 ? {} : { bindingConditions }),
    ...(bindingFailureConditions.length === 0 ? {} : { bindingFailureConditions }),
    ...(share === undefined ? {} : { shareID: newId() }),
    ...(share === undefined || share.size === 0 ? {} : { consumedCapacity: consumedOf(of.device, share) }),
  };
}

function consumedOf(
  { capacity = {} }: Pick['of']['device'],
  share: NonNullable<Pick['share']>,
): Readonly<Record<string, string>> {
  const format = (name: string) => tryParseQuantity(capacity[name]?.value)?.format ?? 'DecimalSI';
  return Object.fromEntries(
    [...share].map(([name, nanos]) => [name, formatQuantity({ nanos, format: format(name) })]),
  );
}

/** Of each class once, with the requests that have it, then of the claim. */
function configOf({ claim, picks }: ClaimPicks): readonly DeviceAllocationConfiguration[] {
  const { config = [] } = claim.spec.devices ?? {};
  const chosen = [...new Set(picks.map(({ wanted }) => wanted))];
  const byClass = Map.groupBy(chosen, ({ deviceClass }) => deviceClass);
  const all: DeviceAllocationConfiguration[] = [];
  for (const [{ spec }, ways] of byClass)
    for (const one of spec.config ?? [])
      all.push({ source: 'FromClass', requests: ways.map(({ name }) => name), ...one });
  for (const one of config) {
    const { requests: named = [] } = one;
    const concerns = chosen.some(({ name, request }) => named.includes(request) || named.includes(name));
    if (named.length === 0 || concerns) all.push({ source: 'FromClaim', ...one });
  }
  return all;
}

/** The nodes from which all of the devices can be used; undefined: all. */
function nodesOf(picks: readonly Pick[], here: string): NodeSelector | undefined {
  const expressions: NodeSelectorRequirement[] = [];
  const fields: NodeSelectorRequirement[] = [];
  const add = (list: NodeSelectorRequirement[], more: readonly NodeSelectorRequirement[]): void => {
    for (const one of more) if (!list.some((known) => equalJson(known, one))) list.push(one);
  };
  for (const { of } of picks) {
    const { nodeName = '', nodeSelector } = of.nodes;
    if (nodeName !== '' || of.device.bindsToNode === true) return oneNode(nodeName === '' ? here : nodeName);
    const [term] = nodeSelector?.nodeSelectorTerms ?? [];
    add(expressions, term?.matchExpressions ?? []);
    add(fields, term?.matchFields ?? []);
  }
  const term: NodeSelectorTerm = {
    ...(expressions.length === 0 ? {} : { matchExpressions: expressions }),
    ...(fields.length === 0 ? {} : { matchFields: fields }),
  };
  return Object.keys(term).length === 0 ? undefined : { nodeSelectorTerms: [term] };
}

function oneNode(name: string): NodeSelector {
  return {
    nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [name] }] }],
  };
}
